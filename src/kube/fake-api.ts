/** A scripted API server for the tests of this folder: real HTTP on port 0, answers by hand. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubeObject } from '../api/index.ts';

export interface FakeApi extends AsyncDisposable {
  readonly url: string;
  /** Requests seen so far, as `METHOD path?query`. */
  readonly seen: readonly string[];
  /** Takes over every request. */
  handle(handler: (request: IncomingMessage, response: ServerResponse, body: string) => void): void;
}

export async function openFakeApi(): Promise<FakeApi> {
  const seen: string[] = [];
  let handler: (request: IncomingMessage, response: ServerResponse, body: string) => void = (_, response) => {
    response.writeHead(404).end();
  };
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      seen.push(`${request.method} ${request.url}`);
      handler(request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    handle: (next) => (handler = next),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function sendStatus(response: ServerResponse, code: number, reason: string, message: string): void {
  sendJson(response, code, {
    apiVersion: 'v1',
    kind: 'Status',
    metadata: {},
    status: 'Failure',
    code,
    reason,
    message,
  });
}

/** A ConfigMap-like object of namespace `ns`. */
export function fakeObject(name: string, resourceVersion: string, uid: string = `uid-${name}`): KubeObject {
  return { metadata: { namespace: 'ns', name, uid, resourceVersion, managedFields: [{}] } };
}
