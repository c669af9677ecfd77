/** `ambit ztunnel-config`: what the ztunnels hold, read from their admin port as it is on the wire. */
import { Argument, Command } from 'commander';
import { kinds, systemNamespace } from '../api/index.ts';
import { openPortForward, type KubeClient } from '../kube/index.ts';
import { AmbitError } from '../lib/errors.ts';
import {
  contextOption,
  kubeconfigOption,
  nodeOption,
  openCluster,
  outputOption,
  stateOption,
  type CliContext,
  type ClusterOptions,
  type OutputFormat,
} from './context.ts';
import { httpGet } from './http-get.ts';
import { printList, type Column } from './output.ts';

interface ZtunnelConfigOptions extends ClusterOptions {
  readonly node?: string;
  readonly output: OutputFormat;
}

type Fields = Readonly<Record<string, unknown>>;

interface Section {
  /** The rows of one ztunnel's dump. */
  readonly rows: (dump: Fields) => readonly Fields[];
  readonly columns: readonly Column<Fields>[];
}

const adminPort = 15000;

const sections: Readonly<Record<string, Section>> = {
  workloads: {
    rows: (dump) => list(dump['workloads']),
    columns: [
      column('NAMESPACE', 'namespace'),
      column('POD NAME', 'name'),
      { title: 'ADDRESS', value: (row) => text(row['workloadIps']) },
      column('NODE', 'node'),
      { title: 'WAYPOINT', value: (row) => text(fields(row['waypoint'])['destination']) },
      column('PROTOCOL', 'protocol'),
    ],
  },
  services: {
    rows: (dump) => list(dump['services']),
    columns: [
      column('NAMESPACE', 'namespace'),
      column('SERVICE NAME', 'name'),
      { title: 'SERVICE VIP', value: (row) => text(row['vips']) },
      { title: 'WAYPOINT', value: (row) => text(fields(row['waypoint'])['destination']) },
      { title: 'ENDPOINTS', value: (row) => String(Object.keys(fields(row['endpoints'])).length) },
    ],
  },
  policies: {
    rows: (dump) => list(dump['policies']),
    columns: [
      column('NAMESPACE', 'namespace'),
      column('POLICY NAME', 'name'),
      column('ACTION', 'action'),
      column('SCOPE', 'scope'),
      { title: 'RULES', value: (row) => String(list(row['rules']).length) },
    ],
  },
  connections: {
    rows: (dump) =>
      Object.values(fields(dump['workloadState'])).flatMap((state) => {
        const { info, connections } = fields(state);
        const { name, namespace } = fields(info);
        return (['inbound', 'outbound'] as const).flatMap((direction) =>
          list(fields(connections)[direction]).map((connection) => ({
            workload: `${text(namespace)}/${text(name)}`,
            direction,
            ...connection,
          })),
        );
      }),
    columns: [
      column('WORKLOAD', 'workload'),
      column('DIRECTION', 'direction'),
      column('SOURCE', 'src'),
      column('ORIGINAL DESTINATION', 'originalDst'),
      column('DESTINATION', 'actualDst'),
      column('PROTOCOL', 'protocol'),
    ],
  },
  certificates: {
    rows: (dump) => list(dump['certificates']),
    columns: [
      column('IDENTITY', 'identity'),
      column('STATE', 'state'),
      { title: 'SERIAL NUMBER', value: (row) => text(leaf(row)['serialNumber']) },
      { title: 'NOT BEFORE', value: (row) => text(leaf(row)['validFrom']) },
      { title: 'NOT AFTER', value: (row) => text(leaf(row)['expirationTime']) },
    ],
  },
};

export function ztunnelConfigCommand(context: CliContext): Command {
  return new Command('ztunnel-config')
    .description('show what the ztunnels know and do')
    .addArgument(new Argument('<what>', 'what to show').choices(Object.keys(sections)))
    .addOption(nodeOption())
    .addOption(outputOption())
    .addOption(stateOption())
    .addOption(kubeconfigOption())
    .addOption(contextOption())
    .addHelpText('after', '\nExample:\n  ambit ztunnel-config workloads --node node-1')
    .action(async (what: string, options: ZtunnelConfigOptions) => {
      const section = sections[what];
      if (!section) throw new Error(`No section ${what}`);
      const client = openCluster(context, options);
      try {
        const nodes = await ztunnelPods(client, options.node);
        const rows: Fields[] = [];
        for (const { node, pod } of nodes) {
          const dump = await readDump(client, pod);
          rows.push(...section.rows(dump).map((row) => ({ ztunnel: node, ...row })));
        }
        const columns = nodes.length > 1 ? [column('ZTUNNEL', 'ztunnel'), ...section.columns] : section.columns;
        printList(context, rows, { format: options.output, columns });
      } finally {
        await client.close();
      }
    });
}

async function ztunnelPods(client: KubeClient, node: string | undefined): Promise<{ node: string; pod: string }[]> {
  const pods = (await client.list(kinds.Pod, { namespace: systemNamespace, labelSelector: 'app=ztunnel' })).items;
  const found = pods
    .map((pod) => ({ node: pod.spec?.nodeName ?? '', pod: pod.metadata.name ?? '' }))
    .filter((pod) => node === undefined || pod.node === node);
  if (found.length > 0) return found.toSorted((a, b) => a.node.localeCompare(b.node));
  const known = pods.map((pod) => pod.spec?.nodeName).join(', ') || 'none';
  throw new AmbitError(
    node === undefined
      ? 'No ztunnel pod in istio-system'
      : `No ztunnel on node "${node}": there are ztunnels on ${known}`,
    {
      code: 'cli.no-ztunnel',
      blame: 'downstream',
    },
  );
}

async function readDump(client: KubeClient, pod: string): Promise<Fields> {
  const stream = await openPortForward(client, { namespace: systemNamespace, pod, port: adminPort });
  try {
    return fields(JSON.parse(await httpGet(stream, '/config_dump')));
  } finally {
    stream.destroy();
  }
}

function column(title: string, key: string): Column<Fields> {
  return { title, value: (row) => text(row[key]) };
}

function leaf(row: Fields): Fields {
  return list(row['certChain'])[0] ?? {};
}

function text(value: unknown): string {
  if (value === undefined || value === null) return '';
  return Array.isArray(value)
    ? value.join(',')
    : typeof value === 'object'
      ? JSON.stringify(value)
      : String(value as string | number | boolean);
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function list(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? (value as Fields[]) : [];
}
