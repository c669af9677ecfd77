/** The Gateway API against the embedded API server: what the statuses of routes, Gateways and policies say. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kinds, type HTTPRoute, type KindRef, type KubeObject } from '../../src/api/index.ts';
import { startControl, type RunningControl } from '../../src/control/index.ts';
import { openKubeClient, type KubeClient } from '../../src/kube/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { startApiServer, type RunningApiServer } from '../../src/local/apiserver/index.ts';
import { applyManifests, readManifests } from '../../src/local/mesh/manifests.ts';
import { createTestAuthority } from '../support/certificates.ts';
import { eventually } from '../support/run.ts';

interface StatusObject extends KubeObject {
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
      readonly message: string;
    }[];
  };
}

const rolesFile = join(import.meta.dirname, '../../charts/ambit/files/roles.yaml');
const log = silentLog();
const directory = mkdtempSync(join(tmpdir(), 'ambit-gateway-api-'));
const tokens = [
  { token: 'admin-token-of-this-test', user: 'ambit:admin', groups: ['system:masters'] },
  {
    token: 'istiod-token-of-this-test',
    user: 'system:serviceaccount:istio-system:istiod',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:istio-system'],
  },
];
const namespace = 'shop';
const gatewayApi = 'gateway.networking.k8s.io/v1';
const toGateway = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'edge' };
const toWeb = { group: '', kind: 'Service', name: 'web', port: 80 };
const theirs = 'example.com/gateway-controller';

describe('the statuses of the Gateway API', () => {
  const stop = new AbortController();
  const clients: KubeClient[] = [];
  let api: RunningApiServer;
  let admin: KubeClient;
  let control: RunningControl;

  const openClient = (token: string): KubeClient => {
    const server = `https://127.0.0.1:${api.port}`;
    const client = openKubeClient(
      { server, caPem: api.caPem, insecureSkipTlsVerify: false, token: () => token, namespace: 'default' },
      { log },
    );
    clients.push(client);
    return client;
  };
  const make = async <T extends KubeObject>(kind: KindRef<T>, name: string, more: object): Promise<T> =>
    admin.create(kind, {
      apiVersion: kind.group === '' ? 'v1' : gatewayApi,
      kind: kind.kind,
      metadata: { name, namespace },
      ...more,
    } as unknown as T);
  /** `<parent> <controller>: <type>=<reason> ...` of each entry, once all of them speak of the newest generation. */
  const parents = async (name: string): Promise<string[]> => {
    const { metadata, status } = await admin.get(kinds.HTTPRoute, name, namespace);
    return (status?.parents ?? []).map(({ parentRef, controllerName, conditions }) => {
      const isOld = conditions.some(({ observedGeneration }) => observedGeneration !== metadata.generation);
      const told = conditions.map(({ type, status: held, reason }) => `${type}=${held === 'True' ? 'yes' : reason}`);
      return `${parentRef.kind} ${parentRef.name} ${controllerName}:${isOld ? ' (old)' : ''} ${told.join(' ')}`;
    });
  };
  const settles = async (name: string, expected: readonly string[]): Promise<void> => {
    let last: string[] = [];
    await eventually(async () => {
      last = await parents(name);
      return JSON.stringify(last) === JSON.stringify(expected) ? true : undefined;
    }, `parents of ${name}`).catch((error: unknown) => {
      assert.deepEqual(last, expected);
      throw error;
    });
  };

  before(async () => {
    mkdirSync(join(directory, 'pki'));
    writeFileSync(join(directory, 'pki/tokens.json'), JSON.stringify(tokens));
    api = await startApiServer({
      stateDir: directory,
      listen: { host: '127.0.0.1', port: 0 },
      tokensFile: join(directory, 'pki/tokens.json'),
      serviceFamilies: ['IPv4'],
      nodeSocket: (node) => join(directory, node),
      log,
    });
    admin = openClient(tokens[0]?.token ?? '');
    for (const name of ['istio-system', namespace]) await admin.create(kinds.Namespace, { metadata: { name } });
    await applyManifests(admin, readManifests([rolesFile]));
    await make(kinds.Service, 'web', { spec: { ports: [{ name: 'http', port: 80 }] } });
    control = await startControl({
      client: openClient(tokens[1]?.token ?? ''),
      listen: { host: '127.0.0.1', port: 0 },
      webhook: { host: '127.0.0.1', port: 0 },
      monitoring: { host: '127.0.0.1', port: 0 },
      servingIps: ['127.0.0.1'],
      identity: 'istiod-1',
      log,
      signal: stop.signal,
    });
  });
  after(async () => {
    stop.abort();
    await control?.done;
    await Promise.all(clients.map((client) => client.close()));
    await api?.close();
    rmSync(directory, { recursive: true });
  });

  it('follow a route: its parents, its backends, and what changes of them', async () => {
    const backendRefs = [{ name: 'web', port: 80 }];
    await make(kinds.HTTPRoute, 'r', { spec: { parentRefs: [toWeb], rules: [{ backendRefs }] } });
    const mesh = 'Service web istio.io/mesh-controller:';
    await settles('r', [`${mesh} Accepted=yes ResolvedRefs=yes ResolvedWaypoints=MissingUseWaypointLabel`]);

    const missing = [{ name: 'gone', port: 80 }];
    const rules = [{ backendRefs: missing }];
    await admin.patch(kinds.HTTPRoute, 'r', namespace, { spec: { rules } }, { type: 'merge' });
    await settles('r', [`${mesh} Accepted=yes ResolvedRefs=BackendNotFound ResolvedWaypoints=MissingUseWaypointLabel`]);
    await make(kinds.Service, 'gone', { spec: { ports: [{ name: 'http', port: 80 }] } });
    await settles('r', [`${mesh} Accepted=yes ResolvedRefs=yes ResolvedWaypoints=MissingUseWaypointLabel`]);
  });

  it('leave the entries of other controllers, and take back those of parents that are gone', async () => {
    const parentRefs = [toGateway, toWeb];
    const route = await make(kinds.HTTPRoute, 'shared', {
      spec: { parentRefs, rules: [{ backendRefs: [{ name: 'web', port: 80 }] }] },
    });
    const condition = {
      type: 'Accepted',
      status: 'True',
      reason: 'Accepted',
      message: 'theirs',
      lastTransitionTime: '2026-01-01T00:00:00Z',
      observedGeneration: route.metadata.generation,
    };
    const entry = { parentRef: toGateway, controllerName: theirs, conditions: [condition] };
    const ours = (await admin.get(kinds.HTTPRoute, 'shared', namespace)).status?.parents ?? [];
    const status = { parents: [...ours, entry] };
    await admin.patch(kinds.HTTPRoute, 'shared', namespace, { status }, { type: 'merge', subresource: 'status' });
    await eventually(async () => ((await parents('shared')).length === 2 ? true : undefined), 'both entries');
    await admin.patch(kinds.HTTPRoute, 'shared', namespace, { spec: { parentRefs: [toGateway] } }, { type: 'merge' });
    await settles('shared', [`Gateway edge ${theirs}: (old) Accepted=yes`]);
    const [kept] = (await admin.get(kinds.HTTPRoute, 'shared', namespace)).status?.parents ?? [];
    assert.deepEqual(kept as NonNullable<HTTPRoute['status']>['parents'][number], entry);
    await admin.delete(kinds.HTTPRoute, 'shared', namespace);
  });

  it('tell of a Gateway which listeners serve, with how many routes', async () => {
    const tls = { certificateRefs: [{ name: 'cert' }] };
    await make(kinds.Gateway, 'edge', {
      spec: {
        gatewayClassName: 'istio',
        listeners: [
          { name: 'http', port: 80, protocol: 'HTTP' },
          { name: 'https', port: 443, protocol: 'HTTPS', tls },
          { name: 'udp', port: 53, protocol: 'UDP' },
        ],
      },
    });
    await make(kinds.HTTPRoute, 'page', {
      spec: { parentRefs: [{ name: 'edge' }], rules: [{ backendRefs: [{ name: 'web', port: 80 }] }] },
    });
    await settles('page', ['Gateway edge istio.io/gateway-controller: Accepted=yes ResolvedRefs=yes']);
    const listeners = async (): Promise<Record<string, string>> => {
      const { status } = await admin.get(kinds.Gateway, 'edge', namespace);
      return Object.fromEntries(
        (status?.listeners ?? []).map(({ name, attachedRoutes, conditions }) => {
          const bad = conditions.filter(({ type, status: held }) => (held === 'True') === (type === 'Conflicted'));
          return [name, `${attachedRoutes} ${bad.map(({ type, reason }) => `${type}=${reason}`).join(' ')}`];
        }),
      );
    };
    const expectListeners = (expected: Record<string, string>): Promise<unknown> =>
      eventually(async () => {
        const found = await listeners();
        return Object.entries(expected).every(([name, text]) => found[name] === text) ? true : undefined;
      }, JSON.stringify(expected)).catch(async (error: unknown) => {
        assert.deepEqual(await listeners(), expected);
        throw error;
      });
    const udp = '0 Accepted=UnsupportedProtocol Programmed=Invalid';
    await expectListeners({ http: '1 ', https: '1 Programmed=Invalid ResolvedRefs=InvalidCertificateRef', udp });
    const authority = await createTestAuthority();
    const { chainPem, keyPem } = await authority.signServer({ dnsNames: ['shop.example.com'], ips: [] });
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    const data = { 'tls.crt': base64(chainPem), 'tls.key': base64(keyPem) };
    await make(kinds.Secret, 'cert', { type: 'kubernetes.io/tls', data });
    await expectListeners({ http: '1 ', https: '1 ', udp });
    const { status } = await admin.get(kinds.Gateway, 'edge', namespace);
    const accepted = status?.conditions?.find(({ type }) => type === 'Accepted');
    assert.deepEqual([accepted?.status, accepted?.reason], ['True', 'ListenersNotValid']);
    assert.ok(!JSON.stringify(status).includes('PRIVATE'));
  });

  it('tell of kinds that nothing acts on, also where their name is that of another kind', async () => {
    const unserved = [
      [kinds.EnvoyFilter, {}],
      [kinds.WasmPlugin, { url: 'oci://example.com/filter' }],
      [kinds.IstioGateway, { servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }] }],
    ] as unknown as (readonly [KindRef<StatusObject>, object])[];
    for (const [kind, spec] of unserved) {
      const apiVersion = `${kind.group}/${kind.version}`;
      // A Gateway of the other group has the name already.
      const metadata = { name: 'edge', namespace };
      await admin.create(kind, { apiVersion, kind: kind.kind, metadata, spec } as KubeObject as StatusObject);
    }
    for (const [kind] of unserved) {
      const told = await eventually(async () => {
        const { status } = await admin.get(kind, 'edge', namespace);
        return status?.conditions?.find(({ type }) => type === 'WaypointAccepted');
      }, `${kind.kind} of ${kind.group} is told of`);
      assert.deepEqual([told.status, told.reason], ['False', 'UnsupportedKind']);
      assert.match(told.message ?? '', /^it has no effect/);
    }
    const { status } = await admin.get(kinds.Gateway, 'edge', namespace);
    assert.ok(
      status?.conditions?.some(({ type }) => type === 'Accepted'),
      'the other one keeps its own',
    );
    assert.ok(!status?.conditions?.some(({ type }) => type === 'WaypointAccepted'));
  });

  it('tell of a BackendTLSPolicy whether it can be trusted, at the Service and at the Gateway', async () => {
    const targetRefs = [{ group: '', kind: 'Service', name: 'web' }];
    await make(kinds.BackendTLSPolicy, 'p', {
      spec: { targetRefs, validation: { hostname: 'web.internal', wellKnownCACertificates: 'System' } },
    });
    const told = await eventually(async () => {
      const { status } = await admin.get(kinds.BackendTLSPolicy, 'p', namespace);
      return status && status.ancestors.length === 2 ? status.ancestors : undefined;
    }, 'two ancestors');
    assert.deepEqual(
      told.map(({ ancestorRef, controllerName, conditions }) => [
        ancestorRef.kind,
        controllerName,
        ...conditions.map(({ type, status }) => `${type}=${status}`),
      ]),
      [
        ['Service', 'istio.io/mesh-controller', 'Accepted=True', 'ResolvedRefs=True'],
        ['Gateway', 'istio.io/gateway-controller', 'Accepted=True', 'ResolvedRefs=True'],
      ],
    );
  });
});
