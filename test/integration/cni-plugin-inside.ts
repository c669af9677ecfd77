/** Scenarios of the CNI plugin: the test stands for the container runtime, calls the installed program, and starts processes only after it said yes. Run by cni.test.ts. */
import { after, before, describe, test } from 'node:test';
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { kinds } from '../../src/api/index.ts';
import { adminToken, ambient, CniNode, EchoClient, eventually, type AgentSettings } from './cni-node.ts';
import type { TestNamespace } from './net-namespaces.ts';

interface PluginRun {
  readonly code: number;
  readonly answer: { readonly code?: number; readonly msg?: string; readonly ips?: unknown };
  readonly text: string;
}

const primary = { cniVersion: '1.0.0', name: 'mesh-net', plugins: [{ type: 'bridge', bridge: 'cni0' }] };

describe('CNI plugin', { timeout: 160_000 }, () => {
  let node: CniNode;
  const at = (name: string): string => join(node.folder, name);
  const listFile = (): string => join(at('net.d'), '02-istio-cni.conflist');

  before(async () => {
    node = await CniNode.open();
    await node.stopAgent();
    await node.client.create(kinds.Namespace, { metadata: { name: 'istio-system' } });
    const labels = { app: 'istio-cni-node' };
    await node.client.create(kinds.DaemonSet, {
      metadata: { name: 'istio-cni-node', namespace: 'istio-system' },
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'a', image: 'a' }] } },
      },
    } as never);
    for (const folder of ['net.d', 'bin', 'run']) mkdirSync(at(folder));
    writeFileSync(join(at('net.d'), '10-mesh.conflist'), JSON.stringify(primary));
    await startAgent();
    await node.reconnectZtunnel();
  });
  after(() => node?.close());

  const startAgent = (more: AgentSettings = {}): Promise<void> =>
    node.startAgent({
      ...more,
      pluginSocketPath: join(at('run'), 'pluginevent.sock'),
      apiAccess: () => ({
        server: `https://127.0.0.1:${node.serverPort}`,
        caPem: node.caPem,
        token: adminToken,
      }),
      installer: {
        confDir: at('net.d'),
        launcher: { binDir: at('bin'), hostBinDir: at('bin'), nodePath: process.execPath },
        chain: { runDir: at('run'), excludedNamespaces: ['kube-system'], systemNamespace: 'istio-system' },
        ownConfig: true,
      },
      daemonSet: { namespace: 'istio-system', name: 'istio-cni-node' },
    });

  /** As a container runtime does for a pod: the last plugin of the first list, with the result of the one before. */
  async function call(
    command: string,
    pod: { readonly name: string; readonly uid?: string; readonly namespace?: string },
    network?: { readonly namespace: TestNamespace; readonly ip: string; readonly ip6: string },
  ): Promise<PluginRun> {
    const [first = ''] = readdirSync(at('net.d'))
      .filter((name) => /\.(conf|conflist)$/.test(name))
      .toSorted();
    const list = JSON.parse(readFileSync(join(at('net.d'), first), 'utf8')) as typeof primary;
    const plugin = list.plugins.at(-1) as { type: string };
    const prevResult = {
      cniVersion: list.cniVersion,
      interfaces: [{ name: 'eth0', sandbox: network?.namespace.path ?? '' }],
      ips: [
        { interface: 0, address: `${network?.ip ?? '10.0.0.1'}/32`, gateway: '10.244.1.1' },
        { interface: 0, address: `${network?.ip6 ?? 'fd00::1'}/128`, gateway: 'fd00:10:244:1::1' },
      ],
      dns: {},
    };
    const config = { ...plugin, cniVersion: list.cniVersion, name: list.name, prevResult };
    const args = [`K8S_POD_NAMESPACE=${pod.namespace ?? 'demo'}`, `K8S_POD_NAME=${pod.name}`];
    if (pod.uid !== undefined) args.push(`K8S_POD_UID=${pod.uid}`);
    const child = spawn(join(at('bin'), plugin.type), {
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: 'c1',
        CNI_NETNS: network?.namespace.path ?? '/var/run/netns/none',
        CNI_IFNAME: 'eth0',
        CNI_ARGS: ['IgnoreUnknown=1', ...args].join(';'),
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.end(JSON.stringify(config));
    let text = '';
    child.stdout.on('data', (part: Buffer) => (text += part.toString()));
    const code = await new Promise<number>((resolve) => child.on('close', (exit) => resolve(exit ?? -1)));
    const answer = text === '' ? {} : (JSON.parse(text) as PluginRun['answer']);
    if (code === 0 && command === 'ADD') deepEqual(answer, prevResult);
    return { code, answer, text };
  }

  test('is installed before all other networks, with the plugins of the first, which stays as it is', () => {
    const list = JSON.parse(readFileSync(listFile(), 'utf8')) as typeof primary;
    deepEqual(
      list.plugins.map(({ type }) => type),
      ['bridge', 'istio-cni'],
    );
    equal(list.name, 'mesh-net');
    equal(readFileSync(join(at('net.d'), '10-mesh.conflist'), 'utf8'), JSON.stringify(primary));
    equal(statSync(join(at('run'), 'api-access.json')).mode & 0o777, 0o600);
    equal(statSync(join(at('run'), 'pluginevent.sock')).mode & 0o777, 0o600);
  });

  test('speaks the verbs of the specification', async () => {
    match(
      (await call('VERSION', { name: 'x' })).text,
      /"supportedVersions":\[.*"0\.3\.1","0\.4\.0","1\.0\.0","1\.1\.0"/,
    );
    for (const verb of ['DEL', 'CHECK', 'GC', 'STATUS']) {
      const run = await call(verb, { name: 'x' });
      deepEqual([run.code, run.text], [0, ''], verb);
    }
    const wrong = await call('DANCE', { name: 'x' });
    deepEqual([wrong.code, wrong.answer.code], [1, 4]);
  });

  test('the very first connection of a pod is captured: no process starts before', async () => {
    const outside = await node.createPod('world');
    const uid = await node.createObject('early', { labels: ambient });
    const network = await node.createNetwork();
    const run = await call('ADD', { name: 'early', uid }, network);
    equal(run.code, 0, run.text);
    const before = node.ztunnel.relayed;
    // The API knows neither its address nor that it runs.
    const netns = await node.serveEcho(network.namespace);
    for (const ip of ['ip', 'ip6'] as const) {
      const client = await EchoClient.open(netns, outside[ip], 8080);
      await client.check(1000);
      client.close();
      const caller = await EchoClient.open(outside.netns, network[ip], 8080);
      await caller.check(1000);
      caller.close();
    }
    equal(node.ztunnel.relayed, before + 4);
    await node.setRunning('early', [network.ip, network.ip6]);
    await node.enrolled({ name: 'early' });
    match(await node.metrics(), /istio_cni_plugin_requests_total\{response_code="200"\} [1-9]/);
    // The sandbox is made anew, as after a failure later on: another namespace for the same pod.
    const second = await node.createNetwork();
    equal((await call('ADD', { name: 'early', uid }, second)).code, 0);
    const again = node.ztunnel.relayed;
    const anew = await node.serveEcho(second.namespace);
    for (const ip of [outside.ip, outside.ip6]) {
      const later = await EchoClient.open(anew, ip, 8080);
      await later.check(1000);
      later.close();
    }
    equal(node.ztunnel.relayed, again + 2);
  });

  test('waits for a ztunnel that is not there, and fails with the reason; pods outside of the mesh pass', async () => {
    const uid = await node.createObject('patient', { labels: ambient });
    await node.createObject('plain');
    const network = await node.createNetwork();
    node.ztunnel.refused.add(uid);
    const refused = await call('ADD', { name: 'patient', uid }, network);
    deepEqual([refused.code, refused.answer.code], [1, 11]);
    match(refused.answer.msg ?? '', /refused by this test/);
    equal((await call('ADD', { name: 'plain' }, network)).code, 0);
    node.ztunnel.refused.clear();
    // Kubelet tries again.
    equal((await call('ADD', { name: 'patient', uid }, network)).code, 0);
  });

  test('while the agent is away pods of the mesh wait and all others pass', async () => {
    await node.createObject('waiting', { labels: ambient });
    await node.createObject('passing');
    const network = await node.createNetwork();
    await node.stopAgent();
    ok(existsSync(listFile()), 'the plugin stays');
    const waiting = await call('ADD', { name: 'waiting' }, network);
    deepEqual([waiting.code, waiting.answer.code], [1, 11]);
    match(waiting.answer.msg ?? '', /has to wait for the node agent.*it belongs to the mesh/);
    equal((await call('ADD', { name: 'passing' }, network)).code, 0);
    equal((await call('ADD', { name: 'x', namespace: 'kube-system' }, network)).code, 0);
    equal((await call('ADD', { name: 'istio-cni-node-abc', namespace: 'istio-system' }, network)).code, 0);
    // Nobody knows about this one: it must not slip through.
    const unknown = await call('ADD', { name: 'nobody' }, network);
    equal(unknown.code, 1);
    match(unknown.answer.msg ?? '', /is not known \(the API answers 404/);

    const late = await node.createPod('late', { labels: ambient });
    await startAgent();
    await node.reconnectZtunnel();
    await node.enrolled(late);
    await eventually('an Event tells', async () =>
      (await node.eventsOf(late)).some(({ reason }) => reason === 'EnrolledLate'),
    );
    await eventually('it is counted', async () =>
      /istio_cni_repair_pods_repaired_total\{type="enrol",result="success"\} 1/.test(await node.metrics()),
    );
    equal((await call('ADD', { name: 'waiting' }, network)).code, 0);
  });

  test('is put back when somebody else writes the configuration or the program', async () => {
    const other = { ...primary, plugins: [...primary.plugins, { type: 'portmap' }] };
    writeFileSync(join(at('net.d'), '10-mesh.conflist'), JSON.stringify(other));
    await eventually('the new plugins are in', () => readFileSync(listFile(), 'utf8').includes('portmap'));
    rmSync(listFile());
    await eventually('the list is back', () => existsSync(listFile()));
    await eventually('both are counted', async () =>
      /istio_cni_installs_total\{result="success"\} [2-9][^]*istio_cni_install_ready 1|istio_cni_install_ready 1[^]*istio_cni_installs_total\{result="success"\} [2-9]/.test(
        await node.metrics(),
      ),
    );
  });

  test("a pod's namespace is found by its processes, and nobody else's is taken for it", async () => {
    const uid = await node.createObject('found', { labels: ambient });
    const [network, other] = [await node.createNetwork(), await node.createNetwork()];
    const proc = at('proc');
    const add = (pid: number, startTime: number, netns: string): void => {
      mkdirSync(join(proc, String(pid), 'ns'), { recursive: true });
      const slice = `kubepods-burstable-pod${uid.replaceAll('-', '_')}.slice`;
      writeFileSync(join(proc, String(pid), 'cgroup'), `0::/kubepods.slice/${slice}/cri-containerd-${pid}.scope\n`);
      writeFileSync(join(proc, String(pid), 'stat'), `${pid} (pause) S ${'0 '.repeat(18)}${startTime} 0`);
      symlinkSync(netns, join(proc, String(pid), 'ns', 'net'));
    };
    // The oldest is in the node's namespace, the next one in a pod's that had the number before.
    add(10, 1, '/proc/self/ns/net');
    add(20, 2, other.namespace.path);
    add(30, 3, network.namespace.path);
    mkdirSync(join(proc, '30', 'root', 'etc'), { recursive: true });
    writeFileSync(join(proc, '30', 'root', 'etc', 'resolv.conf'), 'nameserver 10.1.1.1\nsearch seen.example\n');
    await node.setRunning('found', [network.ip, network.ip6]);
    await node.stopAgent();
    await startAgent({ procFolder: proc });
    await node.reconnectZtunnel(['resolver', 'mark']);
    await node.enrolled({ name: 'found' });
    const rules = (namespace: TestNamespace): Promise<string> => namespace.exec('nft', 'list', 'ruleset');
    match(await rules(network.namespace), /redirect to :15001/);
    equal((await rules(other.namespace)).includes('istio-ambient'), false);
    equal(execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }).includes('istio-ambient'), false);
    deepEqual(node.ztunnel.told.get(uid)?.resolver, { nameservers: ['10.1.1.1'], search: ['seen.example'], ndots: 1 });
    // Its first process ends; the pod stays where it is.
    rmSync(join(proc, '30'), { recursive: true });
    add(40, 4, network.namespace.path);
    await node.change({ name: 'found' }, { annotations: { changed: 'yes' } });
    ok(node.ztunnel.served.has(uid));
    equal(await node.redirectionOf({ name: 'found' }), 'enabled');
  });

  test('goes with its DaemonSet, and only then', async () => {
    await node.stopAgent();
    ok(existsSync(listFile()));
    await startAgent();
    await node.client.delete(kinds.DaemonSet, 'istio-cni-node', 'istio-system');
    await node.stopAgent();
    deepEqual(readdirSync(at('net.d')), ['10-mesh.conflist']);
    deepEqual(readdirSync(at('bin')), []);
    equal(execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }).includes('ambit-host'), false);
    await startAgent();
  });
});
