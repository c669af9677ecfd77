/** The node's unix socket: its pods, their logs, and connections into them. Only the owner of the state folder reaches it. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { closeNetns, dial, openNetns, warmThreadPool } from '../../net/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { logPath } from './container-start.ts';
import { parseLogQuery, readLog } from './log-reader.ts';
import { parsePorts, portForwardProtocol, servePortForward } from './port-forward.ts';
import type { PodWorker } from './pod-worker.ts';

export interface NodeServerOptions {
  readonly socketPath: string;
  readonly workers: () => readonly PodWorker[];
  readonly find: (namespace: string, name: string) => PodWorker | undefined;
  readonly log: Log;
}

/** One pod of `GET /pods`. */
export interface NodePodReport {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly isStatic: boolean;
  readonly hostNetwork: boolean;
  readonly phase: string;
  readonly podIP: string;
  /** Absent for hostNetwork. */
  readonly netnsPath?: string;
  readonly containers: readonly {
    readonly name: string;
    readonly isInit: boolean;
    readonly state: 'waiting' | 'running' | 'terminated';
    readonly reason?: string;
    readonly ready: boolean;
    readonly restartCount: number;
    /** The command, in init's pid namespace; absent while it does not run. */
    readonly pid?: number;
    readonly startedAt?: string;
  }[];
}

const connectTimeoutMs = 5_000;
const maxClients = 256;

export interface RunningNodeServer {
  close(): Promise<void>;
}

/** Listens; a socket file that a killed runtime left is replaced. */
export async function startNodeServer(options: NodeServerOptions): Promise<RunningNodeServer> {
  await warmThreadPool();
  const webSockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => (offered.has(portForwardProtocol) ? portForwardProtocol : false),
    maxPayload: 16 * 1024 * 1024,
  });
  const server = createServer((request, response) => {
    serve(options, request, response).catch((error: unknown) => {
      options.log.warn('A request to the node failed', { path: request.url, error: messageOf(error) });
      if (response.headersSent) response.destroy();
      else refuse(response, 500, messageOf(error));
    });
  });
  server.maxConnections = maxClients;
  server.on('upgrade', (request, socket, head) => upgrade(options, webSockets, request, socket, head));
  rmSync(options.socketPath, { force: true });
  await listenPrivately(server, options.socketPath);
  return {
    async close() {
      for (const client of webSockets.clients) client.terminate();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function serve(options: NodeServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://node');
  const [, action, namespace = '', name = '', container = ''] = url.pathname.split('/').map(decodeURIComponent);
  if (request.method !== 'GET') return refuse(response, 405, `Cannot ${request.method} here`);
  if (action === 'healthz') return void response.end('ok');
  if (action === 'pods') {
    response.writeHead(200, { 'content-type': 'application/json' });
    return void response.end(JSON.stringify(options.workers().map(reportPod)));
  }
  if (action !== 'containerLogs') return refuse(response, 404, `No ${url.pathname} here`);
  const worker = options.find(namespace, name);
  if (!worker) return refuse(response, 404, `pod "${name}" in namespace "${namespace}" does not run on this node`);
  await serveLog(worker, container, url.searchParams, request, response);
}

async function serveLog(
  worker: PodWorker,
  name: string,
  parameters: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const report = (): ReturnType<PodWorker['containers']>[number] | undefined =>
    worker.containers().find((each) => each.status.name === name);
  const found = report();
  if (!found) return refuse(response, 404, `container "${name}" is not in the pod`);
  let query;
  try {
    query = parseLogQuery(parameters, Date.now());
  } catch (error) {
    return refuse(response, 400, messageOf(error));
  }
  const wantsPrevious = ['true', '1'].includes(parameters.get('previous') ?? '');
  const attempt = wantsPrevious ? previousAttempt(found) : found.attempt;
  if (wantsPrevious && attempt < 0) {
    return refuse(
      response,
      400,
      `previous terminated container "${name}" in pod "${worker.pod.metadata.name}" not found`,
    );
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
function previousAttempt(found: ReturnType<PodWorker['containers']>[number]): number {
  const isBetweenRuns = found.status.state?.waiting !== undefined && found.status.lastState?.terminated !== undefined;
  return isBetweenRuns ? found.attempt : found.attempt - 1;
}

function upgrade(
  options: NodeServerOptions,
  webSockets: WebSocketServer,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const url = new URL(request.url ?? '/', 'http://node');
  const [, action, namespace = '', name = ''] = url.pathname.split('/').map(decodeURIComponent);
  socket.on('error', () => socket.destroy());
  const reject = (code: number, message: string): void => {
    const body = `${message}\n`;
    socket.end(
      `HTTP/1.1 ${code} Refused\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  };
  if (action !== 'portForward') return reject(404, `No ${url.pathname} here`);
  if (request.headers.upgrade?.toLowerCase() !== 'websocket') return reject(400, 'Only WebSocket is spoken here');
  const worker = options.find(namespace, name);
  if (!worker) return reject(404, `pod "${name}" in namespace "${namespace}" does not run on this node`);
  let ports: number[];
  try {
    ports = parsePorts(url.searchParams);
  } catch (error) {
    return reject(400, messageOf(error));
  }
  webSockets.handleUpgrade(request, socket, head, (webSocket) => {
    servePortForward({ webSocket, ports, connect: (port) => connectInPod(worker, port) });
  });
}

/** To 127.0.0.1 inside the pod, which for a hostNetwork pod is the node's. */
async function connectInPod(worker: PodWorker, port: number): Promise<Socket> {
  const target = { host: '127.0.0.1', port, timeoutMs: connectTimeoutMs };
  if (worker.netnsPath === undefined) {
    if (!worker.pod.spec.hostNetwork) throw new Error('the pod has no network any more');
    return dial(target);
  }
  const netns = openNetns(worker.netnsPath);
  try {
    return await dial({ ...target, netns });
  } finally {
    closeNetns(netns);
  }
}

function reportPod(worker: PodWorker): NodePodReport {
  const { pod, uid, isStatic, netnsPath } = worker;
  const status = worker.status();
  return {
    uid,
    namespace: pod.metadata.namespace ?? '',
    name: pod.metadata.name ?? '',
    labels: pod.metadata.labels ?? {},
    isStatic,
    hostNetwork: pod.spec.hostNetwork ?? false,
    phase: status.phase ?? 'Unknown',
    podIP: status.podIP ?? '',
    ...(netnsPath === undefined ? {} : { netnsPath }),
    containers: worker.containers().map(({ status: each, isInit, pid }) => {
      const { waiting, running, terminated } = each.state ?? {};
      const reason = waiting?.reason ?? terminated?.reason;
      const startedAt = running?.startedAt ?? terminated?.startedAt;
      return {
        name: each.name,
        isInit,
        state: running ? 'running' : terminated ? 'terminated' : 'waiting',
        ...(reason === undefined ? {} : { reason }),
        ready: each.ready,
        restartCount: each.restartCount,
        ...(pid === undefined ? {} : { pid }),
        ...(startedAt === undefined ? {} : { startedAt }),
      };
    }),
  };
}

function listenPrivately(server: Server, socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, () => {
      chmodSync(socketPath, 0o600);
      resolve();
    });
  });
}

function refuse(response: ServerResponse, code: number, message: string): void {
  response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8' }).end(`${message}\n`);
}
