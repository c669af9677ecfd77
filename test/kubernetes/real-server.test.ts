/** What is different on Kubernetes' own server: how it reaches the nodes, what nodes may do there, and that it keeps its objects. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kinds, type Event, type KindRef, type KubeObject } from '../../src/api/index.ts';
import { loadKubeconfig, openKubeClient } from '../../src/kube/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { clientAndEchoServer, openTestMesh, programs, type TestMesh } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

const daemonSet: KindRef = { group: 'apps', version: 'v1', kind: 'DaemonSet', plural: 'daemonsets', namespaced: true };
const skip = process.env['AMBIT_TEST_KUBERNETES']
  ? false
  : "AMBIT_TEST_KUBERNETES names no server: see 'npm run test:kubernetes'";

describe("a mesh on Kubernetes' own server", { skip }, () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openTestMesh({ manifests: clientAndEchoServer() });
    await mesh.enrol('default');
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  async function requestWorks(): Promise<void> {
    await eventually(
      async () => {
        const command = [process.execPath, join(programs, 'request.ts'), 'server.default', '7000', 'hello'];
        const { reply } = JSON.parse(await mesh.exec('client', command)) as { reply?: string };
        return reply === 'hello' ? true : undefined;
      },
      'requests are answered',
      60_000,
    );
  }

  /** How the TLS port of node-2 answers a caller on node-1, with the certificate in these files of pki/ or with none. */
  async function askNode(pair: { readonly cert: string; readonly key: string } | undefined): Promise<string> {
    const file = (name: string): string => JSON.stringify(join(mesh.state, 'pki', name));
    const own = pair ? `cert: read(${file(pair.cert)}), key: read(${file(pair.key)}),` : '';
    const program = `const { readFileSync: read } = require('node:fs');
      const socket = require('node:tls').connect({ host: '172.30.1.2', port: 10250, ca: read(${file('apiserver-ca.pem')}), ${own} });
      socket.write('GET /healthz HTTP/1.1\\r\\nHost: node\\r\\nConnection: close\\r\\n\\r\\n');
      socket.on('data', (data) => console.log(String(data))).on('error', () => {}).on('close', () => console.log('closed'));`;
    return (await mesh.ambit(['exec', '--node', 'node-1', '--', process.execPath, '-e', program])).stdout;
  }

  it('is asked by the API server alone: others do not get past the TLS port of a node', async () => {
    const asApiServer = await askNode({ cert: 'kubelet-client-cert.pem', key: 'kubelet-client-key.pem' });
    assert.match(asApiServer, /^HTTP\/1\.1 200 OK/);
    assert.equal(await askNode(undefined), 'closed\n');
    assert.equal(await askNode({ cert: 'node-1-cert.pem', key: 'node-1-key.pem' }), 'closed\n');
  });

  it('keeps a node to what is its own', async () => {
    const access = loadKubeconfig(join(mesh.state, 'pki/node-1.kubeconfig'));
    const asNode = openKubeClient({ ...access, server: loadKubeconfig(mesh.kubeconfig).server }, { log: silentLog() });
    try {
      await assert.rejects(asNode.list(kinds.Secret), { status: 403 });
      await assert.rejects(asNode.list(kinds.Pod), { status: 403 });
      const label = { metadata: { labels: { example: 'x' } } };
      await assert.rejects(asNode.patch(kinds.Node, 'node-2', undefined, label, { type: 'merge' }), { status: 403 });
      await asNode.patch(kinds.Node, 'node-1', undefined, label, { type: 'merge' });
    } finally {
      await asNode.close();
    }
  });

  it('sees that the nodes live by their leases', async () => {
    const renewed = async (): Promise<string> =>
      (await mesh.client.get(kinds.Lease, 'node-1', 'kube-node-lease')).spec?.renewTime ?? '';
    const first = await renewed();
    await eventually(async () => ((await renewed()) > first ? true : undefined), 'the lease is renewed');
    for (const node of (await mesh.client.list(kinds.Node)).items) assert.deepEqual(node.spec?.taints ?? [], []);
  });

  it('gives no privileges to a DaemonSet outside of the system namespace', async () => {
    const labels = { app: 'greedy' };
    const container = {
      name: 'main',
      image: 'none',
      command: ['sleep', 'infinity'],
      securityContext: { privileged: true },
    };
    const template = { metadata: { labels }, spec: { containers: [container], terminationGracePeriodSeconds: 0 } };
    const greedy = {
      metadata: { name: 'greedy', namespace: 'default' },
      spec: { selector: { matchLabels: labels }, template },
    };
    await mesh.client.create(daemonSet, greedy as KubeObject);
    const refusal = await eventually(
      async () =>
        (await mesh.client.list<Event>(kinds.Event, { namespace: 'default' })).items.find(
          ({ reason, involvedObject }) => reason === 'PrivilegesRefused' && involvedObject?.name?.startsWith('greedy-'),
        ),
      'the refusal is told',
      60_000,
    );
    const pod = refusal.involvedObject?.name ?? '';
    // It is told before the container runs.
    const status = await eventually(() => mesh.exec(pod, ['cat', '/proc/self/status']), 'it runs');
    assert.match(status, /^CapBnd:\t0+$/m);
    await mesh.client.delete(daemonSet, 'greedy', 'default');
  });

  it('brings back a ztunnel whose pod was deleted', async () => {
    const before = await mesh.systemPod('ztunnel', 'node-1');
    await mesh.client.delete(kinds.Pod, before.split('/')[1] ?? '', 'istio-system');
    await eventually(
      async () => ((await mesh.systemPod('ztunnel', 'node-1')) !== before ? true : undefined),
      'another pod',
      60_000,
    );
    await requestWorks();
  });

  it('has the same objects, and the same pods at work, after the mesh was down', async () => {
    const uid = (await mesh.pod('default', 'server')).metadata.uid;
    assert.equal((await mesh.ambit(['down'])).code, 0);
    const up = await mesh.ambit(['up']);
    assert.equal(up.code, 0, up.stderr);
    assert.equal((await mesh.pod('default', 'server')).metadata.uid, uid);
    await requestWorks();
  });

  it('does not change its server while it runs', async () => {
    const { code, stderr } = await mesh.ambit(['up', '--kubernetes', process.execPath]);
    assert.notEqual(code, 0);
    assert.match(stderr, /runs already with another API server/);
  });
});
