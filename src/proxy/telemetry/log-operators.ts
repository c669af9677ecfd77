/** Operators of access logs: Envoy's names, over a request or a TCP connection (ambient-l7, 4.2). */
import { grpcStatusNames } from '../../api/grpc-status.ts';
import { hostname } from 'node:os';
import { createIsoFormatter, formatTime, type LogOperator, type OperatorResolver } from '../../telemetry/index.ts';
import type { HeaderList } from '../../http/header-list.ts';
import { formatHostPort } from '../../lib/ip.ts';
import type { HttpRun } from '../engine/http-run.ts';
import type { TcpRun } from '../engine/tcp-run.ts';
import { protocolOf } from './expression-context.ts';
import { requestBytes, responseBytes } from './message-sizes.ts';
import { destinationIdentity } from './traffic-peers.ts';

/** What a line is about. */
export type Logged = HttpRun | TcpRun;

type Operator = LogOperator<Logged>;

export interface OperatorOptions {
  /** Of the process, for `%ENVIRONMENT(X)%`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** For `%TRACE_ID%`. */
  readonly traceIdOf: (run: HttpRun) => string | undefined;
}

export function logOperators({ environment, traceIdOf }: OperatorOptions): OperatorResolver<Logged> {
  const isoTime = createIsoFormatter();
  const machine = hostname();
  return (name, argument) => {
    switch (name) {
      case 'START_TIME':
        return argument === undefined
          ? ({ times }) => isoTime(times.startMs)
          : ({ times }) => formatTime(argument, times.startMs);
      case 'REQ':
        return headerOperator(argument, requestField);
      case 'RESP':
        return headerOperator(argument, (run, field) => {
          if (field === ':status') return run.responseStatus === 0 ? undefined : String(run.responseStatus);
          return run.responseHead?.headers.get(field);
        });
      // Trailers are not kept, but for the one that says how a call went.
      case 'TRAILER':
        return http((run) => (argument?.toLowerCase() === 'grpc-status' ? run.grpcStatus : undefined));
      case 'GRPC_STATUS':
        return http((run) => grpcStatusName(run.grpcStatus, argument ?? 'CAMEL_STRING'));
      case 'ENVIRONMENT': {
        const value = environment[argument ?? ''];
        return () => value;
      }
      case 'HOSTNAME':
        return () => machine;
      case 'TRACE_ID':
        return http(traceIdOf);
      default:
        return plainOperators.get(name);
    }
  };
}

const plainOperators: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ['BYTES_RECEIVED', ({ bytesReceived }) => bytesReceived],
  ['BYTES_SENT', ({ bytesSent }) => bytesSent],
  ['DURATION', ({ times }) => elapsed(times.start, times.end)],
  ['REQUEST_DURATION', http(({ times }) => elapsed(times.start, times.upstreamStart))],
  ['RESPONSE_DURATION', http(({ times }) => elapsed(times.start, times.firstResponseByte))],
  ['RESPONSE_TX_DURATION', http(({ times }) => elapsed(times.firstResponseByte, times.end))],
  ['PROTOCOL', http(protocolOf)],
  ['RESPONSE_CODE', (run) => (isHttp(run) ? run.responseStatus : 0)],
  ['RESPONSE_CODE_DETAILS', (run) => clean(isHttp(run) ? run.responseDetails : undefined)],
  ['CONNECTION_TERMINATION_DETAILS', (run) => clean(isHttp(run) ? undefined : run.details)],
  ['RESPONSE_FLAGS', ({ flags }) => (flags.size === 0 ? undefined : [...flags].join(','))],
  ['GRPC_STATUS_NUMBER', http((run) => grpcStatusName(run.grpcStatus, 'NUMBER'))],
  ['ROUTE_NAME', (run) => (isHttp(run) ? run.route?.name : run.routeName || undefined)],
  ['REQUESTED_SERVER_NAME', ({ connection }) => clean(connection.sni)],
  ['REQUEST_HEADERS_BYTES', http((run) => requestBytes(run) - run.bytesReceived)],
  ['RESPONSE_HEADERS_BYTES', http((run) => responseBytes(run) - run.bytesSent)],
  ['UPSTREAM_HOST', ({ host }) => host && formatHostPort(host.address, host.port)],
  ['UPSTREAM_REMOTE_ADDRESS', ({ host }) => host && formatHostPort(host.address, host.port)],
  ['UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT', ({ host }) => host?.address],
  ['UPSTREAM_REMOTE_PORT', ({ host }) => host?.port],
  ['UPSTREAM_CLUSTER', ({ backend }) => backend],
  ['UPSTREAM_CLUSTER_RAW', ({ backend }) => backend],
  ['UPSTREAM_LOCAL_ADDRESS', ({ host }) => host?.localAddress],
  ['UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT', ({ host }) => host?.localAddress?.replace(/:\d+$/, '')],
  ['UPSTREAM_PEER_URI_SAN', ({ host }) => destinationIdentity(host)],
  ['UPSTREAM_REQUEST_ATTEMPT_COUNT', http(({ attempts }) => attempts)],
  ['UPSTREAM_TRANSPORT_FAILURE_REASON', transportFailure],
  ['UPSTREAM_WIRE_BYTES_SENT', http(({ upstreamBytesSent }) => upstreamBytesSent)],
  ['UPSTREAM_WIRE_BYTES_RECEIVED', http(({ upstreamBytesReceived }) => upstreamBytesReceived)],
  ['DOWNSTREAM_REMOTE_ADDRESS', remoteAddress],
  ['DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT', (run) => (isHttp(run) ? run.remoteAddress : run.connection.sourceAddress)],
  ['DOWNSTREAM_REMOTE_PORT', ({ connection }) => connection.sourcePort],
  ['DOWNSTREAM_DIRECT_REMOTE_ADDRESS', ({ connection: c }) => formatHostPort(c.sourceAddress, c.sourcePort)],
  ['DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT', ({ connection }) => connection.sourceAddress],
  ['DOWNSTREAM_LOCAL_ADDRESS', ({ connection: c }) => formatHostPort(c.destinationAddress, c.destinationPort)],
  ['DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT', ({ connection }) => connection.destinationAddress],
  ['DOWNSTREAM_LOCAL_PORT', ({ connection }) => connection.destinationPort],
  ['DOWNSTREAM_PEER_URI_SAN', ({ connection }) => connection.sourceIdentity],
  ['DOWNSTREAM_LOCAL_URI_SAN', ({ connection }) => connection.localIdentity],
  ['STREAM_ID', http(({ requestId }) => clean(requestId))],
  // Ambit's own: why the proxy answered itself, or the upstream failed, for people.
  ['AMBIT_REASON', ({ reason }) => clean(reason)],
  // Envoy's, of which there is nothing here.
  ...[
    'DYNAMIC_METADATA',
    'FILTER_STATE',
    'UPSTREAM_FILTER_STATE',
    'UPSTREAM_METADATA',
    'CLUSTER_METADATA',
    'METADATA',
    'LOCAL_REPLY_BODY',
    'VIRTUAL_CLUSTER_NAME',
    'CONNECTION_ID',
    'RESPONSE_FLAGS_LONG',
    'DOWNSTREAM_TLS_VERSION',
    'DOWNSTREAM_TLS_CIPHER',
    'DOWNSTREAM_TLS_SESSION_ID',
    'DOWNSTREAM_PEER_SUBJECT',
    'DOWNSTREAM_PEER_ISSUER',
    'DOWNSTREAM_PEER_FINGERPRINT_256',
    'DOWNSTREAM_TRANSPORT_FAILURE_REASON',
  ].map((name) => [name, () => undefined] as const),
]);

function isHttp(run: Logged): run is HttpRun {
  return 'request' in run;
}

function http(read: (run: HttpRun) => string | number | undefined): Operator {
  return (run) => (isHttp(run) ? read(run) : undefined);
}

/** `NAME`, or `NAME?OTHER` where the first is absent. */
function headerOperator(
  argument: string | undefined,
  read: (run: HttpRun, field: string) => string | undefined,
): Operator | undefined {
  if (!argument) return undefined;
  const [first = '', second] = argument.toLowerCase().split('?');
  if (second === undefined) return http((run) => clean(read(run, first)));
  return http((run) => clean(read(run, first) ?? read(run, second)));
}

function requestField({ request, requestId }: HttpRun, field: string): string | undefined {
  switch (field) {
    case ':method':
      return request.method;
    case ':path':
      return request.path;
    case ':authority':
    case 'host':
      return request.authority;
    case ':scheme':
      return request.scheme;
    case 'x-request-id':
      return requestId;
    default:
      return fieldOf(request.headers, field);
  }
}

/** All fields of the name, as one. */
function fieldOf(headers: HeaderList, field: string): string | undefined {
  const first = headers.get(field);
  if (first === undefined) return undefined;
  const all = headers.getAll(field);
  return all.length === 1 ? first : all.join(',');
}

const control = /[^ -~\u0080-\uffff]/;

/** What comes from elsewhere never begins a line of its own. */
function clean(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  return control.test(text) ? text.replaceAll(/[^ -~\u0080-\uffff]/g, '?') : text;
}

function elapsed(from: number, until: number): number | undefined {
  return until === 0 || until < from ? undefined : Math.round(until - from);
}

function remoteAddress(run: Logged): string {
  const { sourceAddress, sourcePort } = run.connection;
  // Of a client behind trusted proxies the port is not known.
  if (isHttp(run) && run.remoteAddress !== sourceAddress) return formatHostPort(run.remoteAddress, 0);
  return formatHostPort(sourceAddress, sourcePort);
}

/** Why a connection to the host could not be made, or broke. */
function transportFailure({ failure }: Logged): string | undefined {
  if (!failure) return undefined;
  const { kind, message } = failure;
  return kind === 'connect-failure' || kind === 'connect-timeout' || kind === 'connection-termination'
    ? clean(message)
    : undefined;
}

function grpcStatusName(status: string | undefined, form: string): string | number | undefined {
  if (status === undefined || !/^\d{1,4}$/.test(status)) return undefined;
  const name = grpcStatusNames[Number(status)];
  if (form === 'NUMBER' || name === undefined) return Number(status);
  if (form === 'SNAKE_STRING' || name === 'OK') return name;
  return name.toLowerCase().replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
