/** `/config_dump`: what the proxy knows, in the shape that istioctl reads, written piece by piece, as a mesh may be large. */
import type { ServiceKey } from '../../api/names.ts';
import type { MeshAddress, MeshService, MeshWorkload } from '../../api/workload.ts';
import { dumpCertificate, type CertificateStatus } from '../../identity/index.ts';
import type { Authorization } from '../../policy/index.ts';
import type { ConnectionReport, PodInfo } from '../messages.ts';
import { dumpConnection, dumpEndpoints, dumpPolicy, dumpService, dumpWorkload, type Json } from './dump-values.ts';

type Direction = ConnectionReport['direction'];

export interface ConfigDumpInput {
  /** As discovery said; may change while it is read. */
  readonly addresses: Iterable<MeshAddress>;
  readonly policies: Iterable<Authorization>;
  readonly certificates: readonly CertificateStatus[];
  readonly pods: readonly DumpedPod[];
  /** Live connections of a pod, a page at a time. */
  readonly connections: (podUid: string, direction: Direction) => AsyncIterable<readonly ConnectionReport[]>;
  readonly nowMs: () => number;
  readonly version: string;
  /** Settings without secrets. */
  readonly config: Readonly<Record<string, string | number | boolean>>;
}

export interface DumpedPod {
  readonly pod: PodInfo;
  /** Pending: its listeners could not be opened yet. */
  readonly state: 'Up' | 'Pending';
}

/** The JSON text in pieces, none longer than what one thing has to say. */
export async function* configDump(input: ConfigDumpInput): AsyncGenerator<string> {
  const workloads: MeshWorkload[] = [];
  const services = new Map<ServiceKey, MeshService>();
  const endpoints = new Map<ServiceKey, MeshWorkload[]>();
  for (const address of input.addresses) {
    if (address.kind === 'service') {
      services.set(`${address.service.namespace}/${address.service.hostname}` as ServiceKey, address.service);
      continue;
    }
    workloads.push(address.workload);
    for (const key of address.workload.services.keys()) {
      const list = endpoints.get(key);
      if (list) list.push(address.workload);
      else endpoints.set(key, [address.workload]);
    }
  }
  const staged = [...endpoints].filter(([key]) => !services.has(key));
  yield '{';
  yield* array('workloads', workloads.values().map(dumpWorkload));
  yield ',';
  yield* array(
    'services',
    services.entries().map(([key, service]) => dumpService(service, endpoints.get(key) ?? [])),
  );
  yield ',';
  yield* array('policies', Iterator.from(input.policies).map(dumpPolicy));
  yield ',';
  yield member('stagedServices', Object.fromEntries(staged.map(([key, list]) => [key, dumpEndpoints(key, list)])));
  yield ',';
  yield member('staticConfig', { workloads: [], policies: [], services: [] });
  yield ',';
  yield* array('certificates', input.certificates.values().map(dumpCertificate));
  yield ',';
  yield* workloadState(input);
  yield ',';
  yield member('version', { version: input.version, istioVersion: input.version });
  yield ',';
  yield member('config', input.config);
  yield '\n}\n';
}

async function* workloadState({ pods, connections, nowMs }: ConfigDumpInput): AsyncGenerator<string> {
  yield `\n  "workloadState": {`;
  for (const [index, { pod, state }] of pods.entries()) {
    const info = { name: pod.name, namespace: pod.namespace, serviceAccount: pod.serviceAccount };
    yield `${index === 0 ? '' : ','}\n    ${JSON.stringify(pod.uid)}: {\n      "state": "${state}",\n      "connections": {`;
    for (const direction of ['inbound', 'outbound'] as const) {
      yield `${direction === 'inbound' ? '' : ','}\n        "${direction}": [`;
      let separator = '';
      for await (const page of connections(pod.uid, direction)) {
        // One line each: there may be very many.
        for (const connection of page) {
          yield `${separator}\n          ${JSON.stringify(dumpConnection(connection, nowMs()))}`;
          separator = ',';
        }
      }
      yield separator === '' ? ']' : '\n        ]';
    }
    // Its queries to these are captured.
    const dns = pod.resolver ? `,\n      "dns": ${JSON.stringify(pod.resolver)}` : '';
    yield `\n      },\n      "info": ${JSON.stringify(info)}${dns}\n    }`;
  }
  yield pods.length === 0 ? '}' : '\n  }';
}

function* array(name: string, items: Iterable<Json>): Generator<string> {
  yield `\n  "${name}": [`;
  let separator = '';
  for (const item of items) {
    yield `${separator}\n    ${pretty(item, 4)}`;
    separator = ',';
  }
  yield separator === '' ? ']' : '\n  ]';
}

function member(name: string, value: Json): string {
  return `\n  "${name}": ${pretty(value, 2)}`;
}

/** As a member that stands `indent` spaces to the right. Strings hold no line breaks of their own in JSON. */
function pretty(value: Json, indent: number): string {
  return JSON.stringify(value, undefined, 2).replaceAll('\n', `\n${' '.repeat(indent)}`);
}
