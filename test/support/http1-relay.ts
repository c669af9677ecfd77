/** A relay without any policy: server codec, client codec, one backend. What the codecs cost, and what they let through. */
import { createServer, type Server } from 'node:net';
import { createHttp1Client, serveHttp1, type Http1ServerOptions } from '../../src/http/h1/index.ts';
import { HeaderList } from '../../src/http/header-list.ts';
import type {
  BadRequest,
  ClientConnection,
  ClientExchange,
  ClientExchangeReader,
  ResponseHead,
  ServerExchange,
  ServerExchangeReader,
} from '../../src/http/message.ts';
import { writeResult, type ByteChannel } from '../../src/net/channel.ts';
import { tcpChannel } from '../../src/net/tcp-channel.ts';

export interface RelayOptions extends Partial<Pick<Http1ServerOptions, 'limits' | 'clock' | 'allowHttp10'>> {
  /** A new connection to the backend. */
  readonly connect: () => Promise<ByteChannel>;
  readonly onBadRequest?: (problem: BadRequest) => void;
  /** Keeps idle connections to the backend; default true. */
  readonly pools?: boolean;
}

export interface Relay {
  serve(channel: ByteChannel): void;
  /** Closes the idle connections. */
  close(): void;
}

export function createRelay(options: RelayOptions): Relay {
  const idle: ClientConnection[] = [];
  const take = async (): Promise<ClientConnection> => {
    const channel = await options.connect();
    const client: ClientConnection = createHttp1Client(channel, {
      listener: {
        onChange() {
          if (!client.canOpen) return;
          if (options.pools === false) client.drain();
          else idle.push(client);
        },
        onClose() {
          const at = idle.indexOf(client);
          if (at >= 0) idle.splice(at, 1);
        },
      },
    });
    return client;
  };
  return {
    serve(channel) {
      serveHttp1(channel, {
        scheme: 'http',
        ...options,
        listener: {
          onRequest(exchange) {
            // The last one used is the likeliest to be alive.
            for (let client = idle.pop(); client; client = idle.pop()) {
              if (client.canOpen) {
                new RelayedExchange(exchange, client);
                return;
              }
            }
            take().then(
              (client) => void new RelayedExchange(exchange, client),
              () => {
                exchange.respond({ status: 503, headers: new HeaderList() }, true);
              },
            );
          },
          ...(options.onBadRequest ? { onBadRequest: options.onBadRequest } : {}),
        },
      });
    },
    close() {
      for (const client of idle.splice(0)) client.close();
    },
  };
}

/** Both directions of one request. */
class RelayedExchange implements ClientExchangeReader {
  readonly #down: ServerExchange;
  readonly #up: ClientExchange;
  #responded = false;
  #over = false;
  /** Bytes not credited, because the other side was full. */
  #owedUp = 0;

  constructor(down: ServerExchange, client: ClientConnection) {
    this.#down = down;
    const isTunnel = down.request.upgrade !== undefined || down.request.method === 'CONNECT';
    this.#up = client.request(down.request, down.bodyLength === 0 && !isTunnel, this);
    down.read(new RequestBody(down, this.#up, this));
  }

  get over(): boolean {
    return this.#over;
  }

  creditAnswer(): void {
    this.#up.credit(this.#owedUp);
    this.#owedUp = 0;
  }

  onInformational(head: ResponseHead): void {
    this.#down.sendInformational(head);
  }

  onResponse(head: ResponseHead, ends: boolean): void {
    this.#responded = true;
    this.#down.respond(head, ends);
  }

  onData(bytes: Uint8Array): void {
    if (this.#down.write(bytes) === writeResult.done) this.#up.credit(bytes.length);
    else this.#owedUp += bytes.length;
  }

  onEnd(trailers?: HeaderList): void {
    this.#down.end(trailers);
  }

  onDrain(): void {
    this.requestDrained?.();
  }

  requestDrained: (() => void) | undefined;

  onClose(error?: Error): void {
    this.#over = true;
    if (!error) return;
    if (this.#responded) this.#down.reset(error);
    else this.#down.respond({ status: 502, headers: new HeaderList() }, true);
  }
}

class RequestBody implements ServerExchangeReader {
  readonly #down: ServerExchange;
  readonly #up: ClientExchange;
  readonly #exchange: RelayedExchange;
  #owed = 0;

  constructor(down: ServerExchange, up: ClientExchange, exchange: RelayedExchange) {
    this.#down = down;
    this.#up = up;
    this.#exchange = exchange;
  }

  onData(bytes: Uint8Array): void {
    if (this.#up.write(bytes) === writeResult.done) {
      this.#down.credit(bytes.length);
      return;
    }
    this.#owed += bytes.length;
    this.#exchange.requestDrained ??= () => {
      this.#down.credit(this.#owed);
      this.#owed = 0;
    };
  }

  onEnd(trailers?: HeaderList): void {
    this.#up.end(trailers);
  }

  onDrain(): void {
    this.#exchange.creditAnswer();
  }

  onClose(): void {
    if (!this.#exchange.over) this.#up.reset();
  }
}

/** Serves `relay` on a port of loopback. */
export function listenRelay(relay: Relay, port = 0): Promise<Server> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) =>
    relay.serve(tcpChannel(socket)),
  );
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', 4096, () => resolve(server));
  });
}
