/** A connection for raw bytes, by the same choice as requests: counted at its host for as long as it lives. */
import type { WorkloadUid } from '../../api/names.ts';
import { AmbitError } from '../../lib/errors.ts';
import type { BackendPool } from './backend-pool.ts';
import { connectFailure, upstreamFailure } from './failures.ts';
import { Host } from './host.ts';
import { serverNameOf } from './pool-kind.ts';
import { RawChannel } from './raw-channel.ts';
import type { UpstreamClient, UpstreamConnection, UpstreamFailure } from './upstream.ts';

/** Nothing of the client's was sent before there is a connection, so that another host repeats nothing. */
const maxHosts = 3;

/** Why `Upstreams.connect` rejects. */
export class UpstreamConnectError extends Error {
  readonly failure: UpstreamFailure;

  constructor(failure: UpstreamFailure, cause?: unknown) {
    super(failure.message, { cause });
    this.name = 'UpstreamConnectError';
    this.failure = failure;
  }
}

export async function connectRaw(
  name: string,
  pool: BackendPool | undefined,
  client: UpstreamClient,
  signal: AbortSignal,
): Promise<UpstreamConnection> {
  if (!pool) throw new UpstreamConnectError(upstreamFailure('no-backend', `there is no backend "${name}"`));
  const avoid = new Set<WorkloadUid>();
  for (let tries = 1; ; tries++) {
    const host = pool.choose(undefined, { client, avoid });
    if (!(host instanceof Host)) throw new UpstreamConnectError(host);
    if (!pool.mayConnect()) throw new UpstreamConnectError(pool.overflow('connections', host));
    try {
      return await connectTo(host, pool, client, signal);
    } catch (error) {
      const failure = connectFailure(error, host.describe());
      const { workload, requestedName } = host.spec;
      if (requestedName !== undefined && !signal.aborted) pool.onConnectFailure(host, failure);
      if (signal.aborted || !workload || avoid.has(workload.uid) || tries === maxHosts)
        throw new UpstreamConnectError(failure, error);
      pool.onConnectFailure(host, failure);
      avoid.add(workload.uid);
    }
  }
}

async function connectTo(
  host: Host,
  pool: BackendPool,
  client: UpstreamClient,
  signal: AbortSignal,
): Promise<UpstreamConnection> {
  const { connectTimeoutMs } = pool.config.connectionPool;
  const { clock, connector } = pool.owner;
  const late = new AbortController();
  let timedOut = false;
  const cancel = clock.after(connectTimeoutMs, () => {
    timedOut = true;
    late.abort();
  });
  const counted = new Counted(host, pool);
  try {
    const serverName = serverNameOf(pool.config, host.spec.requestedName ?? pool.config.hostname);
    const ended = AbortSignal.any([signal, late.signal]);
    const request = { backend: pool.config, host, use: 'raw' as const, serverName, client };
    const connected = await connector.connect(request, ended);
    pool.stats.connections++;
    pool.noteConnected(host);
    const channel = new RawChannel(connected.channel, pool.config.connectionPool, clock, () => counted.end());
    return { channel, host: connected.host };
  } catch (error) {
    counted.end();
    if (!timedOut) throw error;
    const message = `Cannot connect to ${host.key}: no connection within ${connectTimeoutMs} ms`;
    throw new AmbitError(message, { code: 'upstream.timeout', blame: 'upstream', cause: error });
  } finally {
    cancel();
  }
}

/** One connection in the counts of its host and backend. */
class Counted {
  readonly #host: Host;
  readonly #pool: BackendPool;
  #ended = false;

  constructor(host: Host, pool: BackendPool) {
    this.#host = host;
    this.#pool = pool;
    host.activeRequests++;
    host.connections++;
    pool.countConnections(1);
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#host.activeRequests--;
    this.#host.connections--;
    this.#pool.countConnections(-1);
    this.#pool.forgetUnused(this.#host);
  }
}
