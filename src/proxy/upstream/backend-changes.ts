/** Which changes of a backend make its open connections useless. */
import { isDeepStrictEqual } from 'node:util';
import type { Backend, TlsSecret } from '../../api/l7/index.ts';

type Secrets = ReadonlyMap<string, TlsSecret>;

/** Whether connections of the one serve the other as well. */
export function sameConnections(
  before: Backend,
  after: Backend,
  secretsBefore: Secrets,
  secretsAfter: Secrets,
): boolean {
  if (before !== after && !isDeepStrictEqual(connectionParts(before), connectionParts(after))) return false;
  return secretNames(after).every((name) => isDeepStrictEqual(secretsBefore.get(name), secretsAfter.get(name)));
}

function connectionParts(backend: Backend): unknown {
  const { service, port, protocol, throughWaypoint, tls, proxyProtocol, connectionPool } = backend;
  const { tcpKeepalive, maxConcurrentStreams } = connectionPool;
  return { service, port, protocol, throughWaypoint, tls, proxyProtocol, tcpKeepalive, maxConcurrentStreams };
}

function secretNames({ tls }: Backend): string[] {
  if (!tls) return [];
  return [
    ...(tls.ca.kind === 'secret' ? [tls.ca.secret] : []),
    ...(tls.clientCertificate === undefined ? [] : [tls.clientCertificate]),
  ];
}
