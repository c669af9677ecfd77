import assert from 'node:assert/strict';
import { connect as connectTls } from 'node:tls';
import { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createFakeClock } from '../lib/fake-clock.ts';
import { describeChannelContract } from '../net/channel-contract.ts';
import { memoryChannelPair } from '../net/memory-channel.ts';
import type { ByteChannel } from '../net/channel.ts';
import { sniffChannel } from './protocol-sniff-channel.ts';
import { maxSniffBytes, sniffProtocol } from './protocol-sniff.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** The first flight of Node's own TLS client. */
async function clientHello(options: { servername?: string; ALPNProtocols?: string[] }): Promise<Buffer> {
  const sent: Buffer[] = [];
  const wire = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      sent.push(chunk);
      done();
    },
  });
  const socket = connectTls({ socket: wire, rejectUnauthorized: false, ...options });
  socket.on('error', () => {});
  while (sent.length === 0) await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
  return Buffer.concat(sent);
}

/** The same handshake bytes in records of `size`. */
function refragmented(hello: Buffer, size: number): Buffer {
  const content = hello.subarray(5, 5 + hello.readUInt16BE(3));
  const records: Buffer[] = [];
  for (let at = 0; at < content.length; at += size) {
    const piece = content.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 255]), piece);
  }
  return Buffer.concat(records);
}

describe('protocol sniffing', () => {
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

  it('tells HTTP/1, HTTP/2 and other protocols from the first bytes', () => {
    const cases: readonly (readonly [string, string])[] = [
      ['GET / HTTP/1.1\r\n', 'http/1'],
      ['\r\nGET / HTTP/1.0\r\n', 'http/1'],
      ['get /%zz?x HTTP/1.1\n', 'http/1'],
      ['M-SEARCH * HTTP/1.1\r\nHost: a', 'http/1'],
      [`GET /${'a'.repeat(9000)}`, 'http/1'],
      [preface, 'http/2'],
      [`${preface}\0\0\0`, 'http/2'],
      ['PRI * HTTP/2.0\r\n\r\nXX', 'other'],
      ['GET key\r\n', 'other'],
      ['GET / HTTP/2.0\r\n', 'other'],
      ['EHLO mail.example\r\n', 'other'],
      ['*1\r\n$4\r\nPING\r\n', 'other'],
      ['SSH-2.0-OpenSSH_9.6\r\n', 'other'],
      ['\0\0\0\x17\0\x03\0\0', 'other'],
      ['GET /\0', 'other'],
      ['\r\r', 'other'],
      [' GET / HTTP/1.1\r\n', 'other'],
      ['\x16\x02\x01', 'other'],
      ['\x16\x03\x01\0\x05\x02', 'other'],
      ['a'.repeat(33), 'other'],
    ];
    for (const [text, kind] of cases) {
      const found = sniffProtocol(bytes(text));
      assert.equal(found === 'need-more' ? found : found.kind, kind, text.slice(0, 40));
    }
    for (const text of [
      '',
      'G',
      'GET',
      'GET /a',
      'PRI * HTTP',
      preface.slice(0, -1),
      '\r',
      '\r\n',
      '\x16',
      '\x16\x03\x01',
    ]) {
      assert.equal(sniffProtocol(bytes(text)), 'need-more', text);
    }
  });

  it('reads server name and ALPN of a ClientHello, in one record or in many', async () => {
    const hello = await clientHello({ servername: 'Api.Example.COM', ALPNProtocols: ['h2', 'http/1.1'] });
    const expected = { kind: 'tls', sni: 'api.example.com', alpn: ['h2', 'http/1.1'] };
    assert.deepEqual(sniffProtocol(hello), expected);
    for (const size of [1, 7, 100]) assert.deepEqual(sniffProtocol(refragmented(hello, size)), expected);
    for (let length = 1; length < hello.length; length++)
      assert.equal(sniffProtocol(hello.subarray(0, length)), 'need-more');
  });

  it('says TLS without names where the ClientHello has none, or makes no sense', async () => {
    const hello = await clientHello({});
    assert.deepEqual(sniffProtocol(hello), { kind: 'tls', sni: undefined, alpn: [] });
    const named = await clientHello({ servername: 'a.example', ALPNProtocols: ['h2'] });
    fc.assert(
      fc.property(fc.nat(named.length - 1), fc.nat(255), (at, byte) => {
        const broken = Buffer.from(named);
        broken[at] = byte;
        const found = sniffProtocol(broken);
        assert.ok(found === 'need-more' || found.kind === 'tls' || found.kind === 'other');
      }),
      { seed: 3, numRuns: 3000 },
    );
  });

  it('never changes its answer with more bytes, and always has one in the end', async () => {
    const hello = await clientHello({ servername: 'a.example' });
    const start = fc.constantFrom(
      bytes('GET /'),
      bytes('PRI * HTTP/2.0'),
      bytes('\x16\x03\x01'),
      hello.subarray(0, 60),
      bytes('\r\n'),
      bytes(''),
    );
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (first, rest) => {
        const whole = Buffer.concat([first, rest, Buffer.alloc(maxSniffBytes, 'a')]);
        let answer: unknown;
        for (let length = 0; length <= first.length + rest.length; length++) {
          const found = sniffProtocol(whole.subarray(0, length));
          if (answer === undefined) answer = found === 'need-more' ? undefined : found;
          else assert.deepEqual(found, answer);
        }
        assert.notEqual(sniffProtocol(whole.subarray(0, maxSniffBytes)), 'need-more');
      }),
      { seed: 4, numRuns: 300 },
    );
  });
});

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('sniffed channel', () => {
  it('gives all that came to the reader, and waits until it has enough', async () => {
    const [near, far] = memoryChannelPair();
    const pending = sniffChannel(near, { clock: createFakeClock(), timeoutMs: 1000 });
    far.write(bytes('GET / HT'));
    await turns(5);
    far.write(bytes('TP/1.1\r\nHost: a'));
    const { protocol, channel } = await pending;
    assert.equal(protocol.kind, 'http/1');
    far.write(bytes('\r\n\r\n'));
    far.end();
    await turns(5);
    let text = '';
    const events: string[] = [];
    channel.read({
      onData: (data) => ((text += Buffer.from(data).toString()), false),
      onEnd: () => void events.push('end'),
      onDrain() {},
      onClose: () => void events.push('close'),
    });
    far.read({ onData: () => false, onEnd() {}, onDrain() {}, onClose() {} });
    await turns(5);
    assert.equal(text, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.deepEqual(events, ['end']);
    channel.end();
    await turns(5);
    assert.deepEqual(events, ['end', 'close']);
  });

  it('calls a client that says nothing in time other, and loses nothing that it says later', async () => {
    const clock = createFakeClock();
    const [near, far] = memoryChannelPair();
    const pending = sniffChannel(near, { clock, timeoutMs: 1000 });
    far.write(bytes('GE'));
    await turns(5);
    clock.advance(1000);
    const { protocol, channel } = await pending;
    assert.equal(protocol.kind, 'other');
    assert.equal(clock.pending, 0);
    far.write(bytes('T key'));
    let text = '';
    channel.read({
      onData: (data) => ((text += Buffer.from(data).toString()), false),
      onEnd() {},
      onDrain() {},
      onClose() {},
    });
    await turns(5);
    assert.equal(text, 'GET key');
    channel.reset();
  });

  it('fails when the client is gone before its first byte, and has its timer cancelled', async () => {
    const clock = createFakeClock();
    for (const leave of [(far: ByteChannel) => far.end(), (far: ByteChannel) => far.reset()]) {
      const [near, far] = memoryChannelPair();
      const pending = sniffChannel(near, { clock, timeoutMs: 1000 });
      leave(far);
      await assert.rejects(pending);
      assert.equal(clock.pending, 0);
      near.reset();
    }
  });
});

describeChannelContract('sniffed memory', async () => {
  const clock = createFakeClock();
  const [near, far] = memoryChannelPair();
  const pending = sniffChannel(near, { clock, timeoutMs: 1 });
  clock.advance(1);
  return { a: (await pending).channel, b: far };
});
