import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamMap } from './stream-map.ts';

function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('it holds what a Map would hold, whatever comes and goes', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = randomOf(seed);
    const streams = new StreamMap<{ id: number }>();
    const plain = new Map<number, { id: number }>();
    // Ids of few slots, so that many are in the way of others.
    const step = [1, 2, 32, 64][seed % 4]!;
    for (let i = 0; i < 2000; i++) {
      const id = 1 + 2 * step * random(150);
      if (random(3) > 0) {
        streams.delete(id);
        plain.delete(id);
      } else if (!plain.has(id)) {
        const stream = { id };
        streams.add(stream);
        plain.set(id, stream);
      }
      assert.equal(streams.size, plain.size);
      const asked = 1 + 2 * step * random(150);
      assert.equal(streams.get(asked), plain.get(asked));
    }
    assert.deepEqual(
      streams.values(),
      [...plain.values()].toSorted((a, b) => a.id - b.id),
    );
    for (const id of plain.keys()) assert.equal(streams.get(id)?.id, id);
  }
});

test('it grows with the streams that are open at once', () => {
  const streams = new StreamMap<{ id: number }>();
  for (let id = 1; id < 4000; id += 2) streams.add({ id });
  assert.equal(streams.size, 2000);
  for (let id = 1; id < 4000; id += 2) assert.equal(streams.get(id)?.id, id);
  assert.equal(streams.get(4001), undefined);
});

test('who walks along the streams may end them', () => {
  const streams = new StreamMap<{ id: number }>();
  for (let id = 1; id < 100; id += 2) streams.add({ id });
  for (const { id } of streams.values()) streams.delete(id);
  assert.equal(streams.size, 0);
});
