/** A client and a server on two nodes whose ztunnels are processes that come and go, with the listener holder between where one is started. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { serviceKey } from '../../src/api/names.ts';
import { HolderLink } from '../../src/cni/holder-link.ts';
import { captureAll } from '../../src/cni/rules/capture-settings.ts';
import { nftRedirectScript } from '../../src/cni/rules/nft-script.ts';
import { ZdsServer } from '../../src/cni/zds-server.ts';
import { silentLog } from '../../src/lib/log.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../src/mesh/fixtures.ts';
import { addPolicyRouting, applyNft, checkPrivileges, dial } from '../../src/net/index.ts';
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

export type NodeName = 'near' | 'far';

const betweenMs = 20;

/** A node: its agent's end of ZDS, and the one pod on it. */
export interface TestNode {
  readonly zds: ZdsServer;
  /** That ztunnels have taken in whole. */
  readonly snapshots: { count: number };
  readonly link: HolderLink;
  readonly zdsPath: string;
  readonly pod: TestPod;
}

export interface Ztunnel {
  readonly child: ChildProcess;
  readonly ready: () => Promise<boolean>;
  readonly exited: Promise<unknown>;
}

export interface Attempt {
  readonly atMs: number;
  readonly tookMs: number;
  readonly problem: string | undefined;
}

export interface Load {
  readonly attempts: readonly Attempt[];
  stop(): Promise<readonly Attempt[]>;
}

export interface SwapScene {
  readonly control: TestControlPlane;
  readonly nodes: Readonly<Record<NodeName, TestNode>>;
  /** The ztunnel of each node; whoever starts another puts it there. */
  readonly running: Record<NodeName, Ztunnel>;
  startZtunnel(name: NodeName): Promise<Ztunnel>;
  /** Each ztunnel that runs has what it listens on held there from then on. */
  startHolder(name: NodeName): Promise<void>;
  /** The next ztunnel of the node becomes ready, then the one before is told to end, as a rolling DaemonSet does it. */
  swap(name: NodeName): Promise<Ztunnel>;
  /** Whether the log of this ztunnel has the message. */
  says(ztunnel: Ztunnel, message: string): boolean;
  /** Whether anybody has said it since the test began. */
  isSaid(message: string): boolean;
  /**
   * New connections in `width` lanes, one after the other, until stopped. Between them a moment is left: without, they take
   * whole cores, and the ztunnels that start meanwhile need minutes for it where there are few.
   */
  load(width?: number): Load;
  eventually(what: string, probe: () => boolean | Promise<boolean>): Promise<void>;
  /** Six swaps under load, with connections that stay. */
  swapsLoseNothing(): Promise<void>;
  /** The next ztunnel of the node is killed as soon as it listens, while the one before is still there. */
  dyingSuccessorCostsNothing(name: NodeName): Promise<void>;
  /** What was said in a test that failed is told; the next one begins anew. */
  endTest(hasPassed: boolean | undefined): void;
  close(): Promise<void>;
}

/** What went wrong with attempts. */
export const problems = (attempts: readonly Attempt[]): (string | undefined)[] =>
  attempts.flatMap(({ problem }) => (problem === undefined ? [] : [problem]));

export async function openSwapScene(): Promise<SwapScene> {
  const folder = mkdtempSync(join(tmpdir(), 'swap-'));
  const children = new Set<ChildProcess>();
  const open = new Set<Socket>();
  const nodes = {} as Record<NodeName, TestNode>;
  const running = {} as Record<NodeName, Ztunnel>;
  /** Of all, for who reads of a failure. */
  const output: string[] = [];
  /** Of each. */
  const said = new WeakMap<ChildProcess, string[]>();
  await checkPrivileges();
  const pods = await TestPods.open();
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
  const control = await startTestControlPlane(authority);
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

  return {
    control,
    nodes,
    running,
    startZtunnel,
    startHolder,
    swap,
    says,
    isSaid: (message) => output.some((line) => line.includes(message)),
    load,
    eventually,
    swapsLoseNothing,
    dyingSuccessorCostsNothing,
    endTest(hasPassed) {
      if (hasPassed === false) process.stderr.write(`${output.slice(-60).join('\n')}\n`);
      output.length = 0;
    },
    async close() {
      for (const socket of open) socket.destroy();
      for (const child of children) child.kill('SIGKILL');
      for (const { zds, link } of Object.values(nodes)) {
        zds.close();
        link.close();
      }
      await control.close();
      await pods.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };

  function startNode(name: NodeName, pod: TestPod): TestNode {
    const snapshots = { count: 0 };
    const link = new HolderLink({ path: join(folder, `${name}.holder`), log: silentLog() });
    const zds: ZdsServer = new ZdsServer({
      path: join(folder, `${name}.sock`),
      uids: () => [pod.name],
      served: () => ({ pod, netns: pod.netns }),
      onReady: () => snapshots.count++,
      onChange: () => link.setForeign(!zds.capabilities.every((each) => each.has('holder'))),
      log: silentLog(),
    });
    zds.listen();
    return { zds, snapshots, link, zdsPath: join(folder, `${name}.sock`), pod };
  }

  function start(args: readonly string[], env: Record<string, string>): ChildProcess {
    const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    children.add(child);
    child.once('exit', () => children.delete(child));
    const lines: string[] = [];
    said.set(child, lines);
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      lines.push(line);
      output.push(line);
    });
    return child;
  }

  async function startHolder(name: NodeName): Promise<void> {
    const path = join(folder, `${name}.holder`);
    const child = start([bin, 'listener-holder'], { LISTENER_HOLDER_SOCKET: path });
    const saysIt = (message: string): boolean => (said.get(child) ?? []).some((line) => line.includes(message));
    await eventually('the holder', () => saysIt('listener holder is ready'));
    await eventually('it may hold', () => saysIt('listeners are held'));
  }

  async function startZtunnel(name: NodeName): Promise<Ztunnel> {
    const env = ztunnelEnvironment({
      folder,
      node: name,
      port: control.port,
      zdsPath: nodes[name].zdsPath,
      // Longer than any test: connections that stay must not end by it.
      terminationDeadline: '3600s',
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

  function says({ child }: Ztunnel, message: string): boolean {
    return output.some((line) => line.includes(`"ztunnel ${child.pid}.pods"`) && line.includes(`"${message}`));
  }

  async function swap(name: NodeName): Promise<Ztunnel> {
    const old = running[name];
    running[name] = await startZtunnel(name);
    await eventually('readiness', running[name].ready);
    old.child.kill('SIGTERM');
    return old;
  }

  function load(width = 6): Load {
    const attempts: Attempt[] = [];
    let stopped = false;
    const lanes = Array.from({ length: width }, async () => {
      while (!stopped) {
        const atMs = performance.now();
        const problem = await ask(vips[attempts.length % 2] ?? vips[0], 80);
        attempts.push({ atMs, tookMs: performance.now() - atMs, problem });
        await new Promise((resolve) => setTimeout(resolve, betweenMs));
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
    const socket = await dial({ netns: nodes.near.pod.netns, host, port: 80, timeoutMs: 15_000 });
    open.add(socket);
    socket.resume();
    return async (text) => {
      assert.ok(!socket.destroyed, 'the connection was lost');
      socket.write(text);
      const [bytes] = (await once(socket, 'data', { signal: AbortSignal.timeout(60_000) })) as [Buffer];
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
}
