/** `ambit proxy-status`: every ztunnel and L7 proxy, which replica it is connected to, and whether it is in step. */
import { Command } from 'commander';
import { kinds, systemNamespace, type Pod } from '../api/index.ts';
import type { KubeClient } from '../kube/index.ts';
import { AmbitError } from '../lib/errors.ts';
import {
  contextOption,
  kubeconfigOption,
  openCluster,
  outputOption,
  stateOption,
  type CliContext,
  type ClusterOptions,
  type OutputFormat,
} from './context.ts';
import { formatAge, formatTable, printList, type Column } from './output.ts';
import { askReplicas, type ClientStatus, type SyncStatus } from './proxy-status-replicas.ts';

interface Options extends ClusterOptions {
  readonly output: OutputFormat;
}

/** One proxy, connected or not. */
type Row = Omit<ClientStatus, 'connectedAt' | 'inStep' | 'types' | 'address' | 'version'> &
  Partial<ClientStatus> & { readonly replica?: string };

const gatewayLabel = 'gateway.networking.k8s.io/gateway-name';

export function proxyStatusCommand(context: CliContext): Command {
  return new Command('proxy-status')
    .alias('ps')
    .description('list ztunnels and L7 proxies: where they get their configuration, and whether they are in step')
    .argument(
      '[proxy]',
      'only this one, with what it holds and refuses: POD or the name of a Gateway, with .NAMESPACE or without',
    )
    .addOption(outputOption())
    .addOption(stateOption())
    .addOption(kubeconfigOption())
    .addOption(contextOption())
    .addHelpText('after', '\nExamples:\n  ambit proxy-status\n  ambit proxy-status waypoint.bookinfo')
    .action(async (proxy: string | undefined, options: Options) => {
      const client = openCluster(context, options);
      try {
        const { answers, silent } = await askReplicas(context, client, options);
        for (const line of silent)
          context.err.write(`ambit: a replica of the control plane does not answer: ${line}\n`);
        const rows = withAbsent(connected(answers), await proxyPods(client));
        print(context, proxy === undefined ? rows : only(rows, proxy), proxy !== undefined, options.output);
      } finally {
        await client.close();
      }
    });
}

/** Of a proxy that is connected twice for a moment, the younger connection. */
export function connected(answers: readonly SyncStatus[]): Row[] {
  const found = new Map<string, Row>();
  for (const { replica, clients } of answers) {
    for (const client of clients) {
      const known = found.get(client.proxy);
      if ((known?.connectedAt ?? '') < client.connectedAt) found.set(client.proxy, { ...client, replica });
    }
  }
  return [...found.values()];
}

/** Adds the pods of proxies that no replica knows. */
export function withAbsent(rows: readonly Row[], pods: readonly Pod[]): Row[] {
  const known = new Set(rows.map(({ proxy }) => proxy));
  const absent = pods.flatMap((pod): Row[] => {
    const { name = '', namespace = '', labels = {} } = pod.metadata;
    const proxy = `${name}.${namespace}`;
    if (known.has(proxy)) return [];
    const gateway = labels[gatewayLabel];
    const isWaypoint = labels['gateway.networking.k8s.io/gateway-class-name']?.includes('waypoint') === true;
    return [
      {
        proxy,
        namespace,
        type: gateway === undefined ? 'ztunnel' : isWaypoint ? 'waypoint' : 'gateway',
        ...(gateway === undefined ? {} : { gateway: `${namespace}/${gateway}` }),
        node: pod.spec?.nodeName ?? '',
      },
    ];
  });
  return [...rows, ...absent].toSorted((a, b) => (a.proxy < b.proxy ? -1 : 1));
}

async function proxyPods(client: KubeClient): Promise<Pod[]> {
  const [ztunnels, gateways] = await Promise.all([
    client.list(kinds.Pod, { namespace: systemNamespace, labelSelector: 'app=ztunnel' }),
    client.list(kinds.Pod, { labelSelector: gatewayLabel }),
  ]);
  return [...ztunnels.items, ...gateways.items].filter(
    ({ metadata, status }) => metadata.deletionTimestamp === undefined && status?.phase === 'Running',
  );
}

/** Pods of that name, else those of the Gateway of that name. Throws `cli.no-proxy`. */
export function only(rows: readonly Row[], word: string): Row[] {
  const isMeant = (name: string, namespace: string): boolean => word === name || word === `${name}.${namespace}`;
  const pods = rows.filter(({ proxy, namespace }) => isMeant(proxy.slice(0, -namespace.length - 1), namespace));
  const found =
    pods.length > 0
      ? pods
      : rows.filter(({ gateway, namespace }) => isMeant(gateway?.slice(namespace.length + 1) ?? '', namespace));
  if (found.length > 0) return found;
  throw new AmbitError(`No proxy "${word}": see 'ambit proxy-status' for all, and write NAME.NAMESPACE`, {
    code: 'cli.no-proxy',
    blame: 'downstream',
  });
}

const columns: readonly Column<Row>[] = [
  { title: 'PROXY', value: (row) => row.proxy },
  { title: 'TYPE', value: (row) => row.type },
  { title: 'FOR', value: (row) => row.gateway ?? row.node },
  { title: 'CONTROL PLANE', value: (row) => row.replica ?? '' },
  { title: 'STATE', value: stateOf },
  { title: 'HOLDS', value: (row) => String(row.types?.reduce((sum, { resources }) => sum + resources, 0) ?? '') },
  { title: 'VERSION', value: (row) => row.version ?? '' },
  { title: 'SINCE', value: (row) => (row.connectedAt === undefined ? '' : formatAge(row.connectedAt)) },
];

function print(context: CliContext, rows: readonly Row[], inDetail: boolean, format: OutputFormat): void {
  printList(context, rows, { format, columns });
  if (!inDetail || format !== 'table') return;
  const types = rows.flatMap(({ types: list = [] }) => list);
  context.out.write(
    `\n${formatTable(types, [
      { title: 'RESOURCES', value: ({ type }) => type },
      { title: 'HOLDS', value: ({ resources }) => String(resources) },
      { title: 'STATE', value: ({ outstanding, refused }) => typeState(outstanding, refused.length) },
    ])}`,
  );
  for (const { type, refused } of types) {
    for (const { name, reason } of refused)
      context.out.write(`\n${type} ${name === '*' ? '' : `${name} `}is refused: ${reason}\n`);
  }
}

function stateOf({ inStep, types }: Row): string {
  if (inStep === undefined) return 'not connected';
  const refused = types?.reduce((sum, type) => sum + type.refused.length, 0) ?? 0;
  if (refused > 0) return 'refuses';
  return inStep ? 'in step' : 'behind';
}

function typeState(outstanding: boolean, refused: number): string {
  if (refused > 0) return 'refused';
  return outstanding ? 'behind' : 'in step';
}
