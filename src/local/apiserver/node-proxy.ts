/** `pods/log`, `pods/exec`, `pods/attach`, `pods/portforward`: handed to the runtime of the pod's node over its unix socket. */
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { messageOf } from '../../lib/errors.ts';
import { isJsonObject } from './merge-patch.ts';
import type { ApiObject } from './object-fields.ts';
import { badRequest, notFound, StatusError, statusOf } from './status-error.ts';
import type { ObjectStore } from './store.ts';

export interface NodeProxyContext {
  readonly store: ObjectStore;
  /** Unix socket of a node's runtime. */
  nodeSocket(node: string): string;
}

interface PodTarget {
  readonly namespace: string;
  readonly name: string;
}

export type StreamAction = 'exec' | 'attach' | 'portForward';

/** Subresources that are streams, and what a node calls them. */
export const streamActions: ReadonlyMap<string, StreamAction> = new Map([
  ['exec', 'exec'],
  ['attach', 'attach'],
  ['portforward', 'portForward'],
]);

/** A client's connection that Node's server has let go. */
export interface UpgradedClient {
  readonly request: IncomingMessage;
  readonly client: Duplex;
  readonly head: Buffer;
}

const podResource = { group: '', plural: 'pods' };
/** What belongs to the client's connection or its credentials, not to the request that the node sees. */
const droppedHeaders = new Set([
  'authorization',
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'te',
  'cookie',
]);
/** Names of a flag in the API, and in the query that a node reads. */
const streamFlags: Readonly<Record<string, string>> = { stdin: 'input', stdout: 'output', stderr: 'error', tty: 'tty' };
const maxRefusalBytes = 64 * 1024;
/** Clients that vanish, such as laptops that sleep, are found out by probes of the kernel. */
const keepAliveMs = 30_000;

/** Streams the log of one container. Throws 400, 404; answers 500 when the node cannot be reached. */
export function proxyLog(
  context: NodeProxyContext,
  target: PodTarget,
  query: URLSearchParams,
  response: ServerResponse,
): void {
  const pod = findPod(context, target);
  const container = chooseContainer(pod, query.get('container'));
  const socketPath = socketOf(context, pod);
  const passed = new URLSearchParams(query);
  passed.delete('container');
  const path = `${nodePath('containerLogs', target, container)}?${passed}`;
  const fail = (status: StatusError): void => {
    if (response.headersSent) return void response.destroy();
    const body = statusOf(status);
    response.writeHead(body.code ?? 500, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const upstream = httpRequest({ socketPath, path, agent: false }, (answer) => {
    answer.on('error', () => response.destroy());
    answer.on('aborted', () => response.destroy());
    if (answer.statusCode !== 200) {
      readText(answer, (text) => fail(refusalOf(answer.statusCode ?? 500, text, target.name)));
      return;
    }
    response.writeHead(200, {
      'content-type': answer.headers['content-type'] ?? 'text/plain',
      'cache-control': 'no-cache, private',
    });
    response.flushHeaders();
    answer.pipe(response);
  });
  upstream.on('error', (error) => fail(nodeUnreachable(pod, error)));
  response.on('close', () => upstream.destroy());
  upstream.end();
}

/**
 * Passes an upgrade request (WebSocket or SPDY) to the node and joins the two connections; the node answers it.
 * Throws 400 and 404 before anything is written.
 */
export function proxyUpgrade(
  context: NodeProxyContext,
  target: PodTarget & { readonly action: StreamAction },
  { request, client, head }: UpgradedClient,
): void {
  const pod = findPod(context, target);
  const query = new URL(request.url ?? '/', 'https://apiserver').searchParams;
  const path = streamPath(pod, target, query);
  const upstream = connect(socketOf(context, pod));
  const fail = (error: Error): void => {
    if (upstream.bytesRead === 0) client.end(rawStatus(nodeUnreachable(pod, error)));
    else client.destroy();
  };
  if (client instanceof Socket) client.setKeepAlive(true, keepAliveMs).setNoDelay(true);
  upstream.on('error', fail);
  client.on('error', () => upstream.destroy());
  client.on('close', () => upstream.destroy());
  upstream.on('close', () => client.end());
  upstream.on('connect', () => {
    const lines = [`${request.method} ${path} HTTP/1.1`, 'Host: node', 'Connection: Upgrade'];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      const name = request.rawHeaders[i] ?? '';
      if (!droppedHeaders.has(name.toLowerCase())) lines.push(`${name}: ${request.rawHeaders[i + 1]}`);
    }
    upstream.write(`${lines.join('\r\n')}\r\n\r\n`);
    if (head.length > 0) upstream.write(head);
    client.pipe(upstream);
    upstream.pipe(client);
  });
}

/** An HTTP response for a connection that Node's server has let go. */
export function rawStatus(thrown: unknown): string {
  const status = statusOf(thrown);
  const body = JSON.stringify(status);
  const code = status.code ?? 500;
  return `HTTP/1.1 ${code} ${status.reason ?? 'Error'}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}

/** The request as the node wants it: of the query only what it knows. */
function streamPath(
  pod: ApiObject,
  target: PodTarget & { readonly action: StreamAction },
  query: URLSearchParams,
): string {
  const passed = new URLSearchParams();
  if (target.action === 'portForward') {
    for (const ports of query.getAll('ports')) passed.append('ports', ports);
    return `${nodePath(target.action, target)}?${passed}`;
  }
  for (const [name, passedName] of Object.entries(streamFlags)) {
    if (isSet(query.get(name))) passed.set(passedName, '1');
  }
  for (const word of query.getAll('command')) passed.append('command', word);
  return `${nodePath(target.action, target, chooseContainer(pod, query.get('container')))}?${passed}`;
}

function isSet(text: string | null): boolean {
  return text !== null && !['', 'false', '0'].includes(text.toLowerCase());
}

function nodePath(action: string, target: PodTarget, ...rest: readonly string[]): string {
  return ['', action, ...[target.namespace, target.name, ...rest].map(encodeURIComponent)].join('/');
}

function findPod(context: NodeProxyContext, target: PodTarget): ApiObject {
  const stored = context.store.get('pods', target.namespace, target.name);
  if (!stored) throw notFound(podResource, target.name);
  return stored.object as ApiObject;
}

function socketOf(context: NodeProxyContext, pod: ApiObject): string {
  const node = pod.spec?.['nodeName'];
  if (typeof node !== 'string' || node === '')
    throw badRequest(`pod ${pod.metadata.name} does not have a host assigned`);
  return context.nodeSocket(node);
}

function chooseContainer(pod: ApiObject, wanted: string | null): string {
  const name = pod.metadata.name ?? '';
  const names = ['containers', 'initContainers'].map((field) => {
    const list = pod.spec?.[field];
    return Array.isArray(list)
      ? list.flatMap((item) => (isJsonObject(item) && typeof item['name'] === 'string' ? [item['name']] : []))
      : [];
  });
  const [main = [], init = []] = names;
  const chosen =
    wanted ||
    pod.metadata.annotations?.['kubectl.kubernetes.io/default-container'] ||
    (main.length === 1 ? main[0] : undefined);
  if (chosen === undefined) {
    const others = init.length === 0 ? '' : ` or one of the init containers: [${init.join(' ')}]`;
    throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${main.join(' ')}]${others}`);
  }
  if (![...main, ...init].includes(chosen)) throw badRequest(`container ${chosen} is not valid for pod ${name}`);
  return chosen;
}

/** A node's refusal as the API's: its text, in a Status. */
function refusalOf(code: number, text: string, name: string): StatusError {
  const message = text.trim();
  if (code === 400) return badRequest(message);
  if (code === 404) {
    return new StatusError({ code, reason: 'NotFound', message, details: { name, kind: 'pods' } });
  }
  return new StatusError({ code: 500, reason: 'InternalError', message: `Internal error occurred: ${message}` });
}

function readText(answer: IncomingMessage, done: (text: string) => void): void {
  const chunks: Buffer[] = [];
  let size = 0;
  answer.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= maxRefusalBytes) chunks.push(chunk);
  });
  answer.on('end', () => done(Buffer.concat(chunks).toString()));
}

function nodeUnreachable(pod: ApiObject, error: Error): StatusError {
  const message = `Cannot reach the runtime of node ${JSON.stringify(pod.spec?.['nodeName'] ?? '')}: ${messageOf(error)}`;
  return new StatusError({ code: 500, reason: 'InternalError', message });
}
