/** One worker thread of a proxy as the main thread sees it: questions with answers, and its end. */
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../lib/clock.ts';
import { programPath } from '../../lib/program.ts';
import { Questions } from '../../lib/questions.ts';
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
  readonly #questions: Questions<WorkerAnswer>;
  #isEnded = false;
  #isStopped = false;

  constructor({ data, start, clock, onMessage, onEnd }: WorkerThreadOptions) {
    this.#questions = new Questions(clock);
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
          return this.#questions.answer(message.requestId, message);
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
      this.#questions.end();
      onEnd(this.#isStopped ? undefined : (failure ?? new Error(`the thread ended with code ${code}`)));
    });
  }

  post(message: ToWorker): void {
    if (!this.#isEnded) this.#thread.postMessage(message);
  }

  /** Undefined: it ended, or gave no answer in time. */
  ask(make: (requestId: number) => ToWorker, timeoutMs: number): Promise<WorkerAnswer | undefined> {
    if (this.#isEnded) return Promise.resolve(undefined);
    return this.#questions.ask((requestId) => this.post(make(requestId)), timeoutMs);
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
