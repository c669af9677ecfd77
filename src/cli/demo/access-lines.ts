/** Reads the access logs of the ztunnels: what each connection was, as the destination's side saw it. */
import { kinds, systemNamespace } from '../../api/index.ts';
import type { KubeClient } from '../../kube/index.ts';

/** One inbound connection of an access log. */
export interface AccessLine {
  readonly timeMs: number;
  readonly source: {
    readonly workload: string;
    readonly namespace: string;
    readonly identity: string;
    readonly ip: string;
  };
  readonly destination: { readonly workload: string; readonly namespace: string; readonly identity: string };
  /** CONNECT target: present when the connection came through a tunnel. */
  readonly tunnelTarget: string;
  readonly policy: string;
  readonly error: string;
}

/** Every inbound line of every ztunnel, oldest first. */
export async function readInboundLines(client: KubeClient): Promise<AccessLine[]> {
  const pods = (await client.list(kinds.Pod, { namespace: systemNamespace, labelSelector: 'app=ztunnel' })).items;
  const logs = await Promise.all(
    pods.map(async (pod) => {
      const response = await client.raw({
        method: 'GET',
        path: `/api/v1/namespaces/${systemNamespace}/pods/${pod.metadata.name}/log`,
      });
      return response.body.text();
    }),
  );
  return logs
    .flatMap((log) => log.split('\n'))
    .flatMap((line) => parseAccessLine(line) ?? [])
    .toSorted((a, b) => a.timeMs - b.timeMs);
}

/** One line of text format; undefined unless it is an inbound connection. */
export function parseAccessLine(line: string): AccessLine | undefined {
  const [time = '', , scope, , rest = ''] = line.split('\t');
  if (scope !== 'access') return undefined;
  const fields = new Map<string, string>();
  for (const [, key = '', quoted, plain] of rest.matchAll(/([\w.]+)=(?:("(?:[^"\\]|\\.)*")|(\S*))/g)) {
    fields.set(key, quoted === undefined ? (plain ?? '') : (JSON.parse(quoted) as string));
  }
  if (fields.get('direction') !== 'inbound') return undefined;
  const field = (name: string): string => fields.get(name) ?? '';
  return {
    timeMs: Date.parse(time),
    source: {
      workload: field('src.workload'),
      namespace: field('src.namespace'),
      identity: field('src.identity'),
      ip: field('src.addr'),
    },
    destination: {
      workload: field('dst.workload'),
      namespace: field('dst.namespace'),
      identity: field('dst.identity'),
    },
    tunnelTarget: field('dst.hbone_addr'),
    policy: field('policy'),
    error: field('error'),
  };
}
