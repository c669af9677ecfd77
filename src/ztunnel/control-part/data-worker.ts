/** A data part in a worker thread, as the control part sees it. */
import { Worker } from 'node:worker_threads';
import type { Log } from '../../lib/log.ts';
import { writePosted } from '../../lib/posted-log.ts';
import { programPath } from '../../lib/program.ts';
import type { NetworkId } from '../../api/names.ts';
import type { AccessLogFormat } from '../../telemetry/index.ts';
import type { DataLimits } from '../data/data-context.ts';
import type { DnsSettings } from '../dns/dns-shared.ts';
import type { LogLevels } from '../../telemetry/admin/log-levels.ts';
import type { DataPart, PodToServe } from '../messages.ts';
import { closeTarget } from '../pod-descriptors.ts';
import type { DataWorkerData, FromWorker, ToWorker } from '../worker-messages.ts';
import type { DataPartEvents } from './data-parts.ts';

export interface DataWorkerOptions {
  readonly network: NetworkId;
  /** Of the process: the worker's lines are of its scope `data`. */
  readonly log: Log;
  readonly levels: LogLevels;
  readonly accessLogFormat: AccessLogFormat;
  readonly accessLogSampling: number;
  readonly limits?: Partial<DataLimits>;
  readonly dns?: DnsSettings | undefined;
  readonly writeAccessLog: (text: string, done: () => void) => void;
}

/** Starts the thread. It ends by `stop`, or by an error of its own, which `events.died` is told. */
export function startDataWorker(worker: number, options: DataWorkerOptions, events: DataPartEvents): DataPart {
  const { network, log, levels, accessLogFormat, accessLogSampling, limits = {}, dns, writeAccessLog } = options;
  const workerData: DataWorkerData = {
    worker,
    network,
    accessLogFormat,
    accessLogSampling,
    limits,
    dns,
    logLevels: levels.describe(),
  };
  const thread = new Worker(programPath('ztunnel/data/worker'), { name: `data-${worker}`, workerData });
  // What the process serves keeps it alive, not its threads.
  thread.unref();
  const say = (message: ToWorker): void => thread.postMessage(message);
  /** Ours until the worker has its own. */
  const handed = new Map<number, PodToServe>();
  let ended = false;
  let stopped = false;
  let failure: Error | undefined;
  const returnDescriptors = (requestId: number): void => {
    const target = handed.get(requestId);
    handed.delete(requestId);
    if (target) closeTarget(target);
  };
  const forget = levels.onChange(() => say({ kind: 'log-levels', levels: levels.describe() }));
  thread.on('message', (said: FromWorker) => {
    switch (said.kind) {
      case 'data':
        return events.post(said.message);
      case 'descriptors-taken':
        return returnDescriptors(said.requestId);
      case 'log':
        return writePosted(log, said, { worker });
      case 'access-log':
        return writeAccessLog(said.text, () => say({ kind: 'access-log-written' }));
    }
  });
  thread.on('error', (error: Error) => (failure = error));
  thread.on('exit', (code) => {
    ended = true;
    forget();
    for (const requestId of handed.keys()) returnDescriptors(requestId);
    if (!stopped) events.died(failure ?? new Error(`the thread ended with code ${code}`));
  });
  return {
    post(message) {
      if (message.kind === 'serve-pod') {
        if (ended) return closeTarget(message.target);
        handed.set(message.requestId, message.target);
      }
      say({ kind: 'control', message });
    },
    async stop() {
      stopped = true;
      await thread.terminate();
    },
  };
}
