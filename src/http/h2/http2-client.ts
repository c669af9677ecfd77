/** HTTP/2 client connection: requests of ours as exchanges, many at a time. */
import type { Clock } from '../../lib/clock.ts';
import type { ByteChannel } from '../../net/channel.ts';
import {
  type ClientConnection,
  type ClientConnectionListener,
  type ClientExchange,
  type ClientExchangeReader,
  ExchangeError,
  type HttpVersion,
  type RequestHead,
} from '../message.ts';
import { Http2ClientExchange } from './client-exchange.ts';
import { requestList } from './exchange-heads.ts';
import type { ReceiveBudget } from './flow-control.ts';
import type { Http2Limits } from './limits.ts';
import { Http2Session } from './session.ts';

export interface Http2ClientOptions {
  readonly listener: ClientConnectionListener;
  readonly limits?: Partial<Http2Limits>;
  readonly clock?: Clock;
  readonly budget?: ReceiveBudget;
}

/** Response heads may be as large as what we take as a server. */
const maxHeaderListSize = 64 * 1024;

/** Speaks HTTP/2 on `channel`: TLS done and ALPN h2, or prior knowledge. `canOpen` once the server's SETTINGS arrived. */
export function createHttp2Client(channel: ByteChannel, options: Http2ClientOptions): ClientConnection {
  const connection = new Http2ClientConnection(channel, options);
  connection.start();
  return connection;
}

class Http2ClientConnection implements ClientConnection {
  readonly version: HttpVersion = 'http/2';
  readonly #session: Http2Session;

  constructor(channel: ByteChannel, options: Http2ClientOptions) {
    const { listener, limits, clock, budget } = options;
    this.#session = new Http2Session({
      role: 'client',
      channel,
      limits: { maxHeaderListSize, ...limits },
      ...(clock ? { clock } : {}),
      ...(budget ? { budget } : {}),
      handler: {
        onChange: () => listener.onChange(),
        onClose: (error) => listener.onClose(error),
      },
    });
  }

  start(): void {
    this.#session.start();
  }

  get canOpen(): boolean {
    return this.#session.canOpen;
  }

  get activeRequests(): number {
    return this.#session.activeStreams;
  }

  request(head: RequestHead, ends: boolean, reader: ClientExchangeReader): ClientExchange {
    const session = this.#session;
    const exchange = new Http2ClientExchange(head, reader);
    if (head.upgrade !== undefined && !session.peerTakesExtendedConnect) {
      exchange.fail(new ExchangeError('protocol-error', `Peer takes no ${head.upgrade} over HTTP/2`, { sent: 'no' }));
    } else exchange.start(session.openStream(requestList(head), ends && head.upgrade === undefined, exchange));
    return exchange;
  }

  drain(): void {
    this.#session.drain();
  }

  close(error?: Error): void {
    this.#session.close(error);
  }
}
