/** The control plane's own metrics, and the HTTP port that shows them: /metrics, /readyz, /livez, /debug/syncz. */
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { formatHostPort, isLoopback, tryParseIp } from '../lib/ip.ts';
import { expositionContentType, negotiateFormat, type MetricGroup, type MetricsRegistry } from '../telemetry/index.ts';

export interface ControlMetrics {
  /** Labels: type. */
  readonly pushes: MetricGroup<'pushes' | 'rejects' | 'resources'>;
  readonly csr: MetricGroup<'requests' | 'issued' | 'refused'>;
  /** Material of the certificate authority that was taken up, or not. */
  readonly material: MetricGroup<'accepted' | 'refused'>;
  /** Labels: resource. */
  readonly admission: MetricGroup<'passed' | 'failed'>;
}

export function registerControlMetrics(registry: MetricsRegistry): ControlMetrics {
  return {
    pushes: registry.group({
      labelNames: ['type'],
      metrics: {
        pushes: { name: 'pilot_xds_pushes', help: 'Responses that clients answered', kind: 'counter' },
        rejects: { name: 'pilot_total_xds_rejects', help: 'Responses that clients refused', kind: 'counter' },
        resources: { name: 'pilot_xds_pushed_resources', help: 'Resources in answered responses', kind: 'counter' },
      },
    }),
    material: registry.group({
      labelNames: [],
      metrics: {
        accepted: { name: 'ambit_ca_material_accepted', help: 'Material of the authority taken up', kind: 'counter' },
        refused: { name: 'ambit_ca_material_refused', help: 'Material of the authority refused', kind: 'counter' },
      },
    }),
    admission: registry.group({
      labelNames: ['resource'],
      metrics: {
        passed: { name: 'galley_validation_passed', help: 'Objects that the webhook let through', kind: 'counter' },
        failed: { name: 'galley_validation_failed', help: 'Objects that the webhook refused', kind: 'counter' },
      },
    }),
    csr: registry.group({
      labelNames: [],
      metrics: {
        requests: { name: 'citadel_server_csr_count', help: 'Certificate requests', kind: 'counter' },
        issued: {
          name: 'citadel_server_success_cert_issuance_count',
          help: 'Requests that were authorized',
          kind: 'counter',
        },
        refused: {
          name: 'citadel_server_authentication_failure_count',
          help: 'Requests by callers that are unknown, or may not have the identity',
          kind: 'counter',
        },
      },
    }),
  };
}

export interface MonitoringOptions {
  readonly host: string;
  readonly port: number;
  readonly registry: MetricsRegistry;
  /** What is still missing; undefined when ready. */
  readonly notReady: () => string | undefined;
  /** Of `/debug/syncz`, for who asks from the control plane's own host or pod. */
  readonly syncStatus: () => unknown;
}

export interface MonitoringServer {
  readonly port: number;
  close(): Promise<void>;
}

export async function startMonitoring(options: MonitoringOptions): Promise<MonitoringServer> {
  const { host, port, registry, notReady, syncStatus } = options;
  const server = createServer((request, response) => {
    const send = (status: number, body: string, contentType: string = 'text/plain; charset=utf-8'): void => {
      response.writeHead(status, { 'content-type': contentType }).end(body);
    };
    const path = (request.url ?? '').split('?')[0] ?? '';
    switch (path) {
      case '/readyz':
      case '/ready': {
        const missing = notReady();
        return missing === undefined ? send(200, 'ok\n') : send(503, `${missing}\n`);
      }
      case '/livez':
      case '/healthz':
        return send(200, 'ok\n');
      case '/metrics': {
        const format = negotiateFormat(request.headers.accept);
        return send(200, registry.write(format), expositionContentType[format]);
      }
      case '/debug/syncz':
        // Names of proxies, and why they refuse what: not for everybody who reaches the port.
        if (!isLocal(request.socket)) return send(403, 'only for who is here: use a port-forward\n');
        return send(200, `${JSON.stringify(syncStatus(), null, 2)}\n`, 'application/json');
      default:
        return send(404, 'there is /metrics, /readyz, /livez and /debug/syncz\n');
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const message = `Cannot listen on ${formatHostPort(host, port)}: ${messageOf(error)}`;
      reject(new AmbitError(message, { code: 'control.listen-failed', blame: 'internal', cause: error }));
    });
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Loopback, as a port-forward comes, or one address of ours to another. */
function isLocal({ remoteAddress, localAddress }: Pick<Socket, 'remoteAddress' | 'localAddress'>): boolean {
  const ip = tryParseIp(remoteAddress ?? '');
  return ip !== undefined && (isLoopback(ip) || remoteAddress === localAddress);
}
