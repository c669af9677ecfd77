/**
 * Byte-level differential test of HTTP/1.1 framing. A corpus of hostile byte streams goes through our two codecs; what we forward, and
 * the streams themselves, go to nginx, haproxy and llhttp. Nothing that we forward may be read as other requests by any of them.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { serveHttp1 } from '../../src/http/h1/index.ts';
import type { ByteChannel } from '../../src/net/channel.ts';
import { dial } from '../../src/net/dial.ts';
import { tcpChannel } from '../../src/net/tcp-channel.ts';
import { createRelay, listenRelay, type Relay } from '../support/http1-relay.ts';
import { framingCorpus } from './http-framing-corpus.ts';
import {
  converse,
  readExchange,
  startHaproxyReader,
  startNginxReader,
  startNodeReader,
  type Reader,
  type SeenMessage,
} from './http-framing-peers.ts';

const sentinel = 'GET /sentinel HTTP/1.1\r\nHost: sentinel\r\nConnection: close\r\n\r\n';
const seenSentinel: SeenMessage = {
  method: 'GET',
  target: '/sentinel',
  host: 'sentinel',
  bodyBytes: 0,
  bodySha256: createHash('sha256').digest('hex'),
};
/** Who waits for so long has read all that there is. */
const quietMs = 200;
/** For a second look at what seems to differ: a busy machine is slow. */
const longQuietMs = 3_000;
/** What a reader sees of a request that has to be the same for all. */
const framingOf = ({ method, bodyBytes, bodySha256 }: SeenMessage): string =>
  `${method} ${bodyBytes} ${bodySha256.slice(0, 12)}`;

/** Our relay before a backend that notes the bytes it gets, and what our own codec makes of them. */
class OurReader {
  readonly #backend: Server;
  readonly #relay: Relay;
  readonly #front: Server;
  /** Raw bytes, a connection each. */
  #forwarded: Buffer[][] = [];
  #seen: SeenMessage[] = [];
  #open = 0;
  #onQuiet: (() => void) | undefined;

  private constructor(backend: Server, relay: Relay, front: Server) {
    this.#backend = backend;
    this.#relay = relay;
    this.#front = front;
    backend.on('connection', (socket) => this.#serve(tcpChannel(socket)));
  }

  static async open(): Promise<OurReader> {
    const backend = createServer({ pauseOnConnect: true, allowHalfOpen: true });
    await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
    const { port } = backend.address() as AddressInfo;
    const relay = createRelay({
      connect: async () => tcpChannel(await dial({ host: '127.0.0.1', port, timeoutMs: 5_000 })),
      pools: false,
      allowHttp10: true,
      limits: { lingerMs: 100 },
    });
    return new OurReader(backend, relay, await listenRelay(relay));
  }

  /** The requests that we forward whole, and their bytes, one after the other. */
  async read(bytes: Uint8Array, quiet: number): Promise<{ seen: SeenMessage[]; forwarded: Buffer }> {
    this.#forwarded = [];
    this.#seen = [];
    await converse((this.#front.address() as AddressInfo).port, bytes, quiet);
    if (this.#open > 0) await new Promise<void>((resolve) => (this.#onQuiet = resolve));
    return { seen: this.#seen, forwarded: Buffer.concat(this.#forwarded.flat()) };
  }

  async stop(): Promise<void> {
    this.#relay.close();
    for (const server of [this.#front, this.#backend]) await new Promise((resolve) => server.close(resolve));
  }

  #serve(channel: ByteChannel): void {
    const raw: Buffer[] = [];
    let isWhole = false;
    this.#open++;
    const seen = this.#seen;
    const forwarded = this.#forwarded;
    serveHttp1(
      tee(channel, (bytes) => raw.push(Buffer.from(bytes))),
      {
        scheme: 'http',
        listener: {
          onRequest(exchange) {
            readExchange(exchange).then(
              (message) => {
                isWhole = true;
                seen.push(message);
              },
              () => {},
            );
          },
          onClose: () => {
            // What was cut off by us with a reset is no request to anybody.
            if (isWhole) forwarded.push(raw);
            this.#open--;
            if (this.#open === 0) this.#onQuiet?.();
          },
        },
      },
    );
  }
}

function tee(channel: ByteChannel, onBytes: (bytes: Uint8Array) => void): ByteChannel {
  return {
    neverKeeps: channel.neverKeeps,
    read: (reader) =>
      channel.read({
        neverKeeps: true,
        onData(bytes) {
          onBytes(bytes);
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
}

describe('HTTP/1.1 framing beside other readers', { timeout: 170_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'ambit-framing-'));
  const corpus = framingCorpus();
  const readers: Reader[] = [];
  const missing: string[] = [];
  /** By case: what we made of it. */
  const ours: { readonly seen: SeenMessage[]; readonly forwarded: Buffer }[] = [];
  let us: OurReader;

  before(async () => {
    us = await OurReader.open();
    for (const { bytes } of corpus) ours.push(await us.read(Buffer.from(bytes + sentinel, 'latin1'), quietMs));
    readers.push(await startNodeReader());
    for (const [name, start] of [
      ['nginx', startNginxReader],
      ['haproxy', startHaproxyReader],
    ] as const) {
      const reader = await start(dir);
      if (reader) readers.push(reader);
      else missing.push(name);
    }
  });

  after(async () => {
    await Promise.all([us?.stop(), ...readers.map((reader) => reader.stop())]);
    rmSync(dir, { recursive: true, force: true });
  });

  test('the corpus is large, and some of it is forwarded, some refused', () => {
    assert.ok(corpus.length >= 500);
    assert.equal(new Set(corpus.map(({ name }) => name)).size, corpus.length);
    const forwarded = ours.filter(({ seen }) => seen.length > 0).length;
    assert.ok(forwarded > 100 && forwarded < corpus.length - 100, `${forwarded} of ${corpus.length}`);
  });

  for (const name of ['llhttp', 'nginx', 'haproxy']) {
    const readerOf = (): Reader | undefined => readers.find((reader) => reader.name === name);

    test(`${name} reads what we forward as the same requests`, async (t) => {
      const reader = readerOf();
      if (!reader) return t.skip(`${name} is not installed (apt-get install ${name})`);
      const wrong = await differences(async ({ seen, forwarded }, _bytes, quiet) => {
        if (forwarded.length === 0) return undefined;
        // Behind an upgrade we send nothing before the answer.
        const isUpgrade = forwarded.includes('\r\nupgrade: ');
        const theirs = await reader.read(Buffer.concat([forwarded, Buffer.from(isUpgrade ? '' : sentinel)]), quiet);
        const expected = [...seen, ...(isUpgrade ? [] : [seenSentinel])].map(framingOf);
        const actual = theirs.seen.map(framingOf);
        if (actual.join() === expected.join()) return undefined;
        // Who takes less than we do must say so.
        if (theirs.isRefused && actual.join() === expected.slice(0, actual.length).join()) return undefined;
        const text = JSON.stringify(forwarded.toString('latin1').slice(0, 300));
        return `forwarded ${text}, we ${expected.join(' | ')}, they ${actual.join(' | ')}`;
      });
      assert.deepEqual(wrong, []);
    });

    test(`${name} reads no stream otherwise that we forward something of`, async (t) => {
      const reader = readerOf();
      if (!reader) return t.skip(`${name} is not installed (apt-get install ${name})`);
      const wrong = await differences(async ({ seen }, bytes, quiet) => {
        if (seen.length === 0) return undefined;
        const theirs = await reader.read(bytes, quiet);
        // Who refuses something earlier than the other has read less, not otherwise.
        const common = Math.min(seen.length, theirs.seen.length);
        const [we, they] = [seen, theirs.seen].map((list) => list.slice(0, common).map(framingOf).join(' | '));
        return we === they ? undefined : `we ${we}, they ${they}`;
      });
      assert.deepEqual(wrong, []);
    });
  }

  /** What `look` says of each case, twice; the second time we too take our time. */
  async function differences(
    look: (own: (typeof ours)[number], bytes: Buffer, quiet: number) => Promise<string | undefined>,
  ): Promise<string[]> {
    const found: string[] = [];
    for (const [i, { name, bytes }] of corpus.entries()) {
      const own = ours[i] as (typeof ours)[number];
      const stream = Buffer.from(bytes + sentinel, 'latin1');
      if ((await look(own, stream, quietMs)) === undefined) continue;
      const difference = await look(await us.read(stream, longQuietMs), stream, longQuietMs);
      if (difference !== undefined) found.push(`${name}: ${difference}`);
    }
    return found;
  }
});
