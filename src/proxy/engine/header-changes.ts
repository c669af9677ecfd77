/** What rules do to headers: remove, set, add, with the few values of the request that they may name. */
import type { HeaderCommand } from '../../api/l7/header-commands.ts';
import type { HeaderChanges } from '../../api/l7/index.ts';
import type { HeaderList } from '../../http/header-list.ts';
import type { RequestHead } from '../../http/message.ts';
import type { HttpRun } from './http-run.ts';

/** Host in a list of request headers is the authority: set beats add; removing it is not possible. */
export function changeRequestHeaders(request: RequestHead, changes: HeaderChanges, run: HttpRun): void {
  const { headers } = request;
  for (const name of changes.remove) if (!isReserved(name)) headers.remove(name);
  for (const [name, value] of changes.set) {
    if (isHost(name)) request.authority = expand(value, run);
    else if (!isReserved(name)) headers.set(name, expand(value, run));
  }
  const setsHost = changes.set.some(([name]) => isHost(name));
  for (const [name, value] of changes.add) {
    if (isHost(name)) {
      if (!setsHost) request.authority = expand(value, run);
    } else if (!isReserved(name)) headers.add(name, expand(value, run));
  }
}

export function changeResponseHeaders(headers: HeaderList, changes: HeaderChanges, run: HttpRun): void {
  for (const name of changes.remove) if (!isReserved(name)) headers.remove(name);
  for (const [name, value] of changes.set) if (!isReserved(name)) headers.set(name, expand(value, run));
  for (const [name, value] of changes.add) if (!isReserved(name)) headers.add(name, expand(value, run));
}

function isHost(name: string): boolean {
  return name === 'host' || name === ':authority';
}

/** Pseudo fields, and what frames a message: never a rule's to change. */
function isReserved(name: string): boolean {
  return name.startsWith(':') || name === 'host' || name === 'transfer-encoding' || name === 'content-length';
}

const operators: Readonly<Record<HeaderCommand, (run: HttpRun) => string>> = {
  DOWNSTREAM_REMOTE_ADDRESS: ({ connection }) => `${connection.sourceAddress}:${connection.sourcePort}`,
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: ({ connection }) => connection.sourceAddress,
  DOWNSTREAM_LOCAL_ADDRESS: ({ connection }) => `${connection.destinationAddress}:${connection.destinationPort}`,
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: ({ connection }) => connection.destinationAddress,
  DOWNSTREAM_LOCAL_PORT: ({ connection }) => String(connection.destinationPort),
  DOWNSTREAM_PEER_URI_SAN: ({ connection }) => connection.sourceIdentity ?? '',
  DOWNSTREAM_LOCAL_URI_SAN: ({ connection }) => connection.localIdentity ?? '',
  REQUESTED_SERVER_NAME: ({ connection }) => connection.sni ?? '',
  PROTOCOL: ({ request }) => request.version.toUpperCase(),
  ROUTE_NAME: ({ route }) => route?.name ?? '',
  UPSTREAM_CLUSTER: ({ backend }) => backend ?? '',
  UPSTREAM_REMOTE_ADDRESS: ({ host }) => (host ? `${host.address}:${host.port}` : ''),
  RESPONSE_CODE: ({ responseStatus }) => String(responseStatus),
  START_TIME: ({ times }) => new Date(times.startMs).toISOString(),
};

/** `%NAME%` and `%REQ(header)%` are filled in, `%%` is one percent sign; what is not known stays as it is. */
function expand(value: string, run: HttpRun): string {
  if (!value.includes('%')) return value;
  return value.replaceAll(/%(?:%|([A-Z_]+)(?:\(([^)%]*)\))?%)/g, (whole, name?: string, argument?: string) => {
    if (name === undefined) return '%';
    if (name === 'REQ' && argument !== undefined) return run.request.headers.get(argument.toLowerCase()) ?? '';
    return Object.hasOwn(operators, name) ? operators[name as HeaderCommand](run) : whole;
  });
}
