/** Hosts that do as a test says, in place of connectors and codecs (tests only). */
import type {
  ClientConnection,
  ClientConnectionListener,
  ClientExchange,
  ClientExchangeReader,
  HttpVersion,
  RequestHead,
} from '../../http/message.ts';
import { ExchangeError, type ExchangeFailure } from '../../http/message.ts';
import { HeaderList } from '../../http/header-list.ts';
import { memoryChannelPair } from '../../net/memory-channel.ts';
import { writeResult, type ByteChannel, type WriteResult } from '../../net/channel.ts';
import type { Connected, Connector, ConnectRequest } from './connector.ts';
import type { Codecs } from './pool-owner.ts';

/** One connection that a pool asked for, until the test answers. */
export interface FakeDial {
  readonly request: ConnectRequest;
  readonly signal: AbortSignal;
  /** Lets it connect; the codec's connection follows. */
  connect(): Promise<FakeConnection>;
  fail(error: Error): Promise<void>;
}

/** All that the upstream does, to be looked at and answered by the test. */
export class FakeHosts {
  readonly dials: FakeDial[] = [];
  readonly connections: FakeConnection[] = [];
  /** Streams on a connection of HTTP/2. */
  maxStreams = 100;
  /** Dials connect by themselves. */
  isOpen = false;
  readonly #byChannel = new Map<ByteChannel, (connection: FakeConnection) => void>();

  readonly connector: Connector = {
    connect: (request, signal) => this.#dial(request, signal),
    close() {},
  };

  readonly codecs: Codecs = {
    http1: (channel, listener) => this.#speak(channel, 'http/1.1', listener),
    http2: (channel, listener) => this.#speak(channel, 'http/2', listener),
  };

  /** The requests that are under way, oldest first. */
  get exchanges(): FakeExchange[] {
    return this.connections.flatMap(({ exchanges }) => [...exchanges]);
  }

  #dial(request: ConnectRequest, signal: AbortSignal): Promise<Connected> {
    return new Promise((resolve, reject) => {
      const host = { ...request.host.describe(), localAddress: '127.0.0.1:1' };
      const dial: FakeDial = {
        request,
        signal,
        connect: async () => {
          const [channel] = memoryChannelPair();
          const made = new Promise<FakeConnection>((told) => this.#byChannel.set(channel, told));
          resolve({ channel, host });
          return made;
        },
        fail: async (error) => {
          reject(error);
          await settled();
        },
      };
      this.dials.push(dial);
      if (this.isOpen) void dial.connect();
    });
  }

  #speak(channel: ByteChannel, version: HttpVersion, listener: ClientConnectionListener): ClientConnection {
    const maxStreams = version === 'http/2' ? this.maxStreams : 1;
    const connection = new FakeConnection(version, maxStreams, listener);
    this.connections.push(connection);
    setImmediate(() => this.#byChannel.get(channel)?.(connection));
    return connection;
  }
}

export class FakeConnection implements ClientConnection {
  readonly version: HttpVersion;
  readonly exchanges: Set<FakeExchange> = new Set();
  isDraining = false;
  isClosed = false;
  served = 0;
  readonly #maxStreams: number;
  readonly #listener: ClientConnectionListener;

  constructor(version: HttpVersion, maxStreams: number, listener: ClientConnectionListener) {
    this.version = version;
    this.#maxStreams = maxStreams;
    this.#listener = listener;
  }

  get canOpen(): boolean {
    return !this.isDraining && !this.isClosed && this.exchanges.size < this.#maxStreams;
  }

  get activeRequests(): number {
    return this.exchanges.size;
  }

  request(head: RequestHead, ends: boolean, reader: ClientExchangeReader): ClientExchange {
    if (!this.canOpen) throw new Error('Not now');
    this.served++;
    const exchange = new FakeExchange(head, ends, reader, (over) => this.#over(over));
    this.exchanges.add(exchange);
    return exchange;
  }

  drain(): void {
    this.isDraining = true;
    if (this.exchanges.size === 0) this.close();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    setImmediate(() => {
      for (const exchange of this.exchanges) exchange.break('connection-termination', 'maybe');
      this.#listener.onClose();
    });
  }

  #over(exchange: FakeExchange): void {
    this.exchanges.delete(exchange);
    if (this.isDraining && this.exchanges.size === 0) this.close();
    else this.#listener.onChange();
  }
}

export class FakeExchange implements ClientExchange {
  readonly head: RequestHead;
  body = '';
  hasEnded: boolean;
  credited = 0;
  readonly #reader: ClientExchangeReader;
  readonly #onOver: (exchange: FakeExchange) => void;
  #isOver = false;

  constructor(
    head: RequestHead,
    ends: boolean,
    reader: ClientExchangeReader,
    onOver: (exchange: FakeExchange) => void,
  ) {
    this.head = head;
    this.hasEnded = ends;
    this.#reader = reader;
    this.#onOver = onOver;
  }

  write(bytes: Uint8Array): WriteResult {
    this.body += Buffer.from(bytes).toString('latin1');
    return writeResult.done;
  }

  end(): void {
    this.hasEnded = true;
  }

  credit(byteCount: number): void {
    this.credited += byteCount;
  }

  reset(): void {
    setImmediate(() => this.break('local-reset', 'maybe'));
  }

  answer(status = 200, headers: Readonly<Record<string, string>> = {}): void {
    this.#reader.onResponse({ status, headers: HeaderList.from(headers) }, true);
    this.#end();
  }

  /** Head alone: the rest may follow. */
  begin(status = 200, headers: Readonly<Record<string, string>> = {}): void {
    this.#reader.onResponse({ status, headers: HeaderList.from(headers) }, false);
  }

  finish(trailers: Readonly<Record<string, string>> = {}): void {
    this.#reader.onEnd(HeaderList.from(trailers));
    this.#end();
  }

  break(reason: ExchangeFailure, sent: 'no' | 'maybe'): void {
    this.#end(new ExchangeError(reason, `broken: ${reason}`, { sent }));
  }

  #end(error?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onOver(this);
    this.#reader.onClose(error);
  }
}

/** Lets what was promised happen. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}
