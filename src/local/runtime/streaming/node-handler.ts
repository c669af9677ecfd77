/**
 * What a node answers, on whichever server: its pods, their logs, and streams into them. Paths and parameters are a kubelet's, so
 * that the API server of a cluster speaks to it too.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../../lib/clock.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { Log } from '../../../lib/log.ts';
import { closeNetns, dial, openNetns } from '../../../net/index.ts';
import { parsePorts, portForwardProtocol, servePortForward } from '../port-forward.ts';
import type { PodUsage } from '../pod-usage.ts';
import type { PodWorker } from '../pod-worker.ts';
import { attach } from './attach.ts';
import { refuse, serveContainerLog } from './container-log-response.ts';
import { runExecCommand } from './exec-command.ts';
import { reportPod } from './pod-report.ts';
import { summarize } from './stats-summary.ts';
import { parseRemoteOptions, type RemoteOptions, type RemoteSession } from './remote-session.ts';
import { portForwardProtocols, serveSpdyPortForward } from './spdy-port-forward.ts';
import { remoteCommandProtocols, serveSpdySession } from './spdy-session.ts';
import { acceptSpdy, acceptWebSocket, isWebSocketUpgrade, refuseUpgrade, type UpgradeRequest } from './upgrade.ts';
import { openWebSocketSession, webSocketProtocols } from './web-socket-session.ts';
import { openWebSocketTunnel, tunnelProtocol } from '../../../kube/spdy/index.ts';

export interface NodeHandlerOptions {
  readonly workers: () => readonly PodWorker[];
  readonly find: (namespace: string, name: string) => PodWorker | undefined;
  readonly usage: PodUsage;
  readonly clock: Clock;
  readonly log: Log;
}

/** For the events `request` and `upgrade` of a server. Who may ask is the server's business. */
export interface NodeHandler {
  handle(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Ends every stream. */
  close(): void;
}

const connectTimeoutMs = 5_000;

export function createNodeHandler(options: NodeHandlerOptions): NodeHandler {
  const streams = new Set<Duplex>();
  return {
    handle(request, response) {
      serve(options, request, response).catch((error: unknown) => {
        options.log.warn('A request to the node failed', { path: pathOf(request), error: messageOf(error) });
        if (response.headersSent) response.destroy();
        else refuse(response, 500, messageOf(error));
      });
    },
    upgrade(request, socket, head) {
      streams.add(socket);
      socket.on('close', () => streams.delete(socket));
      socket.on('error', () => socket.destroy());
      try {
        upgrade(options, { request, socket, head });
      } catch (error) {
        const refusal = error instanceof Refusal ? error : new Refusal(500, messageOf(error));
        refuseUpgrade(socket, refusal.status, refusal.message);
      }
    },
    close() {
      for (const stream of streams) stream.destroy();
    },
  };
}

/** Thrown where a request cannot be served. */
class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function serve(options: NodeHandlerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { action, namespace, name, container, query } = parseTarget(request);
  if (action === 'exec' || action === 'attach' || action === 'portForward')
    return refuse(response, 400, 'Upgrade request required');
  if (request.method !== 'GET') return refuse(response, 405, `Cannot ${request.method} here`);
  if (action === 'healthz') return void response.end('ok');
  if (action === 'pods') {
    response.writeHead(200, { 'content-type': 'application/json' });
    return void response.end(JSON.stringify(options.workers().map(reportPod)));
  }
  if (action === 'stats') {
    if (namespace !== 'summary') return refuse(response, 404, `No ${pathOf(request)} here`);
    response.writeHead(200, { 'content-type': 'application/json' });
    return void response.end(JSON.stringify(summarize(options)));
  }
  if (action !== 'containerLogs') return refuse(response, 404, `No ${pathOf(request)} here`);
  const worker = options.find(namespace, name);
  if (!worker) return refuse(response, 404, `pod "${name}" does not exist`);
  await serveContainerLog(worker, container, query, request, response);
}

/** Throws a Refusal. */
function upgrade(options: NodeHandlerOptions, connection: UpgradeRequest): void {
  const { action, namespace, name, container, query } = parseTarget(connection.request);
  if (!['exec', 'attach', 'portForward'].includes(action)) throw new Refusal(404, `No ${action} here`);
  const worker = options.find(namespace, name);
  if (!worker) throw new Refusal(404, 'pod does not exist');
  if (action === 'portForward') return forwardPorts(options, connection, worker, query);
  const remote = tryParse(() => parseRemoteOptions(query));
  const running = worker.running(container);
  if (!running) throw new Refusal(500, `container not found (${JSON.stringify(container)})`);
  const streams = worker.streams(container);
  if (action === 'attach' && streams)
    return openSession(options, connection, remote, (session) => attach(streams, session));
  const command = query.getAll('command');
  if (command.length === 0) throw new Refusal(400, 'you must specify a command');
  openSession(options, connection, remote, (session) =>
    runExecCommand({ target: running, command, tty: remote.tty, session, clock: options.clock }),
  );
}

function openSession(
  options: NodeHandlerOptions,
  connection: UpgradeRequest,
  remote: RemoteOptions,
  start: (session: RemoteSession) => void,
): void {
  if (isWebSocketUpgrade(connection.request)) {
    acceptWebSocket(connection, webSocketProtocols, (webSocket) => start(openWebSocketSession(webSocket, remote)));
    return;
  }
  acceptSpdy(connection, remoteCommandProtocols, (protocol) =>
    serveSpdySession({ transport: connection.socket, protocol, remote, clock: options.clock, start }),
  );
}

function forwardPorts(
  options: NodeHandlerOptions,
  connection: UpgradeRequest,
  worker: PodWorker,
  query: URLSearchParams,
): void {
  const { clock } = options;
  const connect = (port: number): Promise<Socket> => connectInPod(worker, port);
  const pod = `${worker.pod.metadata.namespace}/${worker.pod.metadata.name}`;
  if (!isWebSocketUpgrade(connection.request)) {
    acceptSpdy(connection, portForwardProtocols, () =>
      serveSpdyPortForward({ transport: connection.socket, connect, pod, clock }),
    );
    return;
  }
  const offered = connection.request.headers['sec-websocket-protocol'] ?? '';
  // A tunnel names its ports stream by stream.
  const ports = offered.includes(tunnelProtocol) ? [] : tryParse(() => parsePorts(query));
  acceptWebSocket(connection, [tunnelProtocol, portForwardProtocol, ''], (webSocket) => {
    if (webSocket.protocol === tunnelProtocol)
      serveSpdyPortForward({ transport: openWebSocketTunnel(webSocket), connect, pod, clock });
    else servePortForward({ webSocket, ports, connect });
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

interface Target {
  readonly action: string;
  readonly namespace: string;
  readonly name: string;
  readonly container: string;
  readonly query: URLSearchParams;
}

/** `/ACTION/NAMESPACE/POD[/UID]/CONTAINER?QUERY`; what is not there is "". */
function parseTarget(request: IncomingMessage): Target {
  const url = new URL(request.url ?? '/', 'http://node');
  const [, action = '', namespace = '', name = '', ...rest] = url.pathname.split('/').map(decodeURIComponent);
  return { action, namespace, name, container: rest.at(-1) ?? '', query: url.searchParams };
}

function pathOf(request: IncomingMessage): string {
  return request.url?.split('?', 1)[0] ?? '/';
}

function tryParse<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new Refusal(400, messageOf(error));
  }
}
