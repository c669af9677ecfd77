/** One worker thread of a proxy as the main thread sees it: questions with answers, and its end. */
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../lib/clock.ts';
import { programPath } from '../../lib/program.ts';
import type { FromWorker, ProxyWorkerData, ToWorker, WorkerAnswer } from './messages.ts';

/** Starts the thread; a test's own has more in it. */
export type StartThread = (data: ProxyWorkerData) => Worker;

export const startThread: StartThread = (data) =>
  new Worker(programPath('proxy/workers/worker'), { name: `worker-${data.worker}`, workerData: data });

export interface WorkerThreadOptions {
  readonly data: ProxyWorkerData;
  readonly start: StartThread;
  readonly clock: Clock;
  readonly onMessage: (message: Exclude<FromWorker, WorkerAnswer>) => void;
  /** It ended, by `stop` or by itself: then it says why. Nothing of it is left. */
  readonly onEnd: (failure: Error | undefined) => void;
}

export class WorkerThread {
  readonly #thread: Worker;
  readonly #clock: Clock;
  readonly #waiting = new Map<number, (answer: WorkerAnswer | undefined) => void>();
  #nextRequest = 1;
  #isEnded = false;
  #isStopped = false;

  constructor({ data, start, clock, onMessage, onEnd }: WorkerThreadOptions) {
    this.#clock = clock;
    this.#thread = start(data);
    // What the process serves keeps it alive, not its threads.
    this.#thread.unref();
    let failure: Error | undefined;
    this.#thread.on('message', (message: FromWorker) => {
      switch (message.kind) {
        case 'applied':
        case 'metrics':
        case 'endpoints':
        case 'profile':
          return this.#waiting.get(message.requestId)?.(message);
        case 'ready':
        case 'socket-wanted':
        case 'socket-taken':
        case 'outcome':
        case 'keys-wanted':
        case 'log':
        case 'access-log':
        case 'drained':
          return onMessage(message);
      }
    });
    this.#thread.on('error', (error: Error) => (failure = error));
    this.#thread.on('exit', (code) => {
      this.#isEnded = true;
      for (const settle of this.#waiting.values()) settle(undefined);
      onEnd(this.#isStopped ? undefined : (failure ?? new Error(`the thread ended with code ${code}`)));
    });
  }

  post(message: ToWorker): void {
    if (!this.#isEnded) this.#thread.postMessage(message);
  }

  /** Undefined: it ended, or gave no answer in time. */
  ask(make: (requestId: number) => ToWorker, timeoutMs: number): Promise<WorkerAnswer | undefined> {
    if (this.#isEnded) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const requestId = this.#nextRequest++;
      const settle = (answer: WorkerAnswer | undefined): void => {
        cancel();
        this.#waiting.delete(requestId);
        resolve(answer);
      };
      const cancel = this.#clock.after(timeoutMs, () => settle(undefined));
      this.#waiting.set(requestId, settle);
      this.post(make(requestId));
    });
  }

  /** Ends it as if it had failed: with its connections. */
  kill(): void {
    void this.#thread.terminate();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#thread.terminate();
  }
}
