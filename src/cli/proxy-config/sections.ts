/** The tables of `proxy-config`: rows of a dump, and their columns. */
import { fields, list, serialText, text, type Fields } from '../dump-fields.ts';
import type { Column } from '../output.ts';

export interface Filter {
  readonly port: string | undefined;
  readonly fqdn: string | undefined;
  readonly name: string | undefined;
}

export interface Section {
  readonly rows: (dump: Fields) => readonly Fields[];
  /** What `--port`, `--fqdn` and `--name` are compared with; absent: such a filter leaves nothing of it. */
  readonly filterBy: { readonly [Key in keyof Filter]?: (row: Fields) => readonly string[] };
  readonly columns: readonly Column<Fields>[];
}

export const sections: Readonly<Record<string, Section>> = {
  listeners: {
    rows: listenerRows,
    filterBy: {
      port: (row) => [text(row['port']), text(row['servicePort'])],
      fqdn: (row) => [text(row['hostname'])],
      name: (row) => [text(row['name'])],
    },
    columns: [
      column('LISTENER', 'name'),
      column('PORT', 'port'),
      {
        title: 'MATCH',
        value: (row) =>
          row['servicePort'] === undefined
            ? text(row['hostname'])
            : `${text(row['hostname'])}:${text(row['servicePort'])}`,
      },
      column('PROTOCOL', 'protocol'),
      column('ROUTES', 'routes'),
      { title: 'POLICIES', value: (row) => String(policyNames(fields(row['policies'])).length || '') },
    ],
  },
  routes: {
    rows: routeRows,
    filterBy: {
      port: (row) => [portOfTable(text(row['table']))],
      fqdn: (row) => [...list(row['domains']).map(text), text(row['table']).split('|').at(-1) ?? ''],
      name: (row) => [text(row['table']), text(row['name'])],
    },
    columns: [
      column('ROUTES', 'table'),
      { title: 'DOMAINS', value: (row) => text(row['domains']) },
      column('RULE', 'name'),
      { title: 'MATCH', value: (row) => matchText(row) },
      { title: 'DOES', value: (row) => actionText(row) },
      { title: 'FROM', value: (row) => originText(row['origin']) },
    ],
  },
  backends: {
    rows: (dump) => list(dump['backends']),
    filterBy: {
      port: (row) => [text(row['port'])],
      fqdn: (row) => [text(row['hostname'])],
      name: (row) => [text(row['name'])],
    },
    columns: [
      column('SERVICE FQDN', 'hostname'),
      column('PORT', 'port'),
      column('SUBSET', 'subset'),
      column('PROTOCOL', 'protocol'),
      { title: 'BALANCING', value: (row) => text(fields(row['loadBalancer'])['kind']) },
      { title: 'TLS', value: (row) => text(fields(row['tls'])['mode']) },
      { title: 'FROM', value: (row) => originText(row['origin']) },
    ],
  },
  endpoints: {
    rows: (dump) =>
      list(dump['endpoints']).flatMap((backend) =>
        list(backend['hosts']).map((host) => ({ backend: backend['name'], ...host })),
      ),
    filterBy: {
      port: (row) => [text(row['backend']).split('|')[1] ?? ''],
      fqdn: (row) => [text(row['backend']).split('|').at(-1) ?? ''],
      name: (row) => [text(row['backend'])],
    },
    columns: [
      column('ENDPOINT', 'address'),
      { title: 'WORKLOAD', value: (row) => workloadText(text(row['workload'])) },
      column('HEALTH', 'health'),
      column('WEIGHT', 'weight'),
      column('PRIORITY', 'priority'),
      column('REQUESTS', 'activeRequests'),
      column('CONNECTIONS', 'connections'),
      column('BACKEND', 'backend'),
    ],
  },
  policies: {
    rows: policyRows,
    filterBy: { name: (row) => [text(row['name'])] },
    columns: [
      column('KIND', 'kind'),
      column('NAME', 'name'),
      { title: 'ACTION', value: (row) => text(row['action']) || text(row['phase']) },
      { title: 'RULES', value: (row) => String(ruleCount(row)) },
      { title: 'DRY RUN', value: (row) => text(row['dryRun']) },
      { title: 'HOLDS FOR', value: (row) => text(row['holdsFor']) },
    ],
  },
  secrets: {
    rows: secretRows,
    filterBy: { name: (row) => [text(row['name'])] },
    columns: [
      column('NAME', 'name'),
      column('TYPE', 'type'),
      column('STATUS', 'status'),
      column('VALID', 'valid'),
      column('SERIAL NUMBER', 'serialNumber'),
      column('NOT AFTER', 'expirationTime'),
      column('NOT BEFORE', 'validFrom'),
    ],
  },
};

/** NAMESPACE/NAME of a uid `<cluster>/<group>/<kind>/<namespace>/<name>[/...]`; what is no such uid as it is. */
function workloadText(uid: string): string {
  const [, , , namespace, name] = uid.split('/');
  return name === undefined ? uid : `${namespace}/${name}`;
}

/** One row a place where requests come in: a Service's port behind a waypoint, a server of a gateway. */
function listenerRows(dump: Fields): Fields[] {
  return list(dump['listeners']).flatMap((listener): Fields[] => {
    const { name, port } = listener;
    if (listener['type'] === 'edge') {
      return list(listener['servers']).map(({ hostname, protocol, routes, policies, name: server }) => {
        return { name, port, server, hostname, protocol, routes, policies };
      });
    }
    const services = list(dump['services']).flatMap((service) =>
      list(service['ports']).map(({ port: servicePort, protocol, routes }) => {
        const { hostname, policies } = service;
        return { name, port, hostname, servicePort, protocol, routes, policies };
      }),
    );
    return services.length > 0
      ? services
      : [{ name, port, hostname: '', protocol: 'hbone', policies: listener['policies'] }];
  });
}

function routeRows(dump: Fields): Fields[] {
  return list(dump['routes']).flatMap((table): Fields[] => [
    ...list(table['hosts']).flatMap((host) =>
      list(host['rules']).map((rule) => ({ table: table['name'], domains: host['domains'], ...rule })),
    ),
    ...list(table['tls']).map((rule) => ({ table: table['name'], domains: rule['sniHosts'], ...rule })),
    ...list(table['tcp']).map((rule) => ({ table: table['name'], domains: [], ...rule })),
  ]);
}

/** Where each holds is told by the resources that name it. */
function policyRows(dump: Fields): Fields[] {
  const places = new Map<string, string[]>();
  const note = (attachment: unknown, place: string): void => {
    for (const name of policyNames(fields(attachment))) places.set(name, [...(places.get(name) ?? []), place]);
  };
  for (const listener of list(dump['listeners'])) {
    note(listener['policies'], `listener ${text(listener['name'])}`);
    for (const server of list(listener['servers'])) note(server['policies'], text(server['name']));
  }
  for (const service of list(dump['services'])) note(service['policies'], text(service['hostname']));
  return ['authorization', 'authentication', 'rateLimits', 'telemetry', 'extensions']
    .flatMap((name) => list(dump[name]))
    .map((policy) => ({ ...policy, holdsFor: places.get(`${text(policy['kind'])}/${text(policy['name'])}`) ?? [] }));
}

const attachmentKinds = {
  authorization: 'authorization',
  authentication: 'authentication',
  rateLimits: 'rate-limit',
  telemetry: 'telemetry',
  extensions: 'extension',
} as const;

/** `<kind>/<name>` of all that an attachment names. */
function policyNames(attachment: Fields): string[] {
  return Object.entries(attachmentKinds).flatMap(([key, kind]) => {
    const names = attachment[key];
    return Array.isArray(names) ? names.map((name) => `${kind}/${text(name)}`) : [];
  });
}

/** The proxy's own certificate and its roots, as istioctl names them, then what it was given. */
function secretRows(dump: Fields): Fields[] {
  const own = list(dump['certificates']).flatMap(({ identity, state, certChain, rootCerts }): Fields[] => {
    const status = text(state).replace(/:.*/, '').toUpperCase();
    return [
      ...list(certChain)
        .slice(0, 1)
        .map((one) => ({ name: 'default', identity, type: 'Cert Chain', status, ...validity(one) })),
      ...list(rootCerts).map((one) => ({ name: 'ROOTCA', identity, type: 'CA', status, ...validity(one) })),
    ];
  });
  const given = list(dump['secrets']).flatMap(({ name, certificates, caCertificates }): Fields[] => [
    ...chainRows(name, 'Cert Chain', certificates).slice(0, 1),
    ...chainRows(name, 'CA', caCertificates),
  ]);
  return [...own, ...given];
}

function chainRows(name: unknown, type: string, chain: unknown): Fields[] {
  if (typeof chain === 'string') return [{ name, type, status: 'UNREADABLE', valid: false }];
  return list(chain).map((one) => ({ name, type, status: 'ACTIVE', ...validity(one) }));
}

function validity({ serialNumber, validFrom, expirationTime, subject, names }: Fields): Fields {
  const now = Date.now();
  const valid = Date.parse(text(validFrom)) <= now && now < Date.parse(text(expirationTime));
  return { valid, serialNumber: serialText(serialNumber), validFrom, expirationTime, subject, names };
}

function matchText(row: Fields): string {
  const matches = list(row['matches']);
  if (matches.length === 0) return row['port'] === undefined ? '*' : `port ${text(row['port'])}`;
  return matches.map(oneMatch).join(' or ');
}

function oneMatch(match: Fields): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(match)) {
    if (Array.isArray(value)) {
      for (const one of list(value)) {
        const sign = one['invert'] === true ? '!' : '';
        parts.push(
          `${sign}${name === 'headers' ? '' : `${name} `}${text(one['name'] ?? one['path'])} ${matchValue(one['match'])}`.trim(),
        );
      }
    } else if (typeof value === 'object')
      parts.push(name === 'path' ? matchValue(value) : `${name} ${matchValue(value)}`);
    else parts.push(`${name} ${text(value)}`);
  }
  return parts.join(', ') || '*';
}

function matchValue(match: unknown): string {
  const { kind, value } = fields(match);
  switch (kind) {
    case 'exact':
      return `= ${text(value)}`;
    case 'prefix':
    case 'path-prefix':
      return `${text(value)}*`;
    case 'suffix':
      return `*${text(value)}`;
    case 'regex':
      return `~ ${text(value)}`;
    default:
      return text(kind);
  }
}

function actionText(row: Fields): string {
  const action = fields(row['action']);
  switch (action['kind']) {
    case 'redirect':
      return `redirect ${text(action['status'])}`;
    case 'respond':
      return `answer ${text(action['status'])}`;
    default:
      return destinationsText(list(action['destinations'] ?? row['destinations']));
  }
}

function destinationsText(destinations: readonly Fields[]): string {
  return destinations
    .map(({ weight, target }) => {
      const { backend, reason } = fields(target);
      const share = destinations.length > 1 ? `${text(weight)} ` : '';
      return `${share}${backend === undefined ? `nowhere (${text(reason)})` : text(backend)}`;
    })
    .join(', ');
}

function originText(origin: unknown): string {
  const { kind, namespace, name, path } = fields(origin);
  if (kind === undefined) return '';
  return `${text(kind)} ${text(namespace)}/${text(name)}${path === undefined ? '' : ` ${text(path)}`}`;
}

/** Of `inbound-vip|80|http|host`. */
function portOfTable(table: string): string {
  return table.split('|').find((part) => /^\d+$/.test(part)) ?? '';
}

function ruleCount(policy: Fields): number {
  return ['rules', 'limits', 'metrics', 'accessLogs'].reduce((sum, name) => sum + list(policy[name]).length, 0);
}

function column(title: string, field: string): Column<Fields> {
  return { title, value: (row) => text(row[field]) };
}
