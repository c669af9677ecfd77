/** Limits on the connections to a host. */
import { flag, integer, oneOf, record, text, type JsonSchema } from '../../schema/schema.ts';
import { about, duration, unsigned } from './field.ts';

export const connectionPool: JsonSchema = record({
  tcp: about(
    'For connections.',
    record({
      maxConnections: about('Connections at a time.', integer),
      connectTimeout: about('How long opening a connection may take; 10s if nothing is said.', duration),
      maxConnectionDuration: about('How long a connection lives at most.', duration),
      idleTimeout: about('How long a connection may be without bytes; 0s for ever.', text),
      tcpKeepalive: about(
        'Probes of connections without bytes.',
        record({
          probes: about('Probes without an answer until a connection counts as dead.', unsigned),
          time: about('Without bytes for how long until the first probe.', duration),
          interval: about('Time between probes.', duration),
        }),
      ),
    }),
  ),
  http: about(
    'For requests.',
    record({
      http1MaxPendingRequests: about('Requests that may wait for a connection.', integer),
      http2MaxRequests: about('Requests at a time.', integer),
      maxRequestsPerConnection: about(
        'Requests until a connection is closed; 0 for no limit, 1 for no keep-alive.',
        integer,
      ),
      maxRetries: about('Retries at a time, of all requests.', integer),
      idleTimeout: about('How long a connection may be without requests; 1h if nothing is said.', duration),
      h2UpgradePolicy: about(
        'Whether HTTP/1.1 goes to the host as HTTP/2.',
        oneOf('DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE'),
      ),
      useClientProtocol: about('Whether the host gets the version of HTTP that the client speaks.', flag),
      maxConcurrentStreams: about('Streams at a time on one HTTP/2 connection.', integer),
      http2KeepAlive: about(
        'PING frames on HTTP/2 connections.',
        record({
          interval: about('Time between them.', duration),
          timeout: about('How long the answer may take until the connection is closed.', duration),
        }),
      ),
    }),
  ),
});
