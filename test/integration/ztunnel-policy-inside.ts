/** What AuthorizationPolicies and PeerAuthentications do to connections of both kinds, in IPv4 and IPv6, new and live. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { AuthorizationPolicy, PeerAuthentication } from '../../src/api/istio.ts';
import { policyKey, type PolicyKey, type SpiffeId } from '../../src/api/names.ts';
import { convertAuthorizationPolicy } from '../../src/discovery/authorization-policy.ts';
import {
  convertPeerAuthentication,
  staticStrictPolicy,
  type PeerMode,
} from '../../src/discovery/peer-authentication.ts';
import { meshWorkload } from '../../src/mesh/fixtures.ts';
import { checkPrivileges } from '../../src/net/index.ts';
import type { Authorization } from '../../src/policy/index.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { eventually } from '../support/run.ts';
import { TestPods, type TestPod } from './pod-namespaces.ts';
import { openTunnelClient, type TunnelClient } from './tunnel-client.ts';
import { startTestDataPart, type TestDataPart } from './ztunnel-fixture.ts';

const root = 'istio-system';
const families = ['ip4', 'ip6'] as const;
type Family = (typeof families)[number];

/** Who gets through: a workload of the mesh by a tunnel, somebody else in plaintext. */
interface Reach {
  readonly mesh: boolean;
  readonly plain: boolean;
}

const everybody: Reach = { mesh: true, plain: true };
const nobody: Reach = { mesh: false, plain: false };
const meshAlone: Reach = { mesh: true, plain: false };
const plainAlone: Reach = { mesh: false, plain: true };

describe('policies', { timeout: 160_000 }, () => {
  let pods: TestPods;
  let authority: TestAuthority;
  let part: TestDataPart;
  let caller: TestPod;
  let visitor: TestPod;
  let app: TestPod;
  let client: TunnelClient;
  const told = new Set<PolicyKey>();

  before(async () => {
    await checkPrivileges();
    authority = await createTestAuthority();
    pods = await TestPods.open();
    caller = await pods.add('front/caller', 2);
    app = await pods.add('shop/app', 3);
    visitor = await pods.add('outside/visitor', 4);
    part = startTestDataPart(authority);
    await pods.enrol(app, part);
    for (const port of [9080, 9081]) await pods.echo(app, port);
    client = openTunnelClient({
      pod: caller,
      certificate: await authority.certificate('front/caller'),
      expected: 'spiffe://cluster.local/ns/shop/sa/app' as SpiffeId,
    });
    part.setAddresses(workload(caller), workload(app));
  });

  afterEach(async () => {
    part.setPolicies([], [...told]);
    told.clear();
    part.setAddresses(workload(app));
    await part.applied();
  });

  after(async () => {
    client?.close();
    await part?.drain(10);
    await pods?.close();
  });

  function workload({ name, namespace, serviceAccount, ip4, ip6 }: TestPod, names: readonly PolicyKey[] = []) {
    return meshWorkload({
      name,
      namespace,
      serviceAccount,
      addresses: [ip4, ip6],
      authorizationPolicies: [...names],
    });
  }

  async function enforce(policies: readonly Authorization[], names: readonly PolicyKey[] = []): Promise<void> {
    for (const { namespace, name } of policies) told.add(policyKey(namespace, name));
    part.setPolicies(policies);
    part.setAddresses(workload(app, names));
    await part.applied();
  }

  /** The policy as ztunnels get it, and bound to the application as discovery binds it. */
  async function enforceAuthorization(spec: AuthorizationPolicy['spec'], metadata: object = {}): Promise<void> {
    const policy = { metadata: { name: 'under-test', namespace: 'shop', ...metadata }, spec } as AuthorizationPolicy;
    const { authorization } = convertAuthorizationPolicy(policy, root);
    assert.ok(authorization);
    const isNamed = authorization.scope === 'workload-selector';
    await enforce([authorization], isNamed ? [policyKey(authorization.namespace, authorization.name)] : []);
  }

  async function enforcePeers(spec: PeerAuthentication['spec'], inherited: PeerMode = 'permissive'): Promise<void> {
    const peer = { metadata: { name: 'under-test', namespace: 'shop' }, spec } as PeerAuthentication;
    const { dedicated, reference } = convertPeerAuthentication(peer, inherited, root);
    await enforce([staticStrictPolicy(root), ...(dedicated ? [dedicated] : [])], reference ? [reference] : []);
  }

  const hostPort = (ip: string, port: number): string => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`);

  async function expectReach(expected: Reach, { on = families as readonly Family[], port = 9080 } = {}): Promise<void> {
    for (const family of on) {
      const ip = app[family];
      const found = {
        mesh: (await client.ask(hostPort(ip, port), ip)) === 'app:ping',
        plain: (await pods.ask(visitor, ip, port)) === 'app:ping',
      };
      assert.deepEqual(found, expected, `${family}, port ${port}`);
    }
  }

  test('none: everybody is served, by a tunnel and in plaintext', () => expectReach(everybody));

  for (const family of families) {
    const other = family === 'ip4' ? 'ip6' : 'ip4';

    test(`blocks of ${family} hold callers of that family, and nobody else`, async () => {
      const from = (source: object): AuthorizationPolicy['spec'] => ({ rules: [{ from: [{ source }] }] });
      const own = (pod: TestPod): string => pod[family];
      await enforceAuthorization({ action: 'DENY', ...from({ ipBlocks: [own(caller)] }) });
      await expectReach(plainAlone, { on: [family] });
      await expectReach(everybody, { on: [other] });
      await enforceAuthorization(from({ ipBlocks: [own(caller)] }));
      await expectReach(meshAlone, { on: [family] });
      await expectReach(nobody, { on: [other] });
      await enforceAuthorization(from({ notIpBlocks: [own(visitor)] }));
      await expectReach(meshAlone, { on: [family] });
      await expectReach(everybody, { on: [other] });
      const all = family === 'ip4' ? '0.0.0.0/0' : '::/0';
      await enforceAuthorization({ action: 'DENY', ...from({ ipBlocks: [all] }) });
      await expectReach(nobody, { on: [family] });
      await expectReach(everybody, { on: [other] });
      const network = family === 'ip4' ? '10.244.0.2/31' : 'fd00:244::2/127';
      await enforceAuthorization({ action: 'DENY', ...from({ ipBlocks: [network] }) });
      await expectReach(plainAlone, { on: [family] });
      await enforceAuthorization({ action: 'DENY', rules: [{ when: [{ key: 'source.ip', values: [own(visitor)] }] }] });
      await expectReach(meshAlone, { on: [family] });
      await enforceAuthorization({
        action: 'DENY',
        rules: [{ when: [{ key: 'destination.ip', notValues: [app[other]] }] }],
      });
      await expectReach(nobody, { on: [family] });
      await expectReach(everybody, { on: [other] });
    });
  }

  test('an IPv4 block may be written as IPv6', async () => {
    await enforceAuthorization({
      action: 'DENY',
      rules: [{ from: [{ source: { ipBlocks: [`::ffff:${caller.ip4}/128`] } }] }],
    });
    await expectReach(plainAlone, { on: ['ip4'] });
    await expectReach(everybody, { on: ['ip6'] });
  });

  test('who a caller is: principals, namespaces, service accounts, trust domains, and what they are not', async () => {
    const alone: object[] = [
      { principals: ['cluster.local/ns/front/sa/caller'] },
      { principals: ['*/sa/caller'] },
      { principals: ['*'] },
      { namespaces: ['front'] },
      { namespaces: ['fr*'] },
      { serviceAccounts: ['front/caller'] },
      { trustDomains: ['cluster.local'] },
    ];
    for (const source of alone) {
      await enforceAuthorization({ rules: [{ from: [{ source }] }] });
      await expectReach(meshAlone);
      await enforceAuthorization({ action: 'DENY', rules: [{ from: [{ source }] }] });
      await expectReach(plainAlone);
    }
    const negative: object[] = [
      { notPrincipals: ['cluster.local/ns/front/sa/caller'] },
      { notNamespaces: ['front'] },
      { notServiceAccounts: ['front/caller'] },
      { notTrustDomains: ['cluster.local'] },
    ];
    // Who has no identity has none of these.
    for (const source of negative) {
      await enforceAuthorization({ rules: [{ from: [{ source }] }] });
      await expectReach(plainAlone);
      await enforceAuthorization({ action: 'DENY', rules: [{ from: [{ source }] }] });
      await expectReach(meshAlone);
    }
    // A name alone is of the policy's own namespace.
    await enforceAuthorization({ rules: [{ from: [{ source: { serviceAccounts: ['caller'] } }] }] });
    await expectReach(nobody);
  });

  test('ports are those of the application', async () => {
    await enforceAuthorization({ action: 'DENY', rules: [{ to: [{ operation: { ports: ['9080'] } }] }] });
    await expectReach(nobody);
    await expectReach(everybody, { port: 9081 });
    await enforceAuthorization({ rules: [{ to: [{ operation: { notPorts: ['9080'] } }] }] });
    await expectReach(nobody);
    await expectReach(everybody, { port: 9081 });
    await enforceAuthorization({ action: 'DENY', rules: [{ when: [{ key: 'destination.port', values: ['15008'] }] }] });
    await expectReach(everybody);
  });

  test('without rules, and with a rule of nothing', async () => {
    await enforceAuthorization({});
    await expectReach(nobody);
    await enforceAuthorization({ rules: [{}] });
    await expectReach(everybody);
    await enforceAuthorization({ action: 'DENY' });
    await expectReach(everybody);
    await enforceAuthorization({ action: 'DENY', rules: [{}] });
    await expectReach(nobody);
  });

  test('what only a waypoint can tell takes an ALLOW rule away, and leaves the rest of a DENY', async () => {
    const l7: object[] = [
      { to: [{ operation: { methods: ['GET'] } }] },
      { to: [{ operation: { notPaths: ['/x'] } }] },
      { when: [{ key: 'request.headers[x]', values: ['y'] }] },
      { when: [{ key: 'experimental.later', values: ['y'] }] },
    ];
    for (const more of l7) {
      const rules = [{ from: [{ source: { namespaces: ['front'] } }], ...more }];
      await enforceAuthorization({ rules });
      await expectReach(nobody);
      await enforceAuthorization({ action: 'DENY', rules });
      await expectReach(plainAlone);
      await enforceAuthorization({ action: 'DENY', rules: [more] });
      await expectReach(nobody);
    }
    const source = { namespaces: ['front'], remoteIpBlocks: ['203.0.113.0/24'] };
    await enforceAuthorization({ action: 'DENY', rules: [{ from: [{ source }] }] });
    await expectReach(plainAlone);
    await enforceAuthorization({ rules: [{ from: [{ source }] }] });
    await expectReach(nobody);
    await enforceAuthorization({ action: 'CUSTOM', rules: [{ from: [{ source: { namespaces: ['front'] } }] }] });
    await expectReach(plainAlone);
  });

  test('AUDIT and policies on trial decide nothing', async () => {
    await enforceAuthorization({ action: 'AUDIT', rules: [{}] });
    await expectReach(everybody);
    for (const text of ['true', 'True', '1']) {
      const trial = { annotations: { 'istio.io/dry-run': text } };
      await enforceAuthorization({ action: 'DENY', rules: [{}] }, trial);
      await expectReach(everybody);
      await enforceAuthorization({}, trial);
      await expectReach(everybody);
    }
  });

  test('of the root namespace they bind all, with a selector whoever names them, and others nobody here', async () => {
    const deny: AuthorizationPolicy['spec'] = {
      action: 'DENY',
      rules: [{ from: [{ source: { namespaces: ['front'] } }] }],
    };
    await enforceAuthorization(deny, { namespace: root });
    await expectReach(plainAlone);
    await enforceAuthorization(deny, { namespace: 'elsewhere' });
    part.setPolicies([], [policyKey(root, 'under-test')]);
    await part.applied();
    await expectReach(everybody);
    for (const namespace of [root, 'shop']) {
      await enforceAuthorization(
        { ...deny, selector: { matchLabels: { app: 'app' } } },
        { namespace, name: 'selects' },
      );
      await expectReach(plainAlone);
      part.setAddresses(workload(app));
      await part.applied();
      await expectReach(everybody);
    }
  });

  test('PeerAuthentication: modes, and ports that differ from them', async () => {
    const cases: [PeerAuthentication['spec'], PeerMode, Reach, Reach][] = [
      [{ mtls: { mode: 'STRICT' } }, 'permissive', meshAlone, meshAlone],
      [{ mtls: { mode: 'PERMISSIVE' } }, 'strict', everybody, everybody],
      [{ mtls: { mode: 'DISABLE' } }, 'strict', everybody, everybody],
      [{ mtls: { mode: 'UNSET' } }, 'strict', meshAlone, meshAlone],
      [{}, 'permissive', everybody, everybody],
      [
        { mtls: { mode: 'STRICT' }, portLevelMtls: { 9081: { mode: 'PERMISSIVE' } } },
        'permissive',
        meshAlone,
        everybody,
      ],
      [{ mtls: { mode: 'STRICT' }, portLevelMtls: { 9081: { mode: 'DISABLE' } } }, 'permissive', meshAlone, everybody],
      [{ mtls: { mode: 'PERMISSIVE' }, portLevelMtls: { 9080: { mode: 'STRICT' } } }, 'strict', meshAlone, everybody],
      [{ portLevelMtls: { 9081: { mode: 'DISABLE' } } }, 'strict', meshAlone, everybody],
      [{ portLevelMtls: { 9081: { mode: 'UNSET' } } }, 'strict', meshAlone, meshAlone],
      [{ portLevelMtls: { 9080: { mode: 'STRICT' } } }, 'permissive', meshAlone, everybody],
      // As no schema would let it pass.
      [{ mtls: { mode: 'STRICT' }, portLevelMtls: { 9080: null as never } }, 'permissive', meshAlone, meshAlone],
    ];
    for (const [spec, inherited, at9080, at9081] of cases) {
      await enforcePeers(spec, inherited);
      await expectReach(at9080);
      await expectReach(at9081, { port: 9081 });
    }
  });

  test('live connections end when one comes that denies them, each by its own family', async () => {
    const live = await Promise.all(
      families.map(async (family) => {
        const ip = app[family];
        const plain = await pods.connect(visitor, ip, 9080);
        plain.resume();
        await once(plain, 'data');
        const tunnel = await client.open(hostPort(ip, 9080), ip);
        const state = { family, mesh: true, plain: true, echoed: 0 };
        plain.once('close', () => (state.plain = false));
        tunnel.read({
          neverKeeps: true,
          onData(bytes) {
            state.echoed += bytes.length;
            tunnel.credit(bytes.length);
            return false;
          },
          onEnd() {},
          onDrain() {},
          onClose: () => (state.mesh = false),
        });
        return { state, plain, tunnel };
      }),
    );
    const states = (): unknown => live.map(({ state: { family, mesh, plain } }) => ({ family, mesh, plain }));
    const until = (expected: unknown): Promise<unknown> =>
      eventually(
        async () => (isDeepStrictEqual(states(), expected) ? true : undefined),
        `connections become ${JSON.stringify(expected)}`,
      );
    await enforceAuthorization({ action: 'DENY', rules: [{ from: [{ source: { ipBlocks: [caller.ip6] } }] }] });
    await until([
      { family: 'ip4', mesh: true, plain: true },
      { family: 'ip6', mesh: false, plain: true },
    ]);
    await part.logLine(
      /src\.addr=\[fd00:244::2\]:\d+ .*policy="shop\/under-test" error="connection closed due to policy change"/,
    );
    await enforcePeers({ mtls: { mode: 'STRICT' } });
    await until([
      { family: 'ip4', mesh: true, plain: false },
      { family: 'ip6', mesh: false, plain: false },
    ]);
    const [first] = live;
    assert.ok(first);
    const before = first.state.echoed;
    first.tunnel.write(Buffer.from('still here'));
    await eventually(async () => first.state.echoed === before + 10 || undefined, 'what is allowed goes on');
    for (const { tunnel, plain } of live) {
      tunnel.reset();
      plain.destroy();
    }
  });
});
