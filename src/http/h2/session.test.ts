import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createFakeClock, type FakeClock } from '../../lib/fake-clock.ts';
import { memoryChannelPair } from '../../net/memory-channel.ts';
import { writeResult } from '../../net/channel.ts';
import { HeaderList } from '../header-list.ts';
import { connectionPreface, frameFlag, frameType } from './constants.ts';
import { Http2Session, type Http2Limits, type Http2Stream, type StreamHandler } from './index.ts';
import { rawFrame, RawPeer, turns, uint32 } from './raw-peer.ts';

interface ServerSide {
  readonly peer: RawPeer;
  readonly session: Http2Session;
  readonly clock: FakeClock;
  readonly streams: Http2Stream[];
  readonly events: string[];
  /** Bytes that arrived and were not credited. */
  readonly received: Map<number, number>;
}

const get = { ':method': 'GET', ':scheme': 'http', ':path': '/', ':authority': 'a' };
const { endHeaders, endStream, padded, priority } = frameFlag;

function recorder(events: string[], id: () => number, received = new Map<number, number>()): StreamHandler {
  return {
    onHeaders: (headers, end) => void events.push(`headers ${headers.get(':status')}${end ? ' end' : ''}`),
    onData(bytes) {
      received.set(id(), (received.get(id()) ?? 0) + bytes.length);
      return false;
    },
    onEnd: (trailers) => void events.push(`end ${id()}${trailers ? ' trailers' : ''}`),
    onDrain: () => void events.push(`drain ${id()}`),
    onClose: (error) => void events.push(`close ${id()} ${(error as { code?: string } | undefined)?.code ?? 'ok'}`),
  };
}

function openServer(limits: Partial<Http2Limits> = {}): ServerSide {
  const [near, far] = memoryChannelPair({ highWaterBytes: 16 << 20 });
  const clock = createFakeClock();
  const streams: Http2Stream[] = [];
  const events: string[] = [];
  const received = new Map<number, number>();
  const session = new Http2Session({
    role: 'server',
    channel: near,
    clock,
    limits,
    handler: {
      onRequest(stream) {
        streams.push(stream);
        return recorder(events, () => stream.id, received);
      },
      onClose: (error) => void events.push(`closed ${(error as { code?: string } | undefined)?.code ?? 'ok'}`),
    },
  });
  session.start();
  return { peer: new RawPeer(far, { skipPreface: false }), session, clock, streams, events, received };
}

/** A client session whose peer has greeted. */
async function openClient(limits: Partial<Http2Limits> = {}): Promise<Omit<ServerSide, 'streams' | 'received'>> {
  const [near, far] = memoryChannelPair({ highWaterBytes: 16 << 20 });
  const clock = createFakeClock();
  const events: string[] = [];
  const session = new Http2Session({
    role: 'client',
    channel: near,
    clock,
    limits,
    handler: {
      onClose: (error) => void events.push(`closed ${(error as { code?: string } | undefined)?.code ?? 'ok'}`),
    },
  });
  session.start();
  const peer = new RawPeer(far, { skipPreface: true }).greet(false);
  await turns();
  return { peer, session, clock, events };
}

const request = (session: Http2Session, events: string[]): Http2Stream => {
  const stream: Http2Stream = session.openStream(
    HeaderList.from(get),
    false,
    recorder(events, () => stream.id),
  );
  return stream;
};

describe('HTTP/2 server session, hostile peers', () => {
  it('refuses a peer that does not speak HTTP/2', async () => {
    const { peer } = openServer();
    peer.send(Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'));
    await turns();
    assert.equal(peer.goaway, 'protocolError');
    assert.ok(peer.closed);
  });

  it('wants SETTINGS first', async () => {
    const { peer } = openServer();
    peer.send(connectionPreface).send(rawFrame(frameType.ping, 0, 0, Buffer.alloc(8)));
    await turns();
    assert.equal(peer.goaway, 'protocolError');
  });

  const connectionErrors: [string, string, (peer: RawPeer) => unknown][] = [
    ['DATA on stream 0', 'protocolError', (p) => p.send(rawFrame(0, 0, 0, [1]))],
    ['DATA on an idle stream', 'protocolError', (p) => p.send(rawFrame(0, 0, 5, [1]))],
    ['HEADERS on stream 0', 'protocolError', (p) => p.headers(0, get)],
    ['HEADERS on an even stream', 'protocolError', (p) => p.headers(2, get)],
    ['RST_STREAM on an idle stream', 'protocolError', (p) => p.send(rawFrame(3, 0, 7, uint32(8)))],
    ['RST_STREAM of a wrong length', 'frameSizeError', (p) => p.headers(1, get).send(rawFrame(3, 0, 1, [0]))],
    ['WINDOW_UPDATE on an idle stream', 'protocolError', (p) => p.send(rawFrame(8, 0, 7, uint32(8)))],
    ['WINDOW_UPDATE of 0', 'protocolError', (p) => p.send(rawFrame(8, 0, 0, uint32(0)))],
    ['WINDOW_UPDATE of a wrong length', 'frameSizeError', (p) => p.send(rawFrame(8, 0, 0, [0]))],
    ['connection window overflow', 'flowControlError', (p) => p.send(rawFrame(8, 0, 0, uint32(0x7fff_ffff)))],
    ['SETTINGS on a stream', 'protocolError', (p) => p.send(rawFrame(4, 0, 1))],
    ['SETTINGS of a wrong length', 'frameSizeError', (p) => p.send(rawFrame(4, 0, 0, [1, 2, 3]))],
    ['SETTINGS ack with a payload', 'frameSizeError', (p) => p.send(rawFrame(4, 1, 0, Buffer.alloc(6)))],
    ['SETTINGS_ENABLE_PUSH 2', 'protocolError', (p) => p.send(rawFrame(4, 0, 0, [0, 2, 0, 0, 0, 2]))],
    ['SETTINGS_MAX_FRAME_SIZE 1', 'protocolError', (p) => p.send(rawFrame(4, 0, 0, [0, 5, 0, 0, 0, 1]))],
    ['SETTINGS_INITIAL_WINDOW_SIZE 2^31', 'flowControlError', (p) => p.send(rawFrame(4, 0, 0, [0, 4, 0x80, 0, 0, 0]))],
    ['PING on a stream', 'protocolError', (p) => p.send(rawFrame(6, 0, 1, Buffer.alloc(8)))],
    ['PING of a wrong length', 'frameSizeError', (p) => p.send(rawFrame(6, 0, 0, [1]))],
    ['GOAWAY on a stream', 'protocolError', (p) => p.send(rawFrame(7, 0, 1, uint32(0, 0)))],
    ['PUSH_PROMISE', 'protocolError', (p) => p.headers(1, get).send(rawFrame(5, 4, 1, uint32(2)))],
    ['CONTINUATION from nowhere', 'protocolError', (p) => p.send(rawFrame(9, 4, 1))],
    [
      'a header block interrupted',
      'protocolError',
      (p) => p.headers(1, get, 0).send(rawFrame(6, 0, 0, Buffer.alloc(8))),
    ],
    ['CONTINUATION of another stream', 'protocolError', (p) => p.headers(1, get, 0).send(rawFrame(9, 4, 3))],
    ['a frame over the size limit', 'frameSizeError', (p) => p.send(rawFrame(0, 0, 1, Buffer.alloc(16_385)))],
    ['DATA with too much padding', 'protocolError', (p) => p.headers(1, get).send(rawFrame(0, padded, 1, [9, 1, 2]))],
    ['padded DATA without a pad length', 'frameSizeError', (p) => p.headers(1, get).send(rawFrame(0, padded, 1))],
    ['HEADERS with too much padding', 'protocolError', (p) => p.send(rawFrame(1, padded | endHeaders, 1, [9, 1]))],
    ['HEADERS with a cut-off priority', 'frameSizeError', (p) => p.send(rawFrame(1, priority | endHeaders, 1, [9, 1]))],
    ['PRIORITY on stream 0', 'protocolError', (p) => p.send(rawFrame(2, 0, 0, Buffer.alloc(5)))],
    [
      'a bad header block',
      'compressionError',
      (p) => p.send(rawFrame(1, endHeaders, 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
    ],
  ];
  for (const [name, code, attack] of connectionErrors) {
    it(`ends the connection for ${name}: ${code}`, async () => {
      const { peer, events } = openServer();
      peer.greet(true);
      attack(peer);
      await turns();
      assert.equal(peer.goaway, code);
      assert.ok(peer.closed);
      assert.ok(events.some((event) => event.startsWith('closed h2.')));
    });
  }

  const streamErrors: [string, string, (peer: RawPeer) => unknown][] = [
    [
      'DATA after END_STREAM',
      'streamClosed',
      (p) => p.headers(1, get, endHeaders | endStream).send(rawFrame(0, 0, 1, [1])),
    ],
    [
      'HEADERS after END_STREAM',
      'streamClosed',
      (p) => p.headers(1, get, endHeaders | endStream).headers(1, { a: 'b' }, 5),
    ],
    ['trailers without END_STREAM', 'protocolError', (p) => p.headers(1, get).headers(1, { a: 'b' })],
    ['pseudo fields in trailers', 'protocolError', (p) => p.headers(1, get).headers(1, get, 5)],
    ['WINDOW_UPDATE of 0 on it', 'protocolError', (p) => p.headers(1, get).send(rawFrame(8, 0, 1, uint32(0)))],
    ['a window overflow', 'flowControlError', (p) => p.headers(1, get).send(rawFrame(8, 0, 1, uint32(0x7fff_ffff)))],
    ['PRIORITY of a wrong length', 'frameSizeError', (p) => p.headers(1, get).send(rawFrame(2, 0, 1, [0]))],
    [
      'a stream that depends on itself',
      'protocolError',
      (p) => p.send(rawFrame(1, endHeaders | priority, 1, Buffer.concat([uint32(1), Buffer.of(0), p.block(get)]))),
    ],
    [
      'more body than content-length',
      'protocolError',
      (p) => p.headers(1, { ...get, 'content-length': '1' }).send(rawFrame(0, 0, 1, [1, 2])),
    ],
    [
      'less body than content-length',
      'protocolError',
      (p) => p.headers(1, { ...get, 'content-length': '3' }).send(rawFrame(0, 1, 1, [1, 2])),
    ],
    ['no method', 'protocolError', (p) => p.headers(1, { ':scheme': 'http', ':path': '/' })],
    ['CONNECT without authority', 'protocolError', (p) => p.headers(1, { ':method': 'CONNECT' })],
    [
      'CONNECT with a path',
      'protocolError',
      (p) => p.headers(1, { ':method': 'CONNECT', ':authority': 'a:1', ':path': '/' }),
    ],
    ['an upper-case name', 'protocolError', (p) => p.headers(1, { ...get, Foo: 'x' })],
    ['a line break in a value', 'protocolError', (p) => p.headers(1, { ...get, foo: 'x\r\ny' })],
    ['connection: close', 'protocolError', (p) => p.headers(1, { ...get, connection: 'close' })],
    ['transfer-encoding', 'protocolError', (p) => p.headers(1, { ...get, 'transfer-encoding': 'chunked' })],
    ['te: gzip', 'protocolError', (p) => p.headers(1, { ...get, te: 'gzip' })],
    ['an unknown pseudo field', 'protocolError', (p) => p.headers(1, { ...get, ':protocol': 'x' })],
    ['a response field in a request', 'protocolError', (p) => p.headers(1, { ...get, ':status': '200' })],
    [
      'a pseudo field behind a regular one',
      'protocolError',
      (p) => p.headers(1, { ':method': 'GET', a: 'b', ':path': '/', ':scheme': 'http' }),
    ],
  ];
  for (const [name, code, attack] of streamErrors) {
    it(`resets the stream alone for ${name}: ${code}`, async () => {
      const { peer, events } = openServer();
      peer.greet(true);
      attack(peer);
      peer.headers(9, get, endHeaders | endStream);
      await turns();
      assert.equal(peer.reset(1), code);
      assert.equal(peer.goaway, undefined);
      assert.ok(events.includes('end 9'));
    });
  }

  it('answers malformed requests 400 and too long ones 431', async () => {
    const { peer } = openServer({ maxHeaderListSize: 1000 });
    peer
      .greet(true)
      .headers(1, { ':method': 'CONNECT' })
      .headers(3, { ...get, long: 'x'.repeat(2000) })
      .headers(5, get);
    await turns();
    assert.deepEqual(
      peer.heads().map(({ streamId, fields }) => [streamId, fields?.get(':status')]),
      [
        [1, '400'],
        [3, '431'],
      ],
    );
  });

  const floods: [string, (peer: RawPeer, i: number) => unknown][] = [
    ['PING', (p) => p.send(rawFrame(6, 0, 0, Buffer.alloc(8)))],
    ['SETTINGS', (p) => p.send(rawFrame(4, 0, 0))],
    ['PRIORITY', (p) => p.send(rawFrame(2, 0, 1, Buffer.alloc(5)))],
    ['acknowledgements of SETTINGS', (p) => p.send(rawFrame(4, 1, 0))],
    ['acknowledgements of PING', (p, i) => p.send(rawFrame(6, 1, 0, Buffer.from(i % 2 ? 'ambit-ka' : 'ambit-gw')))],
    ['WINDOW_UPDATE', (p) => p.send(rawFrame(8, 0, 0, uint32(1)))],
    ['WINDOW_UPDATE of a stream', (p, i) => (i === 0 ? p.headers(1, get) : p.send(rawFrame(8, 0, 1, uint32(1))))],
    ['GOAWAY', (p, i) => (i === 0 ? p.headers(1, get) : p.send(rawFrame(7, 0, 0, uint32(0, 0))))],
    ['unknown frames', (p) => p.send(rawFrame(0xbe, 0, 0))],
    ['empty DATA', (p, i) => (i === 0 ? p.headers(1, get) : p.send(rawFrame(0, 0, 1)))],
    ['DATA of padding alone', (p, i) => (i === 0 ? p.headers(1, get) : p.send(rawFrame(0, padded, 1, [1, 0])))],
    ['rapid resets', (p, i) => p.headers(2 * i + 1, get).send(rawFrame(3, 0, 2 * i + 1, uint32(8)))],
    ['streams over the limit', (p, i) => p.headers(2 * i + 1, get)],
    ['malformed requests', (p, i) => p.headers(2 * i + 1, {})],
    ['window overflows', (p, i) => p.headers(2 * i + 1, get).send(rawFrame(8, 0, 2 * i + 1, uint32(0x7fff_ffff)))],
  ];
  for (const [name, attack] of floods) {
    it(`bears 800 and ends a flood of ${name}`, async () => {
      const { peer, streams } = openServer();
      peer.greet(true);
      for (let i = 0; i < 800; i++) attack(peer, i);
      await turns();
      assert.equal(peer.goaway, undefined);
      for (let i = 800; i < 1800; i++) attack(peer, i);
      await turns();
      assert.equal(peer.goaway, 'enhanceYourCalm');
      assert.ok(streams.length < 1200);
    });
  }

  it('ends a flood of frames on streams that were closed long ago', async () => {
    const { peer, streams } = openServer();
    peer.greet(true);
    // More than it remembers one by one, as ended and as reset.
    for (let i = 0; i < 400; i++) {
      peer.headers(2 * i + 1, get, endHeaders | endStream);
      await turns(2);
      streams[i]?.sendHeaders(HeaderList.from({ ':status': '200' }), true);
    }
    const attack = (i: number): unknown => peer.send(rawFrame(0, 0, 2 * (i % 330) + 1, [1]));
    for (let i = 0; i < 800; i++) attack(i);
    await turns();
    assert.equal(peer.goaway, undefined);
    for (let i = 800; i < 1800; i++) attack(i);
    await turns();
    assert.equal(peer.goaway, 'enhanceYourCalm');
  });

  it('bears a WINDOW_UPDATE for each stream and several for each frame of DATA, however many come', async () => {
    const { peer, streams } = openServer();
    peer.greet(true);
    for (let i = 0; i < 3000; i++) {
      const id = 2 * i + 1;
      peer.headers(id, get, endHeaders | endStream).send(rawFrame(8, 0, id, uint32(1000)));
      await turns(2);
      const stream = streams.at(-1);
      stream?.sendHeaders(HeaderList.from({ ':status': '200' }), i % 2 === 0);
      if (i % 2 === 0) continue;
      stream?.sendData(Buffer.alloc(10));
      for (let j = 0; j < 5; j++) {
        peer.send(rawFrame(8, 0, 0, uint32(2))).send(rawFrame(8, 0, id, uint32(2)));
      }
      await turns(2);
      stream?.end();
    }
    await turns();
    assert.equal(peer.goaway, undefined);
  });

  it('bears any of them in the long run when they come slowly', async () => {
    const { peer, clock } = openServer({ pingIntervalMs: 0 });
    peer.greet(true);
    for (let i = 0; i < 5000; i++) {
      peer.send(rawFrame(6, 0, 0, Buffer.alloc(8)));
      clock.advance(20);
      if (i % 100 === 0) await turns(2);
    }
    await turns();
    assert.equal(peer.goaway, undefined);
  });

  it('ends a header block over the limit, also where frames may be as long', async () => {
    const { peer } = openServer({ maxFrameSize: 256 * 1024 });
    // 200,000 times `:method: GET`, of one byte each.
    peer.greet(true).send(rawFrame(1, endHeaders, 1, Buffer.alloc(200_000, 0x82)));
    await turns();
    assert.equal(peer.goaway, 'enhanceYourCalm');
  });

  it('ends an endless header block', async () => {
    const { peer } = openServer();
    peer.greet(true).headers(1, get, 0);
    for (let i = 0; i < 100; i++) peer.send(rawFrame(9, 0, 1));
    await turns();
    assert.equal(peer.goaway, 'enhanceYourCalm');
  });

  it('refuses streams over its limit and takes more when some have ended', async () => {
    const { peer, streams } = openServer();
    peer.greet(true);
    for (let i = 0; i < 201; i++) peer.headers(2 * i + 1, get);
    await turns();
    assert.equal(streams.length, 200);
    assert.equal(peer.reset(401), 'refusedStream');
    peer.send(rawFrame(3, 0, 1, uint32(8))).headers(403, get);
    await turns();
    assert.equal(streams.length, 201);
  });

  it('ends a connection whose peer asks on and on and reads no answer, and holds no more than the limit until then', async () => {
    const [near, far] = memoryChannelPair({ highWaterBytes: 1000 });
    const events: string[] = [];
    const session = new Http2Session({
      role: 'server',
      channel: near,
      clock: createFakeClock(),
      limits: { maxUnreadBytes: 64 * 1024 },
      handler: {
        onRequest(stream) {
          stream.sendHeaders(HeaderList.from({ ':status': '404', 'x-long': 'x'.repeat(100) }), true);
          return recorder(events, () => stream.id);
        },
        onClose: (error) => void events.push(`closed ${(error as { code?: string } | undefined)?.code ?? 'ok'}`),
      },
    });
    session.start();
    far.pause();
    const peer = new RawPeer(far, { skipPreface: false }).greet(true);
    await turns();
    let asked = 0;
    for (; asked < 50_000 && session.usable; asked++) {
      peer.headers(2 * asked + 1, get, endHeaders | endStream);
      if (asked % 100 === 0) await turns(2);
      assert.ok(session.outbox.stagedBytes < 96 * 1024, `${session.outbox.stagedBytes} bytes are held`);
    }
    assert.ok(asked < 10_000, `${asked} requests were taken`);
    // From now on it reads.
    far.resume();
    await turns(200);
    assert.equal(peer.goaway, 'enhanceYourCalm');
    assert.ok(events.includes('closed h2.enhance-your-calm'));
  });

  it('survives any frames whatever', async () => {
    const frame = fc.record({
      type: fc.integer({ min: 0, max: 10 }),
      flags: fc.integer({ min: 0, max: 255 }),
      streamId: fc.integer({ min: 0, max: 6 }),
      payload: fc.uint8Array({ maxLength: 40 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 40 }), fc.integer({ min: 1, max: 50 }), async (frames, cut) => {
        const { peer, session } = openServer();
        peer.greet(true);
        const bytes = Buffer.concat(frames.map((f) => rawFrame(f.type, f.flags, f.streamId, f.payload)));
        for (let at = 0; at < bytes.length; at += cut) peer.send(bytes.subarray(at, at + cut));
        await turns(3);
        session.close();
        await turns(4);
        assert.ok(peer.closed);
        assert.equal(session.receiveWindow.heldBytes, 0);
      }),
      { seed: 7, numRuns: 150 },
    );
  });
});

describe('HTTP/2 flow control', () => {
  it('resets a stream that overruns its window, and the connection lives', async () => {
    const { peer } = openServer();
    peer.greet(true).headers(1, get);
    for (let i = 0; i < 5; i++) peer.send(rawFrame(0, 0, 1, Buffer.alloc(16_384)));
    peer.headers(3, get);
    await turns();
    assert.equal(peer.reset(1), 'flowControlError');
    assert.equal(peer.goaway, undefined);
  });

  it('ends a connection that overruns its window', async () => {
    const { peer } = openServer({ connectionWindow: 100_000, sessionHeldBytes: 0 });
    peer.greet(true);
    for (let i = 0; i < 2; i++) {
      peer.headers(2 * i + 1, get);
      for (let j = 0; j < 4; j++) peer.send(rawFrame(0, 0, 2 * i + 1, Buffer.alloc(16_384)));
    }
    await turns();
    assert.equal(peer.goaway, 'flowControlError');
  });

  it('gives window back at half, to the stream only for what the reader credited, and grows it while drained', async () => {
    const { peer, streams, received } = openServer();
    peer.greet(true).headers(1, get);
    const send = (): RawPeer => peer.send(rawFrame(0, 0, 1, Buffer.alloc(16_384)));
    send();
    send();
    await turns();
    assert.equal(received.get(1), 32_768);
    assert.deepEqual(peer.of('windowUpdate', 1), []);
    streams[0]?.credit(32_768);
    await turns();
    assert.equal(peer.of('windowUpdate', 1)[0]?.payload.readUInt32BE(0), 32_768);
    // The second half came at once (the clock stands still): the window doubles.
    send();
    send();
    await turns();
    streams[0]?.credit(32_768);
    await turns();
    assert.equal(peer.of('windowUpdate', 1)[1]?.payload.readUInt32BE(0), 32_768 + 65_536);
  });

  it('withholds connection window while readers hold more than the budget', async () => {
    const { peer, streams } = openServer({ connectionWindow: 128 * 1024, sessionHeldBytes: 32 * 1024 });
    peer.greet(true).headers(1, get).headers(3, get);
    await turns();
    const before = peer.of('windowUpdate', 0).length;
    for (let i = 0; i < 6; i++) peer.send(rawFrame(0, 0, 1 + 2 * (i % 2), Buffer.alloc(16_384)));
    await turns();
    assert.equal(peer.of('windowUpdate', 0).length, before);
    streams[0]?.credit(49_152);
    streams[1]?.credit(49_152);
    await turns();
    assert.equal(peer.of('windowUpdate', 0).at(-1)?.payload.readUInt32BE(0), 98_304);
  });

  it('counts padding and returns it', async () => {
    const { peer, session } = openServer();
    peer.greet(true).headers(1, get);
    for (let i = 0; i < 300; i++) peer.send(rawFrame(0, padded, 1, Buffer.concat([Buffer.of(255), Buffer.alloc(256)])));
    await turns();
    assert.equal(session.receiveWindow.heldBytes, 300);
    assert.equal(peer.reset(1), undefined);
  });

  it('forgets streams that are reset while they wait for the window of the connection', async () => {
    const { peer, session, streams } = openServer();
    peer.greet(true);
    for (let i = 0; i < 500; i++) {
      const id = 2 * i + 1;
      peer.headers(id, get);
      await turns(2);
      const stream = streams.at(-1);
      stream?.sendHeaders(HeaderList.from({ ':status': '200' }));
      stream?.sendData(Buffer.alloc(65_535));
      // The first one takes all of the window.
      if (i > 0) peer.send(rawFrame(3, 0, id, uint32(8)));
    }
    await turns();
    assert.equal(peer.goaway, undefined);
    assert.equal(session.activeStreams, 1);
    assert.equal(session.outbox.waiting, 0);
  });

  it('gives a little window of the connection to one stream after the other, in order', async () => {
    const { peer, streams, session } = openServer();
    peer.greet(true);
    for (const id of [1, 3, 5, 7]) peer.headers(id, get);
    await turns();
    for (const stream of streams) {
      stream.sendHeaders(HeaderList.from({ ':status': '200' }));
      stream.sendData(Buffer.alloc(stream.id === 1 ? 65_535 : 3));
    }
    await turns();
    assert.equal(session.outbox.waiting, 3);
    const before = peer.of('data').length;
    for (let i = 0; i < 9; i++) {
      peer.send(rawFrame(8, 0, 0, uint32(1)));
      await turns(3);
    }
    const after = peer.of('data').slice(before);
    assert.deepEqual(
      after.map(({ streamId }) => streamId),
      [3, 5, 7, 3, 5, 7, 3, 5, 7],
    );
    assert.ok(after.every(({ payload }) => payload.length === 1));
    assert.equal(session.outbox.waiting, 0);
  });

  it('keeps to the frame size of the SETTINGS that let it go on', async () => {
    const { peer, streams } = openServer();
    peer.send(connectionPreface).send(rawFrame(4, 0, 0, [0, 5, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0]));
    peer.send(rawFrame(8, 0, 0, uint32(1 << 20))).headers(1, get, endHeaders | endStream);
    await turns();
    streams[0]?.sendHeaders(HeaderList.from({ ':status': '200' }));
    streams[0]?.sendData(Buffer.alloc(200_000));
    await turns();
    assert.equal(peer.of('data').length, 0);
    // 16,384 bytes a frame, and a window of 1 MiB.
    peer.send(rawFrame(4, 0, 0, [0, 5, 0, 0, 0x40, 0, 0, 4, 0, 0x10, 0, 0]));
    await turns();
    const sizes = peer.of('data').map(({ payload }) => payload.length);
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      200_000,
    );
    assert.ok(Math.max(...sizes) <= 16_384, sizes.join());
  });

  it('sends no more than the stream window, the connection window and the frame size allow', async () => {
    const { peer, session, events } = await openClient();
    peer.send(rawFrame(4, 0, 0, [0, 4, 0, 0, 0, 10]));
    await turns();
    const stream = request(session, events);
    assert.equal(stream.sendData(Buffer.from('0123456789abcdef')), writeResult.full);
    await turns();
    const sent = (): string => Buffer.concat(peer.of('data').map(({ payload }) => payload)).toString();
    assert.equal(sent(), '0123456789');
    // A smaller initial window makes it negative; what comes back must first fill the hole.
    peer.send(rawFrame(4, 0, 0, [0, 4, 0, 0, 0, 5])).send(rawFrame(8, 0, stream.id, uint32(5)));
    await turns();
    assert.equal(sent(), '0123456789');
    peer.send(rawFrame(8, 0, stream.id, uint32(100)));
    await turns();
    assert.equal(sent(), '0123456789abcdef');
    assert.ok(events.includes(`drain ${stream.id}`));
    peer.send(rawFrame(8, 0, stream.id, uint32(1_000_000)));
    await turns();
    assert.equal(stream.sendData(Buffer.alloc(100_000)), writeResult.full);
    await turns();
    assert.equal(sent().length, 65_535);
    assert.ok(peer.of('data').every(({ payload }) => payload.length <= 16_384));
    peer.send(rawFrame(8, 0, 0, uint32(1_000_000)));
    await turns();
    assert.equal(sent().length, 100_016);
  });
});

describe('HTTP/2 session life', () => {
  it('gives up a peer that never acknowledges SETTINGS', async () => {
    const { peer, clock } = openServer();
    peer.send(connectionPreface).send(rawFrame(4, 0, 0));
    await turns();
    clock.advance(10_000);
    await turns();
    assert.equal(peer.goaway, 'settingsTimeout');
  });

  it('pings a quiet peer after 10 s and ends the connection 20 s later', async () => {
    const { peer, clock, events } = openServer();
    peer.greet(true);
    await turns();
    clock.advance(20_000);
    await turns();
    assert.equal(peer.of('ping').length, 1);
    clock.advance(10_000);
    await turns();
    assert.ok(!peer.closed);
    clock.advance(10_000);
    await turns();
    assert.ok(peer.closed);
    assert.ok(events.some((event) => event.startsWith('closed')));
    assert.equal(clock.pending, 0);
  });

  it('keeps a quiet peer that answers pings', async () => {
    const { peer, clock } = openServer();
    peer.greet(true);
    let answered = 0;
    for (let i = 0; i < 30; i++) {
      await turns();
      clock.advance(10_000);
      await turns();
      const ping = peer.of('ping')[answered];
      if (ping) answered++;
      if (ping) peer.send(rawFrame(6, 1, 0, ping.payload));
    }
    assert.ok(!peer.closed);
    assert.ok(peer.of('ping').length >= 10);
  });

  it('drains with two GOAWAYs: what is in flight is served, later streams are not, then it closes', async () => {
    const { peer, session, streams, events } = openServer();
    peer.greet(true).headers(1, get, endHeaders | endStream);
    await turns();
    session.drain();
    await turns();
    assert.equal(peer.of('goaway').at(-1)?.payload.readUInt32BE(0), 0x7fff_ffff);
    peer.headers(3, get, endHeaders | endStream);
    peer.send(rawFrame(6, 1, 0, peer.of('ping').at(-1)?.payload ?? []));
    await turns();
    assert.equal(peer.of('goaway').at(-1)?.payload.readUInt32BE(0), 3);
    peer.headers(5, get, endHeaders | endStream);
    await turns();
    assert.deepEqual(
      streams.map(({ id }) => id),
      [1, 3],
    );
    for (const stream of streams) stream.sendHeaders(HeaderList.from({ ':status': '200' }), true);
    await turns();
    assert.ok(peer.closed);
    assert.equal(events.at(-1), 'closed ok');
  });

  it('drains also when its peer has used the last of all stream ids', async () => {
    const { peer, session, streams, events } = openServer();
    peer.greet(true).headers(0x7fff_ffff, get, endHeaders | endStream);
    await turns();
    session.drain();
    await turns();
    peer.send(rawFrame(6, 1, 0, peer.of('ping').at(-1)?.payload ?? []));
    await turns();
    streams[0]?.sendHeaders(HeaderList.from({ ':status': '200' }), true);
    await turns();
    assert.ok(peer.closed);
    assert.equal(events.at(-1), 'closed ok');
  });

  it('takes an acknowledgement of what it never sent for no wish to end', async () => {
    const { peer, streams } = openServer();
    peer
      .greet(true)
      .send(rawFrame(6, 1, 0, Buffer.from('ambit-gw')))
      .headers(1, get);
    await turns();
    assert.equal(streams.length, 1);
    assert.equal(peer.of('goaway').length, 0);
  });

  it('fails as refused what a going peer did not process, and lets the rest end', async () => {
    const { peer, session, events } = await openClient();
    request(session, events);
    request(session, events);
    await turns();
    peer.send(rawFrame(7, 0, 0, uint32(1, 0)));
    await turns();
    assert.deepEqual(events, ['close 3 h2.refused-stream']);
    assert.equal(session.usable, false);
    peer.headers(1, { ':status': '200' }, endHeaders | endStream).send(rawFrame(3, 0, 1, uint32(0)));
    await turns();
    assert.deepEqual(events.slice(1), ['headers 200 end', 'end 1', 'close 1 h2.no-error', 'closed ok']);
  });

  it('is not usable before the peer sent SETTINGS, and honours its stream limit', async () => {
    const { peer, session, events } = await openClient();
    assert.ok(session.canOpen);
    peer.send(rawFrame(4, 0, 0, [0, 3, 0, 0, 0, 1]));
    await turns();
    const stream = request(session, events);
    assert.equal(session.canOpen, false);
    stream.reset();
    assert.equal(session.canOpen, true);
  });

  it('passes informational responses on, and refuses malformed ones', async () => {
    const { peer, session, events } = await openClient();
    request(session, events);
    request(session, events);
    request(session, events);
    await turns();
    peer.headers(1, { ':status': '103', link: 'x' }).headers(1, { ':status': '200' });
    peer.headers(3, { ':status': '101' });
    peer.headers(5, { 'no-status': '1' });
    await turns();
    assert.deepEqual(events.slice(0, 2), ['headers 103', 'headers 200']);
    assert.equal(peer.reset(3), 'protocolError');
    assert.equal(peer.reset(5), 'protocolError');
  });

  it('ignores what was under way to a stream that it reset', async () => {
    const { peer, session, events } = await openClient();
    const stream = request(session, events);
    stream.reset();
    peer.headers(1, { ':status': '200' }).send(rawFrame(0, 0, 1, Buffer.alloc(1000)));
    await turns();
    assert.equal(peer.of('rstStream').length, 1);
    assert.equal(peer.goaway, undefined);
    assert.equal(session.receiveWindow.heldBytes, 0);
  });

  it('tells every stream when the channel breaks, once', async () => {
    const { peer, session, events } = await openClient();
    request(session, events);
    request(session, events);
    await turns();
    peer.end();
    await turns();
    assert.deepEqual(events.toSorted(), ['close 1 h2.cancel', 'close 3 h2.cancel', 'closed ok']);
  });
});
