/** For tests of the engine: a client that asks, and backends that answer, by hand. */
import type { HttpRule, RouteTable } from '../../api/l7/index.ts';
import type { NetworkId, WorkloadUid } from '../../api/names.ts';
import { compileRoutes } from '../../decision/routes/index.ts';
import { HeaderList } from '../../http/header-list.ts';
import type {
  BodyLength,
  RequestHead,
  ResponseHead,
  ServerExchange,
  ServerExchangeReader,
} from '../../http/message.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { silentLog, type Log } from '../../lib/log.ts';
import { MeshState } from '../../mesh/index.ts';
import { meshWorkload } from '../../mesh/fixtures.ts';
import { writeResult, type WriteResult } from '../../net/channel.ts';
import { MetricsRegistry } from '../../telemetry/index.ts';
import type {
  UpstreamExchange,
  UpstreamFailure,
  UpstreamReader,
  UpstreamRequest,
  Upstreams,
} from '../upstream/upstream.ts';
import { ActiveRun } from './active-run.ts';
import type { HttpFilter } from './filter.ts';
import type { DownstreamConnection } from './http-run.ts';
import type { HttpPlace } from './place.ts';

/** What a client sees of one exchange. */
export class FakeExchange implements ServerExchange {
  readonly request: RequestHead;
  readonly bodyLength: BodyLength;
  reader!: ServerExchangeReader;
  head: ResponseHead | undefined;
  readonly informational: number[] = [];
  body = '';
  ended = false;
  trailers: HeaderList | undefined;
  resetBy: Error | undefined;
  credited = 0;
  full = false;

  constructor(request: Partial<RequestHead> = {}, bodyLength: BodyLength = 0) {
    this.request = {
      method: 'GET',
      scheme: 'http',
      authority: 'web',
      path: '/',
      headers: new HeaderList(),
      version: 'http/1.1',
      ...request,
    };
    this.bodyLength = bodyLength;
  }

  get answered(): boolean {
    return this.head !== undefined;
  }

  read(reader: ServerExchangeReader): void {
    this.reader = reader;
  }

  credit(byteCount: number): void {
    this.credited += byteCount;
  }

  sendInformational({ status }: ResponseHead): void {
    this.informational.push(status);
  }

  respond(head: ResponseHead, ends: boolean): void {
    if (this.head) throw new Error('answered twice');
    this.head = head;
    this.ended = ends;
  }

  write(bytes: Uint8Array): WriteResult {
    this.body += Buffer.from(bytes).toString();
    return this.full ? writeResult.full : writeResult.done;
  }

  end(trailers?: HeaderList): void {
    this.ended = true;
    this.trailers = trailers;
  }

  reset(error?: Error): void {
    this.resetBy = error ?? new Error('reset');
  }

  send(text: string): void {
    this.reader.onData(Buffer.from(text));
  }
}

/** One attempt as its host sees it. */
export class FakeAttempt implements UpstreamExchange {
  readonly backend: string;
  readonly request: UpstreamRequest;
  readonly reader: UpstreamReader;
  body = '';
  ended: boolean;
  wasReset = false;
  isAnswered = false;
  credited = 0;
  full = false;

  constructor(backend: string, request: UpstreamRequest, reader: UpstreamReader) {
    this.backend = backend;
    this.request = { ...request, head: { ...request.head, headers: request.head.headers.copy() } };
    this.reader = reader;
    this.ended = request.ends;
  }

  write(bytes: Uint8Array): WriteResult {
    this.body += Buffer.from(bytes).toString();
    return this.full ? writeResult.full : writeResult.done;
  }

  end(): void {
    this.ended = true;
  }

  credit(byteCount: number): void {
    this.credited += byteCount;
  }

  reset(): void {
    this.wasReset = true;
  }

  answer(status: number, body = '', fields: Record<string, string> = {}): void {
    this.isAnswered = true;
    this.reader.onResponse({ status, headers: HeaderList.from(fields) }, body === '');
    if (body === '') return;
    this.reader.onData(Buffer.from(body));
    this.reader.onEnd();
    this.reader.onClose();
  }

  fail(kind: UpstreamFailure['kind'], sent: 'no' | 'maybe' = 'maybe'): void {
    this.reader.onClose({ kind, flag: 'UF', message: `failed: ${kind}`, sent });
  }
}

export class FakeUpstreams implements Upstreams {
  readonly attempts: FakeAttempt[] = [];
  allowsRetries = true;
  retriesUnderWay = 0;

  apply(): void {}

  open(backend: string, request: UpstreamRequest, reader: UpstreamReader): UpstreamExchange {
    const attempt = new FakeAttempt(backend, request, reader);
    this.attempts.push(attempt);
    const uid = `pod-${this.attempts.length}` as WorkloadUid;
    reader.onHost({ address: '10.0.0.1', port: 80, tunnelled: false, workload: meshWorkload({ uid }) });
    return attempt;
  }

  connect(): Promise<never> {
    return Promise.reject(new Error('not here'));
  }

  describe(): [] {
    return [];
  }

  startRetry(): { end(): void } | undefined {
    if (!this.allowsRetries) return undefined;
    this.retriesUnderWay++;
    return { end: () => void this.retriesUnderWay-- };
  }

  drain(): void {}
  close(): void {}

  /** The attempt under way. */
  get last(): FakeAttempt {
    const attempt = this.attempts.at(-1);
    if (!attempt) throw new Error('nobody was asked');
    return attempt;
  }
}

export function forwardRule(more: Partial<HttpRule> = {}): HttpRule {
  return {
    name: 'default',
    origin: { kind: 'HTTPRoute', namespace: 'shop', name: 'web', generation: 1 },
    matches: [],
    action: { kind: 'forward', destinations: [{ weight: 1, target: { kind: 'backend', backend: 'web' } }] },
    ...more,
  };
}

export interface Bench {
  readonly clock: ReturnType<typeof createFakeClock>;
  readonly upstreams: FakeUpstreams;
  readonly place: HttpPlace;
  /** Sends a request through. */
  readonly run: (exchange: FakeExchange) => ActiveRun;
}

export interface BenchOptions {
  readonly rules?: HttpRule[];
  readonly filters?: HttpFilter[];
  readonly random?: () => number;
  readonly log?: Log;
}

export function engineBench(options: BenchOptions = {}): Bench {
  const clock = createFakeClock();
  const upstreams = new FakeUpstreams();
  const log = options.log ?? silentLog();
  const table: RouteTable = {
    kind: 'routes',
    name: 'test',
    hosts: [{ domains: ['*'], rules: options.rules ?? [forwardRule()] }],
    tls: [],
    tcp: [],
  };
  const place: HttpPlace = {
    routes: compileRoutes(table),
    table,
    protocol: 'http',
    filters: options.filters ?? [],
    tcpFilters: [],
    service: undefined,
    settings: {
      kind: 'settings',
      name: 'default',
      role: 'waypoint',
      gateway: 'shop/wp',
      trustDomain: 'cluster.local',
      trustDomainAliases: [],
      clusterDomain: 'cluster.local',
      network: '' as NetworkId,
      pathNormalization: 'base',
      numTrustedProxies: 0,
      accessLog: { kind: 'off' },
      tracingSamplingPercent: 0,
      protocolDetectionTimeoutMs: 0,
      drainMs: 0,
    },
    tellsReason: true,
    tellsIdentity: false,
    services: {
      clock,
      log,
      mesh: new MeshState(),
      metrics: new MetricsRegistry({ clock, log }),
      random: options.random ?? (() => 0.5),
      upstreams,
    },
  };
  return {
    clock,
    upstreams,
    place,
    run(exchange) {
      const originalPath = exchange.request.path;
      const run = new ActiveRun({
        exchange,
        connection: testConnection,
        place,
        originalPath,
        remoteAddress: '10.1.1.1',
      });
      run.start();
      return run;
    },
  };
}

export const testConnection: DownstreamConnection = {
  sourceAddress: '10.1.1.1',
  sourcePort: 4444,
  sourceIdentity: undefined,
  sourceWorkload: undefined,
  destinationAddress: '10.96.0.1',
  destinationPort: 80,
  localIdentity: undefined,
  sni: undefined,
  isTls: false,
};
