/** A TCP connection from its first byte to its end: filters, rule, host, bytes both ways. */
import type { DestinationService, WeightedDestination } from '../../api/l7/index.ts';
import { drawDestination, pickTcpRule, pickTlsRule } from '../../decision/routes/index.ts';
import { spiffeParts } from '../../identity/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { pump, type ByteChannel } from '../../net/index.ts';
import type { UpstreamConnection, UpstreamFailure, UpstreamHost } from '../upstream/upstream.ts';
import { reportException } from './exceptions.ts';
import type { DownstreamConnection, RunTimes } from './http-run.ts';
import type { HttpPlace } from './place.ts';
import type { TcpFilter, TcpRefusal, TcpRun, TcpVerdict } from './tcp-run.ts';

export interface TcpForwardingOptions {
  /** Nothing read yet, or what was read is given again. */
  readonly channel: ByteChannel;
  readonly connection: DownstreamConnection;
  readonly place: HttpPlace;
  /** Ends it, for its reason: the proxy stops, or a policy does not let it go on. */
  readonly signal: AbortSignal;
}

/** Resolves when the connection is over. Never rejects. */
export async function forwardTcp(options: TcpForwardingOptions): Promise<void> {
  const { channel, connection, place, signal } = options;
  const run = new ActiveTcpRun(connection, place.service);
  try {
    for (const filter of place.tcpFilters) {
      const verdict = verdictOf(filter, run, options);
      const refusal = verdict instanceof Promise ? await verdict : verdict;
      signal.throwIfAborted();
      if (refusal) throw new Refused(refusal);
    }
    const upstream = await connect(run, options);
    await carry(run, channel, upstream, signal);
  } catch (error) {
    run.fail(error);
    channel.reset(error as Error);
  } finally {
    run.times.end = performance.now();
    finish(run, place);
  }
}

/** At once unless the filter has to ask. A fault of its own is told of, and refuses the connection. */
function verdictOf(filter: TcpFilter, run: ActiveTcpRun, { place, signal }: TcpForwardingOptions): TcpVerdict {
  const fault = (error: unknown): never => {
    if (!signal.aborted) reportException(place.services, filter.name, error);
    throw error;
  };
  try {
    const verdict = filter.onConnection?.(run, signal);
    return verdict instanceof Promise ? verdict.catch(fault) : verdict;
  } catch (error) {
    return fault(error);
  }
}

/** Each filter on its own: what one of them counts does not depend on the others. */
function finish(run: ActiveTcpRun, { tcpFilters, services }: HttpPlace): void {
  for (const filter of tcpFilters) {
    try {
      filter.onFinish?.(run);
    } catch (error) {
      reportException(services, filter.name, error);
    }
  }
}

async function connect(
  run: ActiveTcpRun,
  { connection, place, signal }: TcpForwardingOptions,
): Promise<UpstreamConnection> {
  const { services, table } = place;
  const { sourceIdentity, destinationAddress, destinationPort: port, sni } = connection;
  const sourceNamespace = sourceIdentity === undefined ? undefined : spiffeParts(sourceIdentity).namespace;
  const facts = { destinationAddress, port, sourceNamespace, sni };
  const rule = pickTlsRule(table.tls, facts) ?? pickTcpRule(table.tcp, facts);
  if (!rule) throw new Refused({ flag: 'NR', details: 'route_not_found', reason: 'no route matches the connection' });
  run.routeName = rule.name;
  const backend = backendOf(rule.name, drawDestination(rule.destinations, services.random()));
  run.backend = backend;
  run.times.upstreamStart = performance.now();
  const upstream = await services.upstreams.connect(
    backend,
    {
      address: connection.sourceAddress,
      port: connection.sourcePort,
      ...(sourceIdentity === undefined ? {} : { identity: sourceIdentity }),
      destination: { address: destinationAddress, port },
      ...(sni === undefined ? {} : { sni }),
    },
    signal,
  );
  run.host = upstream.host;
  return upstream;
}

function backendOf(rule: string, destination: WeightedDestination | undefined): string {
  const target = destination?.target;
  if (target?.kind === 'backend') return target.backend;
  const reason = target?.reason ?? `rule ${rule} has no destination with a weight`;
  throw new Refused({ flag: 'NC', details: 'cluster_not_found', reason });
}

function carry(
  run: ActiveTcpRun,
  channel: ByteChannel,
  upstream: UpstreamConnection,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void =>
      carried.abort(signal.reason instanceof Error ? signal.reason : new Error('the proxy is stopping'));
    const carried = pump(channel, upstream.channel, {
      onBytes: (from, byteCount) => run.count(from, byteCount),
      onEnd: ({ error, failed }) => {
        signal.removeEventListener('abort', abort);
        if (!error) return resolve();
        run.flags.add(failed === 'a' ? 'DC' : 'UC');
        reject(error);
      },
    });
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
  });
}

/** Whether a policy denied it: another try, or another way, ends the same. */
export function isDenial(error: unknown): boolean {
  return error instanceof Refused && /^rbac_|^ext_authz_denied$/.test(error.refusal.details);
}

class Refused extends Error {
  readonly refusal: TcpRefusal;

  constructor(refusal: TcpRefusal) {
    super(refusal.reason);
    this.refusal = refusal;
  }
}

class ActiveTcpRun implements TcpRun {
  readonly connection: DownstreamConnection;
  readonly service: DestinationService | undefined;
  readonly times: RunTimes;
  readonly flags: Set<string> = new Set();
  routeName = '';
  host: UpstreamHost | undefined;
  backend: string | undefined;
  failure: UpstreamFailure | undefined;
  bytesReceived = 0;
  bytesSent = 0;
  details = '';
  reason = '';

  constructor(connection: DownstreamConnection, service: DestinationService | undefined) {
    this.connection = connection;
    this.service = service;
    this.times = { startMs: Date.now(), start: performance.now(), upstreamStart: 0, firstResponseByte: 0, end: 0 };
  }

  count(from: 'a' | 'b', byteCount: number): void {
    if (from === 'a') this.bytesReceived += byteCount;
    else this.bytesSent += byteCount;
  }

  fail(error: unknown): void {
    this.reason = messageOf(error);
    if (error instanceof Refused) {
      this.details = error.refusal.details;
      if (error.refusal.flag !== '') this.flags.add(error.refusal.flag);
      return;
    }
    this.failure = failureOf(error);
    if (this.failure && this.failure.flag !== '') this.flags.add(this.failure.flag);
  }
}

/** `Upstreams.connect` rejects with an error that tells what it is. */
function failureOf(error: unknown): UpstreamFailure | undefined {
  if (typeof error !== 'object' || error === null || !('failure' in error)) return undefined;
  return error.failure as UpstreamFailure;
}
