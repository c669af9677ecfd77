/** A pod's very first connection goes through the mesh, on both API servers; pods outside of it start without the node agent, too. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { kinds, type Pod } from '../../src/api/index.ts';
import { documents, openTestMesh, programPod, service, serviceAccount, type TestMesh } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

describe('the start of a pod', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openTestMesh({
      manifests: documents(
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name: 'shop', labels: { 'istio.io/dataplane-mode': 'ambient' } },
        }),
        ...['server', 'first', 'later', 'probed'].map((name) => serviceAccount(name, 'shop')),
        serviceAccount('plain'),
        programPod({
          name: 'server',
          namespace: 'shop',
          node: 'node-2',
          program: 'echo-server.ts',
          args: ['7000'],
          port: 7000,
        }),
        service('server', 7000, { namespace: 'shop' }),
      ),
    });
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  /** A pod whose first process connects at once, and ends. */
  async function connectAtOnce(name: string): Promise<Pod> {
    const { podIP } = (await mesh.pod('shop', 'server')).status ?? {};
    const pod = JSON.parse(
      programPod({
        name,
        namespace: 'shop',
        node: 'node-1',
        program: 'request.ts',
        args: [podIP ?? '', '7000', `hello from ${name}`],
      }),
    ) as Pod;
    await mesh.client.create(kinds.Pod, { ...pod, spec: { ...pod.spec, restartPolicy: 'Never' } });
    return eventually(
      async () => {
        const found = await mesh.pod('shop', name);
        return found.status?.phase === 'Succeeded' ? found : undefined;
      },
      `${name} ends`,
      60_000,
    );
  }

  async function accessLogOf(name: string): Promise<string> {
    return eventually(
      async () =>
        (await mesh.ambit(['logs', 'ztunnel'])).stdout
          .split('\n')
          .find((line) => line.includes('direction="inbound"') && line.includes(`/sa/${name}"`)),
      `the access log tells of ${name}`,
    );
  }

  it('is in the mesh: its first process connects with its identity', async () => {
    await connectAtOnce('first');
    assert.match(await accessLogOf('first'), /src\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/first"/);
  });

  it('waits for a ztunnel that is gone, and is in the mesh then', async () => {
    const { stdout } = await mesh.ambit(['status', '-o', 'json']);
    const all = JSON.parse(stdout) as { component: string; node: string; pid: number }[];
    const ztunnel = all.find(({ component, node }) => component === 'ztunnel' && node === 'node-1');
    process.kill(ztunnel?.pid ?? 0, 'SIGKILL');
    await connectAtOnce('later');
    assert.match(await accessLogOf('later'), /src\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/later"/);
  });

  it('needs no node agent for pods outside of the mesh', async () => {
    const { stdout } = await mesh.ambit(['status', '-o', 'json']);
    const all = JSON.parse(stdout) as { component: string; node: string; pid: number }[];
    const agent = all.find(({ component, node }) => component === 'node-agent' && node === 'node-1')?.pid ?? 0;
    process.kill(agent, 'SIGSTOP');
    process.kill(agent, 'SIGKILL');
    const pod = JSON.parse(programPod({ name: 'plain', node: 'node-1', program: 'idle.ts' })) as Pod;
    await mesh.client.create(kinds.Pod, pod);
    await eventually(
      async () => ((await mesh.pod('default', 'plain')).status?.phase === 'Running' ? true : undefined),
      'the pod runs',
    );
  });

  it('has its probes tested, and the policies that would cut it off told', async () => {
    const pod = programPod({
      name: 'probed',
      namespace: 'shop',
      node: 'node-1',
      program: 'echo-server.ts',
      args: ['7000'],
      port: 7000,
    });
    await mesh.apply(pod);
    const metrics = async (): Promise<string> => {
      const ask = "process.stdout.write(await (await fetch('http://127.0.0.1:15014/metrics')).text())";
      const command = [process.execPath, '--input-type=module', '-e', ask];
      const child = mesh.startOnNode('node-1', command);
      let text = '';
      child.stdout?.on('data', (part: Buffer) => (text += part.toString()));
      await new Promise((resolve) => child.on('close', resolve));
      return text;
    };
    await eventually(
      async () => (/ambit_cni_probe_checks_total\{result="open"\} [1-9]/.test(await metrics()) ? true : undefined),
      'the way of probes is tested',
    );
    const conditions = async (): Promise<readonly { type: string; message?: string }[]> =>
      (await mesh.pod('shop', 'probed')).status?.conditions ?? [];
    const told = async (): Promise<string | undefined> =>
      (await conditions()).find(({ type }) => type === 'ambit.io/NetworkPolicyBlocksMesh')?.message;
    const ports = [{ protocol: 'TCP', port: 7000 }];
    await mesh.client.create(kinds.NetworkPolicy, {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'app-only', namespace: 'shop' },
      spec: { podSelector: { matchLabels: { app: 'probed' } }, policyTypes: ['Ingress'], ingress: [{ ports }] },
    } as never);
    const message = await eventually(told, 'the condition is there');
    assert.match(message, /NetworkPolicy app-only, ingress rule 1, leaves out port 15008/);
    await mesh.client.patch(
      kinds.NetworkPolicy,
      'app-only',
      'shop',
      { spec: { ingress: [{ ports: [...ports, { protocol: 'TCP', port: 15008 }] }] } },
      { type: 'merge' },
    );
    await eventually(async () => ((await told()) === undefined ? true : undefined), 'the condition is gone');
  });
});
