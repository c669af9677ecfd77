/** Entry point of a worker thread: one data part, joined to the control part by messages. An error that nobody catches ends the thread. */
import { openSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../lib/errors.ts';
import { createPostingLog } from '../../lib/posted-log.ts';
import { releaseMemory, startWorkerThread } from '../../net/index.ts';
import { openAccessLog } from '../../telemetry/index.ts';
import { createLogLevels, followAccessLevel } from '../../telemetry/admin/log-levels.ts';
import type { ControlMessage } from '../messages.ts';
import { duplicateTarget } from '../pod-descriptors.ts';
import type { DataWorkerData, FromWorker, ToWorker } from '../worker-messages.ts';
import { startDataPart } from './data-part.ts';

if (!parentPort) throw new Error('This file runs as a worker thread');
const port = parentPort;
const { worker, network, accessLogFormat, accessLogSampling, limits, dns, logLevels } = workerData as DataWorkerData;
const say = (message: FromWorker): void => port.postMessage(message);

await startWorkerThread();
const levels = createLogLevels(createPostingLog(say), 'info');
levels.set(logLevels);
let accessLogWritten: (() => void) | undefined;
const accessLog = openAccessLog({
  format: accessLogFormat,
  sampling: accessLogSampling,
  nowMs: () => Date.now(),
  write(text, done) {
    accessLogWritten = done;
    say({ kind: 'access-log', text });
  },
});
followAccessLevel(levels, accessLog);
const part = startDataPart({
  network,
  worker,
  limits,
  dns,
  // As in the process, so that levels are of the same scopes.
  log: levels.log.child('data'),
  accessLog,
  post(message) {
    // The thread is ended after this one: its last lines go first.
    if (message.kind === 'drained') void accessLog.flush().then(() => say({ kind: 'data', message }));
    else say({ kind: 'data', message });
  },
});

releaseMemory();
port.on('message', (said: ToWorker) => {
  switch (said.kind) {
    case 'control': {
      const { message } = said;
      if (message.kind !== 'serve-pod') return part.post(message);
      return servePod(message);
    }
    case 'log-levels':
      levels.reset();
      levels.set(said.levels);
      return;
    case 'access-log-written': {
      const done = accessLogWritten;
      accessLogWritten = undefined;
      return done?.();
    }
  }
});

/** Without descriptors left this pod cannot be served; all others still are. */
function servePod(message: Extract<ControlMessage, { kind: 'serve-pod' }>): void {
  const { requestId } = message;
  let taken: ControlMessage | undefined;
  try {
    taken = { ...message, target: duplicateTarget(message.target, openOwn) };
  } catch (error) {
    say({ kind: 'data', message: { kind: 'pod-failed', requestId, error: messageOf(error) } });
  }
  say({ kind: 'descriptors-taken', requestId });
  if (taken) part.post(taken);
}

/**
 * Descriptors end with this thread, however it ends: Node closes what a worker opened by `fs`, and libuv what it listens on.
 * The control part's own are closed by the control part.
 */
function openOwn(netns: number): number {
  return openSync(`/proc/self/fd/${netns}`, 'r');
}
