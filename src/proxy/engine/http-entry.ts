/** From a codec's request to a run: the place, the path in its normal form, and who the client is behind trusted hops. */
import type { HeaderList } from '../../http/header-list.ts';
import type { BadRequest, HttpVersion, RequestHead, RequestListener, ServerExchange } from '../../http/message.ts';
import { normalizePath } from '../../http/path-normalization.ts';
import type { ProxyServices } from '../proxy-services.ts';
import { ActiveRun } from './active-run.ts';
import { enginePart, exceptionReply, reportException } from './exceptions.ts';
import { noRoute } from './failure-reply.ts';
import type { LocalReply } from './filter.ts';
import type { DownstreamConnection } from './http-run.ts';
import { renderReply, sendReply } from './local-reply.ts';
import type { HttpPlace } from './place.ts';
import { codecRefusal, unreadExchange } from './unread-request.ts';

/**
 * Where a request is handled, by the configuration of now. Undefined: nobody is there for its host (404); `misdirected`: somebody
 * is, on a connection of its own (421). Without a request: where those are told of that have no place.
 */
export type PlaceFinder = (request: RequestHead | undefined) => HttpPlace | 'misdirected' | undefined;

export interface HttpEntryOptions {
  readonly services: ProxyServices;
  readonly connection: DownstreamConnection;
  /** What the codec speaks. */
  readonly version: HttpVersion;
  readonly placeOf: PlaceFinder;
  /** `edge`: clients are strangers, and what only a proxy may say is taken from them. */
  readonly trust: 'mesh' | 'edge';
  readonly onBadRequest: (problem: string, status: number) => void;
  readonly onClose: (error?: Error) => void;
}

export interface HttpEntry {
  /** For the codec. */
  readonly listener: RequestListener;
  /** The configuration changed: ends the connection's tunnels that would not be let in now. */
  review(): void;
}

export function createHttpEntry(options: HttpEntryOptions): HttpEntry {
  const { services, connection, version, placeOf, trust } = options;
  const tunnels = new Set<ActiveRun>();
  const onTunnel = (run: ActiveRun, isOpen: boolean): void => {
    if (!isOpen) return void tunnels.delete(run);
    tunnels.add(run);
    // The configuration may have changed while the backend was asked.
    review(run, (place) => !run.isOf(place));
  };
  const review = (run: ActiveRun, isDue: (place: HttpPlace) => boolean): void => {
    try {
      const place = placeOf(run.entered);
      if (place !== undefined && place !== 'misdirected' && isDue(place)) run.review(place);
    } catch (error) {
      run.onException(error);
    }
  };
  /** Of the request before: the place of a Service that is gone still says what becomes of requests to it. */
  let last: HttpPlace | undefined;
  /** A request that belongs to no place leaves a line and is counted all the same. */
  const runWithoutPlace = (exchange: ServerExchange): ActiveRun | undefined => {
    const found = placeOf(undefined);
    const place = found === 'misdirected' ? last : (found ?? last);
    if (place === undefined) return undefined;
    const { path: originalPath } = exchange.request;
    return new ActiveRun({ exchange, connection, place, originalPath, remoteAddress: connection.sourceAddress });
  };
  const onBadRequest = (problem: BadRequest): void => {
    options.onBadRequest(problem.problem, problem.status);
    // A run that was begun hears by itself.
    if (problem.isKnown !== true) runWithoutPlace(unreadExchange(version))?.endRefused(codecRefusal(problem, version));
  };
  /** Of a request that no run was begun for. */
  const onException = (exchange: ServerExchange, error: unknown): void => {
    reportException(services, enginePart, error);
    const reply = exceptionReply(enginePart, error);
    try {
      const run = runWithoutPlace(exchange);
      if (run) run.refuse(reply);
      else refuse(exchange, reply, trust);
    } catch {
      exchange.reset(new Error(reply.reason));
    }
  };
  const enter = (exchange: ServerExchange): void => {
    const { request } = exchange;
    const place = placeOf(request);
    if (place === undefined || place === 'misdirected') {
      const reply = place ? misdirected : noRoute;
      const run = runWithoutPlace(exchange);
      if (run) run.refuse(reply);
      else refuse(exchange, reply, trust);
      return;
    }
    last = place;
    const originalPath = request.path;
    const path = request.path.startsWith('/')
      ? normalizePath(request.path, place.settings.pathNormalization)
      : request.path;
    if (path !== undefined) request.path = path;
    const remoteAddress = describeClient(request, connection, place, trust);
    const run = new ActiveRun({ exchange, connection, place, originalPath, remoteAddress, onTunnel });
    if (path !== undefined) {
      run.start();
      return;
    }
    run.refuse(badPath);
    options.onBadRequest(badPath.reason, badPath.status);
  };
  const listener: RequestListener = {
    onRequest(exchange) {
      try {
        enter(exchange);
      } catch (error) {
        onException(exchange, error);
      }
    },
    onBadRequest(problem) {
      try {
        onBadRequest(problem);
      } catch (error) {
        reportException(services, enginePart, error);
      }
    },
    onClose: (error) => options.onClose(error),
  };
  return {
    listener,
    review() {
      for (const run of tunnels) review(run, () => true);
    },
  };
}

const badPath: LocalReply = {
  status: 400,
  flag: '',
  details: 'path_normalization_failed',
  reason: 'the path cannot be normalised',
};

const misdirected: LocalReply = {
  status: 421,
  flag: '',
  details: 'misdirected_request',
  reason: 'the host belongs to another server name than that of the connection',
};

function refuse(exchange: ServerExchange, reply: LocalReply, trust: HttpEntryOptions['trust']): void {
  const isGrpc = exchange.request.headers.get('content-type')?.startsWith('application/grpc') ?? false;
  const { head, body } = renderReply(reply, { isGrpc, tellsReason: trust === 'mesh' });
  exchange.read({ onData: (bytes) => exchange.credit(bytes.length), onEnd() {}, onDrain() {}, onClose() {} });
  sendReply(exchange, head, body);
}

/** What strangers may not say of themselves: it tells backends who the client is, or steers the proxy. */
const internalHeaders = [
  'x-forwarded-client-cert',
  'x-envoy-external-address',
  'x-envoy-original-path',
  'x-envoy-attempt-count',
  'x-envoy-decorator-operation',
  'x-envoy-peer-metadata',
  'x-envoy-peer-metadata-id',
  'x-envoy-expected-rq-timeout-ms',
];

/** Sets the headers that say where a request comes from; returns the client's address behind the trusted hops. */
function describeClient(
  request: RequestHead,
  { sourceAddress, sourceIdentity, localIdentity, isTls }: DownstreamConnection,
  { settings: { numTrustedProxies }, tellsIdentity }: HttpPlace,
  trust: HttpEntryOptions['trust'],
): string {
  const { headers, scheme } = request;
  if (trust === 'mesh') {
    headers.remove('x-forwarded-client-cert');
    if (tellsIdentity && sourceIdentity !== undefined) {
      headers.add('x-forwarded-client-cert', `By=${localIdentity ?? ''};URI=${sourceIdentity}`);
    }
    if (!headers.has('x-forwarded-proto')) headers.add('x-forwarded-proto', scheme);
    return clientAddress(forwardedFor(headers), sourceAddress, numTrustedProxies);
  }
  for (const name of internalHeaders) headers.remove(name);
  // A stranger does not choose the name that a request has in our logs and traces; a proxy in front that we trust does.
  if (numTrustedProxies === 0) headers.remove('x-request-id');
  // An HTTP/2 client writes what it likes: routes that send people to HTTPS go by what the connection is.
  if (numTrustedProxies === 0) request.scheme = isTls ? 'https' : 'http';
  const given = forwardedFor(headers);
  headers.set('x-forwarded-for', given === '' ? sourceAddress : `${given},${sourceAddress}`);
  if (numTrustedProxies === 0 || !headers.has('x-forwarded-proto')) {
    headers.set('x-forwarded-proto', isTls ? 'https' : 'http');
  }
  return clientAddress(given, sourceAddress, numTrustedProxies);
}

/** All fields as one; "": there is none. */
function forwardedFor(headers: HeaderList): string {
  return headers.has('x-forwarded-for') ? headers.getAll('x-forwarded-for').join(',') : '';
}

/** The n-th address from the right, the peer being the last (ambient-l7, 2.5: remoteIpBlocks); the peer where nobody is trusted. */
function clientAddress(forwardedFor: string, peer: string, trustedHops: number): string {
  if (trustedHops === 0 || forwardedFor === '') return peer;
  const hops = forwardedFor.split(',').map((hop) => hop.trim());
  return hops[Math.max(0, hops.length - trustedHops)] ?? peer;
}
