/** The tables of `ztunnel-config`: rows of a dump, and their columns, as istioctl has them and more. */
import { formatAge, type Column } from '../output.ts';
import { fields, list, serialText, text, type Fields } from '../dump-fields.ts';
import type { SelectedPod } from './select.ts';

export interface RowOptions {
  readonly direction: 'inbound' | 'outbound' | undefined;
  /** Addresses, not names. */
  readonly raw: boolean;
}

export interface Section {
  /** The rows of one ztunnel's dump. */
  readonly rows: (dump: Fields, options: RowOptions) => readonly Fields[];
  readonly namespaceOf: (row: Fields) => string;
  /** Whether a row is about a pod. */
  readonly concerns: (row: Fields, pod: SelectedPod) => boolean;
  /** Every ztunnel should say the same. */
  readonly isShared: boolean;
  readonly columns: readonly Column<Fields>[];
  readonly wideColumns?: readonly Column<Fields>[];
}

const namespaceOf = (row: Fields): string => text(row['namespace']);

export const sections: Readonly<Record<string, Section>> = {
  workloads: {
    rows: (dump) => byName(list(dump['workloads'])),
    namespaceOf,
    concerns: (row, pod) => row['name'] === pod.name && row['namespace'] === pod.namespace,
    isShared: true,
    columns: [
      column('NAMESPACE', 'namespace'),
      column('POD NAME', 'name'),
      { title: 'ADDRESS', value: (row) => text(row['workloadIps']) || text(row['hostname']) },
      column('NODE', 'node'),
      { title: 'WAYPOINT', value: waypoint },
      column('PROTOCOL', 'protocol'),
    ],
    wideColumns: [
      column('STATUS', 'status'),
      column('WORKLOAD', 'workloadName'),
      column('SERVICE ACCOUNT', 'serviceAccount'),
      column('CLUSTER', 'clusterId'),
      { title: 'POLICIES', value: (row) => text(row['authorizationPolicies']) },
    ],
  },
  services: {
    rows: (dump) => byName(list(dump['services'])),
    namespaceOf,
    concerns: (row, pod) =>
      Object.keys(fields(row['endpoints'])).some((uid) => uid.endsWith(`/${pod.namespace}/${pod.name}`)),
    isShared: true,
    columns: [
      column('NAMESPACE', 'namespace'),
      column('SERVICE NAME', 'name'),
      { title: 'SERVICE VIP', value: (row) => text(row['vips']).replaceAll(/(^|,)[^/,]*\//g, '$1') },
      { title: 'WAYPOINT', value: waypoint },
      { title: 'ENDPOINTS', value: healthyEndpoints },
    ],
    wideColumns: [
      column('HOSTNAME', 'hostname'),
      {
        title: 'PORTS',
        value: (row) =>
          Object.entries(fields(row['ports']))
            .map((pair) => pair.map(text).join(':'))
            .join(','),
      },
      { title: 'BALANCING', value: (row) => text(fields(row['loadBalancer'])['mode']) },
    ],
  },
  policies: {
    rows: (dump) => byName(list(dump['policies'])),
    namespaceOf,
    concerns: (row, pod) => row['scope'] === 'Global' || row['namespace'] === pod.namespace,
    isShared: true,
    columns: [
      column('NAMESPACE', 'namespace'),
      column('POLICY NAME', 'name'),
      column('ACTION', 'action'),
      column('SCOPE', 'scope'),
    ],
    wideColumns: [
      { title: 'RULES', value: (row) => String(list(row['rules']).length) },
      { title: 'DRY RUN', value: (row) => text(row['dryRun'] ?? false) },
    ],
  },
  certificates: {
    rows: certificateRows,
    namespaceOf: (row) => /\/ns\/([^/]+)\//.exec(text(row['identity']))?.[1] ?? '',
    concerns: (row, pod) => text(row['identity']).endsWith(`/ns/${pod.namespace}/sa/${pod.serviceAccount}`),
    isShared: false,
    columns: [
      column('CERTIFICATE NAME', 'identity'),
      column('TYPE', 'type'),
      { title: 'STATUS', value: (row) => text(row['state']).replace(/:.*/, '') },
      column('VALID CERT', 'valid'),
      column('SERIAL NUMBER', 'serialNumber'),
      column('NOT AFTER', 'expirationTime'),
      column('NOT BEFORE', 'validFrom'),
    ],
    wideColumns: [
      { title: 'EXPIRES IN', value: (row) => remaining(text(row['expirationTime'])) },
      { title: 'PROBLEM', value: (row) => /: (.*)/.exec(text(row['state']))?.[1] ?? text(row['renewalError']) },
    ],
  },
  connections: {
    rows: connectionRows,
    namespaceOf,
    concerns: (row, pod) => row['workload'] === `${pod.name}.${pod.namespace}`,
    isShared: false,
    columns: [
      column('WORKLOAD', 'workload'),
      column('DIRECTION', 'direction'),
      column('LOCAL', 'local'),
      column('REMOTE', 'remote'),
      column('REMOTE TARGET', 'remoteTarget'),
      column('PROTOCOL', 'protocol'),
      { title: 'SENT', value: (row) => bytes(row['bytesSent']) },
      { title: 'RECEIVED', value: (row) => bytes(row['bytesReceived']) },
      { title: 'AGE', value: (row) => (row['since'] === undefined ? '' : formatAge(text(row['since']))) },
      { title: 'PEER IDENTITY', value: peerIdentity },
    ],
    wideColumns: [
      column('SERVICE', 'service'),
      column('HBONE TARGET', 'hboneAddr'),
      column('POLICY', 'policy'),
      {
        title: 'OWN IDENTITY',
        value: (row) => text(row[row['direction'] === 'inbound' ? 'destinationIdentity' : 'sourceIdentity']),
      },
    ],
  },
};

function certificateRows(dump: Fields): Fields[] {
  return list(dump['certificates']).flatMap((certificate) => {
    const { identity, state, renewalError } = certificate;
    const problem = renewalError === undefined ? {} : { renewalError };
    const chain = list(certificate['certChain']).map((each, i) => ({
      ...each,
      type: i === 0 ? 'Leaf' : 'Intermediate',
      ...(i === 0 ? problem : {}),
    }));
    const roots = list(certificate['rootCerts']).map((each) => ({ ...each, type: 'Root' }));
    if (chain.length === 0) return [{ identity, state, valid: false }];
    return [...chain, ...roots].map((each: Fields) => ({
      identity,
      state,
      ...each,
      serialNumber: serialText(each['serialNumber']),
      valid: Date.parse(text(each['validFrom'])) <= Date.now() && Date.now() < Date.parse(text(each['expirationTime'])),
    }));
  });
}

/** One row a connection, with names for addresses that the dump knows. */
function connectionRows(dump: Fields, { direction: only, raw }: RowOptions): Fields[] {
  const nameOf = raw ? (address: unknown): string => text(address) : namesOf(dump);
  const states = list(dump['workloadState']).toSorted((a, b) => podName(a).localeCompare(podName(b)));
  return states.flatMap((state) =>
    (['inbound', 'outbound'] as const)
      .filter((direction) => only === undefined || only === direction)
      .flatMap((direction) =>
        list(fields(state['connections'])[direction]).map((connection) => {
          const { ambit, ...rest } = connection;
          const { src, actualDst, originalDst } = connection;
          const [local, remote] = direction === 'inbound' ? [actualDst, src] : [src, actualDst];
          return {
            workload: podName(state),
            namespace: fields(state['info'])['namespace'],
            direction,
            local: nameOf(local),
            remote: nameOf(remote),
            remoteTarget: direction === 'inbound' ? text(originalDst) : nameOf(originalDst),
            ...rest,
            ...fields(ambit),
          };
        }),
      ),
  );
}

function podName(state: Fields): string {
  const { name, namespace } = fields(state['info']);
  return `${text(name)}.${text(namespace)}`;
}

function namesOf(dump: Fields): (address: unknown) => string {
  const names = new Map<string, string>();
  for (const workload of list(dump['workloads'])) {
    for (const ip of list(workload['workloadIps']).map(text))
      names.set(ip, `${text(workload['name'])}.${text(workload['namespace'])}`);
  }
  for (const service of list(dump['services'])) {
    for (const vip of list(service['vips']).map(text))
      names.set(vip.slice(vip.indexOf('/') + 1), text(service['hostname']));
  }
  return (value) => {
    const address = text(value);
    const colon = address.lastIndexOf(':');
    const name = names.get(address.slice(0, colon).replaceAll(/[[\]]/g, ''));
    return name === undefined ? address : `${name}${address.slice(colon)}`;
  };
}

function column(title: string, key: string): Column<Fields> {
  return { title, value: (row) => text(row[key]) };
}

function byName(rows: readonly Fields[]): readonly Fields[] {
  const key = (row: Fields): string => `${text(row['namespace'])}.${text(row['name'])}`;
  return rows.toSorted((a, b) => key(a).localeCompare(key(b)));
}

/** The hostname, without its namespace and the domain below it. */
function waypoint(row: Fields): string {
  const destination = text(fields(row['waypoint'])['destination']);
  return destination === '' ? 'None' : destination.replace(/^([^/]*)\/([^.]+)\.\1\.svc\..*$/, '$2');
}

function healthyEndpoints(row: Fields): string {
  const endpoints = list(row['endpoints']);
  return `${endpoints.filter(({ status }) => status === undefined || status === 'Healthy').length}/${endpoints.length}`;
}

function peerIdentity(row: Fields): string {
  return text(row[row['direction'] === 'inbound' ? 'sourceIdentity' : 'destinationIdentity']);
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `512B`, `1.5MiB`. */
export function bytes(value: unknown): string {
  if (typeof value !== 'number') return '';
  const power = value < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  const scaled = value / 1024 ** power;
  return `${power === 0 ? value : scaled.toFixed(1)}${units[power]}`;
}

function remaining(expiration: string): string {
  const ms = Date.parse(expiration) - Date.now();
  if (Number.isNaN(ms)) return '';
  return ms <= 0 ? 'expired' : formatAge(new Date(0).toISOString(), ms);
}
