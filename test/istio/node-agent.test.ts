/** Ambit's ztunnel on Istio's own node agent and istiod: its ZDS, and its rules in the pods. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadAll } from 'js-yaml';
import { kinds, systemNamespace, type DaemonSet, type KubeObject } from '../../src/api/index.ts';
import { runHelm } from '../support/helm.ts';
import { clientAndEchoServer, programs, type TestMesh } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';
import { istioFolder, openIstioMesh, peers, skip } from './peers.ts';

describe("Ambit's ztunnel on Istio's node agent", { skip }, () => {
  let mesh: TestMesh;
  let agent: string;

  before(async () => {
    // It is ready once somebody hands it pods.
    const ambit = ['control.enabled=false', 'nodeAgent.enabled=false'];
    mesh = await openIstioMesh({ nodes: 1, ambit, isComplete: false });
    await startAgent();
    await mesh.apply(clientAndEchoServer().replaceAll('node-2', 'node-1'));
    const labels = { 'istio.io/dataplane-mode': 'ambient' };
    await mesh.client.patch(kinds.Namespace, 'default', undefined, { metadata: { labels } }, { type: 'merge' });
    for (const name of ['client', 'server']) await add(name);
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  /** Istio's chart, with the program under its path on this machine. */
  async function startAgent(): Promise<void> {
    const values = [
      'profile=ambient',
      'ambient.shareHostNetworkNamespace=true',
      // Nodes share this machine's folders: each has a socket of its own.
      'env.ZTUNNEL_UDS_ADDRESS=/var/run/ztunnel/node-1/ztunnel.sock',
    ].flatMap((value) => ['--set', value]);
    const folder = istioFolder('manifests/charts/istio-cni');
    const { stdout } = await runHelm([
      'template',
      'istio-cni',
      folder,
      '-n',
      systemNamespace,
      '--kube-version',
      '1.35.0',
      ...values,
    ]);
    for (const object of loadAll(stdout) as (KubeObject & { kind?: string })[]) {
      const kind = Object.values(kinds).find((one) => one.kind === object?.kind);
      if (!kind) continue;
      if (kind === kinds.DaemonSet) {
        const [container] = (object as DaemonSet).spec.template.spec!.containers;
        Object.assign(container!, { command: [peers, 'install-cni'] });
      }
      await mesh.client.create(kind, object);
    }
    agent = await eventually(
      async () => {
        const { items } = await mesh.client.list(kinds.Pod, {
          namespace: systemNamespace,
          labelSelector: 'k8s-app=istio-cni-node',
        });
        return items[0]?.status?.phase === 'Running' ? `${systemNamespace}/${items[0].metadata.name}` : undefined;
      },
      "Istio's node agent runs",
      60_000,
    );
  }

  /** What Istio's CNI plugin says to the agent when a pod's namespace was made. */
  async function add(name: string): Promise<void> {
    const { metadata, status } = await mesh.pod('default', name);
    const event = {
      Netns: `/var/run/netns/${metadata.uid}`,
      PodName: name,
      PodNamespace: 'default',
      IPs: [
        { Interface: 0, Address: { IP: status?.podIP, Mask: Buffer.from([255, 255, 255, 255]).toString('base64') } },
      ],
    };
    const curl = [
      'curl',
      '-sS',
      '--fail',
      '--unix-socket',
      '/var/run/istio-cni/pluginevent.sock',
      '-d',
      JSON.stringify(event),
      'http://agent/cmdadd',
    ];
    await eventually(async () => (await mesh.exec(agent, curl), true), `the agent enrols ${name}`);
  }

  it('carries connections between pods that the agent enrolled', async () => {
    const command = [process.execPath, join(programs, 'request.ts'), 'server.default', '7000', 'hello', '3000'];
    // The first may be answered before the client's ztunnel knows of the server's: in plain text.
    const line = await eventually(async () => {
      const { reply } = JSON.parse(await mesh.exec('client', command)) as { reply?: string };
      assert.equal(reply, 'hello');
      const lines = (await mesh.ambit(['logs', 'ztunnel'])).stdout.split('\n');
      return lines.find((text) => text.includes('direction="inbound"') && text.includes('src.identity='));
    }, 'a request is answered by a tunnel, and the access log tells of it');
    assert.match(line, /src\.identity="spiffe:\/\/cluster\.local\/ns\/default\/sa\/client"/);
    assert.match(line, /dst\.identity="spiffe:\/\/cluster\.local\/ns\/default\/sa\/server"/);
  });

  it('ends a pod that left', async () => {
    const { metadata } = await mesh.pod('default', 'server');
    await mesh.client.delete(kinds.Pod, 'server', 'default');
    await eventually(
      async () => {
        const log = (await mesh.ambit(['logs', 'ztunnel'])).stdout;
        return log.includes(metadata.uid ?? '?') && log.includes('pod removed') ? true : undefined;
      },
      'ztunnel hears of it',
      60_000,
    );
  });
});
