import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFakeClock, type FakeClock } from '../../lib/fake-clock.ts';
import { writeResult } from '../../net/channel.ts';
import { memoryChannelPair } from '../../net/memory-channel.ts';
import { HeaderList } from '../header-list.ts';
import type {
  BadRequest,
  ClientConnection,
  ClientExchange,
  ClientExchangeReader,
  RequestHead,
  ResponseHead,
  ServerConnection,
  ServerExchange,
  ServerExchangeReader,
} from '../message.ts';
import { ExchangeError } from '../message.ts';
import { frameFlag, frameType } from './constants.ts';
import { createHttp2Client, type Http2Limits, serveHttp2 } from './index.ts';
import { rawFrame, RawPeer, turns, uint32 } from './raw-peer.ts';

const { endHeaders, endStream } = frameFlag;
const get = { ':method': 'GET', ':scheme': 'http', ':path': '/', ':authority': 'a' };

const headers = (fields: Record<string, string> = {}): HeaderList => HeaderList.from(fields);

const head = (changes: Partial<RequestHead> = {}): RequestHead => ({
  method: 'GET',
  scheme: 'http',
  authority: 'a',
  path: '/',
  headers: headers(),
  version: 'http/2',
  ...changes,
});

const told = (error: Error | undefined): string =>
  error === undefined ? 'ok' : error instanceof ExchangeError ? `${error.reason} ${error.sent}` : error.message;

const trailersText = (trailers: HeaderList | undefined): string => (trailers ? ` ${trailers.fields.join(' ')}` : '');

/** Writes down what an exchange tells its reader, and credits at once. */
function record(
  events: string[],
  exchange: () => { credit(byteCount: number): void } | undefined,
): ServerExchangeReader {
  return {
    onData(bytes) {
      events.push(`data ${Buffer.from(bytes).toString()}`);
      exchange()?.credit(bytes.length);
    },
    onEnd: (trailers) => void events.push(`end${trailersText(trailers)}`),
    onDrain: () => void events.push('drain'),
    onClose: (error) => void events.push(`close ${told(error)}`),
  };
}

interface Sent {
  readonly events: string[];
  readonly exchange: ClientExchange;
  response: ResponseHead | undefined;
}

function send(client: ClientConnection, request: RequestHead, ends = true): Sent {
  const events: string[] = [];
  const sent: Sent = { events, exchange: undefined as unknown as ClientExchange, response: undefined };
  const reader: ClientExchangeReader = {
    ...record(events, () => sent.exchange),
    onInformational: (response) => void events.push(`informational ${response.status}`),
    onResponse(response, noBody) {
      sent.response = response;
      events.push(`response ${response.status}${noBody ? ' ends' : ''}`);
    },
  };
  return Object.assign(sent, { exchange: client.request(request, ends, reader) });
}

interface Pair {
  readonly client: ClientConnection;
  readonly server: ServerConnection;
  readonly exchanges: ServerExchange[];
  readonly events: string[];
  readonly bad: BadRequest[];
  readonly clock: FakeClock;
}

async function openPair(
  onRequest?: (exchange: ServerExchange) => void,
  limits: Partial<Http2Limits> = {},
): Promise<Pair> {
  const [near, far] = memoryChannelPair({ highWaterBytes: 16 << 20 });
  const clock = createFakeClock();
  const exchanges: ServerExchange[] = [];
  const events: string[] = [];
  const bad: BadRequest[] = [];
  const server = serveHttp2(near, {
    clock,
    limits,
    listener: {
      onRequest(exchange) {
        exchanges.push(exchange);
        onRequest?.(exchange);
      },
      onBadRequest: (problem) => void bad.push(problem),
      onClose: (error) => void events.push(`server closed ${error?.message ?? 'ok'}`),
    },
  });
  const client = createHttp2Client(far, {
    clock,
    listener: { onChange() {}, onClose: (error) => void events.push(`client closed ${error?.message ?? 'ok'}`) },
  });
  await turns();
  assert.ok(client.canOpen);
  return { client, server, exchanges, events, bad, clock };
}

/** A server whose client sends whatever the test says. */
function openRaw(
  onRequest?: (exchange: ServerExchange) => void,
  options: { limits?: Partial<Http2Limits>; maxHeaderCount?: number } = {},
): { peer: RawPeer; exchanges: ServerExchange[]; bad: BadRequest[] } {
  const [near, far] = memoryChannelPair({ highWaterBytes: 16 << 20 });
  const exchanges: ServerExchange[] = [];
  const bad: BadRequest[] = [];
  serveHttp2(near, {
    ...options,
    clock: createFakeClock(),
    listener: {
      onRequest(exchange) {
        exchanges.push(exchange);
        onRequest?.(exchange);
      },
      onBadRequest: (problem) => void bad.push(problem),
    },
  });
  return { peer: new RawPeer(far, { skipPreface: false }).greet(true), exchanges, bad };
}

/** A client whose server sends whatever the test says. */
async function openRawServer(settings: readonly number[] = []): Promise<{ peer: RawPeer; client: ClientConnection }> {
  const [near, far] = memoryChannelPair({ highWaterBytes: 16 << 20 });
  const client = createHttp2Client(near, {
    clock: createFakeClock(),
    listener: { onChange() {}, onClose() {} },
  });
  const peer = new RawPeer(far, { skipPreface: true });
  peer.send(rawFrame(frameType.settings, 0, 0, settings)).send(rawFrame(frameType.settings, frameFlag.ack, 0));
  await turns();
  return { peer, client };
}

describe('HTTP/2 exchanges', () => {
  it('carries a request without a body and its answer', async () => {
    const pair = await openPair((exchange) => {
      exchange.read(record(pair.events, () => exchange));
      exchange.respond({ status: 200, headers: headers({ 'x-a': '1' }) }, false);
      exchange.write(Buffer.from('hello'));
      exchange.end();
    });
    const sent = send(
      pair.client,
      head({ path: '/x?y', authority: 'example.com:8080', headers: headers({ te: 'trailers' }) }),
    );
    await turns();
    assert.deepEqual(sent.events, ['response 200', 'data hello', 'end', 'close ok']);
    assert.deepEqual(sent.response?.headers.fields, ['x-a', '1']);
    const [exchange] = pair.exchanges;
    assert.equal(exchange?.bodyLength, 0);
    assert.deepEqual(
      { ...exchange.request, headers: exchange.request.headers.fields },
      {
        method: 'GET',
        scheme: 'http',
        authority: 'example.com:8080',
        path: '/x?y',
        headers: ['te', 'trailers'],
        version: 'http/2',
      },
    );
    assert.deepEqual(pair.events, ['close ok']);
    assert.equal(pair.server.activeRequests, 0);
    assert.equal(pair.client.activeRequests, 0);
  });

  it('carries bodies, informational answers and trailers both ways', async () => {
    const pair = await openPair((exchange) => {
      exchange.read(record(pair.events, () => exchange));
      exchange.sendInformational({ status: 103, headers: headers({ link: 'x' }) });
      exchange.respond({ status: 200, headers: headers() }, false);
    });
    const sent = send(pair.client, head({ method: 'POST', headers: headers({ 'content-length': '4' }) }), false);
    sent.exchange.write(Buffer.from('ab'));
    await turns();
    assert.equal(pair.exchanges[0]?.bodyLength, 4);
    sent.exchange.write(Buffer.from('cd'));
    sent.exchange.end(headers({ 'x-sum': '9' }));
    await turns();
    assert.deepEqual(pair.events, ['data ab', 'data cd', 'end x-sum 9']);
    pair.exchanges[0]?.write(Buffer.from('ef'));
    pair.exchanges[0]?.end(headers({ 'grpc-status': '0' }));
    await turns();
    assert.deepEqual(sent.events, ['informational 103', 'response 200', 'data ef', 'end grpc-status 0', 'close ok']);
    assert.deepEqual(pair.events.at(-1), 'close ok');
  });

  it('passes no trailers on that frame, route or vouch for a message', async () => {
    const pair = await openPair((exchange) => {
      exchange.read(record(pair.events, () => exchange));
      exchange.respond({ status: 200, headers: headers() }, false);
      exchange.end(headers({ 'content-length': '9', 'set-cookie': 'a' }));
    });
    const bad = { authorization: 'x', host: 'y', 'x-forwarded-for': 'z', 'x-envoy-a': 'b' };
    const sent = send(pair.client, head({ method: 'POST' }), false);
    sent.exchange.end(headers({ ...bad, 'x-sum': '1' }));
    await turns();
    assert.deepEqual(pair.events.slice(0, 1), ['end x-sum 1']);
    assert.deepEqual(sent.events, ['response 200', 'end', 'close ok']);
  });

  it('keeps what comes before the reader, in order, and not more than a window', async () => {
    const pair = await openPair();
    const sent = send(pair.client, head({ method: 'POST' }), false);
    const total = 200_000;
    assert.equal(sent.exchange.write(Buffer.alloc(total, 'x')), writeResult.full);
    await turns();
    let received = 0;
    const exchange = pair.exchanges[0] as ServerExchange;
    const credit = (byteCount: number): void => exchange.credit(byteCount);
    exchange.read({
      ...record(pair.events, () => undefined),
      onData(bytes) {
        received += bytes.length;
      },
    });
    assert.equal(received, 0);
    await turns();
    assert.equal(received, 65_536);
    sent.exchange.end();
    while (received < total) {
      const before: number = received;
      credit(before);
      await turns();
      assert.ok(received > before);
    }
    assert.deepEqual(sent.events, []);
    assert.deepEqual(pair.events, ['end']);
  });

  it('tells a reader that comes late all that happened', async () => {
    const pair = await openPair();
    const sent = send(pair.client, head({ method: 'POST' }), false);
    sent.exchange.write(Buffer.from('a'));
    sent.exchange.end(headers({ t: '1' }));
    await turns();
    const [exchange] = pair.exchanges;
    exchange?.respond({ status: 204, headers: headers() }, true);
    await turns();
    exchange?.read(record(pair.events, () => exchange));
    await turns();
    assert.deepEqual(pair.events, ['data a', 'end t 1', 'close ok']);

    const reset = send(pair.client, head({ method: 'POST' }), false);
    reset.exchange.write(Buffer.from('a'));
    await turns();
    reset.exchange.reset();
    await turns();
    pair.exchanges[1]?.read(record(pair.events, () => exchange));
    await turns();
    assert.deepEqual(pair.events.slice(3), ['close remote-reset maybe']);
  });

  it('sends no body where none may be: HEAD, 204 and 304', async () => {
    const statuses = [200, 204, 304];
    const pair = await openPair((exchange) => {
      exchange.read(record(pair.events, () => exchange));
      exchange.respond({ status: statuses.shift() ?? 500, headers: headers({ 'content-length': '5' }) }, false);
      assert.equal(exchange.write(Buffer.from('hello')), writeResult.done);
      exchange.end();
    });
    const sent = [send(pair.client, head({ method: 'HEAD' })), send(pair.client, head()), send(pair.client, head())];
    await turns();
    assert.deepEqual(
      sent.map(({ events }) => events),
      [
        ['response 200 ends', 'close ok'],
        ['response 204 ends', 'close ok'],
        ['response 304 ends', 'close ok'],
      ],
    );
  });

  it('makes a tunnel of CONNECT', async () => {
    const pair = await openPair((exchange) => {
      exchange.read(record(pair.events, () => exchange));
      exchange.respond({ status: 200, headers: headers({ 'content-length': '1' }) }, false);
    });
    const sent = send(pair.client, head({ method: 'CONNECT', authority: 'db:5432', path: '' }), false);
    await turns();
    sent.exchange.write(Buffer.from('ping'));
    pair.exchanges[0]?.write(Buffer.from('pong'));
    await turns();
    sent.exchange.end();
    pair.exchanges[0]?.end();
    await turns();
    assert.equal(pair.exchanges[0]?.request.path, '');
    assert.deepEqual(pair.events, ['data ping', 'end', 'close ok']);
    assert.deepEqual(sent.events, ['response 200', 'data pong', 'end', 'close ok']);
  });

  it('carries WebSocket as extended CONNECT, and shows both ends the handshake of HTTP/1.1', async () => {
    const pair = await openPair(
      (exchange) => {
        exchange.read(record(pair.events, () => exchange));
        exchange.respond(
          { status: 101, headers: headers({ 'sec-websocket-accept': 'ours', 'sec-websocket-protocol': 'chat' }) },
          false,
        );
      },
      { extendedConnect: true },
    );
    const sent = send(
      pair.client,
      head({
        upgrade: 'websocket',
        path: '/chat',
        headers: headers({ 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13' }),
      }),
      false,
    );
    await turns();
    const request = pair.exchanges[0]?.request as RequestHead;
    assert.deepEqual([request.method, request.upgrade, request.path], ['GET', 'websocket', '/chat']);
    const key = request.headers.get('sec-websocket-key');
    assert.equal(Buffer.from(key ?? '', 'base64').length, 16);
    assert.notEqual(key, 'dGhlIHNhbXBsZSBub25jZQ==');
    assert.equal(sent.response?.status, 101);
    // The example of RFC 6455 section 1.3.
    assert.equal(sent.response.headers.get('sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    assert.equal(sent.response.headers.get('sec-websocket-protocol'), 'chat');
    sent.exchange.write(Buffer.from('frame'));
    pair.exchanges[0]?.write(Buffer.from('emarf'));
    await turns();
    assert.deepEqual(pair.events, ['data frame']);
    assert.deepEqual(sent.events, ['response 101', 'data emarf']);
  });

  it('says 502 where the answer to a WebSocket handshake would be taken for a tunnel, and passes refusals', async () => {
    const statuses = [200, 403];
    const pair = await openPair(
      (exchange) => {
        exchange.read(record(pair.events, () => exchange));
        exchange.respond({ status: statuses.shift() ?? 500, headers: headers() }, false);
        exchange.write(Buffer.from('no'));
        exchange.end();
      },
      { extendedConnect: true },
    );
    const sent = [1, 2].map(() => send(pair.client, head({ upgrade: 'websocket' }), false));
    await turns();
    assert.deepEqual(sent[0]?.events, ['response 502 ends']);
    assert.deepEqual(sent[1]?.events, ['response 403', 'data no', 'end']);
  });

  it('refuses extended CONNECT unless it is allowed, and does not try it with servers that never offered it', async () => {
    const { peer } = openRaw();
    peer.headers(1, { ...get, ':method': 'CONNECT', ':protocol': 'websocket' });
    await turns();
    assert.equal(peer.heads()[0]?.fields?.get(':status'), '400');
    const pair = await openPair();
    const sent = send(pair.client, head({ upgrade: 'websocket' }), false);
    await turns();
    assert.deepEqual(sent.events, ['close protocol-error no']);
  });

  it('joins the crumbs of a cookie', async () => {
    const { peer, exchanges } = openRaw();
    const block = [get, { cookie: 'a=1' }, { x: 'y' }, { cookie: 'b=2' }, { cookie: 'c=3' }].map((part) =>
      peer.block(part),
    );
    peer.send(rawFrame(frameType.headers, endHeaders | endStream, 1, Buffer.concat(block)));
    await turns();
    assert.deepEqual(exchanges[0]?.request.headers.fields, ['cookie', 'a=1; b=2; c=3', 'x', 'y']);
  });

  it('takes Host for a missing :authority, and both when they agree', async () => {
    const { peer, exchanges, bad } = openRaw();
    peer.headers(1, { ':method': 'GET', ':scheme': 'http', ':path': '/', host: 'b' });
    peer.headers(3, { ...get, ':authority': 'A.b', host: 'a.B' });
    peer.headers(5, { ...get, host: 'b' });
    peer.headers(7, { ':method': 'GET', ':scheme': 'http', ':path': '/' });
    await turns();
    assert.deepEqual(
      exchanges.map(({ request }) => [request.authority, request.headers.size]),
      [
        ['b', 0],
        ['A.b', 0],
      ],
    );
    assert.deepEqual(bad, [
      { status: 400, problem: 'host names another authority' },
      { status: 400, problem: 'no :authority' },
    ]);
  });

  const malformed: [string, Record<string, string>][] = [
    ['a path with a space', { ...get, ':path': '/a b' }],
    ['a path that does not begin with a slash', { ...get, ':path': 'a' }],
    ['a path with a fragment', { ...get, ':path': '/a#b' }],
    ['an authority with a port that is none', { ...get, ':authority': 'a:b' }],
    ['a star for another method', { ...get, ':path': '*' }],
    ['an authority with a slash', { ...get, ':authority': 'a/b' }],
    ['an authority with a user', { ...get, ':authority': 'u@b' }],
    ['an authority with a space', { ...get, ':authority': 'a b' }],
    ['an empty authority', { ...get, ':authority': '' }],
    ['a foreign scheme', { ...get, ':scheme': 'ftp' }],
    ['a method that is no token', { ...get, ':method': 'GE T' }],
    ['a content-length that is no number', { ...get, 'content-length': '+1' }],
    ['upgrade', { ...get, upgrade: 'h2c' }],
    ['keep-alive', { ...get, 'keep-alive': '1' }],
    ['proxy-connection', { ...get, 'proxy-connection': 'close' }],
  ];
  for (const [name, fields] of malformed) {
    it(`answers 400 to ${name}`, async () => {
      const { peer, exchanges, bad } = openRaw();
      peer.headers(1, fields);
      await turns();
      assert.equal(peer.heads()[0]?.fields?.get(':status'), '400');
      assert.equal(exchanges.length, 0);
      assert.equal(bad[0]?.status, 400);
    });
  }

  it('answers 400 to a forbidden field each time, also where it comes from the table of the connection', async () => {
    const { peer, exchanges } = openRaw();
    for (const id of [1, 3]) peer.headers(id, { ...get, 'x-a': 'b\nc' });
    peer.headers(5, get);
    for (const id of [7, 9]) peer.headers(id, { ...get, 'X-Up': 'b' });
    await turns();
    assert.deepEqual(
      peer.heads().map(({ streamId, fields }) => [streamId, fields?.get(':status')]),
      [1, 3, 7, 9].map((id) => [id, '400']),
    );
    assert.equal(exchanges.length, 1);
  });

  it('answers 400 to two lengths, even equal ones', async () => {
    const { peer, exchanges } = openRaw();
    const block = [{ ...get, 'content-length': '1' }, { 'content-length': '1' }].map((part) => peer.block(part));
    peer.send(rawFrame(frameType.headers, endHeaders, 1, Buffer.concat(block)));
    await turns();
    assert.equal(peer.heads()[0]?.fields?.get(':status'), '400');
    assert.equal(exchanges.length, 0);
  });

  it('answers 431 to more fields than it takes, crumbs counted as one', async () => {
    const { peer, exchanges, bad } = openRaw(undefined, { maxHeaderCount: 2 });
    peer.headers(1, { ...get, a: '1', b: '2', c: '3' }).headers(3, { ...get, a: '1', b: '2' });
    await turns();
    assert.equal(peer.heads()[0]?.fields?.get(':status'), '431');
    assert.equal(exchanges.length, 1);
    assert.equal(bad[0]?.status, 431);
  });

  it('never sends fields of one hop, nor Host beside :authority', async () => {
    const { peer, client } = await openRawServer();
    send(
      client,
      head({
        headers: headers({
          host: 'x',
          connection: 'a',
          'keep-alive': 'b',
          upgrade: 'c',
          'transfer-encoding': 'd',
          e: 'f',
        }),
      }),
    );
    await turns();
    assert.equal(peer.heads()[0]?.fields?.fields.join(' '), ':method GET :scheme http :authority a :path / e f');
  });

  it('tells why an exchange ended early and whether it may be sent again', async () => {
    const { peer, client } = await openRawServer();
    const sent = Array.from({ length: 6 }, () => send(client, head({ method: 'POST' }), false));
    await turns();
    peer.send(rawFrame(frameType.rstStream, 0, 1, uint32(7)));
    peer.send(rawFrame(frameType.rstStream, 0, 3, uint32(2)));
    peer.headers(5, { 'no-status': '1' });
    sent[3]?.exchange.reset();
    await turns();
    peer.send(rawFrame(frameType.goaway, 0, 0, uint32(9, 0)));
    await turns();
    peer.end();
    await turns();
    assert.deepEqual(
      sent.map(({ events }) => events),
      [
        ['close refused no'],
        ['close remote-reset maybe'],
        ['close protocol-error maybe'],
        ['close local-reset maybe'],
        ['close connection-termination maybe'],
        ['close refused no'],
      ],
    );
  });

  it('blames the peer of a broken connection', async () => {
    const { peer, client } = await openRawServer();
    const sent = send(client, head());
    await turns();
    peer.send(rawFrame(frameType.pushPromise, endHeaders, 1, uint32(2)));
    await turns();
    assert.deepEqual(sent.events, ['close protocol-error maybe']);
  });

  it('is content with an answer that is whole before the request is', async () => {
    const { peer, client } = await openRawServer();
    const sent = send(client, head({ method: 'POST' }), false);
    await turns();
    peer.headers(1, { ':status': '413' }, endHeaders | endStream).send(rawFrame(frameType.rstStream, 0, 1, uint32(0)));
    await turns();
    assert.deepEqual(sent.events, ['response 413 ends', 'close ok']);
  });

  it('holds an answer to its content-length', async () => {
    const { peer, client } = await openRawServer();
    const sent = [
      ...[1, 2, 3].map(() => send(client, head())),
      send(client, head({ method: 'HEAD' })),
      send(client, head({ method: 'HEAD' })),
    ];
    await turns();
    peer.headers(1, { ':status': '200', 'content-length': '2' }).send(rawFrame(0, 0, 1, Buffer.from('abc')));
    peer.headers(3, { ':status': '200', 'content-length': '2' }).send(rawFrame(0, endStream, 3, Buffer.from('a')));
    peer.headers(5, { ':status': '200', 'content-length': '2' }, endHeaders | endStream);
    peer.headers(7, { ':status': '200', 'content-length': '2' }, endHeaders | endStream);
    peer.headers(9, { ':status': '200' }).send(rawFrame(0, endStream, 9, Buffer.from('a')));
    await turns();
    assert.deepEqual(
      sent.map(({ events }) => events),
      [
        ['response 200', 'close protocol-error maybe'],
        ['response 200', 'data a', 'close protocol-error maybe'],
        ['close protocol-error maybe'],
        ['response 200 ends', 'close ok'],
        ['response 200', 'close protocol-error maybe'],
      ],
    );
  });

  it('gives an exchange up with the code that says why', async () => {
    const { peer, exchanges } = openRaw();
    for (const id of [1, 3, 5, 7]) peer.headers(id, get);
    peer.headers(9, { ':method': 'CONNECT', ':authority': 'a:1' });
    await turns();
    exchanges[0]?.reset();
    exchanges[1]?.reset(new ExchangeError('refused', 'not seen', { sent: 'no' }));
    exchanges[2]?.respond({ status: 200, headers: headers() }, false);
    exchanges[2]?.reset(new ExchangeError('refused', 'not seen', { sent: 'no' }));
    exchanges[3]?.respond({ status: 200, headers: headers() }, true);
    exchanges[3]?.reset();
    exchanges[4]?.reset();
    await turns();
    assert.deepEqual(
      [1, 3, 5, 7, 9].map((id) => peer.reset(id)),
      ['internalError', 'refusedStream', 'internalError', 'noError', 'connectError'],
    );
  });

  it('wants no more of a request that is answered, once the answer is sent', async () => {
    const { peer, exchanges } = openRaw((exchange) => exchange.read(record([], () => exchange)));
    peer.send(rawFrame(frameType.settings, 0, 0, [0, 4, 0, 0, 0, 3]));
    for (const id of [1, 3, 5]) peer.headers(id, get);
    await turns();
    for (const exchange of exchanges) {
      exchange.respond({ status: 200, headers: headers() }, false);
      exchange.write(Buffer.from('abcd'));
      exchange.end();
    }
    // The rest of one comes in the same turn, and one gets a window for its answer.
    peer
      .send(rawFrame(0, endStream, 1))
      .send(rawFrame(8, 0, 1, uint32(1)))
      .send(rawFrame(8, 0, 3, uint32(1)));
    await turns();
    assert.deepEqual(
      [1, 3, 5].map((id) => peer.reset(id)),
      [undefined, 'noError', undefined],
    );
    assert.equal(Buffer.concat(peer.of('data', 3).map(({ payload }) => payload)).toString(), 'abcd');
  });

  it('leaves each half of a tunnel its own end', async () => {
    const { peer, exchanges } = openRaw((exchange) => exchange.read(record([], () => exchange)));
    peer.headers(1, { ':method': 'CONNECT', ':authority': 'a:1' });
    await turns();
    exchanges[0]?.respond({ status: 200, headers: headers() }, false);
    exchanges[0]?.end();
    await turns();
    assert.equal(peer.reset(1), undefined);
  });

  it('says when there is room again', async () => {
    const pair = await openPair((exchange) => exchange.respond({ status: 200, headers: headers() }, false));
    let received = 0;
    let exchange: ClientExchange | undefined;
    const reader: ClientExchangeReader = {
      ...record([], () => undefined),
      onInformational() {},
      onResponse() {},
      onData: (bytes) => void (received += bytes.length),
    };
    exchange = pair.client.request(head(), true, reader);
    await turns();
    const served = pair.exchanges[0] as ServerExchange;
    served.read(record(pair.events, () => served));
    assert.equal(served.write(Buffer.alloc(100_000)), writeResult.full);
    await turns();
    assert.deepEqual(pair.events, []);
    exchange.credit(received);
    await turns();
    assert.deepEqual(pair.events, ['drain']);
    assert.equal(received, 100_000);
  });

  it('drains: running exchanges end, new ones are not taken, nothing is lost', async () => {
    const pair = await openPair((exchange) => exchange.read(record(pair.events, () => exchange)));
    const sent = send(pair.client, head());
    await turns();
    pair.server.drain();
    await turns();
    assert.equal(pair.client.canOpen, false);
    pair.exchanges[0]?.respond({ status: 200, headers: headers() }, true);
    await turns();
    assert.deepEqual(sent.events, ['response 200 ends', 'close ok']);
    assert.deepEqual(pair.events.toSorted(), ['client closed ok', 'close ok', 'server closed ok']);
    assert.equal(pair.clock.pending, 0);
  });
});

describe('HTTP/2 requests, floods', () => {
  const answer = (exchange: ServerExchange): void => {
    exchange.read(record([], () => exchange));
    exchange.respond({ status: 200, headers: headers() }, true);
  };

  it('bears resets of answered requests without end', async () => {
    const { peer } = openRaw(answer);
    for (let i = 0; i < 3000; i++) {
      peer.headers(2 * i + 1, get).send(rawFrame(frameType.rstStream, 0, 2 * i + 1, uint32(8)));
    }
    await turns();
    assert.equal(peer.goaway, undefined);
  });

  it('bears a client that gives up one request of ten, however many there are', async () => {
    const { peer, exchanges } = openRaw((exchange) => {
      exchange.read(record([], () => exchange));
      if (exchanges.length % 10 !== 0) exchange.respond({ status: 200, headers: headers() }, true);
    });
    for (let i = 0; i < 30_000; i++) {
      const id = 2 * i + 1;
      peer.headers(id, get, endHeaders | endStream);
      if ((i + 1) % 10 === 0) peer.send(rawFrame(frameType.rstStream, 0, id, uint32(8)));
    }
    await turns();
    assert.equal(exchanges.length, 30_000);
    assert.equal(peer.goaway, undefined);
  });

  it('ends a flood of resets that informational answers came before', async () => {
    const { peer } = openRaw((exchange) => exchange.sendInformational({ status: 100, headers: headers() }));
    for (let i = 0; i < 3000; i++) {
      peer.headers(2 * i + 1, get).send(rawFrame(frameType.rstStream, 0, 2 * i + 1, uint32(8)));
    }
    await turns();
    assert.equal(peer.goaway, 'enhanceYourCalm');
  });
});
