/** Peers of the codec's tests: raw text on a memory channel, and exchanges that note what happens (tests only). */
import { memoryChannelPair } from '../../net/memory-channel.ts';
import type { ByteChannel, WriteResult } from '../../net/channel.ts';
import { HeaderList } from '../header-list.ts';
import type {
  BadRequest,
  ClientConnection,
  ClientExchange,
  RequestHead,
  ResponseHead,
  ServerConnection,
  ServerExchange,
} from '../message.ts';
import { createHttp1Client, serveHttp1, type Http1ClientOptions, type Http1ServerOptions } from './index.ts';

/** Lets `count` turns of the event loop pass. */
export async function turns(count = 10): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** The other end of a channel, as text. */
export interface RawPeer {
  send(text: string): void;
  /** Bytes sent that the codec has not read. */
  readonly unread: number;
  end(): void;
  reset(): void;
  pause(): void;
  resume(): void;
  readonly text: string;
  /** Forgets what came. */
  take(): string;
  readonly ended: boolean;
  readonly closed: boolean;
  readonly error: Error | undefined;
}

export function rawPeer(channel: ByteChannel, read: () => number = () => 0): RawPeer {
  let sent = 0;
  let text = '';
  const state = { ended: false, closed: false, error: undefined as Error | undefined };
  channel.read({
    neverKeeps: true,
    onData(bytes) {
      text += Buffer.from(bytes).toString('latin1');
      channel.credit(bytes.length);
      return false;
    },
    onEnd: () => void (state.ended = true),
    onDrain() {},
    onClose(error) {
      state.closed = true;
      state.error = error;
    },
  });
  return {
    send(bytes) {
      sent += bytes.length;
      channel.write(Buffer.from(bytes, 'latin1'));
    },
    get unread() {
      return sent - read();
    },
    end: () => channel.end(),
    reset: () => channel.reset(),
    pause: () => channel.pause(),
    resume: () => channel.resume(),
    get text() {
      return text;
    },
    take() {
      const taken = text;
      text = '';
      return taken;
    },
    get ended() {
      return state.ended;
    },
    get closed() {
      return state.closed;
    },
    get error() {
      return state.error;
    },
  };
}

/** `channel`, and how many bytes its reader got. */
function countReads(channel: ByteChannel): { channel: ByteChannel; count: () => number } {
  let count = 0;
  const counting: ByteChannel = {
    neverKeeps: channel.neverKeeps,
    read: (reader) =>
      channel.read({
        onData(bytes) {
          count += bytes.length;
          return reader.onData(bytes);
        },
        onEnd: () => reader.onEnd(),
        onDrain: () => reader.onDrain(),
        onClose: (error) => reader.onClose(error),
      }),
    write: (bytes) => channel.write(bytes),
    pause: () => channel.pause(),
    resume: () => channel.resume(),
    credit: (byteCount) => channel.credit(byteCount),
    end: () => channel.end(),
    reset: (error) => channel.reset(error),
  };
  return { channel: counting, count: () => count };
}

/** An exchange as a test sees it. */
export interface SeenRequest {
  readonly exchange: ServerExchange;
  readonly events: string[];
  body: string;
  trailers: HeaderList | undefined;
  error: Error | undefined;
  drains: number;
}

export interface TestServer {
  readonly peer: RawPeer;
  readonly server: ServerConnection;
  readonly requests: SeenRequest[];
  readonly refusals: BadRequest[];
  readonly closes: (Error | undefined)[];
}

export interface TestServerOptions extends Partial<Omit<Http1ServerOptions, 'listener'>> {
  /** What is done with each request, after its reader is attached; default: nothing. */
  readonly onRequest?: (seen: SeenRequest) => void;
  /** Called with each event of a request. */
  readonly onEvent?: (seen: SeenRequest, event: string) => void;
  readonly attach?: boolean;
  readonly credits?: boolean;
}

/** Attaches a reader that notes everything. */
export function attach(seen: SeenRequest, options: TestServerOptions = {}): void {
  const note = (event: string): void => {
    if (event !== 'data' || seen.events.at(-1) !== 'data') seen.events.push(event);
    options.onEvent?.(seen, event);
  };
  seen.exchange.read({
    onData(bytes) {
      seen.body += Buffer.from(bytes).toString('latin1');
      if (options.credits !== false) seen.exchange.credit(bytes.length);
      note('data');
    },
    onEnd(trailers) {
      seen.trailers = trailers;
      note('end');
    },
    onDrain() {
      seen.drains++;
    },
    onClose(error) {
      seen.error = error;
      note('close');
    },
  });
}

export function testServer(options: TestServerOptions = {}): TestServer {
  const [near, far] = memoryChannelPair();
  const requests: SeenRequest[] = [];
  const refusals: BadRequest[] = [];
  const closes: (Error | undefined)[] = [];
  const counted = countReads(near);
  const server = serveHttp1(counted.channel, {
    scheme: 'http',
    ...options,
    listener: {
      onRequest(exchange) {
        const seen: SeenRequest = { exchange, events: [], body: '', trailers: undefined, error: undefined, drains: 0 };
        requests.push(seen);
        if (options.attach !== false) attach(seen, options);
        options.onRequest?.(seen);
      },
      onBadRequest: (problem) => void refusals.push(problem),
      onClose: (error) => void closes.push(error),
    },
  });
  return { peer: rawPeer(far, counted.count), server, requests, refusals, closes };
}

/** An answer as a test sees it. */
export interface SeenAnswer {
  exchange: ClientExchange | undefined;
  readonly events: string[];
  readonly informational: ResponseHead[];
  head: ResponseHead | undefined;
  ends: boolean | undefined;
  body: string;
  trailers: HeaderList | undefined;
  error: Error | undefined;
  drains: number;
  onEvent: ((event: string) => void) | undefined;
  readonly writes: WriteResult[];
}

export interface TestClient {
  readonly peer: RawPeer;
  readonly client: ClientConnection;
  readonly changes: boolean[];
  readonly closes: (Error | undefined)[];
  readonly request: (head: Partial<RequestHead>, ends?: boolean, credits?: boolean) => SeenAnswer;
}

export function testClient(options: Partial<Http1ClientOptions> = {}): TestClient {
  const [near, far] = memoryChannelPair();
  const changes: boolean[] = [];
  const closes: (Error | undefined)[] = [];
  const client: ClientConnection = createHttp1Client(near, {
    ...options,
    listener: { onChange: () => void changes.push(client.canOpen), onClose: (error) => void closes.push(error) },
  });
  return {
    peer: rawPeer(far),
    client,
    changes,
    closes,
    request: (head, ends = true, credits = true) => sendRequest(client, head, ends, credits),
  };
}

export function sendRequest(
  client: ClientConnection,
  head: Partial<RequestHead>,
  ends: boolean,
  credits = true,
): SeenAnswer {
  const seen: SeenAnswer = {
    exchange: undefined,
    events: [],
    informational: [],
    head: undefined,
    ends: undefined,
    body: '',
    trailers: undefined,
    error: undefined,
    drains: 0,
    onEvent: undefined,
    writes: [],
  };
  const note = (event: string): void => {
    if (event !== 'data' || seen.events.at(-1) !== 'data') seen.events.push(event);
    seen.onEvent?.(event);
  };
  const whole: RequestHead = {
    method: 'GET',
    scheme: 'http',
    authority: 'host',
    path: '/',
    version: 'http/1.1',
    headers: new HeaderList(),
    ...head,
  };
  seen.exchange = client.request(whole, ends, {
    onInformational(informational) {
      seen.informational.push(informational);
      note('informational');
    },
    onResponse(response, responseEnds) {
      seen.head = response;
      seen.ends = responseEnds;
      note('response');
    },
    onData(bytes) {
      seen.body += Buffer.from(bytes).toString('latin1');
      if (credits) seen.exchange?.credit(bytes.length);
      note('data');
    },
    onEnd(trailers) {
      seen.trailers = trailers;
      note('end');
    },
    onDrain() {
      seen.drains++;
    },
    onClose(error) {
      seen.error = error;
      note('close');
    },
  });
  return seen;
}
