import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LiveConnections } from './listener-context.ts';

describe('connections that live', () => {
  it('are asked to end when the configuration has no place for them any more', () => {
    const live = new LiveConnections();
    const asked: string[] = [];
    let isWanted = true;
    const remove = live.add({ drain: () => asked.push('a') }, () => isWanted);
    live.add({ drain: () => asked.push('b') });
    live.review();
    assert.deepEqual(asked, []);
    isWanted = false;
    live.review();
    assert.deepEqual(asked, ['a']);
    remove();
    live.review();
    assert.deepEqual(asked, ['a']);
  });

  it('all are asked when the proxy drains, also those that come later', async () => {
    const live = new LiveConnections();
    const asked: string[] = [];
    const first = live.add({ drain: () => asked.push('a') });
    const ended = live.drain();
    const second = live.add({ drain: () => asked.push('b') });
    assert.deepEqual(asked, ['a', 'b']);
    first();
    second();
    await ended;
  });
});
