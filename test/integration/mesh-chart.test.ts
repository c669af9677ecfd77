/** The mesh as on any cluster: installed by its chart on an API server and nodes that know nothing of it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kinds, systemNamespace, type KindRef, type KubeObject, type Pod } from '../../src/api/index.ts';
import { loadKubeconfig, openKubeClient, type KubeClient } from '../../src/kube/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { chart, helm, runHelm } from '../support/helm.ts';
import { clientAndEchoServer, openTestMesh, programs, repository, type TestMesh } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

const policy = {
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'nobody', namespace: 'default' },
};
const policies: KindRef<KubeObject> = kinds.AuthorizationPolicy;
const skip = helm === undefined ? 'no helm in PATH or .cache/' : false;

describe('a mesh installed by its chart', { skip }, () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openTestMesh({ bare: true });
    const definitions = await mesh.ambit(['up', '-f', join(repository, 'charts/crds')]);
    assert.equal(definitions.code, 0, definitions.stderr);
    await release('install', 'ambit', '--create-namespace');
    await mesh.apply(clientAndEchoServer());
    await mesh.enrol('default');
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  function release(verb: 'install' | 'upgrade', name: string, ...args: readonly string[]): Promise<unknown> {
    // These nodes have no CNI.
    const wait = ['--wait', '--timeout', '150s', '--set', 'nodeAgent.cni.install=false'];
    return runHelm([verb, name, chart, '-n', systemNamespace, ...wait, ...args], mesh.kubeconfig);
  }

  async function request(): Promise<{ reply?: string; error?: string }> {
    const command = [process.execPath, join(programs, 'request.ts'), 'server.default', '7000', 'hello'];
    return JSON.parse(await mesh.exec('client', command)) as { reply?: string; error?: string };
  }

  const answered = async (): Promise<true | undefined> => ((await request()).reply === 'hello' ? true : undefined);
  const refused = async (): Promise<true | undefined> => ((await request()).error === 'ECONNRESET' ? true : undefined);

  it('has two control planes, and a node agent and a ztunnel on each node', async () => {
    const { code, stdout, stderr } = await mesh.ambit(['status', '--kubeconfig', mesh.kubeconfig]);
    assert.equal(code, 0, stdout + stderr);
    const components = stdout.trimEnd().split('\n').slice(1);
    assert.deepEqual(
      components.map((line) => line.split(/\s+/)[0]),
      ['control', 'control', 'node-agent', 'ztunnel', 'node-agent', 'ztunnel'],
    );
    const log = await mesh.ambit(['logs', 'control', '--kubeconfig', mesh.kubeconfig]);
    assert.match(log.stdout, /control plane ready/);
  });

  it('knows both ends of a connection between pods by their certificates', async () => {
    await eventually(answered, 'a request is answered', 60_000);
    const log = await eventually(
      async () =>
        (await mesh.ambit(['logs', 'ztunnel'])).stdout
          .split('\n')
          .find((line) => line.includes('direction="inbound"') && line.includes('src.identity=')),
      'the access log tells of it',
    );
    assert.match(log, /src\.identity="spiffe:\/\/cluster\.local\/ns\/default\/sa\/client"/);
    assert.match(log, /dst\.identity="spiffe:\/\/cluster\.local\/ns\/default\/sa\/server"/);
  });

  it('denies what a policy denies, and has its webhook asked', async () => {
    const rules = [{ from: [{ source: { principals: ['cluster.local/ns/default/sa/client'] } }] }];
    await mesh.client.create(policies, { ...policy, spec: { action: 'DENY', rules } } as KubeObject);
    await eventually(refused, 'the request is refused', 60_000);
    await mesh.client.delete(policies, 'nobody', 'default');
    await eventually(answered, 'the request is answered again', 60_000);
    const wrong = { rules: [{ when: [{ key: 'nonsense', values: ['x'] }] }] };
    await assert.rejects(mesh.client.create(policies, { ...policy, spec: wrong } as KubeObject), /nonsense/);
  });

  it('rolls its ztunnels without refusing a connection, and keeps what the control plane wrote', async () => {
    const webhook = async (): Promise<KubeObject> =>
      mesh.client.get(kinds.ValidatingWebhookConfiguration, `istio-validator-${systemNamespace}`);
    const before = await webhook();
    const earlier = await mesh.systemPod('ztunnel', 'node-1');
    const knocking = await mesh.startInPod('client', [
      process.execPath,
      join(programs, 'knock.ts'),
      'server.default',
      '7000',
      '50',
    ]);
    let said = '';
    knocking.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await release('upgrade', 'ambit', '--set', 'ztunnel.logFormat=json');
    knocking.stdin?.end();
    await new Promise((resolve) => knocking.on('close', resolve));
    const result = JSON.parse(said.trim().split('\n').at(-1) ?? '') as { answered: number; failures: unknown[] };
    // It ends as soon as its last connection did, long before its time is over.
    const replaced = async (): Promise<true | undefined> =>
      (await mesh.systemPod('ztunnel', 'node-1')) === earlier ? undefined : true;
    await eventually(replaced, 'the earlier ztunnel ends');
    assert.ok(result.answered > 20, said);
    assert.deepEqual(result.failures, [], said);
    assert.deepEqual((await webhook()).metadata.generation, before.metadata.generation);
  });

  it('lets a second control plane take the ztunnels over', async () => {
    await release('install', 'ambit-canary', '--set', 'revision=canary', '--set', 'control.replicas=1');
    await release('upgrade', 'ambit', '--reuse-values', '--set', 'ztunnel.revision=canary');
    await eventually(answered, 'a request is answered', 60_000);
    const metadata = { ...policy.metadata, labels: { 'istio.io/rev': 'canary' } };
    await mesh.client.create(policies, { ...policy, metadata, spec: {} } as KubeObject);
    await eventually(refused, 'its policy is obeyed', 60_000);
    await mesh.client.delete(policies, 'nobody', 'default');
  });

  it('deploys a waypoint that serves', async () => {
    const { code, stdout, stderr } = await mesh.ambit(['waypoint', 'apply', '--wait', '--waypoint-timeout', '150']);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /waypoint default\/waypoint is ready/);
    const { spec } = await mesh.client.get(kinds.Deployment, 'waypoint', 'default');
    const [proxy] = spec.template.spec.containers;
    assert.match(proxy?.image ?? '', /^ambit\/ambit:/);
    assert.equal(spec.template.spec.terminationGracePeriodSeconds, 60);
    assert.equal((await mesh.ambit(['waypoint', 'delete', 'waypoint'])).code, 0);
  });

  it('gives each component the rights it needs, and no more', async () => {
    const as = async (account: string, use: (client: KubeClient) => Promise<void>): Promise<void> => {
      const user = `system:serviceaccount:${systemNamespace}:${account}`;
      const impersonate = { user, groups: ['system:serviceaccounts', 'system:authenticated'] };
      const client = openKubeClient({ ...loadKubeconfig(mesh.kubeconfig), impersonate }, { log: silentLog() });
      try {
        await use(client);
      } finally {
        await client.close();
      }
    };
    const forbidden = { status: 403 };
    await as('istiod', async (client) => {
      await client.list(policies);
      await client.get(kinds.Secret, 'istio-ca-secret', systemNamespace);
      // Gateways refer to certificates anywhere: they are watched, and never written.
      await client.list(kinds.Secret, { namespace: 'default' });
      await assert.rejects(client.delete(kinds.Secret, 'any', 'default'), forbidden);
      await assert.rejects(
        client.create(kinds.Pod, { metadata: { name: 'p', namespace: 'default' } } as Pod),
        forbidden,
      );
      await assert.rejects(client.delete(kinds.Pod, 'client', 'default'), forbidden);
    });
    await as('istio-cni', async (client) => {
      await client.list(kinds.Pod);
      await assert.rejects(client.get(kinds.Secret, 'istio-ca-secret', systemNamespace), forbidden);
      await assert.rejects(client.delete(kinds.Pod, 'client', 'default'), forbidden);
    });
    await as('ztunnel', async (client) => {
      await assert.rejects(client.list(kinds.Pod), forbidden);
      await assert.rejects(client.get(kinds.Secret, 'istio-ca-secret', systemNamespace), forbidden);
    });
  });
});
