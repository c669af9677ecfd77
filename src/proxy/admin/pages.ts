/** Short pages of the admin port, for people and for tools that know Envoy's: text, or JSON with `?format=json`. */
import type { Listener } from '../../api/l7/index.ts';
import { answer, type Page } from '../../telemetry/admin/index.ts';
import { expositionContentType, writeSnapshot, type MetricsSnapshot } from '../../telemetry/index.ts';
import type { ListenerAddress } from '../listeners/listeners.ts';
import type { ProxySnapshot } from '../config/snapshot.ts';
import type { BackendStatus } from '../upstream/upstream.ts';
import { jsonOf } from './shown.ts';

export interface ShortPages {
  readonly snapshot: () => ProxySnapshot | undefined;
  readonly addresses: () => readonly ListenerAddress[];
  readonly endpoints: () => Promise<readonly BackendStatus[]>;
  readonly metrics: () => Promise<MetricsSnapshot>;
  readonly pending: () => readonly string[];
  readonly server: () => Readonly<Record<string, string | number>>;
}

export function shortPages(options: ShortPages): readonly Page[] {
  const clusters = page(
    '/clusters',
    'backends and their endpoints, with health and load: ?format=json',
    options.endpoints,
    clustersText,
  );
  return [
    clusters,
    { ...clusters, path: '/endpoints' },
    page(
      '/listeners',
      'ports that are open: ?format=json',
      () => {
        const listeners = options.snapshot()?.listeners;
        return options.addresses().map(({ name, port }) => ({ name, port, type: typeOf(listeners?.get(name)) }));
      },
      (listeners) => listeners.map(({ name, port, type }) => `${name}::[::]:${port} ${type}\n`).join(''),
    ),
    page(
      '/routes',
      'route tables with their rules: ?format=json',
      () => [...(options.snapshot()?.routes.values() ?? [])],
      (tables) =>
        tables
          .flatMap(({ name, hosts, tls, tcp }) => [
            ...hosts.flatMap(({ domains, rules }) =>
              rules.map((rule) => `${name}::${domains.join(',')}::${rule.name}\n`),
            ),
            ...tls.map((rule) => `${name}::tls ${rule.sniHosts.join(',')}::${rule.name}\n`),
            ...tcp.map((rule) => `${name}::tcp::${rule.name}\n`),
          ])
          .join(''),
    ),
    {
      path: '/stats',
      method: 'GET',
      does: 'metrics, one a line: ?filter=TEXT',
      async serve({ response, url }) {
        const filter = url.searchParams.get('filter') ?? '';
        const lines = [...writeSnapshot(await options.metrics(), 'text')].join('').split('\n');
        const wanted = lines.filter((line) => line !== '' && !line.startsWith('#') && line.includes(filter));
        answer(response, 200, wanted.map((line) => `${line.replace(/ (?=[^ ]*$)/, ': ')}\n`).join(''));
      },
    },
    {
      path: '/stats/prometheus',
      method: 'GET',
      does: 'metrics for Prometheus',
      serve: async ({ response }) =>
        answer(response, 200, [...writeSnapshot(await options.metrics(), 'text')].join(''), {
          'content-type': expositionContentType.text,
        }),
    },
    page(
      '/server_info',
      'version, role and age of the process',
      options.server,
      (info) => `${JSON.stringify(info, null, 2)}\n`,
    ),
    {
      path: '/ready',
      method: 'GET',
      does: 'whether it takes traffic',
      serve({ response }) {
        const pending = options.pending();
        answer(response, pending.length === 0 ? 200 : 503, pending.length === 0 ? 'LIVE\n' : 'PRE_INITIALIZING\n');
      },
    },
  ];
}

function page<T>(path: string, does: string, read: () => Promise<T> | T, text: (value: T) => string): Page {
  return {
    path,
    method: 'GET',
    does,
    async serve({ response, url }) {
      const value = await read();
      if (url.searchParams.get('format') !== 'json') return answer(response, 200, text(value));
      return answer(response, 200, `${jsonOf(value, 2)}\n`, { 'content-type': 'application/json' });
    },
  };
}

/** As Envoy writes it. */
function clustersText(backends: readonly BackendStatus[]): string {
  return backends
    .flatMap(({ name, hosts, activeRequests, pendingRequests, connections }) => [
      `${name}::active_requests::${activeRequests}\n`,
      `${name}::pending_requests::${pendingRequests}\n`,
      `${name}::connections::${connections}\n`,
      ...hosts.flatMap((host) =>
        Object.entries({
          cx_active: host.connections,
          rq_active: host.activeRequests,
          health_flags: host.health === 'ejected' ? '/failed_outlier_check' : host.health,
          weight: host.weight,
          priority: host.priority,
          workload: host.workload,
        }).map(([key, value]) => `${name}::${host.address}::${key}::${value}\n`),
      ),
    ])
    .join('');
}

function typeOf(listener: Listener | undefined): string {
  return listener?.type ?? 'closing';
}
