/** Two workers of a gateway with a port on the loopback, backends behind them, and clients that know whom they are connected to (tests only). */
import { createServer, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Backend, HttpRule, ProxyResource, RateLimit } from '../../src/api/l7/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog, type Log, type LogFields } from '../../src/lib/log.ts';
import { meshWorkload, defaultNetwork } from '../../src/mesh/fixtures.ts';
import { createLogLevels } from '../../src/telemetry/admin/index.ts';
import { MetricsRegistry, writeSnapshot } from '../../src/telemetry/index.ts';
import { addressName, encodeAddress, encodeProxyResource, proxyResourceName } from '../../src/wire/index.ts';
import type { MeshAddress, MeshService } from '../../src/api/workload.ts';
import type { DeltaUpdate, DeltaVerdict } from '../../src/xds/index.ts';
import { parseProxyConfig } from '../../src/proxy/config/proxy-config.ts';
import { backendOf, endpoint, web } from '../../src/proxy/upstream/upstream-fixtures.ts';
import type { BreakWorker } from './proxy-workers-breakable.ts';
import { ProxyWorkers } from '../../src/proxy/workers/proxy-workers.ts';
import { freePort } from '../support/free-port.ts';

const origin = { kind: 'HTTPRoute', namespace: 'shop', name: 'web', generation: 1 };
const noPolicies = { authorization: [], authentication: [], rateLimits: [], telemetry: [], extensions: [] };
/** Most tests never get near it; in MB. */
const heapMb = 192;

export interface SceneOptions {
  readonly maxConnections?: number;
  /** IP literals of the loopback that answer for the backend. Default one. */
  readonly hosts?: readonly string[];
  readonly backend?: Partial<Backend>;
  /** What hosts answer with; default 200 with their address. */
  readonly answer?: (host: string, response: ServerResponse) => void;
  readonly accessLog?: boolean;
  readonly rule?: HttpRule;
  readonly limits?: readonly RateLimit[];
}

export interface Scene {
  readonly workers: ProxyWorkers;
  readonly port: number;
  /** What was said at warning or above. */
  readonly said: LogFields[];
  readonly lines: string[];
  /** Connections of clients at each worker. */
  connectionsOf(worker: number): number;
  /** A connection that this worker has accepted. */
  connect(worker: number): Promise<Client>;
  /** One that whoever accepts it. */
  connectAny(): Promise<Client>;
  apply(...resources: ProxyResource[]): Promise<DeltaVerdict>;
  tell(feed: 'mesh' | 'config', update: DeltaUpdate): Promise<DeltaVerdict>;
  /** The sum of a metric over its series. */
  metric(name: string): Promise<number>;
  /** Whether the proxy is ready, as it was told last. */
  readonly isReady: () => boolean;
  /** Breaks the worker, and waits until another is there in its place. */
  break(worker: number, how: Exclude<BreakWorker['kind'], 'test-stall'>): Promise<void>;
  /** A message of the main thread's, whatever it is. */
  post(worker: number, message: unknown): void;
  /** The worker does nothing until it is let go on. */
  stall(worker: number): { readonly goOn: () => void };
}

export interface Client {
  readonly socket: Socket;
  /** Status and body of another request. Rejects when the connection ends first. */
  ask(path?: string): Promise<{ readonly status: number; readonly body: string }>;
  readonly closed: Promise<void>;
}

export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 5));
}

export function forwardRule(more: Partial<HttpRule> = {}): HttpRule {
  return {
    name: 'web',
    origin,
    matches: [],
    action: { kind: 'forward', destinations: [{ weight: 1, target: { kind: 'backend', backend: 'web' } }] },
    ...more,
  };
}

export function routesOf(rule: HttpRule): ProxyResource {
  return { kind: 'routes', name: 'gateway', hosts: [{ domains: ['*'], rules: [rule] }], tls: [], tcp: [] };
}

/** A configuration of one HTTP port that leads to `web`. */
export function resourcesOf(
  port: number,
  {
    backend = {},
    rule = forwardRule(),
    limits = [],
    accessLog = false,
  }: {
    readonly backend?: Partial<Backend>;
    readonly rule?: HttpRule;
    readonly limits?: readonly RateLimit[];
    readonly accessLog?: boolean;
  } = {},
): ProxyResource[] {
  return [
    {
      kind: 'settings',
      name: 'default',
      role: 'gateway',
      gateway: 'shop/edge',
      trustDomain: 'cluster.local',
      trustDomainAliases: [],
      clusterDomain: 'cluster.local',
      network: defaultNetwork,
      pathNormalization: 'base',
      numTrustedProxies: 0,
      accessLog: accessLog ? { kind: 'text', template: '%REQ(:PATH)% %RESPONSE_CODE%\n' } : { kind: 'off' },
      tracingSamplingPercent: 0,
      protocolDetectionTimeoutMs: 0,
      drainMs: 0,
    },
    {
      kind: 'listener',
      type: 'edge',
      name: 'edge',
      port,
      policies: { ...noPolicies, rateLimits: limits.map(({ name }) => name) },
      servers: [{ name: 'http', protocol: 'http', hostname: '*', routes: 'gateway', policies: noPolicies, origin }],
      origin,
    },
    routesOf(rule),
    backendOf({ protocol: 'http1', ...backend }),
    ...limits,
  ];
}

export function toldAs(resources: readonly ProxyResource[], version = '1'): DeltaUpdate {
  return {
    added: resources.map((resource) => ({
      name: proxyResourceName(resource),
      version,
      body: encodeProxyResource(resource),
    })),
    removed: [],
  };
}

export async function openScene(t: TestContext, options: SceneOptions = {}): Promise<Scene> {
  const { hosts = ['127.0.0.1'], maxConnections = 1000 } = options;
  const answer = options.answer ?? ((host, response) => void response.end(host));
  const backendPort = await openBackends(t, hosts, answer);
  const port = await freePort();
  const said: LogFields[] = [];
  const lines: string[] = [];
  const keep = (message: string, fields?: LogFields): void => void said.push({ message, ...fields });
  const log: Log = { ...silentLog(), warn: keep, error: keep, child: () => log };
  const metrics = new MetricsRegistry({ clock: systemClock, log });
  const threads: Worker[] = [];
  let connections: Int32Array | undefined;
  let isReady = false;
  const workers = new ProxyWorkers({
    workers: 2,
    config: parseProxyConfig(
      'router',
      { POD_NAME: 'edge-1', POD_NAMESPACE: 'shop', SERVICE_ACCOUNT: 'edge', ISTIO_META_NETWORK: defaultNetwork },
      { concurrency: '2' },
    ),
    version: 'test',
    environment: {},
    maxConnections,
    host: '127.0.0.1',
    clock: systemClock,
    levels: createLogLevels(log, 'info'),
    metrics,
    openAccessLog: () => (text, done) => {
      lines.push(text);
      setImmediate(done);
    },
    onReady: (now) => (isReady = now),
    start(data) {
      connections = new Int32Array(data.memory.connections);
      const thread = new Worker(new URL('proxy-workers-breakable.ts', import.meta.url), {
        workerData: data,
        resourceLimits: { maxOldGenerationSizeMb: heapMb },
      });
      threads[data.worker] = thread;
      return thread;
    },
  });
  t.after(() => workers.drain({ lingerMs: 0, deadlineMs: 0 }));
  const connectionsOf = (worker: number): number => Atomics.load(connections ?? new Int32Array(2), worker);
  const total = (): number => connectionsOf(0) + connectionsOf(1);
  const tell: Scene['tell'] = async (feed, update) => workers.feeds[feed].apply(update);
  const service: MeshService = { ...web, ports: [{ servicePort: 80, targetPort: backendPort, appProtocol: 'http11' }] };
  const addresses: MeshAddress[] = [
    { kind: 'service', service },
    ...hosts.map((ip, i): MeshAddress => {
      const own = endpoint(`web-${i}`, ip);
      const [key] = [...own.services.keys()];
      if (!key) throw new Error('The endpoint is of no Service');
      const ports = [{ servicePort: 80, targetPort: backendPort, appProtocol: 'http11' as const }];
      return { kind: 'workload', workload: meshWorkload({ ...own, services: new Map([[key, ports]]) }) };
    }),
  ];
  await tell('mesh', {
    added: addresses.map((address) => ({ name: addressName(address), version: '1', body: encodeAddress(address) })),
    removed: [],
  });
  const verdict = await tell('config', toldAs(resourcesOf(port, options)));
  if (verdict.refusal !== undefined) throw new Error(verdict.refusal);
  await until(() => isReady);
  const connectAny = async (): Promise<Client> => {
    const before = total();
    const client = openClient(port, t);
    await until(() => total() > before);
    return client;
  };
  let version = 1;
  return {
    workers,
    port,
    said,
    lines,
    isReady: () => isReady,
    connectionsOf,
    connectAny,
    async connect(worker) {
      for (;;) {
        const before = connectionsOf(worker);
        const client = await connectAny();
        if (connectionsOf(worker) > before) return client;
        const all = total();
        client.socket.destroy();
        await until(() => total() < all);
      }
    },
    tell,
    apply: (...resources) => tell('config', toldAs(resources, String(++version))),
    async metric(name) {
      const text = [...writeSnapshot(await workers.metrics(), 'text')].join('');
      const values = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
      return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
    post: (worker, message) => threads[worker]?.postMessage(message),
    stall(worker) {
      const gate = new SharedArrayBuffer(4);
      threads[worker]?.postMessage({ kind: 'test-stall', gate } satisfies BreakWorker);
      return {
        goOn() {
          Atomics.store(new Int32Array(gate), 0, 1);
          Atomics.notify(new Int32Array(gate), 0);
        },
      };
    },
    async break(worker, how) {
      const thread = threads[worker];
      thread?.postMessage({ kind: how } satisfies BreakWorker);
      await until(() => threads[worker] !== thread);
    },
  };
}

function openClient(port: number, t: TestContext): Client {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  let text = '';
  let check = (): void => {};
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
    check();
  });
  return {
    socket,
    closed,
    ask(path = '/') {
      const answered = new Promise<{ status: number; body: string }>((resolve) => {
        check = () => {
          const end = text.indexOf('\r\n\r\n');
          const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
          if (end < 0 || text.length < end + 4 + length) return;
          const status = Number(text.slice(9, 12));
          const body = text.slice(end + 4, end + 4 + length);
          text = text.slice(end + 4 + length);
          resolve({ status, body });
        };
      });
      socket.write(`GET ${path} HTTP/1.1\r\nHost: web\r\n\r\n`);
      return Promise.race([
        answered,
        closed.then(() => {
          throw new Error('The connection ended without an answer');
        }),
      ]);
    },
  };
}

async function openBackends(
  t: TestContext,
  hosts: readonly string[],
  answer: (host: string, response: ServerResponse) => void,
): Promise<number> {
  const port = await freePort();
  for (const host of hosts) {
    const server = createServer((_, response) => answer(host, response));
    await new Promise<void>((resolve) => void server.listen(port, host, resolve));
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
  }
  return port;
}
