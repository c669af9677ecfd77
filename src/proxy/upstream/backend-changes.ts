/** Which changes of a backend make its open connections useless. */
import { isDeepStrictEqual } from 'node:util';
import type { Backend, TlsSecret, UpstreamTls } from '../../api/l7/index.ts';

type Secrets = ReadonlyMap<string, TlsSecret>;

/** Whether connections of the one serve the other as well. */
export function sameConnections(
  before: Backend,
  after: Backend,
  secretsBefore: Secrets,
  secretsAfter: Secrets,
): boolean {
  if (before !== after && !isDeepStrictEqual(connectionParts(before), connectionParts(after))) return false;
  return sameSecrets(after, secretsBefore, secretsAfter);
}

/** Whether the secrets that the backend names say what they said. */
export function sameSecrets({ tls }: Backend, before: Secrets, after: Secrets): boolean {
  return secretNames(tls).every((name) => isDeepStrictEqual(before.get(name), after.get(name)));
}

function connectionParts(backend: Backend): unknown {
  const { service, port, protocol, requestedHosts, throughWaypoint, tls, proxyProtocol, connectionPool } = backend;
  const { tcpKeepalive, maxConcurrentStreams } = connectionPool;
  return {
    service,
    port,
    protocol,
    requestedHosts,
    throughWaypoint,
    tls,
    proxyProtocol,
    tcpKeepalive,
    maxConcurrentStreams,
  };
}

function secretNames(tls: UpstreamTls | undefined): string[] {
  if (!tls) return [];
  return [
    ...(tls.ca.kind === 'secret' ? [tls.ca.secret] : []),
    ...(tls.clientCertificate === undefined ? [] : [tls.clientCertificate]),
  ];
}
