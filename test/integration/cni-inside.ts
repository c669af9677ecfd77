/** Scenarios of the node agent: a real API server, real namespaces and rules, and a ztunnel that only relays. Run by cni.test.ts. */
import { after, before, beforeEach, describe, test } from 'node:test';
import { deepEqual, equal, ok } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kinds, type Namespace, type Pod } from '../../src/api/index.ts';
import { startNodeAgent, type NodeAgent } from '../../src/cni/index.ts';
import { openKubeClient, type KubeClient } from '../../src/kube/index.ts';
import { openLog, silentLog } from '../../src/lib/log.ts';
import { startApiServer, type RunningApiServer } from '../../src/local/apiserver/index.ts';
import {
  closeNetns,
  connectSeqpacket,
  dial,
  listen,
  openNetns,
  originalDestination,
  pump,
  tcpChannel,
  type Listener,
  type SeqpacketConnection,
} from '../../src/net/index.ts';
import { decodeZdsRequest, encodeZdsAck, encodeZdsHello } from '../../src/wire/index.ts';
import { joinPod, openTestNamespace, type TestNamespace } from './net-namespaces.ts';

const adminToken = 'admin-of-this-test';
const annotation = 'ambient.istio.io/redirection';
const log = process.env['AMBIT_TEST_LOG'] === undefined ? silentLog() : openLog({ scope: 'test', level: 'debug' });

/** A ztunnel as far as the agent can tell: takes pods, relays what is redirected, and dies on request. */
class RelayingZtunnel {
  readonly served = new Map<string, { netns: number; listeners: Listener[]; sockets: Set<Socket> }>();
  readonly requests: string[] = [];
  /** Pods to refuse. */
  readonly refused = new Set<string>();
  relayed = 0;
  #connection: SeqpacketConnection | undefined;

  connect(path: string): void {
    let work = Promise.resolve();
    const connection = connectSeqpacket({
      path,
      onMessage: (bytes, descriptor) => {
        work = work.then(async () => {
          const request = decodeZdsRequest(bytes);
          const uid = request.kind === 'snapshot-sent' ? '' : request.uid;
          this.requests.push(`${request.kind} ${uid}`.trim());
          let error: string | undefined;
          if (request.kind === 'add') error = await this.#add(uid, descriptor as number);
          else ok(descriptor === undefined);
          if (request.kind === 'del') this.remove(uid);
          connection.send(encodeZdsAck(error));
        });
      },
      onClose() {},
    });
    this.#connection = connection;
    connection.send(encodeZdsHello());
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
    if (this.served.has(uid)) {
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
              mark: 0x539,
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

interface TestPod {
  readonly namespace: TestNamespace;
  readonly netns: number;
  readonly uid: string;
  readonly name: string;
  readonly ip: string;
}

/** A client that keeps one connection open and has every byte echoed. */
class EchoClient {
  readonly #socket: Socket;
  #failure: Error | undefined;

  static async open(netns: number, host: string, port: number): Promise<EchoClient> {
    const socket = await dial({ netns, host, port, timeoutMs: 2000 });
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

/** Asks again until `probe` is true, for at most 10 s. */
async function eventually(what: string, probe: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + 10_000;
  while (!(await probe())) {
    if (Date.now() > deadlineMs) throw new Error(`Did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('node agent', { timeout: 80_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-cni-'));
  const netnsFolder = join(folder, 'netns');
  const socketPath = join(folder, 'ztunnel.sock');
  let server: RunningApiServer;
  let client: KubeClient;
  let agent: NodeAgent;
  let stop: AbortController;
  let ztunnel: RelayingZtunnel;
  let nextIp = 2;
  const pods: TestPod[] = [];
  const cleanups: (() => void | Promise<void>)[] = [];

  const startAgent = async (): Promise<void> => {
    stop = new AbortController();
    agent = await startNodeAgent({
      nodeName: 'node-1',
      client,
      netnsFolder,
      socketPath,
      readinessPort: 0,
      metricsPort: 0,
      timings: { releaseGraceMs: 200, drainPollMs: 50, drainDeadlineMs: 5000, ruleCheckMs: 300, resyncMs: 1000 },
      log,
      signal: stop.signal,
    });
    await eventually('the agent is ready', () => agent.isReady());
  };

  const connectZtunnel = async (): Promise<void> => {
    ztunnel = new RelayingZtunnel();
    await eventually('the agent listens', () => {
      try {
        ztunnel.connect(socketPath);
        return true;
      } catch {
        return false;
      }
    });
    await eventually('the snapshot came', () => ztunnel.requests.includes('snapshot-sent'));
  };

  const getPod = (pod: TestPod): Promise<Pod> => client.get(kinds.Pod, pod.name, 'demo');
  const redirectionOf = async (pod: TestPod): Promise<string | undefined> =>
    (await getPod(pod)).metadata.annotations?.[annotation];
  const rulesOf = (pod: TestPod): string => {
    try {
      return execFileSync('nsenter', [`--net=${pod.namespace.path}`, 'nft', 'list', 'ruleset'], { encoding: 'utf8' });
    } catch {
      return '';
    }
  };
  const captures = (pod: TestPod): boolean => rulesOf(pod).includes('redirect to :15001');
  const label = (pod: TestPod, mode: string | null): Promise<Pod> =>
    client.patch(
      kinds.Pod,
      pod.name,
      'demo',
      { metadata: { labels: { 'istio.io/dataplane-mode': mode } } },
      { type: 'merge' },
    );

  /** A namespace, a Pod object that is running in it, and an echo server on 8080 that knows who calls. */
  const createPod = async (name: string, labels: Record<string, string> = {}): Promise<TestPod> => {
    const namespace = await openTestNamespace();
    const ip = `10.244.1.${nextIp++}`;
    await joinPod(self, namespace, ip, '10.244.1.1', `p${nextIp}`);
    const netns = openNetns(namespace.path);
    const echo = await listen({
      netns,
      host: '0.0.0.0',
      port: 8080,
      onConnection: ({ socket, remoteAddress }) => {
        callers.push(remoteAddress);
        socket.resume();
        socket.pipe(socket);
      },
    });
    const created = await client.create(kinds.Pod, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'demo', labels },
      spec: { nodeName: 'node-1', containers: [{ name: 'app', image: 'app' }] },
    });
    const uid = created.metadata.uid as string;
    symlinkSync(namespace.path, join(netnsFolder, uid));
    await client.patch(
      kinds.Pod,
      name,
      'demo',
      { status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] } },
      { type: 'merge', subresource: 'status' },
    );
    const pod = { namespace, netns, uid, name, ip };
    pods.push(pod);
    cleanups.push(async () => {
      await echo.close();
      closeNetns(netns);
      await namespace.close();
    });
    return pod;
  };

  const deletePod = async (pod: TestPod): Promise<void> => {
    await client.delete(kinds.Pod, pod.name, 'demo', { gracePeriodSeconds: 0 });
    unlinkSync(join(netnsFolder, pod.uid));
  };

  const callers: string[] = [];
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

  before(async () => {
    execFileSync('ip', ['link', 'set', 'lo', 'up']);
    execFileSync('ip', ['addr', 'add', '172.30.1.1/32', 'dev', 'lo']);
    mkdirSync(join(folder, 'pki'));
    mkdirSync(netnsFolder);
    const tokensFile = join(folder, 'pki', 'tokens.json');
    writeFileSync(tokensFile, JSON.stringify([{ token: adminToken, user: 'admin', groups: ['system:masters'] }]));
    server = await startApiServer({
      stateDir: folder,
      tokensFile,
      listen: { host: '127.0.0.1', port: 0 },
      socketPath: join(folder, 'apiserver.sock'),
      nodeSocket: () => join(folder, 'none.sock'),
      log: silentLog(),
    });
    client = openKubeClient(
      {
        server: `https://127.0.0.1:${server.port}`,
        caPem: server.caPem,
        insecureSkipTlsVerify: false,
        token: () => adminToken,
        namespace: 'default',
      },
      { log: silentLog() },
    );
    await client.create(kinds.Namespace, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'demo' },
    } as Namespace);
    await client
      .create(kinds.ServiceAccount, {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: 'default', namespace: 'demo' },
      })
      .catch(() => {});
    await startAgent();
    await connectZtunnel();
  });

  beforeEach(() => {
    callers.length = 0;
  });

  after(async () => {
    ztunnel.die();
    stop.abort();
    await agent.stopped;
    for (const cleanup of cleanups.reverse()) await cleanup();
    await client.close();
    await server.close();
    rmSync(folder, { recursive: true });
  });

  test('a labelled pod is announced, redirected and annotated, in this order, and un-enrolled when the label goes', async () => {
    const pod = await createPod('alpha', { 'istio.io/dataplane-mode': 'ambient' });
    const other = await createPod('beta');
    await eventually('alpha is enrolled', async () => (await redirectionOf(pod)) === 'enabled');
    ok(ztunnel.served.has(pod.uid));
    ok(captures(pod));
    equal(await redirectionOf(other), undefined);

    const before = ztunnel.relayed;
    const caller = await EchoClient.open(other.netns, pod.ip, 8080);
    await caller.check();
    equal(ztunnel.relayed, before + 1);
    deepEqual(callers, [other.ip]);
    caller.close();

    await label(pod, null);
    await eventually('alpha left', () => !ztunnel.served.has(pod.uid) && !rulesOf(pod).includes('istio-ambient'));
    equal(await redirectionOf(pod), undefined);
    equal((await pod.namespace.exec('ip', 'rule')).includes('0x111'), false);
    const direct = await EchoClient.open(other.netns, pod.ip, 8080);
    await direct.check();
    equal(ztunnel.relayed, before + 1);
    direct.close();
  });

  test('connections older than enrolment and than un-enrolment lose no byte, in and out', async () => {
    const [server, peer] = [await createPod('steady'), await createPod('peer')];
    const old = [
      await EchoClient.open(peer.netns, server.ip, 8080),
      await EchoClient.open(server.netns, peer.ip, 8080),
    ];
    for (const connection of old) await connection.check();
    await label(server, 'ambient');
    let during = 0;
    await eventually('steady is enrolled', async () => {
      for (const connection of old) await connection.check(5000);
      during++;
      return (await redirectionOf(server)) === 'enabled';
    });
    ok(during > 0);
    const relayed = [
      await EchoClient.open(peer.netns, server.ip, 8080),
      await EchoClient.open(server.netns, peer.ip, 8080),
    ];
    equal(ztunnel.relayed >= 2, true);
    for (const connection of [...old, ...relayed]) await connection.check();

    await label(server, 'none');
    await eventually('redirection ended', () => !captures(server));
    for (let i = 0; i < 20; i++) for (const connection of [...old, ...relayed]) await connection.check(5000);
    // Relayed connections hold the drain open.
    ok(ztunnel.served.has(server.uid));
    for (const connection of relayed) connection.close();
    await eventually(
      'steady left',
      () => !ztunnel.served.has(server.uid) && !rulesOf(server).includes('istio-ambient'),
    );
    for (const connection of old) {
      await connection.check();
      connection.close();
    }
  });

  test("a namespace label enrols all its pods, and the pod's own label wins", async () => {
    const [plain, out] = [await createPod('plain'), await createPod('out', { 'istio.io/dataplane-mode': 'none' })];
    await client.patch(
      kinds.Namespace,
      'demo',
      undefined,
      { metadata: { labels: { 'istio.io/dataplane-mode': 'ambient' } } },
      { type: 'merge' },
    );
    await eventually('plain is enrolled', async () => (await redirectionOf(plain)) === 'enabled');
    equal(await redirectionOf(out), undefined);
    await client.patch(
      kinds.Namespace,
      'demo',
      undefined,
      { metadata: { labels: { 'istio.io/dataplane-mode': null } } },
      { type: 'merge' },
    );
    await eventually('plain left', () => !ztunnel.served.has(plain.uid) && !rulesOf(plain).includes('istio-ambient'));
  });

  test('what connects from the node itself reaches the application under the probe address', async () => {
    const pod = await createPod('probed', { 'istio.io/dataplane-mode': 'ambient' });
    await eventually('probed is enrolled', async () => (await redirectionOf(pod)) === 'enabled');
    const before = ztunnel.relayed;
    const socket = await dial({ host: pod.ip, port: 8080, timeoutMs: 2000 });
    const probe = new EchoClient(socket);
    await probe.check();
    probe.close();
    deepEqual(callers, ['169.254.7.127']);
    equal(ztunnel.relayed, before);
  });

  test('without ztunnel enrolled pods fail closed, new ones wait unharmed, and all work again once it is back', async () => {
    const [pod, caller] = [
      await createPod('closed', { 'istio.io/dataplane-mode': 'ambient' }),
      await createPod('caller'),
    ];
    await eventually('closed is enrolled', async () => (await redirectionOf(pod)) === 'enabled');
    ztunnel.die();
    await eventually('new connections are refused', () =>
      EchoClient.open(caller.netns, pod.ip, 8080).then(
        (connection) => (connection.close(), false),
        () => true,
      ),
    );
    ok(captures(pod));
    await label(caller, 'ambient');
    await eventually('caller is pending', async () => (await redirectionOf(caller)) === 'pending');
    equal(captures(caller), false);
    equal(await redirectionOf(pod), 'enabled');

    await connectZtunnel();
    await eventually('caller is enrolled', async () => (await redirectionOf(caller)) === 'enabled');
    const connection = await EchoClient.open(caller.netns, pod.ip, 8080);
    await connection.check();
    connection.close();
    ok(ztunnel.served.has(pod.uid));
  });

  test('a pod that ztunnel refuses blocks no other', async () => {
    const bad = await createPod('bad');
    ztunnel.refused.add(bad.uid);
    await label(bad, 'ambient');
    const good = await createPod('good', { 'istio.io/dataplane-mode': 'ambient' });
    await eventually('good is enrolled', async () => (await redirectionOf(good)) === 'enabled');
    equal(await redirectionOf(bad), 'pending');
    equal(captures(bad), false);
    ztunnel.refused.clear();
    await eventually('bad is enrolled', async () => (await redirectionOf(bad)) === 'enabled');
  });

  test('an agent that restarts repairs rules, finishes what it left, and interrupts nobody', async () => {
    const [kept, broken, caller] = [
      await createPod('kept', { 'istio.io/dataplane-mode': 'ambient' }),
      await createPod('broken', { 'istio.io/dataplane-mode': 'ambient' }),
      await createPod('quiet-caller'),
    ];
    const leftover = await createPod('leftover', { 'istio.io/dataplane-mode': 'ambient' });
    for (const pod of [kept, broken, leftover])
      await eventually(`${pod.name} is enrolled`, async () => (await redirectionOf(pod)) === 'enabled');
    const connection = await EchoClient.open(caller.netns, kept.ip, 8080);
    await connection.check();

    stop.abort();
    await agent.stopped;
    await broken.namespace.exec('nft', 'flush', 'ruleset');
    await client.patch(
      kinds.Pod,
      leftover.name,
      'demo',
      { metadata: { labels: null, annotations: { [annotation]: null } } },
      { type: 'merge' },
    );
    await connection.check();
    const before = ztunnel.served.get(kept.uid);
    await startAgent();
    await eventually('broken is repaired', () => captures(broken));
    await connection.check();
    ztunnel.requests.length = 0;
    // The relay keeps its pods while the agent is away; the snapshot names them again.
    await eventually('the agent listens', () => {
      try {
        ztunnel.connect(socketPath);
        return true;
      } catch {
        return false;
      }
    });
    await eventually('the snapshot came', () => ztunnel.requests.includes('snapshot-sent'));
    ok(ztunnel.requests.includes(`add ${kept.uid}`));
    equal(ztunnel.served.get(kept.uid), before);
    await connection.check();
    connection.close();
    await eventually('leftover is clean', () => !rulesOf(leftover).includes('istio-ambient'));
  });

  test('a deleted pod is dropped at once', async () => {
    const pod = await createPod('short', { 'istio.io/dataplane-mode': 'ambient' });
    await eventually('short is enrolled', async () => (await redirectionOf(pod)) === 'enabled');
    await deletePod(pod);
    await eventually('ztunnel dropped it', () => !ztunnel.served.has(pod.uid));
    await eventually(
      'its address is out of the probe rules',
      () => !execFileSync('nft', ['list', 'table', 'inet', 'ambit-host'], { encoding: 'utf8' }).includes(`${pod.ip} `),
    );
  });

  test('says that it is ready, and counts', async () => {
    const answer = await fetch(`http://127.0.0.1:${agent.adminPorts.readiness}/readyz`);
    equal(answer.status, 200);
    const metrics = await (await fetch(`http://127.0.0.1:${agent.adminPorts.metrics}/metrics`)).text();
    ok(/^ztunnel_connected 1$/m.test(metrics), metrics);
    ok(/nodeagent_reconcile_events_total\{type="enrolled"\} \d+/.test(metrics), metrics);
  });
});
