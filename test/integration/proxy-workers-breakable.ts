/** A worker that a test can break (tests only). */
import { parentPort } from 'node:worker_threads';
import '../../src/proxy/workers/worker.ts';

export type BreakWorker = { readonly kind: 'test-throw' | 'test-fill-memory' };

parentPort?.on('message', ({ kind }: BreakWorker | { readonly kind: '' }) => {
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
