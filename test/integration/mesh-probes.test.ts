/** What the kubelet's probes may, nobody else on their node may: they alone pass a pod that takes mutual TLS only. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { kinds, type Pod } from '../../src/api/index.ts';
import { documents, openTestMesh, programPod, serviceAccount, type TestMesh } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

describe('probes of a pod that refuses plaintext', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openTestMesh({
      nodes: 1,
      manifests: documents(
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name: 'shop', labels: { 'istio.io/dataplane-mode': 'ambient' } },
        }),
        JSON.stringify({
          apiVersion: 'security.istio.io/v1',
          kind: 'PeerAuthentication',
          metadata: { name: 'default', namespace: 'shop' },
          spec: { mtls: { mode: 'STRICT' } },
        }),
        serviceAccount('first', 'shop'),
        serviceAccount('next', 'shop'),
      ),
    });
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  /** Asks the pod from the network namespace of its node; resolves to what is said of the answer. */
  async function askFromNode(url: string): Promise<string> {
    const ask = `process.stdout.write(await fetch('${url}').then((it) => String(it.status), () => 'refused'))`;
    const child = mesh.startOnNode('node-1', [process.execPath, '--input-type=module', '-e', ask]);
    let said = '';
    child.stdout?.on('data', (part: Buffer) => (said += part.toString()));
    await once(child, 'close');
    return said;
  }

  /** A pod whose readiness is probed: resolves to its address once it is ready. */
  async function startProbed(name: string): Promise<string> {
    const pod = JSON.parse(
      programPod({ name, namespace: 'shop', node: 'node-1', program: 'http-server.ts', args: ['8080'] }),
    ) as Pod;
    const [container] = pod.spec.containers;
    assert.ok(container);
    const readinessProbe = { httpGet: { port: 8080 }, periodSeconds: 1 };
    await mesh.client.create(kinds.Pod, {
      ...pod,
      spec: { ...pod.spec, containers: [{ ...container, readinessProbe }] },
    });
    return eventually(async () => {
      const { status } = await mesh.pod('shop', name);
      const isReady = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True');
      return isReady ? status?.podIP : undefined;
    }, `${name} is ready`);
  }

  it('arrive, while other processes of the node are refused', async () => {
    const ip = await startProbed('first');
    // The policy may come after the pod.
    await eventually(async () => (await askFromNode(`http://${ip}:8080/`)) === 'refused', 'the node is refused');
    // The next one meets it from its beginning, and is probed all the same.
    const next = await startProbed('next');
    assert.equal(await askFromNode(`http://${next}:8080/`), 'refused');
    assert.equal((await mesh.pod('shop', 'first')).status?.containerStatuses?.[0]?.ready, true);
  });
});
