import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod } from '../../api/index.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { createUsageReader, type NodeSummary } from './node-usage.ts';

const startMs = Date.parse('2026-01-01T00:00:00Z');
const pod: Pod = { metadata: { name: 'a', uid: 'a' }, spec: { containers: [] } };
const summary = (afterMs: number, coreMs: number, memory = 5): NodeSummary => ({
  pods: [
    {
      podRef: { uid: 'a' },
      cpu: { time: new Date(startMs + afterMs).toISOString(), usageCoreNanoSeconds: coreMs * 1e6 },
      memory: { workingSetBytes: memory },
    },
  ],
});

describe('the use of pods', () => {
  it('is what they used between two looks; one look knows no rate', async () => {
    const clock = createFakeClock();
    let now: readonly NodeSummary[] = [summary(0, 1000)];
    let looks = 0;
    const read = createUsageReader(() => Promise.resolve((looks++, now)), clock);
    const cores = async (): Promise<number | undefined> => (await read('shop', AbortSignal.abort()))(pod, 'cpu');
    assert.equal(await cores(), undefined);
    assert.equal((await read('shop', AbortSignal.abort()))(pod, 'memory'), 5);
    assert.equal(looks, 1, 'those who ask together share a look');
    clock.advance(10_000);
    now = [summary(10_000, 6000)];
    assert.equal(await cores(), 0.5);
    clock.advance(10_000);
    now = [summary(20_000, 100)];
    assert.equal(await cores(), undefined, 'a node that starts again counts from nothing');
    clock.advance(10_000);
    now = [];
    assert.equal(await cores(), undefined);
  });
});
