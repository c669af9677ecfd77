/** The node agent's HTTP side: liveness and readiness, and metrics under Istio's names. */
import type { RequestListener, Server } from 'node:http';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { createServer } from '../lib/node-http.ts';
import { expositionContentType, negotiateFormat, type MetricsRegistry } from '../telemetry/index.ts';

export interface AdminOptions {
  /** `0` picks one; absent: no server. */
  readonly readinessPort?: number;
  readonly metricsPort?: number;
  readonly isReady: () => boolean;
  readonly metrics: MetricsRegistry;
}

export interface Admin {
  readonly ports: { readonly readiness: number | undefined; readonly metrics: number | undefined };
  close(): void;
}

export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const readiness = await serve(options.readinessPort, (request, response) => {
    if (request.url !== '/readyz' && request.url !== '/healthz') return void response.writeHead(404).end();
    const ready = request.url === '/healthz' || options.isReady();
    response.writeHead(ready ? 200 : 503, { 'content-type': 'text/plain' }).end(ready ? 'ok\n' : 'not ready\n');
  });
  const metrics = await serve(options.metricsPort, (request, response) => {
    if (request.url !== '/metrics') return void response.writeHead(404).end();
    const format = negotiateFormat(request.headers.accept);
    response.writeHead(200, { 'content-type': expositionContentType[format] }).end(options.metrics.write(format));
  });
  return {
    ports: { readiness: portOf(readiness), metrics: portOf(metrics) },
    close() {
      for (const server of [readiness, metrics]) {
        server?.close();
        server?.closeAllConnections();
      }
    },
  };
}

function serve(port: number | undefined, handle: RequestListener): Promise<Server | undefined> {
  if (port === undefined) return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    const server = createServer(handle);
    server.once('error', (error) => {
      reject(
        new AmbitError(`Cannot listen on port ${port}: ${messageOf(error)}`, {
          code: 'cni.admin-port',
          blame: 'internal',
          cause: error,
        }),
      );
    });
    server.listen(port, () => resolve(server));
  });
}

function portOf(server: Server | undefined): number | undefined {
  const address = server?.address();
  return typeof address === 'object' && address !== null ? address.port : undefined;
}
