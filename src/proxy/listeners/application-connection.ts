/** A client's connection to a Service's port or a gateway's server: which protocol it speaks, and who serves that. */
import type { L7Protocol } from '../../api/l7/index.ts';
import { serveHttp1 } from '../../http/h1/index.ts';
import { serveHttp2 } from '../../http/h2/index.ts';
import type { ServerConnection } from '../../http/message.ts';
import { sniffChannel, type SniffedChannel } from '../../http/protocol-sniff-channel.ts';
import { messageOf } from '../../lib/errors.ts';
import type { ByteChannel } from '../../net/channel.ts';
import { enginePart, reportException } from '../engine/exceptions.ts';
import { createHttpEntry, type PlaceFinder } from '../engine/http-entry.ts';
import type { DownstreamConnection } from '../engine/http-run.ts';
import type { HttpPlace } from '../engine/place.ts';
import { forwardTcp } from '../engine/tcp-forwarding.ts';
import type { ListenerContext } from './listener-context.ts';

export interface ApplicationConnection {
  readonly context: ListenerContext;
  /** Nothing read yet. */
  readonly channel: ByteChannel;
  readonly connection: DownstreamConnection;
  readonly protocol: L7Protocol;
  /** Where TCP is handled, and whose settings count, when the connection begins. */
  readonly place: HttpPlace;
  /** By the configuration of then. */
  readonly placeOf: PlaceFinder;
  /** Whether requests on the connection have a place that is here to stay; absent: they do. */
  readonly isWanted?: () => boolean;
  /** Where TCP would be handled by the configuration of then; undefined: nowhere. */
  readonly tcpPlace: () => HttpPlace | undefined;
  readonly trust: 'mesh' | 'edge';
  /** Ends a connection of bytes. */
  readonly signal?: AbortSignal;
}

/** How long an HTTP client may take to begin: then it is served as HTTP/1, whose own timeouts end it. */
const silenceTimeoutMs = 3_600_000;

/** Serves it to its end. Never rejects: an exception is the end of this connection alone. */
export async function serveApplication(options: ApplicationConnection): Promise<void> {
  try {
    await serve(options);
  } catch (error) {
    reportException(options.context.services, enginePart, error);
    options.channel.reset(new Error('the proxy failed'));
  }
}

async function serve(options: ApplicationConnection): Promise<void> {
  const { channel, protocol, place, connection } = options;
  if (protocol === 'tcp') return serveTcp(options, channel, connection);
  // Who only listens at first (a database) never says what it speaks. HTTP clients do, and may take their time.
  const mayBeSilent = protocol === 'auto' || protocol === 'tls';
  let found: SniffedChannel;
  try {
    const timeoutMs = mayBeSilent ? place.settings.protocolDetectionTimeoutMs : silenceTimeoutMs;
    found = await sniffChannel(channel, { clock: options.context.services.clock, timeoutMs });
  } catch (error) {
    options.context.services.log.debug('a connection ended before it said anything', { error: messageOf(error) });
    return;
  }
  const { kind } = found.protocol;
  // A port that was declared as HTTP is answered in HTTP, whatever came: 400.
  if (kind === 'http/2') serveHttp(options, found.channel, 'http/2');
  else if (kind === 'http/1' || !mayBeSilent) serveHttp(options, found.channel, 'http/1');
  else {
    const sni = found.protocol.kind === 'tls' ? found.protocol.sni : connection.sni;
    await serveTcp(options, found.channel, { ...connection, sni });
  }
}

/** With a protocol that is known: after TLS with ALPN, for one. */
export function serveHttp(
  options: Omit<ApplicationConnection, 'protocol' | 'place' | 'channel' | 'tcpPlace'>,
  channel: ByteChannel,
  version: 'http/1' | 'http/2',
): void {
  const { context, connection, placeOf, isWanted, trust } = options;
  const { services } = context;
  const { log, clock } = services;
  let remove: (() => void) | undefined;
  let closed = false;
  const entry = createHttpEntry({
    services,
    connection,
    version: version === 'http/1' ? 'http/1.1' : 'http/2',
    placeOf,
    trust,
    // Access log and metrics tell of it; a line each would be one that clients choose the number of.
    onBadRequest: (problem, status) =>
      log.debug('refused a malformed request', { client: connection.sourceAddress, problem, status }),
    onClose: () => {
      closed = true;
      remove?.();
    },
  });
  const server: ServerConnection =
    version === 'http/1'
      ? serveHttp1(channel, { listener: entry.listener, clock, scheme: connection.isTls ? 'https' : 'http' })
      : serveHttp2(channel, { listener: entry.listener, clock, limits: { extendedConnect: true } });
  const live = { drain: () => server.drain(), review: () => entry.review() };
  if (!closed) remove = context.live.add(live, isWanted);
  if (!closed && isWanted && !isWanted()) server.drain();
}

async function serveTcp(
  { context, place, tcpPlace, signal: wanted }: ApplicationConnection,
  channel: ByteChannel,
  connection: DownstreamConnection,
): Promise<void> {
  // A connection of bytes ends when its ends say so, or when the proxy does.
  const cut = new AbortController();
  const signal = AbortSignal.any([context.ended, cut.signal, ...(wanted ? [wanted] : [])]);
  const end = (why: string): void => cut.abort(new Error(`not allowed any more: ${why}`));
  let reviews = 0;
  const remove = context.live.add({
    drain() {},
    review() {
      const review = ++reviews;
      for (const filter of tcpPlace()?.tcpFilters ?? []) {
        let verdict: ReturnType<NonNullable<typeof filter.review>>;
        try {
          verdict = filter.review?.(connection, signal);
        } catch (error) {
          reportException(context.services, filter.name, error);
          return end(messageOf(error));
        }
        if (verdict instanceof Promise) {
          verdict.then(
            // What a configuration said that was replaced meanwhile counts no more.
            (refusal) => refusal && review === reviews && end(refusal.reason),
            (error: unknown) => end(messageOf(error)),
          );
        } else if (verdict) return end(verdict.reason);
      }
    },
  });
  try {
    // A client may have been silent for a while: the policies of now decide.
    await forwardTcp({ channel, connection, place: tcpPlace() ?? place, signal });
  } finally {
    remove();
    cut.abort();
  }
}
