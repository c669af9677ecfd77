/** A worker that a test can break (tests only). */
import { parentPort } from 'node:worker_threads';
import '../../src/proxy/workers/worker.ts';

export type BreakWorker =
  | { readonly kind: 'test-throw' | 'test-fill-memory' }
  /** It does nothing until the first number of `gate` is another than 0. */
  | { readonly kind: 'test-stall'; readonly gate: SharedArrayBuffer };

parentPort?.on('message', (said: BreakWorker | { readonly kind: '' }) => {
  const { kind } = said;
  if (kind === 'test-stall') Atomics.wait(new Int32Array(said.gate), 0, 0);
  if (kind === 'test-throw') {
    setImmediate(() => {
      throw new Error('broken by a test');
    });
  }
  if (kind === 'test-fill-memory') {
    const kept: number[][] = [];
    for (;;) kept.push(Array.from({ length: 100_000 }, (_, i) => i + kept.length));
  }
});
