/** Keys to reconcile: each at most once at a time, again when it changed meanwhile, later when it failed. */
import { createBackoff, type Backoff } from '../../lib/backoff.ts';
import { systemClock, type Clock } from '../../lib/clock.ts';
import { codeOf, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';

export interface WorkQueueOptions {
  /** Brings the world nearer to what the object of `key` wants. Called again for the same key only after it settled. */
  readonly reconcile: (key: string) => Promise<void>;
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Keys worked on at the same time; default 4. */
  readonly concurrency?: number;
  readonly clock?: Clock;
}

export interface WorkQueue {
  /** Queues the key, once. Nothing happens before `start`. */
  add(key: string): void;
  /** Queues the key after `delayMs`, unless an earlier time is set already. */
  addAfter(key: string, delayMs: number): void;
  /** Begins to work: call it when the informers have synced. */
  start(): void;
  /** Resolves when nothing is queued or running; waiting retries do not count. */
  idle(): Promise<void>;
}

/** Answers that mean "your copy was old", not "something is wrong". */
const quietCodes = new Set(['kube.conflict', 'kube.not-found', 'kube.already-exists']);

export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { reconcile, signal, log, concurrency = 4, clock = systemClock } = options;
  const queued = new Set<string>();
  const running = new Set<string>();
  const backoffs = new Map<string, Backoff>();
  const timers = new Map<string, { atMs: number; cancel: () => void }>();
  let started = false;
  let waiters: (() => void)[] = [];

  const queue: WorkQueue = {
    add(key) {
      if (signal.aborted) return;
      queued.add(key);
      pump();
    },
    addAfter(key, delayMs) {
      if (signal.aborted) return;
      const atMs = clock.nowMs() + delayMs;
      const known = timers.get(key);
      if (known && known.atMs <= atMs) return;
      known?.cancel();
      const cancel = clock.after(delayMs, () => {
        timers.delete(key);
        queue.add(key);
      });
      timers.set(key, { atMs, cancel });
    },
    start() {
      started = true;
      pump();
    },
    idle() {
      return new Promise((resolve) => {
        waiters.push(resolve);
        settle();
      });
    },
  };
  signal.addEventListener('abort', stop, { once: true });
  return queue;

  function pump(): void {
    if (!started) return;
    for (const key of queued) {
      if (running.size >= concurrency) return;
      // A key that runs now waits for its turn: what it read may be old.
      if (running.has(key)) continue;
      queued.delete(key);
      running.add(key);
      void work(key);
    }
  }

  async function work(key: string): Promise<void> {
    try {
      await reconcile(key);
      backoffs.delete(key);
    } catch (error) {
      if (!signal.aborted) retry(key, error);
    } finally {
      running.delete(key);
      pump();
      settle();
    }
  }

  function retry(key: string, error: unknown): void {
    let backoff = backoffs.get(key);
    if (!backoff) backoffs.set(key, (backoff = createBackoff({ initialMs: 20, maxMs: 10_000 })));
    const delayMs = backoff.next();
    const code = codeOf(error);
    const fields = { key, code, error: messageOf(error), delayMs: Math.round(delayMs) };
    if (code !== undefined && quietCodes.has(code)) log.debug('trying again', fields);
    else log.warn('cannot reconcile, trying again', fields);
    queue.addAfter(key, delayMs);
  }

  function settle(): void {
    if (queued.size > 0 || running.size > 0) return;
    const ready = waiters;
    waiters = [];
    for (const resolve of ready) resolve();
  }

  function stop(): void {
    queued.clear();
    for (const { cancel } of timers.values()) cancel();
    timers.clear();
    settle();
  }
}
