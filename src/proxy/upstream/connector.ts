/** Connections to hosts: what lies between a backend's pool and the network. */
import type { ByteChannel } from '../../net/channel.ts';
import type { Backend } from '../../api/l7/index.ts';
import type { Host } from './host.ts';
import type { UpstreamClient, UpstreamHost } from './upstream.ts';

export interface ConnectRequest {
  readonly backend: Backend;
  readonly host: Host;
  /** What is spoken on it; `raw`: the bytes of one client. */
  readonly use: 'http1' | 'http2' | 'raw';
  /** The server's name for TLS; "" where there is none. */
  readonly serverName: string;
  /** Whose connection it is: of one client alone for raw bytes and with the PROXY protocol. */
  readonly client: UpstreamClient | undefined;
}

export interface Connected {
  readonly channel: ByteChannel;
  readonly host: UpstreamHost;
}

export interface Connector {
  /** Nothing has been read from the channel. Rejects when there is no connection, or `signal` aborts. */
  connect(request: ConnectRequest, signal: AbortSignal): Promise<Connected>;
  close(): void;
}
