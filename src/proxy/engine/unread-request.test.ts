import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRoutes } from '../../decision/routes/index.ts';
import { serveHttp1 } from '../../http/h1/index.ts';
import { frameFlag, frameType } from '../../http/h2/constants.ts';
import { serveHttp2 } from '../../http/h2/index.ts';
import { RawPeer, rawFrame } from '../../http/h2/raw-peer.ts';
import { memoryChannelPair, type ByteChannel } from '../../net/index.ts';
import { connection, openBench, reviewsService } from '../telemetry/telemetry-fixtures.ts';
import { engineBench } from './engine-fixtures.ts';
import { createHttpEntry } from './http-entry.ts';
import type { HttpPlace } from './place.ts';

const turns = async (): Promise<void> => {
  for (let i = 0; i < 12; i++) await new Promise((resolve) => void setImmediate(resolve));
};

const template =
  'code=%RESPONSE_CODE% flags=%RESPONSE_FLAGS% details=%RESPONSE_CODE_DETAILS% "%REQ(:METHOD)% %PROTOCOL%" ' +
  '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %DOWNSTREAM_PEER_URI_SAN% reason=%AMBIT_REASON%';

interface Served {
  readonly client: ByteChannel;
  /** Serves another connection at the same place. */
  readonly again: () => ByteChannel;
  readonly lines: () => Promise<string[]>;
  readonly counted: () => string[];
}

/** A connection at a waypoint, for a Service, with metrics and a log. */
function served(version: 'http/1.1' | 'http/2', find?: (place: HttpPlace) => HttpPlace | undefined): Served {
  const telemetry = openBench();
  const settings = { accessLog: { kind: 'text' as const, template } };
  const filter = telemetry.telemetry.filter.build(telemetry.place({ settings }));
  assert.ok(filter);
  const engine = engineBench();
  const place: HttpPlace = { ...engine.place, service: reviewsService, filters: [filter] };
  const again = (): ByteChannel => {
    const [client, channel] = memoryChannelPair();
    const placeOf = (): HttpPlace | undefined => (find ? find(place) : place);
    const { listener } = createHttpEntry({
      services: place.services,
      connection,
      version,
      placeOf,
      trust: 'mesh',
      onBadRequest() {},
      onClose() {},
    });
    const { clock } = engine;
    if (version === 'http/2') serveHttp2(channel, { listener, clock });
    else serveHttp1(channel, { listener, clock, scheme: 'http' });
    return client;
  };
  return {
    client: again(),
    again,
    lines: async () => (await telemetry.logged()).join('').split('\n').slice(0, -1),
    counted: () => telemetry.lines('istio_requests_total'),
  };
}

/** Reads and drops what comes. */
function listen(channel: ByteChannel): void {
  channel.read({
    neverKeeps: true,
    onData: (bytes) => {
      channel.credit(bytes.length);
      return false;
    },
    onEnd: () => channel.end(),
    onDrain() {},
    onClose() {},
  });
}

const from = '10.244.1.5:40000 spiffe://cluster.local/ns/web/sa/front';
const host = 'Host: reviews\r\n';
const http1: readonly (readonly [string, string, string])[] = [
  [
    'without a host',
    'GET / HTTP/1.1\r\n\r\n',
    `code=400 flags=DPE details=http1.codec_error "- HTTP/1.1" ${from} reason=the request is not valid HTTP/1.1: There is no Host`,
  ],
  [
    'with a head that is too large',
    `GET / HTTP/1.1\r\n${host}A: ${'a'.repeat(70_000)}\r\n\r\n`,
    `code=431 flags=DPE details=http1.headers_too_large "- HTTP/1.1" ${from} reason=the head of the request is too large: Head of more than 61440 bytes`,
  ],
  [
    'of an unknown version',
    `GET / HTTP/3.0\r\n${host}\r\n`,
    `code=505 flags=DPE details=http1.codec_error "- HTTP/1.1" ${from} reason=the request asks for what is not served: The version is neither HTTP/1.0 nor HTTP/1.1`,
  ],
  [
    'of an old version',
    `GET / HTTP/1.0\r\n${host}\r\n`,
    `code=426 flags=DPE details=low_version "- HTTP/1.1" ${from} reason=the client's version is too old: HTTP/1.0 is not served`,
  ],
];

for (const [name, bytes, line] of http1) {
  test(`a request ${name} leaves a line and is counted`, async () => {
    const { client, lines, counted } = served('http/1.1');
    listen(client);
    client.write(Buffer.from(bytes));
    await turns();
    const code = /code=(\d+)/.exec(line)?.[1] ?? '';
    const series = counted();
    assert.equal(series.length, 1);
    const [one = ''] = series;
    for (const label of [
      'reporter="waypoint"',
      'source_workload="front"',
      'source_principal="spiffe://cluster.local/ns/web/sa/front"',
      'connection_security_policy="mutual_tls"',
      'destination_service="reviews.shop.svc.cluster.local"',
      'destination_workload="unknown"',
      'response_flags="DPE"',
      `response_code="${code}"`,
    ]) {
      assert.ok(one.includes(label), `${label} in ${one}`);
    }
    assert.match(one, /} 1$/);
    assert.deepEqual(await lines(), [line]);
    client.reset();
  });
}

test('a request whose body is malformed has the one line that says so', async () => {
  const { client, lines, counted } = served('http/1.1');
  listen(client);
  client.write(Buffer.from(`POST /a HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nno chunk\r\n`));
  await turns();
  const [one = '', ...others] = counted();
  assert.match(one, /response_code="400".*response_flags="DPE".* 1$/);
  assert.deepEqual(others, []);
  assert.match(
    (await lines()).join('\n'),
    /^code=400 flags=DPE details=downstream_protocol_error "POST HTTP\/1.1" .* reason=the client sent a malformed request: [^\n]+$/,
  );
  client.reset();
});

test('what is wrong behind a request that was answered is no request of its own', async () => {
  const { client, lines, counted } = served('http/1.1', (place) => ({
    ...place,
    routes: compileRoutes({ ...place.table, hosts: [] }),
  }));
  listen(client);
  client.write(Buffer.from(`POST /a HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`));
  await turns();
  client.write(Buffer.from('no chunk\r\n'));
  await turns();
  assert.equal(counted().length, 1);
  assert.match((await lines()).join('\n'), /^code=404 flags=NR details=route_not_found "POST HTTP\/1.1" [^\n]*$/);
  client.reset();
});

test('malformed heads of HTTP/2 leave a line each, and the connection goes on', async () => {
  const { client, lines, counted } = served('http/2');
  const peer = new RawPeer(client, { skipPreface: false }).greet(true);
  const whole = frameFlag.endHeaders | frameFlag.endStream;
  const good = { ':method': 'GET', ':scheme': 'http', ':authority': 'a', ':path': '/' };
  peer.headers(1, { ...good, connection: 'close' }, whole);
  peer.headers(3, { ...good, ':path': 'nowhere' }, whole);
  await turns();
  assert.deepEqual(
    peer.heads().map(({ fields }) => fields?.get(':status')),
    ['400', '400'],
  );
  assert.equal(peer.goaway, undefined);
  const [one = '', ...others] = counted();
  assert.match(one, /response_code="400".*response_flags="DPE".* 2$/);
  assert.deepEqual(others, []);
  const reason = 'reason=the request is not valid HTTP/2: ';
  const start = `code=400 flags=DPE details=http2.violation.of.messaging.rule "- HTTP/2" ${from} ${reason}`;
  assert.deepEqual(await lines(), [`${start}a connection-specific field`, `${start}:path is no path`]);
  client.reset();
});

test('a connection that breaks HTTP/2 leaves one line and is counted, or the requests under way do', async () => {
  const { client, again, lines, counted } = served('http/2');
  const undecodable = rawFrame(frameType.headers, frameFlag.endHeaders, 1, Buffer.alloc(6, 0xff));
  new RawPeer(client, { skipPreface: false }).greet(true).send(undecodable);
  await turns();
  const [one = '', ...others] = counted();
  assert.match(one, /response_code="0".*response_flags="DPE".* 1$/);
  assert.deepEqual(others, []);
  const flood = new RawPeer(again(), { skipPreface: false }).greet(true);
  for (let i = 0; i < 2000; i++) flood.send(rawFrame(frameType.ping, 0, 0, Buffer.alloc(8)));
  await turns();
  const start = `code=0 flags=DPE details=http2.codec_error "- HTTP/2" ${from} reason=the connection is not valid HTTP/2: `;
  assert.deepEqual(await lines(), [
    `${start}Cannot decode header block: integer is too large`,
    `${start}Peer sends too many PING frames`,
  ]);
  const busy = new RawPeer(again(), { skipPreface: false }).greet(true);
  busy.headers(1, { ':method': 'POST', ':scheme': 'http', ':authority': 'a', ':path': '/' });
  await turns();
  busy.send(rawFrame(frameType.headers, frameFlag.endHeaders, 3, Buffer.alloc(6, 0xff)));
  await turns();
  const [last = '', ...more] = (await lines()).slice(2);
  assert.match(last, /^code=0 flags=DPE details=downstream_protocol_error "POST HTTP\/2" .*Cannot decode header block/);
  assert.deepEqual(more, []);
});

test("a connection that ends in order, or falls silent, is nobody's mistake", async () => {
  const { client, again, lines, counted } = served('http/2');
  const peer = new RawPeer(client, { skipPreface: false }).greet(true);
  await turns();
  peer.send(rawFrame(frameType.goaway, 0, 0, Buffer.alloc(8))).end();
  const cut = again();
  new RawPeer(cut, { skipPreface: false }).greet(true);
  await turns();
  cut.reset();
  await turns();
  assert.deepEqual([await lines(), counted()], [[], []]);
});

test('a flood of malformed requests makes one series, whatever clients write', async () => {
  const { again, lines, counted } = served('http/1.1');
  for (let i = 0; i < 200; i++) {
    const client = again();
    listen(client);
    client.write(Buffer.from(`GET /${i} HTTP/1.1\r\nX-Request-Id: ${i}\r\nUser-Agent: a${i}\r\n\r\n`));
    await turns();
    client.reset();
  }
  assert.equal(counted().length, 1);
  assert.match(counted()[0] ?? '', / 200$/);
  assert.equal((await lines()).length, 200);
});

test('a request whose place is gone, or is another connection, leaves a line where somebody else can say so', async () => {
  let asked = 0;
  const { client, lines, counted } = served('http/1.1', (place) => (asked++ === 0 ? place : undefined));
  listen(client);
  const request = `GET /a HTTP/1.1\r\n${host}Upgrade: h3\r\nConnection: upgrade\r\n\r\n`;
  client.write(Buffer.from(request));
  await turns();
  client.write(Buffer.from(request));
  await turns();
  assert.equal(counted().length, 2);
  const [first = '', second = ''] = await lines();
  assert.match(first, /^code=403 /);
  assert.match(second, /^code=404 flags=NR details=route_not_found "GET HTTP\/1.1" /);
  client.reset();
});
