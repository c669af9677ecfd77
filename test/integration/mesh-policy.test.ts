/** L4 authorization on real traffic: by principal, namespace, address and port; on new connections and on live ones. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { kinds } from '../../src/api/index.ts';
import { accessLine } from '../support/access-log.ts';
import {
  documents,
  namespace,
  openTestMesh,
  programPod,
  programs,
  service,
  serviceAccount,
  type TestMesh,
} from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

const manifests = documents(
  namespace('friends'),
  namespace('outside'),
  serviceAccount('alice'),
  serviceAccount('bob'),
  serviceAccount('carol', 'friends'),
  serviceAccount('server'),
  serviceAccount('late'),
  serviceAccount('visitor', 'outside'),
  programPod({ name: 'alice', node: 'node-1', program: 'idle.ts' }),
  programPod({ name: 'bob', node: 'node-1', program: 'idle.ts' }),
  programPod({ name: 'carol', namespace: 'friends', node: 'node-2', program: 'idle.ts' }),
  programPod({ name: 'visitor', namespace: 'outside', node: 'node-1', program: 'idle.ts' }),
  programPod({ name: 'server', node: 'node-2', program: 'echo-server.ts', args: ['7000'], port: 7000 }),
  service('server', 7000),
);

interface StreamReport {
  readonly open: number;
  readonly errors: string[];
  readonly done: boolean;
}

interface Streaming {
  readonly pod: string;
  readonly child: ChildProcess;
  readonly reports: StreamReport[];
  readonly ended: Promise<void>;
}

describe('L4 policy', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openTestMesh({ manifests });
    await mesh.enrol('default');
    await mesh.enrol('friends');
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  async function reaches(pod: string, port = 7000): Promise<boolean> {
    const output = await mesh.exec(pod, [
      process.execPath,
      join(programs, 'request.ts'),
      'server.default',
      String(port),
      'hello',
      '3000',
    ]);
    return (JSON.parse(output) as { reply?: string }).reply === 'hello';
  }

  async function expectReach(expected: Readonly<Record<string, boolean>>): Promise<void> {
    for (const [pod, reach] of Object.entries(expected)) {
      await eventually(
        async () => ((await reaches(pod)) === reach ? true : undefined),
        `${pod} ${reach ? 'reaches' : 'does not reach'} the server`,
      );
    }
  }

  async function withPolicy(
    spec: unknown,
    work: () => Promise<void>,
    kind: 'AuthorizationPolicy' | 'PeerAuthentication' = 'AuthorizationPolicy',
  ): Promise<void> {
    const object = {
      apiVersion: 'security.istio.io/v1',
      kind,
      metadata: { name: 'under-test', namespace: 'default' },
      spec,
    };
    if (kind === 'AuthorizationPolicy') await mesh.client.create(kinds.AuthorizationPolicy, object as never);
    else await mesh.client.create(kinds.PeerAuthentication, object as never);
    try {
      await work();
    } finally {
      await mesh.client.delete(
        kind === 'AuthorizationPolicy' ? kinds.AuthorizationPolicy : kinds.PeerAuthentication,
        'under-test',
        'default',
      );
      await expectReach({ alice: true });
    }
  }

  const podIp = async (ns: string, name: string): Promise<string> => (await mesh.pod(ns, name)).status?.podIP ?? '';
  const rule = (source: unknown): unknown => ({ action: 'ALLOW', rules: [{ from: [{ source }] }] });

  it('lets everybody in without a policy', () =>
    expectReach({ alice: true, bob: true, 'friends/carol': true, 'outside/visitor': true }));

  it('ALLOW by principal', () =>
    withPolicy(rule({ principals: ['cluster.local/ns/default/sa/alice'] }), async () => {
      await expectReach({ bob: false, alice: true, 'friends/carol': false, 'outside/visitor': false });
      const line = await accessLine(mesh, 'node-2', ['direction="inbound"', 'src.workload="bob"', 'error=']);
      assert.match(line, /allow policies exist, but none allowed/);
    }));

  it('ALLOW by namespace', () =>
    withPolicy(rule({ namespaces: ['friends'] }), () =>
      expectReach({ alice: false, bob: false, 'friends/carol': true, 'outside/visitor': false }),
    ));

  it('AUDIT says what it saw, and lets it pass', () =>
    withPolicy(
      { action: 'AUDIT', rules: [{ from: [{ source: { principals: ['cluster.local/ns/default/sa/bob'] } }] }] },
      async () => {
        const ztunnel = await mesh.systemPod('ztunnel', 'node-2');
        const line = await eventually(async () => {
          assert.equal(await reaches('bob'), true);
          const { stdout } = await mesh.ambit(['logs', 'ztunnel', '--node', 'node-2']);
          return stdout.split('\n').find((text) => text.includes('connection audited'));
        }, `${ztunnel} says what it saw`);
        const { policy, srcIdentity, decision } = JSON.parse(line) as Record<string, string>;
        assert.deepEqual(
          { policy, srcIdentity, decision },
          { policy: 'default/under-test', srcIdentity: 'spiffe://cluster.local/ns/default/sa/bob', decision: 'allow' },
        );
      },
    ));

  it('refuses a DENY by which ztunnel would deny everything, and says whom', () =>
    assert.rejects(
      mesh.client.create(kinds.AuthorizationPolicy, {
        metadata: { name: 'under-test', namespace: 'default' },
        spec: { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin'] } }] }] },
      } as never),
      /spec\.rules\[0\].*to\[0\]\.operation\.paths.*no waypoint is named in targetRefs/,
    ));

  it('DENY by principal, with the policy in the log', () =>
    withPolicy(
      { action: 'DENY', rules: [{ from: [{ source: { principals: ['cluster.local/ns/default/sa/bob'] } }] }] },
      async () => {
        await expectReach({ bob: false, alice: true, 'friends/carol': true });
        const line = await accessLine(mesh, 'node-2', [
          'direction="inbound"',
          'src.workload="bob"',
          'explicitly denied',
        ]);
        assert.match(line, /explicitly denied by: default\/under-test/);
        const condition = await eventually(async () => {
          const policy = await mesh.client.get(kinds.AuthorizationPolicy, 'under-test', 'default');
          return policy.status?.conditions?.find((candidate) => candidate.type === 'ZtunnelAccepted');
        }, 'a condition on the policy');
        assert.equal(condition.status, 'True');
      },
    ));

  it('ALLOW and DENY by ipBlock', async () => {
    const block = `${await podIp('default', 'alice')}/32`;
    await withPolicy(rule({ ipBlocks: [block] }), () => expectReach({ bob: false, alice: true }));
    await withPolicy(
      { action: 'DENY', rules: [{ from: [{ source: { ipBlocks: [`${await podIp('default', 'bob')}`] } }] }] },
      () => expectReach({ bob: false, alice: true }),
    );
  });

  it('DENY and ALLOW by port', async () => {
    await withPolicy(
      {
        action: 'DENY',
        rules: [{ to: [{ operation: { ports: ['7000'] } }], from: [{ source: { notPrincipals: ['*/sa/alice'] } }] }],
      },
      () => expectReach({ bob: false, alice: true }),
    );
    await withPolicy({ action: 'DENY', rules: [{ to: [{ operation: { ports: ['7001'] } }] }] }, () =>
      expectReach({ bob: true, alice: true }),
    );
  });

  it('ends a live connection that a new policy denies, and leaves the others', async (t) => {
    const start = async (pod: string): Promise<Streaming> => {
      const child = await mesh.startInPod(pod, [
        process.execPath,
        join(programs, 'streamer.ts'),
        'server.default',
        '7000',
        '1',
        '0',
      ]);
      const reports: StreamReport[] = [];
      if (child.stdout)
        createInterface({ input: child.stdout }).on('line', (line) => reports.push(JSON.parse(line) as never));
      const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
      return { pod, child, reports, ended };
    };
    const [alice, bob] = [await start('alice'), await start('bob')];
    const connections = [alice, bob];
    try {
      for (const { reports, pod } of connections)
        await eventually(async () => reports.find((report) => report.open === 1), `${pod} streams`);
      await withPolicy({ action: 'DENY', rules: [{ from: [{ source: { principals: ['*/sa/bob'] } }] }] }, async () => {
        const storedMs = performance.now();
        const last = await eventually(async () => bob.reports.find((report) => report.done), "bob's connection ends");
        t.diagnostic(`the policy acted on the live connection within ${Math.round(performance.now() - storedMs)} ms`);
        assert.equal(last.errors.length, 1, last.errors.join());
        await accessLine(mesh, 'node-2', ['src.workload="bob"', 'policy change']);
      });
      const seen = alice.reports.length;
      const next = await eventually(async () => alice.reports[seen + 1], 'alice streams on');
      assert.deepEqual(next.errors, []);
      assert.equal(next.open, 1);
    } finally {
      for (const { child } of connections) child.stdin?.end();
      await Promise.all(connections.map((connection) => connection.ended));
    }
  });

  it('refuses a pod outside the mesh under STRICT and serves it under PERMISSIVE', async () => {
    await withPolicy(
      { mtls: { mode: 'STRICT' } },
      async () => {
        await expectReach({ 'outside/visitor': false, alice: true });
        const line = await accessLine(mesh, 'node-2', ['direction="inbound"', 'src.workload="visitor"', 'error=']);
        assert.match(line, /istio_converted_static_strict/);
      },
      'PeerAuthentication',
    );
    await withPolicy(
      { mtls: { mode: 'PERMISSIVE' } },
      () => expectReach({ 'outside/visitor': true, alice: true }),
      'PeerAuthentication',
    );
  });

  it('keeps kubelet-style probes passing under STRICT', async () => {
    const isReady = async (name: string): Promise<boolean> =>
      (await mesh.pod('default', name)).status?.conditions?.some(
        ({ type, status }) => type === 'Ready' && status === 'True',
      ) ?? false;
    await withPolicy(
      { mtls: { mode: 'STRICT' } },
      async () => {
        await expectReach({ 'outside/visitor': false });
        // One that was not ready before is so by probes of now.
        await mesh.apply(
          programPod({ name: 'late', node: 'node-2', program: 'echo-server.ts', args: ['7000'], port: 7000 }),
        );
        await eventually(() => isReady('late'), 'a pod that starts under STRICT becomes ready');
        await eventually(
          async () =>
            (await mesh.pod('default', 'late')).metadata.annotations?.['ambient.istio.io/redirection'] === 'enabled',
          'it is in the mesh',
        );
        assert.equal(await isReady('server'), true);
      },
      'PeerAuthentication',
    );
  });
});
