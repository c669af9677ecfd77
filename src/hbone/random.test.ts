/** Random tunnels over random wires: sizes, pauses, refusals, resets and limits drawn from a fixed seed. */
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { codeOf } from '../lib/errors.ts';
import { writeResult, type ByteChannel } from '../net/channel.ts';
import { memoryChannelPair } from '../net/memory-channel.ts';
import { ReceiveBudget } from '../http/h2/index.ts';
import { turns } from '../http/h2/raw-peer.ts';
import { createHbonePool, type PoolKey, serveHbone } from './index.ts';

/** A small generator of random numbers (mulberry32): `pick(n)` is 0 to n - 1. */
function createRandom(seed: number): { pick: (below: number) => number; chance: (share: number) => boolean } {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { pick: (below) => Math.floor(next() * below), chance: (share) => next() < share };
}

type Random = ReturnType<typeof createRandom>;

/** Echoes, with back-pressure, and sometimes gives up. */
function echo(tunnel: ByteChannel, random: Random): void {
  let uncredited = 0;
  tunnel.read({
    neverKeeps: random.chance(0.5),
    onData(bytes) {
      uncredited += bytes.length;
      if (tunnel.write(Buffer.from(bytes)) === writeResult.done) {
        tunnel.credit(uncredited);
        uncredited = 0;
      } else tunnel.pause();
      if (random.chance(0.0005)) tunnel.reset();
      return false;
    },
    onEnd: () => tunnel.end(),
    onDrain() {
      tunnel.credit(uncredited);
      uncredited = 0;
      tunnel.resume();
    },
    onClose() {},
  });
}

/** Sends random bytes and checks that they come back; true, or false after a reset. */
function exchange(tunnel: ByteChannel, random: Random): Promise<boolean> {
  const sent = randomFillSync(Buffer.alloc(random.chance(0.25) ? random.pick(600_000) : random.pick(3000)));
  const received: Buffer[] = [];
  let at = 0;
  const send = (): void => {
    while (at < sent.length) {
      const length = Math.min(sent.length - at, 1 + random.pick(random.chance(0.3) ? 100_000 : 500));
      const piece = Buffer.from(sent.subarray(at, at + length));
      at += length;
      const result = tunnel.write(piece);
      if (result !== writeResult.kept) piece.fill(0xdb);
      if (result !== writeResult.done) return;
    }
    tunnel.end();
  };
  return new Promise((resolve, reject) => {
    tunnel.read({
      neverKeeps: true,
      onData(bytes) {
        const { length } = bytes;
        received.push(Buffer.from(bytes));
        if (random.chance(0.9)) tunnel.credit(length);
        else {
          tunnel.pause();
          setImmediate(() => {
            tunnel.credit(length);
            tunnel.resume();
          });
        }
        return false;
      },
      onEnd() {},
      onDrain: send,
      onClose(error) {
        if (error) resolve(false);
        else if (Buffer.concat(received).equals(sent)) resolve(true);
        else reject(new Error(`${Buffer.concat(received).length} of ${sent.length} bytes came back, or others`));
      },
    });
    send();
  });
}

async function round(random: Random): Promise<number> {
  const budget = new ReceiveBudget({ heldBytes: 2 ** (16 + random.pick(8)) });
  const connectionWindow = 65_535 + random.pick(2 ** 20);
  const pool = createHbonePool<PoolKey>({
    budget,
    settings: { connectionWindow },
    dial() {
      const wire = { highWaterBytes: 1000 + random.pick(200_000), keeps: random.chance(0.5) };
      const [near, far] = memoryChannelPair(wire);
      serveHbone(far, {
        budget,
        settings: { connectionWindow, maxConcurrentStreams: 1 + random.pick(150) },
        onConnect(request) {
          if (random.chance(0.1)) request.refuse(503);
          else if (random.chance(0.5)) echo(request.accept(), random);
          else setImmediate(() => echo(request.accept(), random));
        },
      });
      return Promise.resolve(near);
    },
  });
  const outcomes = await Promise.all(
    Array.from({ length: 1 + random.pick(200) }, async () => {
      try {
        return await exchange(await pool.connect({ id: String(random.pick(2)) }, { authority: '10.0.0.1:80' }), random);
      } catch (error) {
        if (codeOf(error) !== 'hbone.refused') throw error;
        return false;
      }
    }),
  );
  pool.close();
  await turns(30);
  assert.equal(budget.heldBytes, 0);
  return outcomes.filter(Boolean).length;
}

describe('HBONE at random', () => {
  it('brings every byte back, or says so', { timeout: 60_000 }, async () => {
    const random = createRandom(7);
    let whole = 0;
    for (let i = 0; i < 15; i++) whole += await round(random);
    assert.ok(whole > 500, `${whole} tunnels carried all`);
  });
});
