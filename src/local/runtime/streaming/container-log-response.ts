/** `GET /containerLogs/NAMESPACE/POD/CONTAINER`, as a kubelet answers it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../../../lib/errors.ts';
import { logPath } from '../container-start.ts';
import { parseLogQuery, readLog } from '../log-reader.ts';
import type { PodWorker } from '../pod-worker.ts';

type Report = ReturnType<PodWorker['containers']>[number];

/** Sends an error of the node as text. */
export function refuse(response: ServerResponse, code: number, message: string): void {
  response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8' }).end(message);
}

export async function serveContainerLog(
  worker: PodWorker,
  name: string,
  parameters: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const pod = worker.pod.metadata.name ?? '';
  const report = (): Report | undefined => worker.containers().find((each) => each.status.name === name);
  const found = report();
  if (!found) return refuse(response, 404, `container "${name}" not found in pod "${pod}"`);
  let query;
  try {
    query = parseLogQuery(parameters, Date.now());
  } catch (error) {
    return refuse(response, 400, messageOf(error));
  }
  const wantsPrevious = ['true', '1'].includes(parameters.get('previous') ?? '');
  const attempt = wantsPrevious ? previousAttempt(found) : found.attempt;
  const state = found.status.state;
  if (wantsPrevious && attempt < 0)
    return refuse(response, 400, `previous terminated container "${name}" in pod "${pod}" not found`);
  if (!wantsPrevious && state?.waiting && found.status.lastState?.terminated === undefined) {
    const reason = state.waiting.reason ?? 'unknown';
    const isPulling = ['ErrImagePull', 'ImagePullBackOff'].includes(reason);
    const problem = isPulling ? `trying and failing to pull image` : reason;
    return refuse(response, 400, `container "${name}" in pod "${pod}" is waiting to start: ${problem}`);
  }
  const gone = new AbortController();
  request.on('close', () => gone.abort());
  response.on('close', () => gone.abort());
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  response.flushHeaders();
  await readLog({
    path: logPath(worker.logFolder, name, attempt),
    query,
    signal: gone.signal,
    isLive: () => !wantsPrevious && report()?.attempt === attempt && report()?.pid !== undefined,
    write: (chunk) =>
      new Promise((resolve) => {
        if (response.destroyed || response.write(chunk)) return resolve();
        response.once('drain', resolve).once('close', resolve);
      }),
  });
  response.end();
}

/** A container that waits to restart still counts its last run as the current one: that is the previous one then. */
function previousAttempt(found: Report): number {
  const isBetweenRuns = found.status.state?.waiting !== undefined && found.status.lastState?.terminated !== undefined;
  return isBetweenRuns ? found.attempt : found.attempt - 1;
}
