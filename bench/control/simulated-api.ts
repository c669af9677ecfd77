/** As much of a Kubernetes API as a control plane asks for, over HTTP on loopback: lists, watches, simple writes, token reviews. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubeObject } from '../../src/api/index.ts';
import { resourceName, type ObjectStore } from './object-store.ts';

export interface SimulatedApi {
  readonly url: string;
  close(): void;
}

interface Target {
  readonly group: string;
  readonly version: string;
  readonly namespace: string | undefined;
  readonly plural: string;
  readonly name: string | undefined;
}

export async function serveApi(store: ObjectStore): Promise<SimulatedApi> {
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => answer(store, request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function answer(store: ObjectStore, request: IncomingMessage, response: ServerResponse, body: string): void {
  const url = new URL(request.url ?? '/', 'http://api');
  const target = parseTarget(url.pathname);
  if (!target) return fail(response, 404, 'NotFound');
  if (target.plural === 'tokenreviews') return reviewToken(response, JSON.parse(body) as KubeObject);
  const name = resourceName(target.group, target.plural);
  // What is written here is only read back by its writer: the plural does for the kind.
  const kind = { ...target, kind: target.plural };
  switch (request.method) {
    case 'GET': {
      if (target.name !== undefined) {
        const found = store.get(name, target.namespace ?? '', target.name);
        return found ? send(response, 200, found) : fail(response, 404, 'NotFound');
      }
      if (url.searchParams.get('watch') === 'true') return watch(store, name, url, response);
      const items = selected(store.list(name, target.namespace), url);
      return send(response, 200, {
        kind: 'List',
        apiVersion: 'v1',
        metadata: { resourceVersion: store.revision },
        items,
      });
    }
    case 'POST': {
      const object = JSON.parse(body) as KubeObject;
      const namespace = target.namespace === undefined ? {} : { namespace: target.namespace };
      const metadata = { uid: `uid-${name}-${object.metadata.name}`, ...object.metadata, ...namespace };
      return send(response, 201, store.put(kind, { ...object, metadata }));
    }
    case 'PUT':
      return send(response, 200, store.put(kind, JSON.parse(body) as KubeObject));
    case 'PATCH': {
      const before = store.get(name, target.namespace ?? '', target.name ?? '');
      if (!before) return fail(response, 404, 'NotFound');
      const patch = JSON.parse(body) as KubeObject;
      return send(
        response,
        200,
        store.put(kind, { ...before, ...patch, metadata: { ...before.metadata, ...patch.metadata } }),
      );
    }
    case undefined:
    default:
      return fail(response, 405, 'MethodNotAllowed');
  }
}

function watch(store: ObjectStore, name: string, url: URL, response: ServerResponse): void {
  const write = (type: string, object: unknown): void => {
    response.write(`${JSON.stringify({ type, object })}\n`);
  };
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  if (url.searchParams.get('sendInitialEvents') === 'true') {
    for (const object of selected(store.list(name, undefined), url)) write('ADDED', object);
    const annotations = { 'k8s.io/initial-events-end': 'true' };
    write('BOOKMARK', { metadata: { resourceVersion: store.revision, annotations } });
  }
  const stop = store.subscribe(name, ({ type, object }) => {
    if (selected([object], url).length > 0) write(type, object);
  });
  response.on('close', stop);
}

function selected(objects: KubeObject[], url: URL): KubeObject[] {
  const [, wanted] = /^metadata\.name=(.+)$/.exec(url.searchParams.get('fieldSelector') ?? '') ?? [];
  return wanted === undefined ? objects : objects.filter(({ metadata }) => metadata.name === wanted);
}

/** Every token is a ztunnel's. */
function reviewToken(response: ServerResponse, review: KubeObject): void {
  const { audiences = [] } = (review as unknown as { spec: { audiences?: string[] } }).spec;
  const user = { username: 'system:serviceaccount:istio-system:ztunnel', groups: [], extra: {} };
  send(response, 201, { ...review, status: { authenticated: true, audiences, user } });
}

function parseTarget(path: string): Target | undefined {
  const [, core, group, named, rest = ''] = /^\/(?:api\/(v1)|apis\/([^/]+)\/([^/]+))\/(.+)$/.exec(path) ?? [];
  const parts = rest.split('/');
  const namespaced = parts[0] === 'namespaces' && parts.length > 2;
  const [plural, name] = namespaced ? parts.slice(2) : parts;
  if (plural === undefined || plural === '') return undefined;
  return {
    group: core === undefined ? (group ?? '') : '',
    version: core ?? named ?? '',
    namespace: namespaced ? parts[1] : undefined,
    plural,
    name,
  };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function fail(response: ServerResponse, code: number, reason: string): void {
  send(response, code, {
    apiVersion: 'v1',
    kind: 'Status',
    metadata: {},
    status: 'Failure',
    code,
    reason,
    message: reason,
  });
}
