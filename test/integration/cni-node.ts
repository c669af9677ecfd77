/** What the node agent's tests stand on: a real API server, real namespaces and rules, and a ztunnel that only relays. */
import { equal, ok } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kinds, type Event, type Namespace, type Pod, type PodSpec } from '../../src/api/index.ts';
import { startNodeAgent, type NodeAgent } from '../../src/cni/index.ts';
import type { NodeAgentOptions } from '../../src/cni/agent.ts';
import { openKubeClient, type KubeClient } from '../../src/kube/index.ts';
import { openLog, silentLog } from '../../src/lib/log.ts';
import { startApiServer, type RunningApiServer } from '../../src/local/apiserver/index.ts';
import {
  closeNetns,
  connectSeqpacket,
  dial,
  listen,
  netnsIdentity,
  openNetns,
  originalDestination,
  pump,
  tcpChannel,
  type Listener,
  type SeqpacketConnection,
} from '../../src/net/index.ts';
import {
  decodeZdsRequest,
  encodeZdsAck,
  encodeZdsHello,
  type ZdsCapability,
  type ZdsPod,
} from '../../src/wire/index.ts';
import { joinPod, openTestNamespace, type TestNamespace } from './net-namespaces.ts';

export const adminToken = 'admin-of-this-test';
export const annotation = 'ambient.istio.io/redirection';
/** Often, so that tests are soon over; but for the deadline, which only a failure reaches. */
export const timings: Required<NonNullable<NodeAgentOptions['timings']>> = {
  releaseGraceMs: 200,
  drainPollMs: 50,
  drainDeadlineMs: 100_000,
  ruleCheckMs: 300,
  resyncMs: 1000,
};
const log = process.env['AMBIT_TEST_LOG'] === undefined ? silentLog() : openLog({ scope: 'test', level: 'debug' });

/** A ztunnel as far as the agent can tell: takes pods, relays what is redirected, and dies on request. */
export class RelayingZtunnel {
  readonly served: Map<string, { netns: number; listeners: Listener[]; sockets: Set<Socket> }> = new Map();
  readonly requests: string[] = [];
  /** Pods to refuse. */
  readonly refused: Set<string> = new Set();
  relayed = 0;
  #connection: SeqpacketConnection | undefined;

  /** What it was told of each pod. */
  readonly told: Map<string, ZdsPod> = new Map();

  connect(path: string, capabilities: readonly ZdsCapability[] = []): void {
    let work = Promise.resolve();
    const connection = connectSeqpacket({
      path,
      onMessage: (bytes, descriptor) => {
        work = work.then(async () => {
          const request = decodeZdsRequest(bytes);
          const uid = request.kind === 'snapshot-sent' ? '' : request.uid;
          this.requests.push(`${request.kind} ${uid}`.trim());
          let error: string | undefined;
          if (request.kind === 'add') {
            this.told.set(uid, request.pod);
            error = await this.#add(uid, descriptor as number);
          }
          if (request.kind !== 'add') ok(descriptor === undefined);
          if (request.kind === 'del') this.remove(uid);
          connection.send(encodeZdsAck(error));
        });
      },
      onClose() {},
    });
    this.#connection = connection;
    connection.send(encodeZdsHello(capabilities));
  }

  /** Like kill -9: the connection and all listeners and relayed connections end. */
  die(): void {
    this.#connection?.close();
    for (const uid of this.served.keys()) this.remove(uid);
  }

  remove(uid: string): void {
    const found = this.served.get(uid);
    if (!found) return;
    this.served.delete(uid);
    for (const listener of found.listeners) void listener.close();
    for (const socket of found.sockets) socket.destroy();
    closeNetns(found.netns);
  }

  async #add(uid: string, netns: number): Promise<string | undefined> {
    if (this.refused.has(uid)) {
      closeNetns(netns);
      return 'refused by this test';
    }
    const known = this.served.get(uid);
    if (known && netnsIdentity(known.netns) !== netnsIdentity(netns)) this.remove(uid);
    else if (known) {
      closeNetns(netns);
      return undefined;
    }
    const entry = { netns, listeners: [] as Listener[], sockets: new Set<Socket>() };
    this.served.set(uid, entry);
    for (const port of [15001, 15006, 15008]) {
      entry.listeners.push(
        await listen({
          netns,
          host: '::',
          port,
          mark: 0x539,
          transparent: true,
          reusePort: true,
          onConnection: ({ socket, remoteAddress }) => {
            entry.sockets.add(socket);
            const destination = originalDestination(socket);
            if (!destination) return void socket.destroy();
            this.relayed++;
            const inbound = port === 15006;
            dial({
              netns,
              host: destination.address,
              port: destination.port,
              mark: this.told.get(uid)?.mark ?? 0x539,
              timeoutMs: 2000,
              ...(inbound ? { localIp: remoteAddress, transparent: true } : {}),
            }).then(
              (upstream) => {
                entry.sockets.add(upstream);
                pump(tcpChannel(socket), tcpChannel(upstream), { onEnd() {} });
              },
              () => socket.destroy(),
            );
          },
        }),
      );
    }
    return undefined;
  }
}

export interface TestPod {
  readonly namespace: TestNamespace;
  readonly netns: number;
  readonly uid: string;
  readonly name: string;
  readonly ip: string;
  readonly ip6: string;
}

/** A client that keeps one connection open and has every byte echoed. */
export class EchoClient {
  readonly #socket: Socket;
  #failure: Error | undefined;

  static async open(netns: number, host: string, port: number): Promise<EchoClient> {
    const socket = await dial({ netns, host, port, timeoutMs: 10_000 });
    return new EchoClient(socket);
  }

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', (error) => (this.#failure = error));
    socket.on('close', () => (this.#failure ??= new Error('closed')));
  }

  /** Sends random bytes and checks what comes back. */
  async check(byteCount = 50_000): Promise<void> {
    const sent = randomBytes(byteCount);
    const received: Buffer[] = [];
    let length = 0;
    await new Promise<void>((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const onData = (chunk: Buffer): void => {
        received.push(chunk);
        length += chunk.length;
        if (length < byteCount) return;
        this.#socket.off('data', onData);
        this.#socket.off('close', onClose);
        resolve();
      };
      this.#socket.on('data', onData);
      const onClose = (): void => reject(this.#failure ?? new Error('closed'));
      this.#socket.on('close', onClose);
      this.#socket.resume();
      this.#socket.write(sent);
    });
    equal(sha256(Buffer.concat(received)), sha256(sent));
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  close(): void {
    this.#socket.destroy();
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Asks again until `probe` is true, for at most 60 s. */
export async function eventually(what: string, probe: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + 60_000;
  while (!(await probe())) {
    if (Date.now() > deadlineMs) throw new Error(`Did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Nobody else has the addresses that we give: they are good at once. */
const withoutDad = ['net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0'];

/** Our own namespace is the node. */
const self: TestNamespace = {
  pid: process.pid,
  path: '/proc/self/ns/net',
  exec: async (command, ...args) => execFileSync(command as string, args, { encoding: 'utf8' }),
  spawn() {
    throw new Error('Not used');
  },
  close: async () => {},
};

export interface PodOptions {
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly spec?: Partial<PodSpec>;
  /** Only the object: its namespace comes later, by `joinNetwork`. */
  readonly withoutNetwork?: boolean;
}

export type AgentSettings = Partial<Omit<NodeAgentOptions, 'client' | 'signal' | 'log'>>;

/** An API server and a node agent in the test's own network namespace, which stands for the node. */
export class CniNode {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'ambit-cni-'));
  readonly netnsFolder: string = join(this.folder, 'netns');
  readonly socketPath: string = join(this.folder, 'ztunnel.sock');
  /** Addresses that applications saw. */
  readonly callers: string[] = [];
  readonly #settings: AgentSettings;
  readonly #cleanups: (() => void | Promise<void>)[] = [];
  readonly #pods = new Set<TestPod>();
  #server!: RunningApiServer;
  #nextIp = 2;
  #stop!: AbortController;
  client!: KubeClient;
  agent!: NodeAgent;
  ztunnel!: RelayingZtunnel;

  private constructor(settings: AgentSettings) {
    this.#settings = settings;
  }

  /** With an agent and a ztunnel of these capabilities. */
  static async open(settings: AgentSettings = {}, capabilities: readonly ZdsCapability[] = []): Promise<CniNode> {
    const node = new CniNode(settings);
    await node.#startServer();
    await node.startAgent();
    await node.connectZtunnel(capabilities);
    return node;
  }

  get serverPort(): number {
    return this.#server.port;
  }

  get caPem(): string {
    return this.#server.caPem;
  }

  async startAgent(more: AgentSettings = {}): Promise<void> {
    this.#stop = new AbortController();
    this.agent = await startNodeAgent({
      nodeName: 'node-1',
      netnsFolder: this.netnsFolder,
      socketPath: this.socketPath,
      readinessPort: 0,
      metricsPort: 0,
      timings,
      ...this.#settings,
      ...more,
      client: this.client,
      log,
      signal: this.#stop.signal,
    });
    await eventually('the agent is ready', () => this.agent.isReady());
  }

  async stopAgent(): Promise<void> {
    this.#stop.abort();
    await this.agent.stopped;
  }

  /** Another ztunnel; those of before stay as they are. */
  async connectZtunnel(capabilities: readonly ZdsCapability[] = []): Promise<void> {
    this.ztunnel = new RelayingZtunnel();
    await this.reconnectZtunnel(capabilities);
  }

  /** The ztunnel that is there comes back with the pods that it serves. */
  async reconnectZtunnel(capabilities: readonly ZdsCapability[] = []): Promise<void> {
    this.ztunnel.requests.length = 0;
    await eventually('the agent listens', () => {
      try {
        this.ztunnel.connect(this.socketPath, capabilities);
        return true;
      } catch {
        return false;
      }
    });
    await eventually('the snapshot came', () => this.ztunnel.requests.includes('snapshot-sent'));
  }

  getPod(pod: { readonly name: string }): Promise<Pod> {
    return this.client.get(kinds.Pod, pod.name, 'demo');
  }

  async redirectionOf(pod: { readonly name: string }): Promise<string | undefined> {
    return (await this.getPod(pod)).metadata.annotations?.[annotation];
  }

  async enrolled(pod: { readonly name: string }): Promise<void> {
    await eventually(`${pod.name} is enrolled`, async () => (await this.redirectionOf(pod)) === 'enabled');
  }

  /** What `command` prints inside the pod's namespace; empty when it fails. */
  inside(pod: TestPod, ...command: string[]): string {
    try {
      return execFileSync('nsenter', [`--net=${pod.namespace.path}`, ...command], { encoding: 'utf8', stdio: 'pipe' });
    } catch {
      return '';
    }
  }

  rulesOf(pod: TestPod): string {
    return this.inside(pod, 'nft', 'list', 'ruleset');
  }

  captures(pod: TestPod): boolean {
    return this.rulesOf(pod).includes('redirect to :15001');
  }

  label(pod: { readonly name: string }, mode: string | null): Promise<Pod> {
    return this.change(pod, { labels: { 'istio.io/dataplane-mode': mode } });
  }

  change(pod: { readonly name: string }, metadata: Record<string, unknown>): Promise<Pod> {
    return this.client.patch(kinds.Pod, pod.name, 'demo', { metadata }, { type: 'merge' });
  }

  async eventsOf(pod: { readonly name: string }): Promise<Event[]> {
    const { items } = await this.client.list(kinds.Event, { namespace: 'demo' });
    return items.filter(({ involvedObject }) => involvedObject.name === pod.name);
  }

  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.agent.adminPorts.metrics}/metrics`)).text();
  }

  /** The object alone. */
  async createObject(name: string, options: PodOptions = {}): Promise<string> {
    const { labels = {}, annotations = {}, spec } = options;
    const created = await this.client.create(kinds.Pod, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'demo', labels, annotations },
      spec: { nodeName: 'node-1', containers: [{ name: 'app', image: 'app' }], ...spec },
    });
    return created.metadata.uid as string;
  }

  /** A namespace that is joined to the node, with IPv6 too. */
  async createNetwork(): Promise<{ namespace: TestNamespace; ip: string; ip6: string }> {
    const host = this.#nextIp++;
    const namespace = await openTestNamespace();
    const [ip, ip6] = [`10.244.1.${host}`, `fd00:10:244:1::${host.toString(16)}`];
    await namespace.exec('sysctl', '-qw', ...withoutDad);
    await joinPod(self, namespace, ip, '10.244.1.1', `p${host}`);
    execFileSync('sh', [
      '-c',
      `ip -6 addr add fd00:10:244:1::1/128 dev p${host} nodad; ip -6 route add ${ip6}/128 dev p${host}`,
    ]);
    await namespace.exec(
      'sh',
      '-c',
      `ip -6 addr add ${ip6}/128 dev eth0 nodad; ip -6 route add fd00:10:244:1::1/128 dev eth0; ip -6 route add default via fd00:10:244:1::1 dev eth0`,
    );
    this.#cleanups.push(() => namespace.close());
    return { namespace, ip, ip6 };
  }

  /** A Pod object that is running in a namespace, and an echo server on 8080 that knows who calls. */
  async createPod(name: string, options: PodOptions = {}): Promise<TestPod> {
    const { namespace, ip, ip6 } = await this.createNetwork();
    const netns = await this.serveEcho(namespace);
    const uid = await this.createObject(name, options);
    symlinkSync(namespace.path, join(this.netnsFolder, uid));
    await this.setRunning(name, [ip, ip6]);
    const pod = { namespace, netns, uid, name, ip, ip6 };
    this.#pods.add(pod);
    return pod;
  }

  async serveEcho(namespace: TestNamespace, port = 8080): Promise<number> {
    const netns = openNetns(namespace.path);
    const echo = await listen({
      netns,
      host: '::',
      port,
      onConnection: ({ socket, remoteAddress }) => {
        this.callers.push(remoteAddress);
        socket.on('error', () => {});
        socket.resume();
        socket.pipe(socket);
      },
    });
    this.#cleanups.push(async () => {
      await echo.close();
      closeNetns(netns);
    });
    return netns;
  }

  async setRunning(name: string, ips: readonly string[]): Promise<void> {
    const status = {
      phase: 'Running',
      podIP: ips[0],
      podIPs: ips.map((ip) => ({ ip })),
      containerStatuses: [
        { name: 'app', image: 'app', imageID: '', ready: true, restartCount: 0, state: { running: {} } },
      ],
    };
    await this.client.patch(kinds.Pod, name, 'demo', { status }, { type: 'merge', subresource: 'status' });
  }

  async deletePod(pod: TestPod): Promise<void> {
    await this.client.delete(kinds.Pod, pod.name, 'demo', { gracePeriodSeconds: 0 });
    unlinkSync(join(this.netnsFolder, pod.uid));
    this.#pods.delete(pod);
  }

  /** All that are there: the agent looks at the rules of each again and again. */
  async deletePods(): Promise<void> {
    for (const pod of this.#pods) await this.deletePod(pod);
  }

  async close(): Promise<void> {
    this.ztunnel?.die();
    await this.stopAgent();
    for (const cleanup of this.#cleanups.reverse()) await cleanup();
    await this.client.close();
    await this.#server.close();
    rmSync(this.folder, { recursive: true });
  }

  async #startServer(): Promise<void> {
    const { folder } = this;
    execFileSync('ip', ['link', 'set', 'lo', 'up']);
    execFileSync('ip', ['addr', 'replace', '172.30.1.1/32', 'dev', 'lo']);
    execFileSync('sysctl', ['-qw', 'net.ipv6.conf.all.forwarding=1', ...withoutDad]);
    mkdirSync(join(folder, 'pki'));
    mkdirSync(this.netnsFolder);
    const tokensFile = join(folder, 'pki', 'tokens.json');
    writeFileSync(tokensFile, JSON.stringify([{ token: adminToken, user: 'admin', groups: ['system:masters'] }]));
    this.#server = await startApiServer({
      stateDir: folder,
      tokensFile,
      listen: { host: '127.0.0.1', port: 0 },
      socketPath: join(folder, 'apiserver.sock'),
      nodeSocket: () => join(folder, 'none.sock'),
      log: silentLog(),
    });
    this.client = openKubeClient(
      {
        server: `https://127.0.0.1:${this.#server.port}`,
        caPem: this.#server.caPem,
        insecureSkipTlsVerify: false,
        token: () => adminToken,
        namespace: 'default',
      },
      { log: silentLog() },
    );
    await this.client.create(kinds.Namespace, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'demo' },
    } as Namespace);
    await this.client
      .create(kinds.ServiceAccount, {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: 'default', namespace: 'demo' },
      })
      .catch(() => {});
  }
}

export const ambient: Record<string, string> = { 'istio.io/dataplane-mode': 'ambient' };
