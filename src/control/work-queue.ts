/** Reconciles keys one after another: a key waits once, runs alone, and comes again with backoff when it failed. */
import { createBackoff, type Backoff } from '../lib/backoff.ts';
import { systemClock, type Clock } from '../lib/clock.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';

export interface WorkQueueOptions {
  readonly name: string;
  /** Brings what `key` names to its wanted state. May run at any time, also when nothing is to do. */
  readonly reconcile: (key: string) => Promise<void>;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly clock?: Clock;
  /** Keys at a time; default 4. */
  readonly concurrency?: number;
}

export interface WorkQueue {
  add(key: string): void;
}

export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { name, reconcile, signal, log, clock = systemClock, concurrency = 4 } = options;
  const queued = new Set<string>();
  const running = new Set<string>();
  const backoffs = new Map<string, Backoff>();

  const run = async (key: string): Promise<void> => {
    try {
      await reconcile(key);
      backoffs.delete(key);
    } catch (error) {
      if (signal.aborted) return;
      const backoff = backoffs.get(key) ?? createBackoff({ initialMs: 100, maxMs: 30_000 });
      const delayMs = backoff.next();
      // A conflict is how two writers meet; only what does not go away is worth a line.
      const fields = { queue: name, key, code: codeOf(error), error: messageOf(error), delayMs: Math.round(delayMs) };
      if (backoffs.has(key)) log.warn('cannot reconcile, trying again', fields);
      else log.debug('cannot reconcile, trying again', fields);
      backoffs.set(key, backoff);
      clock.after(delayMs, () => add(key));
    } finally {
      running.delete(key);
      pump();
    }
  };
  const pump = (): void => {
    for (const key of queued) {
      if (running.size >= concurrency || signal.aborted) return;
      // What is running now may have read the old state: it runs again afterwards.
      if (running.has(key)) continue;
      queued.delete(key);
      running.add(key);
      void run(key);
    }
  };
  const add = (key: string): void => {
    queued.add(key);
    pump();
  };
  return { add };
}
