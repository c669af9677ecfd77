/** HTTP/2 server connection: its requests as exchanges. */
import type { Clock } from '../../lib/clock.ts';
import type { ByteChannel } from '../../net/channel.ts';
import { HeaderList } from '../header-list.ts';
import type { RequestListener, ServerConnection } from '../message.ts';
import { errorCode } from './constants.ts';
import { readRequestHead } from './exchange-heads.ts';
import type { ReceiveBudget } from './flow-control.ts';
import type { Http2Limits } from './limits.ts';
import { Http2ServerExchange } from './server-exchange.ts';
import { Http2Session } from './session.ts';
import type { Http2Stream, StreamHandler } from './stream.ts';

export interface Http2ServerOptions {
  readonly listener: RequestListener;
  /** `extendedConnect` lets WebSocket in (RFC 8441): such a request has method GET and `upgrade`, and 101 accepts it. */
  readonly limits?: Partial<Http2Limits>;
  /** Fields of a request, crumbs of a cookie counted as one; more are answered 431. Default 100. */
  readonly maxHeaderCount?: number;
  readonly clock?: Clock;
  readonly budget?: ReceiveBudget;
}

/** Serves HTTP/2 on `channel`: TLS done and ALPN h2, or prior knowledge; the preface not read yet. */
export function serveHttp2(channel: ByteChannel, options: Http2ServerOptions): ServerConnection {
  const { listener, limits, maxHeaderCount = 100, clock, budget } = options;
  const session = new Http2Session({
    role: 'server',
    channel,
    ...(limits ? { limits } : {}),
    ...(clock ? { clock } : {}),
    ...(budget ? { budget } : {}),
    handler: {
      onRequest(stream, list, endStream): StreamHandler {
        const length = endStream ? 0 : (stream.contentLeft ?? 'unknown');
        const head = readRequestHead(list);
        if (head.headers.size > maxHeaderCount) {
          refuse(stream);
          listener.onBadRequest?.({ status: 431, problem: `more than ${maxHeaderCount} header fields` });
          return discard;
        }
        // A length of 0 whose end is still to come is a body all the same: of no bytes, perhaps with trailers.
        const exchange = new Http2ServerExchange(stream, head, length === 0 && !endStream ? 'unknown' : length);
        listener.onRequest(exchange);
        return exchange;
      },
      onMalformedRequest: (problem, status) => listener.onBadRequest?.({ status, problem }),
      onBroken(error, streamCount) {
        // Requests under way tell of it themselves.
        if (streamCount === 0) listener.onBadRequest?.({ status: 0, problem: error.message });
      },
      onClose: (error) => listener.onClose?.(error),
    },
  });
  session.start();
  return {
    get activeRequests() {
      return session.activeStreams;
    },
    drain: () => session.drain(),
    close: (error) => session.close(error),
  };
}

function refuse(stream: Http2Stream): void {
  stream.sendHeaders(new HeaderList([':status', '431']), true);
  stream.reset(errorCode.noError);
}

const discard: StreamHandler = {
  onHeaders() {},
  onData() {},
  onEnd() {},
  onDrain() {},
  onClose() {},
};
