/** `pods/log` and `pods/portforward`: handed to the runtime of the pod's node over its unix socket. */
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
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
]);

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
  const path = `/containerLogs/${target.namespace}/${target.name}/${encodeURIComponent(container)}?${passed}`;
  const upstream = httpRequest({ socketPath, path, agent: false }, (answer) => {
    response.writeHead(answer.statusCode ?? 500, {
      'content-type': answer.headers['content-type'] ?? 'text/plain',
      'cache-control': 'no-cache, private',
    });
    response.flushHeaders();
    answer.on('error', () => response.destroy());
    answer.on('aborted', () => response.destroy());
    answer.pipe(response);
  });
  upstream.on('error', (error) => {
    if (response.headersSent) return void response.destroy();
    const status = statusOf(nodeUnreachable(pod, error));
    response.writeHead(status.code ?? 500, { 'content-type': 'application/json' }).end(JSON.stringify(status));
  });
  response.on('close', () => upstream.destroy());
  upstream.end();
}

/**
 * Passes an upgrade request (WebSocket or SPDY) to the node and joins the two connections; the node answers it.
 * Throws 400 and 404 before anything is written.
 */
export function proxyUpgrade(
  context: NodeProxyContext,
  target: PodTarget & { readonly action: 'portForward' | 'exec' | 'attach' },
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
): void {
  const pod = findPod(context, target);
  const query = new URL(request.url ?? '/', 'https://apiserver').search;
  const upstream = connect(socketOf(context, pod));
  const fail = (error: Error): void => {
    if (upstream.bytesRead === 0) client.end(rawStatus(nodeUnreachable(pod, error)));
    else client.destroy();
  };
  upstream.on('error', fail);
  client.on('error', () => upstream.destroy());
  client.on('close', () => upstream.destroy());
  upstream.on('close', () => client.end());
  upstream.on('connect', () => {
    const lines = [
      `${request.method} /${target.action}/${target.namespace}/${target.name}${query} HTTP/1.1`,
      'Host: node',
      'Connection: Upgrade',
    ];
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
  if (chosen === undefined)
    throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${main.join(' ')}]`);
  if (![...main, ...init].includes(chosen)) throw badRequest(`container ${chosen} is not valid for pod ${name}`);
  return chosen;
}

function nodeUnreachable(pod: ApiObject, error: Error): StatusError {
  const message = `Cannot reach the runtime of node ${JSON.stringify(pod.spec?.['nodeName'] ?? '')}: ${messageOf(error)}`;
  return new StatusError({ code: 500, reason: 'InternalError', message });
}
