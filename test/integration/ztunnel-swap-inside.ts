/** One ztunnel a node after the other, as processes, with the listener holder between: who connects does not notice. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach, before, describe, test } from 'node:test';
import { serviceKey } from '../../src/api/names.ts';
import { HolderLink } from '../../src/cni/holder-link.ts';
import { writePodSettings } from '../../src/cni/pod-settings.ts';
import { captureAll } from '../../src/cni/rules/capture-settings.ts';
import { nftRedirectScript } from '../../src/cni/rules/nft-script.ts';
import { ZdsServer } from '../../src/cni/zds-server.ts';
import { silentLog } from '../../src/lib/log.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../src/mesh/fixtures.ts';
import { addPolicyRouting, applyNft, checkPrivileges, connectSeqpacket, dial, listen } from '../../src/net/index.ts';
import { encodeZdsAck, encodeZdsHello } from '../../src/wire/index.ts';
import { hbonePort, proxyMark } from '../../src/ztunnel/ports.ts';
import { createTestAuthority } from '../support/certificates.ts';
import { TestPods, type TestPod } from './pod-namespaces.ts';
import {
  setAddresses,
  startTestControlPlane,
  ztunnelEnvironment,
  type TestControlPlane,
} from './ztunnel-control-plane.ts';

const webKey = serviceKey('shop', 'web.shop.svc.cluster.local');
const vips = ['10.96.0.10', 'fd00:96::10'] as const;
const appPort = 9080;
const bin = join(import.meta.dirname, '../../src/bin/ambit.ts');
const program = join(import.meta.dirname, '../support/programs/ztunnel.ts');

type NodeName = 'near' | 'far';

/** A node: its agent's end of ZDS, and the one pod on it. */
interface TestNode {
  readonly zds: ZdsServer;
  readonly link: HolderLink;
  readonly zdsPath: string;
  readonly pod: TestPod;
}

interface Ztunnel {
  readonly child: ChildProcess;
  readonly ready: () => Promise<boolean>;
  readonly exited: Promise<unknown>;
}

describe('ztunnels that come and go', { timeout: 165_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'swap-'));
  const children = new Set<ChildProcess>();
  const open = new Set<Socket>();
  const nodes = {} as Record<NodeName, TestNode>;
  const running = {} as Record<NodeName, Ztunnel>;
  const output: string[] = [];
  let control: TestControlPlane;
  let pods: TestPods;

  before(async () => {
    await checkPrivileges();
    pods = await TestPods.open();
    const [client, web] = [await pods.add('front/client', 2), await pods.add('shop/web', 3)];
    nodes.near = startNode('near', client);
    nodes.far = startNode('far', web);
    for (const { netns } of [client, web]) {
      addPolicyRouting(netns);
      await applyNft({
        netns,
        script: nftRedirectScript({
          probeIp4: '169.254.7.127',
          probeIp6: 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff',
          probesFrom: undefined,
          capture: captureAll,
          mark: 0x7e571234,
          plainMark: true,
          dns: { kind: 'off' },
        }),
      });
    }
    await pods.serve(web, { port: appPort }, ({ socket }) => void socket.pipe(socket));
    const authority = await createTestAuthority();
    writeFileSync(join(folder, 'root.pem'), authority.rootPem);
    writeFileSync(join(folder, 'token'), 'test-token');
    control = await startTestControlPlane(authority);
    setAddresses(
      control.addresses,
      {
        kind: 'workload',
        workload: meshWorkload({
          name: 'client',
          namespace: 'front',
          serviceAccount: 'client',
          addresses: [client.ip4, client.ip6],
        }),
      },
      {
        kind: 'workload',
        workload: meshWorkload({
          name: 'web',
          serviceAccount: 'web',
          addresses: [web.ip4, web.ip6],
          node: 'node-2',
          services: new Map([[webKey, [{ servicePort: 80, targetPort: appPort, appProtocol: 'unknown' }]]]),
        }),
      },
      { kind: 'service', service: meshService({ addresses: vips.map((ip) => ({ network: defaultNetwork, ip })) }) },
    );
    [running.near, running.far] = await Promise.all([startZtunnel('near'), startZtunnel('far')]);
    for (const ztunnel of Object.values(running)) await eventually('readiness', ztunnel.ready);
  });

  after(async () => {
    for (const socket of open) socket.destroy();
    for (const child of children) child.kill('SIGKILL');
    for (const { zds, link } of Object.values(nodes)) {
      zds.close();
      link.close();
    }
    await control?.close();
    await pods?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  afterEach((context) => {
    if ('passed' in context && context.passed === false) process.stderr.write(`${output.slice(-60).join('\n')}\n`);
    output.length = 0;
  });

  function startNode(name: NodeName, pod: TestPod): TestNode {
    const link = new HolderLink({ path: join(folder, `${name}.holder`), log: silentLog() });
    const zds: ZdsServer = new ZdsServer({
      path: join(folder, `${name}.sock`),
      uids: () => [pod.name],
      served: () => ({ pod, netns: pod.netns }),
      onReady: () => {},
      onChange: () => link.setForeign(!zds.capabilities.every((each) => each.has('holder'))),
      log: silentLog(),
    });
    zds.listen();
    return { zds, link, zdsPath: join(folder, `${name}.sock`), pod };
  }

  function start(args: readonly string[], env: Record<string, string>): ChildProcess {
    const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    children.add(child);
    child.once('exit', () => children.delete(child));
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => output.push(line));
    return child;
  }

  async function startHolder(name: NodeName): Promise<ChildProcess> {
    const child = start([bin, 'listener-holder'], { LISTENER_HOLDER_SOCKET: join(folder, `${name}.holder`) });
    await eventually('the holder', () => output.some((line) => line.includes('holder is ready')));
    return child;
  }

  async function startZtunnel(name: NodeName): Promise<Ztunnel> {
    const env = ztunnelEnvironment({
      folder,
      node: name,
      port: control.port,
      zdsPath: nodes[name].zdsPath,
      terminationDeadline: '100s',
    });
    const child = start([program], {
      ...env,
      LISTENER_HOLDER_SOCKET: join(folder, `${name}.holder`),
      // They tell when it takes over.
      LOG_LEVEL: 'warn,access:info,pods:info',
    });
    const [line] = (await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line')) as [string];
    const { readiness } = JSON.parse(line) as { readiness: number };
    return {
      child,
      exited: once(child, 'exit'),
      ready: async () => (await fetch(`http://127.0.0.1:${readiness}/healthz/ready`)).status === 200,
    };
  }

  /** Whether the log of this ztunnel has the message. */
  function says({ child }: Ztunnel, message: string): boolean {
    return output.some((line) => line.includes(`"ztunnel ${child.pid}.pods"`) && line.includes(`"${message}`));
  }

  /** The next ztunnel of the node becomes ready, then the one before is told to end, as a rolling DaemonSet does it. */
  async function swap(name: NodeName): Promise<Ztunnel> {
    const old = running[name];
    running[name] = await startZtunnel(name);
    await eventually('readiness', running[name].ready);
    old.child.kill('SIGTERM');
    return old;
  }

  interface Attempt {
    readonly atMs: number;
    readonly tookMs: number;
    readonly problem: string | undefined;
  }

  /** New connections in `width` lanes, one after the other, until stopped. */
  function load(width = 6): { readonly attempts: readonly Attempt[]; stop(): Promise<Attempt[]> } {
    const attempts: Attempt[] = [];
    let stopped = false;
    const lanes = Array.from({ length: width }, async () => {
      while (!stopped) {
        const atMs = performance.now();
        const problem = await ask(vips[attempts.length % 2] ?? vips[0], 80);
        attempts.push({ atMs, tookMs: performance.now() - atMs, problem });
      }
    });
    return {
      attempts,
      async stop() {
        stopped = true;
        await Promise.all(lanes);
        return attempts;
      },
    };
  }

  /** What went wrong with one request of the client; undefined when it was answered. */
  async function ask(host: string, port: number): Promise<string | undefined> {
    try {
      const socket = await dial({ netns: nodes.near.pod.netns, host, port, timeoutMs: 15_000 });
      return await new Promise((resolve) => {
        let reply = '';
        socket.on('data', (chunk: Buffer) => (reply += chunk.toString()));
        socket.on('error', (error) => resolve(error.message));
        socket.on('close', () => resolve(reply === 'ping' ? undefined : `closed after "${reply}"`));
        socket.setTimeout(15_000, () => socket.destroy(new Error('no answer')));
        socket.resume();
        socket.end('ping');
      });
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** A connection that stays. */
  async function openEcho(host: string = vips[0]): Promise<(text: string) => Promise<string>> {
    const socket = await dial({ netns: nodes.near.pod.netns, host, port: 80, timeoutMs: 5000 });
    open.add(socket);
    socket.resume();
    return async (text) => {
      assert.ok(!socket.destroyed, 'the connection was lost');
      socket.write(text);
      const [bytes] = (await once(socket, 'data', { signal: AbortSignal.timeout(10_000) })) as [Buffer];
      return bytes.toString();
    };
  }

  async function eventually(what: string, probe: () => boolean | Promise<boolean>): Promise<void> {
    for (let i = 0; i < 1200; i++) {
      if (await probe()) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`Never happened: ${what}\n${output.slice(-60).join('\n')}`);
  }

  const problems = (attempts: readonly Attempt[]): (string | undefined)[] =>
    attempts.flatMap(({ problem }) => (problem === undefined ? [] : [problem]));

  async function swapsLoseNothing(): Promise<void> {
    const echoes = await Promise.all(vips.map(openEcho));
    const under = load();
    const gone: Ztunnel[] = [];
    for (const name of ['far', 'near', 'far', 'near', 'far', 'near'] as const) gone.push(await swap(name));
    const attempts = await under.stop();
    assert.deepEqual(problems(attempts), []);
    assert.ok(attempts.length > 100, `${attempts.length} connections`);
    // Through the first ztunnel of each node, which is told to end since.
    for (const echo of echoes) assert.equal(await echo('still here'), 'still here');
    for (const socket of open) socket.destroy();
    await Promise.all(gone.map(({ exited }) => exited));
  }

  /** The next ztunnel of the node is killed as soon as it listens, while the one before is still there. */
  async function dyingSuccessorCostsNothing(name: NodeName): Promise<void> {
    const echoes = await Promise.all(vips.map(openEcho));
    const under = load();
    try {
      await eventually('connections before', () => under.attempts.length > 20);
      const next = await startZtunnel(name);
      await eventually('it takes over', () => says(next, 'pod served'));
      next.child.kill('SIGKILL');
      await next.exited;
      const diedAtMs = performance.now();
      const later = (): Attempt[] => under.attempts.filter(({ atMs }) => atMs > diedAtMs);
      await eventually('connections afterwards', () => later().length > 20);
      assert.deepEqual(problems(later()), []);
      for (const echo of echoes) assert.equal(await echo('as before'), 'as before');
    } finally {
      await under.stop();
      for (const socket of open) socket.destroy();
    }
  }

  test('connections are lost in no swap, where listeners are side by side', async () => {
    for (const { pod } of Object.values(nodes)) assert.deepEqual(writePodSettings(pod.netns, 'proxied'), []);
    await swapsLoseNothing();
  });

  for (const name of ['near', 'far'] as const) {
    test(`the ${name} ztunnel goes on when its successor dies, where listeners are side by side`, () =>
      dyingSuccessorCostsNothing(name));
  }

  test('connections are lost in no swap, where listeners are handed over', async () => {
    for (const { pod } of Object.values(nodes)) writePodSettings(pod.netns, 'plain');
    await Promise.all([startHolder('near'), startHolder('far')]);
    // Those who run have it hold theirs; those who come take them.
    await swap('near');
    await swap('far');
    await swapsLoseNothing();
  });

  for (const name of ['near', 'far'] as const) {
    test(`the ${name} ztunnel goes on when its successor dies, where listeners are handed over`, () =>
      dyingSuccessorCostsNothing(name));
  }

  for (const name of ['near', 'far'] as const) {
    test(`who connects while the ${name} ztunnel is dead waits, and is served by the next`, async () => {
      const under = load();
      await eventually('connections before', () => under.attempts.length > 20);
      running[name].child.kill('SIGKILL');
      await running[name].exited;
      const killedAtMs = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 300));
      running[name] = await startZtunnel(name);
      await eventually('readiness', running[name].ready);
      const later = (): Attempt[] => under.attempts.filter(({ atMs }) => atMs > killedAtMs);
      await eventually('connections afterwards', () => later().length > 20);
      const attempts = await under.stop();
      assert.deepEqual(problems(later()), []);
      assert.ok(
        attempts.some(({ tookMs, problem }) => tookMs > 300 && problem === undefined),
        'nobody had to wait',
      );
    });
  }

  test('a ztunnel takes nothing over before it has certificates', async () => {
    const gate = Promise.withResolvers<void>();
    control.beforeSigning = () => gate.promise;
    const next = await startZtunnel('far');
    const under = load(2);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    assert.equal(await next.ready(), false);
    assert.ok(!says(next, 'all certificates are here: taking over') && !says(next, 'pod served'));
    gate.resolve();
    await eventually('readiness', next.ready);
    assert.ok(says(next, 'all certificates are here: taking over') && says(next, 'pod served'));
    running.far.child.kill('SIGTERM');
    running.far = next;
    assert.deepEqual(problems(await under.stop()), []);
    control.beforeSigning = () => Promise.resolve();
  });

  test('nothing is held beside a ztunnel that knows nothing of it', async () => {
    const foreign = connectSeqpacket({
      path: nodes.far.zdsPath,
      onMessage: () => foreign.send(encodeZdsAck()),
      onClose() {},
    });
    foreign.send(encodeZdsHello());
    await eventually('the holder drops everything', () => output.some((line) => line.includes('no listener is held')));
    // It accepts beside ours, which dies: what is still held would take connections away from it, for nobody.
    const { netns, ip4, ip6 } = nodes.far.pod;
    let accepted = 0;
    const listener = await listen({
      netns,
      host: '::',
      port: hbonePort,
      reusePort: true,
      onConnection: ({ socket }) => {
        accepted++;
        socket.destroy();
      },
    });
    running.far.child.kill('SIGKILL');
    await running.far.exited;
    try {
      for (let i = 0; i < 40; i++) {
        const host = i % 2 === 0 ? ip4 : ip6;
        // As a proxy's own, which is not captured.
        const from = { netns: nodes.near.pod.netns, mark: proxyMark };
        const socket = await dial({ ...from, host, port: hbonePort, timeoutMs: 15_000 });
        await once(socket.resume(), 'end', { signal: AbortSignal.timeout(15_000) });
        socket.destroy();
      }
      assert.equal(accepted, 40);
    } finally {
      await listener.close();
    }
    foreign.close();
    running.far = await startZtunnel('far');
    await eventually('readiness', running.far.ready);
    await eventually('listeners are held again', () => output.some((line) => line.includes('listeners are held')));
  });
});
