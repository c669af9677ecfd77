/** `ambit waypoint`: waypoints of namespaces, in the verbs of istioctl. */
import { Argument, Command, Option } from 'commander';
import { dump } from 'js-yaml';
import {
  contextOption,
  ExitCode,
  kubeconfigOption,
  openCluster,
  outputOption,
  parseCount,
  stateOption,
  usageError,
  type CliContext,
  type ClusterOptions,
  type OutputFormat,
} from '../context.ts';
import { printList, type Column } from '../output.ts';
import { applyWaypoint } from './apply.ts';
import { removeWaypoints } from './remove.ts';
import {
  listWaypoints,
  trafficTypes,
  waypointGateway,
  type TrafficType,
  type WaypointRow,
} from './waypoint-gateway.ts';

interface Options extends ClusterOptions {
  readonly name?: string;
  readonly namespace: string;
  readonly allNamespaces?: boolean;
  readonly for?: TrafficType;
  readonly class?: string;
  readonly revision?: string;
  readonly enrollNamespace?: boolean;
  readonly overwrite?: boolean;
  readonly wait?: boolean;
  readonly waypointTimeout?: number;
  readonly all?: boolean;
  readonly output: OutputFormat;
}

const writing = ['name', 'for', 'class', 'revision'] as const;
const verbs = {
  apply: [...writing, 'enrollNamespace', 'overwrite', 'wait', 'waypointTimeout'],
  generate: writing,
  delete: ['all'],
  list: ['allNamespaces'],
  status: ['allNamespaces'],
} as const satisfies Record<string, readonly (keyof Options)[]>;
type Verb = keyof typeof verbs;

/** What every verb has its own few of. */
const ofVerbs: readonly (keyof Options)[] = [...new Set(Object.values(verbs).flat())];
const takesNames: readonly Verb[] = ['delete', 'status'];
const defaultTimeoutSeconds = 90;

export function waypointCommand(context: CliContext): Command {
  return new Command('waypoint')
    .description('make, list and delete waypoints: the L7 proxies of namespaces, Services and pods')
    .addArgument(new Argument('<verb>', 'what to do').choices(Object.keys(verbs)))
    .addArgument(new Argument('[names...]', 'delete, status: which waypoints'))
    .addOption(new Option('-n, --namespace <name>', 'namespace of the waypoint').default('default'))
    .addOption(new Option('-A, --all-namespaces', 'list, status: of all namespaces'))
    .addOption(new Option('--name <name>', 'apply, generate: its name (default: waypoint)'))
    .addOption(
      new Option(
        '--for <traffic>',
        'apply, generate: what it takes: traffic to services (default), workloads, all or none',
      ).choices(trafficTypes),
    )
    .addOption(new Option('--class <name>', 'apply, generate: its GatewayClass (default: istio-waypoint)'))
    .addOption(new Option('--revision <name>', 'apply, generate: the control plane that deploys it'))
    .addOption(new Option('--enroll-namespace', 'apply: label the namespace, so that all in it uses the waypoint'))
    .addOption(new Option('--overwrite', 'apply: also where the namespace uses another waypoint'))
    .addOption(new Option('-w, --wait', 'apply: wait until a proxy is ready'))
    .addOption(
      new Option(
        '--waypoint-timeout <seconds>',
        `apply: how long to wait (default: ${defaultTimeoutSeconds})`,
      ).argParser(parseCount),
    )
    .addOption(new Option('--all', 'delete: every waypoint of the namespace'))
    .addOption(outputOption())
    .addOption(stateOption())
    .addOption(kubeconfigOption())
    .addOption(contextOption())
    .addHelpText(
      'after',
      '\nExamples:\n  ambit waypoint apply -n shop --enroll-namespace --wait\n  ambit waypoint apply -n shop --name pods --for workload\n' +
        '  ambit waypoint generate -n shop > waypoint.yaml\n  ambit waypoint list -A\n  ambit waypoint delete -n shop waypoint',
    )
    .action((verb: Verb, names: readonly string[], options: Options) => run(context, verb, names, options));
}

async function run(context: CliContext, verb: Verb, names: readonly string[], options: Options): Promise<void> {
  const own: readonly (keyof Options)[] = verbs[verb];
  const foreign = ofVerbs.find((name) => options[name] !== undefined && !own.includes(name));
  if (foreign !== undefined) throw usageError(`Cannot use --${kebab(foreign)} with "waypoint ${verb}"`);
  if (names.length > 0 && !takesNames.includes(verb)) {
    const advice = own.includes('name') ? `: write --name ${names[0]}` : '';
    throw usageError(`Cannot use "${names[0]}" with "waypoint ${verb}"${advice}`);
  }
  const { namespace } = options;
  const spec = {
    name: options.name ?? 'waypoint',
    namespace,
    className: options.class ?? 'istio-waypoint',
    ...(options.for === undefined ? {} : { trafficType: options.for }),
    ...(options.revision === undefined ? {} : { revision: options.revision }),
  };
  if (verb === 'generate') {
    const gateway = waypointGateway(spec);
    context.out.write(options.output === 'json' ? `${JSON.stringify(gateway, null, 2)}\n` : dump(gateway));
    return;
  }
  const client = openCluster(context, options);
  try {
    switch (verb) {
      case 'apply': {
        const waits = options.wait || options.waypointTimeout !== undefined;
        return await applyWaypoint(context, client, {
          spec,
          enrolls: options.enrollNamespace ?? false,
          overwrites: options.overwrite ?? false,
          ...(waits ? { waitMs: (options.waypointTimeout ?? defaultTimeoutSeconds) * 1000 } : {}),
        });
      }
      case 'delete':
        return await removeWaypoints(context, client, { namespace, names, all: options.all ?? false });
      case 'list':
      case 'status': {
        const all = await listWaypoints(client, options.allNamespaces ? undefined : namespace);
        return print(context, verb, names, all, options);
      }
    }
  } finally {
    await client.close();
  }
}

function print(
  context: CliContext,
  verb: 'list' | 'status',
  names: readonly string[],
  all: readonly WaypointRow[],
  options: Options,
): void {
  const rows = all.filter(({ name }) => names.length === 0 || names.includes(name));
  if (rows.length === 0 && options.output === 'table') {
    if (names.length === 0) context.out.write('No waypoints found.\n');
  } else {
    const namespaces = options.allNamespaces ? [column('NAMESPACE', 'namespace')] : [];
    printList(context, rows, { format: options.output, columns: [...namespaces, ...columns[verb]] });
  }
  // So that a script may ask whether all is well.
  const missing = names.filter((name) => !rows.some((row) => row.name === name));
  for (const name of missing) context.err.write(`ambit: there is no waypoint "${name}"${where(options)}\n`);
  if (verb === 'status' && (missing.length > 0 || rows.some(({ programmed }) => programmed !== 'True')))
    throw new ExitCode(1);
}

function where({ allNamespaces, namespace }: Options): string {
  return allNamespaces ? '' : ` in namespace "${namespace}"`;
}

const columns: Readonly<Record<'list' | 'status', readonly Column<WaypointRow>[]>> = {
  list: [
    column('NAME', 'name'),
    column('REVISION', 'revision'),
    column('TRAFFIC TYPE', 'trafficType'),
    column('PROGRAMMED', 'programmed'),
  ],
  status: [
    column('NAME', 'name'),
    column('STATUS', 'programmed'),
    { title: 'TYPE', value: () => 'Programmed' },
    column('REASON', 'reason'),
    column('MESSAGE', 'message'),
  ],
};

function column(title: string, field: keyof WaypointRow): Column<WaypointRow> {
  return { title, value: (row) => row[field] };
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
