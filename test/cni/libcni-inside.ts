/** A pod's network made and taken down by libcni, with our plugin behind another one. Run by libcni.test.ts. */
import { after, before, describe, test } from 'node:test';
import { deepEqual, equal, match } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { adminToken, ambient, CniNode, EchoClient } from '../integration/cni-node.ts';
import type { TestNamespace } from '../integration/net-namespaces.ts';

const runtime = process.env['AMBIT_TEST_CNI_RUNTIME'] ?? '';

interface Network {
  readonly namespace: TestNamespace;
  readonly ip: string;
  readonly ip6: string;
}

describe('libcni', { timeout: 160_000 }, () => {
  let node: CniNode;
  const at = (...names: string[]): string => join(node.folder, ...names);

  before(async () => {
    node = await CniNode.open();
    await node.stopAgent();
    for (const folder of ['net.d', 'bin', 'run', 'cache']) mkdirSync(at(folder));
    writeNetwork('10-mesh.conflist', 'mesh-net');
    // Makes no network, and tells of the one that is there.
    const plugin = `#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}' ;;
ADD) cat >/dev/null; cat ${at('result.json')} ;;
*) cat >/dev/null ;;
esac
`;
    writeFileSync(at('bin', 'given'), plugin, { mode: 0o755 });
    await startAgent();
    await node.reconnectZtunnel();
  });
  after(() => node?.close());

  const writeNetwork = (file: string, name: string): void =>
    writeFileSync(
      at('net.d', file),
      JSON.stringify({ cniVersion: '1.0.0', cniVersions: ['1.0.0', '1.1.0'], name, plugins: [{ type: 'given' }] }),
    );

  const startAgent = (): Promise<void> =>
    node.startAgent({
      pluginSocketPath: at('run', 'pluginevent.sock'),
      apiAccess: () => ({ server: `https://127.0.0.1:${node.serverPort}`, caPem: node.caPem, token: adminToken }),
      installer: {
        confDir: at('net.d'),
        launcher: { binDir: at('bin'), hostBinDir: at('bin'), nodePath: process.execPath },
        chain: { runDir: at('run'), excludedNamespaces: ['kube-system'], systemNamespace: 'istio-system' },
        ownConfig: true,
      },
    });

  async function call(
    verb: string,
    pod: { readonly name: string; readonly uid: string },
    { namespace, ip, ip6 }: Network,
  ): Promise<{ readonly code: number; readonly out: string; readonly error: string }> {
    const ips = [`${ip}/32`, `${ip6}/128`].map((address) => ({ interface: 0, address }));
    const interfaces = [{ name: 'eth0', sandbox: namespace.path }];
    writeFileSync(at('result.json'), JSON.stringify({ cniVersion: '1.1.0', interfaces, ips, dns: {} }));
    const args = ['IgnoreUnknown=1', 'K8S_POD_NAMESPACE=demo', `K8S_POD_NAME=${pod.name}`, `K8S_POD_UID=${pod.uid}`];
    const child = spawn(runtime, [verb, at('net.d'), at('bin'), at('cache'), namespace.path, ...args]);
    let [out, error] = ['', ''];
    child.stdout.on('data', (part: Buffer) => (out += part.toString()));
    child.stderr.on('data', (part: Buffer) => (error += part.toString()));
    const code = await new Promise<number>((resolve) => child.on('close', (exit) => resolve(exit ?? -1)));
    return { code, out, error };
  }

  /** How many of four connections, in and out in both families, were captured. */
  async function captured({ namespace, ...addresses }: Network, peer: Awaited<ReturnType<CniNode['createPod']>>) {
    const before = node.ztunnel.relayed;
    const netns = await node.serveEcho(namespace);
    for (const ip of ['ip', 'ip6'] as const) {
      for (const [from, to] of [[netns, peer[ip]] as const, [peer.netns, addresses[ip]] as const]) {
        const client = await EchoClient.open(from, to, 8080);
        await client.check(1000);
        client.close();
      }
    }
    return node.ztunnel.relayed - before;
  }

  test('every verb of CNI 1.1 does what it should for a pod of the mesh', async () => {
    const peer = await node.createPod('peer');
    const pod = { name: 'web', uid: await node.createObject('web', { labels: ambient }) };
    const network = await node.createNetwork();
    for (const verb of ['VALIDATE', 'STATUS']) equal((await call(verb, pod, network)).error, '', verb);
    const { code, out, error } = await call('ADD', pod, network);
    equal(code, 0, error);
    const { ips, cniVersion } = JSON.parse(out) as { ips: { address: string }[]; cniVersion: string };
    deepEqual([cniVersion, ips.map(({ address }) => address)], ['1.1.0', [`${network.ip}/32`, `${network.ip6}/128`]]);
    equal(await captured(network, peer), 4);
    for (const verb of ['CHECK', 'GC', 'DEL']) equal((await call(verb, pod, network)).code, 0, verb);
    // Its sandbox is made anew.
    const second = await node.createNetwork();
    equal((await call('ADD', pod, second)).code, 0);
    equal(await captured(second, peer), 4);
  });

  test('a pod of the mesh waits for an agent that is away, and is taken down without one', async () => {
    const pod = { name: 'late', uid: await node.createObject('late', { labels: ambient }) };
    const network = await node.createNetwork();
    await node.stopAgent();
    const { code, error } = await call('ADD', pod, network);
    equal(code, 1);
    match(error, /istio-cni.*demo\/late has to wait for the node agent/);
    for (const verb of ['STATUS', 'DEL', 'GC']) equal((await call(verb, pod, network)).code, 0, verb);
    const plain = { name: 'plain', uid: await node.createObject('plain') };
    equal((await call('ADD', plain, network)).code, 0);
    await startAgent();
    await node.reconnectZtunnel();
    equal((await call('ADD', pod, network)).code, 0);
  });

  test('where the name of another network comes first, its pods are captured too', async () => {
    const peer = await node.createPod('other-peer');
    await node.stopAgent();
    writeNetwork('00-first.conflist', 'first-net');
    await startAgent();
    await node.reconnectZtunnel();
    const pod = { name: 'first', uid: await node.createObject('first', { labels: ambient }) };
    const network = await node.createNetwork();
    const { code, error } = await call('ADD', pod, network);
    equal(code, 0, error);
    equal(await captured(network, peer), 4);
    rmSync(at('net.d', '00-first.conflist'));
  });
});
