/** `ambit ztunnel-config`: what the ztunnels hold and do, read from their admin ports, in the verbs of istioctl. */
import { readFileSync } from 'node:fs';
import { Argument, Command, Option } from 'commander';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import {
  contextOption,
  kubeconfigOption,
  nodeOption,
  openCluster,
  stateOption,
  usageError,
  type CliContext,
  type ClusterOptions,
} from '../context.ts';
import { formatTable, printList } from '../output.ts';
import { readDump, sayToZtunnel } from './admin-port.ts';
import { askEach } from './ask-each.ts';
import { list, type Fields } from '../dump-fields.ts';
import { changeLevels } from '../change-levels.ts';
import { sections, type Section } from './sections.ts';
import { findZtunnels, type Selection } from './select.ts';

type Output = 'table' | 'wide' | 'json' | 'yaml';

interface Options extends ClusterOptions {
  readonly node?: string;
  readonly namespace?: string;
  readonly direction?: 'inbound' | 'outbound';
  readonly file?: string;
  readonly raw?: boolean;
  readonly level?: string;
  readonly reset?: boolean;
  readonly output: Output;
}

/** The words of istioctl, each with its others. */
const verbs: Readonly<Record<string, readonly string[]>> = {
  all: [],
  certificates: ['certificate', 'certs', 'cert'],
  connections: ['connection', 'cons'],
  log: ['logs', 'o'],
  policies: ['policy', 'pol', 'p'],
  services: ['service', 'svc', 's'],
  workloads: ['workload', 'w'],
};

export function ztunnelConfigCommand(context: CliContext): Command {
  return new Command('ztunnel-config')
    .alias('zc')
    .description('show what the ztunnels know and do, and change their log levels')
    .addArgument(new Argument('<what>', 'what to show').choices(Object.keys(verbs)).argParser(parseVerb))
    .addArgument(new Argument('[pod]', 'a ztunnel, or a pod of the mesh, as NAME or NAME.NAMESPACE'))
    .addOption(nodeOption())
    .addOption(new Option('-n, --namespace <name>', 'only what is of this namespace'))
    .addOption(
      new Option('--direction <which>', 'connections: only inbound or outbound').choices(['inbound', 'outbound']),
    )
    .addOption(new Option('--raw', 'connections: addresses, not names'))
    .addOption(new Option('--file <dump>', 'read a /config_dump from a file'))
    .addOption(new Option('--level <levels>', 'log: set LEVEL or SCOPE:LEVEL,..., as in info,access:debug'))
    .addOption(new Option('-r, --reset', 'log: back to the levels of the start'))
    .addOption(
      new Option('-o, --output <format>', 'how to print')
        .choices(['table', 'wide', 'json', 'yaml'])
        .default('table' satisfies Output),
    )
    .addOption(stateOption())
    .addOption(kubeconfigOption())
    .addOption(contextOption())
    .addHelpText(
      'after',
      '\nExamples:\n  ambit ztunnel-config workloads --node node-1\n  ambit ztunnel-config connections productpage-v1-abc.default -o wide\n' +
        '  ambit ztunnel-config log --level info,access:debug',
    )
    .action((what: string, pod: string | undefined, options: Options) => run(context, { what, pod, options }));
}

async function run(
  context: CliContext,
  { what, pod, options }: { what: string; pod: string | undefined; options: Options },
): Promise<void> {
  if (what !== 'log' && (options.level !== undefined || options.reset === true)) {
    throw usageError(`Cannot use --level and --reset with "${what}": write ambit ztunnel-config log`);
  }
  if (options.file !== undefined) {
    if (what === 'log') throw usageError('Cannot use --file with "log"');
    return print(context, { what, options, target: undefined, dumps: [{ ztunnel: '', dump: readFile(options.file) }] });
  }
  const client = openCluster(context, options);
  try {
    const selection = await findZtunnels(client, { node: options.node, pod });
    const { ztunnels, workload: target } = selection;
    let silent: AmbitError | undefined;
    if (what === 'log') {
      await changeLevels(context, options, async (path) => {
        const { answers, missing } = await askEach(ztunnels, (ztunnel) => sayToZtunnel(client, ztunnel, path));
        silent = missing;
        return answers.map(({ ztunnel, answer }) => ({ proxy: `${ztunnel.pod}.${ztunnel.namespace}`, answer }));
      });
    } else {
      const { answers, missing } = await askEach(ztunnels, (ztunnel) => readDump(client, ztunnel));
      silent = missing;
      const dumps = answers.map(({ ztunnel, answer }) => ({ ztunnel: ztunnel.node, dump: answer }));
      print(context, { what, options, target, dumps });
    }
    if (silent) throw silent;
  } finally {
    await client.close();
  }
}

interface Printed {
  readonly what: string;
  readonly options: Options;
  readonly target: Selection['workload'];
  readonly dumps: readonly { readonly ztunnel: string; readonly dump: Fields }[];
}

function print(context: CliContext, printed: Printed): void {
  const { what, options, dumps } = printed;
  const section = sections[what];
  if (section) {
    const { rows, columns } = rowsOf(section, printed);
    const isTable = options.output === 'table' || options.output === 'wide';
    return printList(context, rows, { format: isTable ? 'table' : (options.output as 'json' | 'yaml'), columns });
  }
  if (options.output === 'json' || options.output === 'yaml') {
    const whole = dumps.map(({ ztunnel, dump }) => (ztunnel === '' ? dump : { ztunnel, ...dump }));
    return printList(context, whole, { format: options.output, columns: [] });
  }
  for (const [name, each] of Object.entries(sections)) {
    const { rows, columns } = rowsOf(each, printed);
    context.out.write(`${name.toUpperCase()}\n${formatTable(rows, columns)}\n`);
  }
}

function rowsOf(
  section: Section,
  { options, target, dumps }: Printed,
): { rows: Fields[]; columns: Section['columns'] } {
  const seen = new Set<string>();
  const rows = dumps.flatMap(({ ztunnel, dump }) =>
    section
      .rows(dump, { direction: options.direction, raw: options.raw === true })
      .filter((row) => options.namespace === undefined || section.namespaceOf(row) === options.namespace)
      .filter((row) => target === undefined || section.concerns(row, target))
      .map((row) => (ztunnel === '' ? row : { ztunnel, ...row })),
  );
  const wide = options.output === 'wide' ? (section.wideColumns ?? []) : [];
  const columns = [...section.columns, ...wide];
  if (dumps.length < 2) return { rows, columns };
  // Every ztunnel knows the whole mesh: a table tells it once, unless they disagree.
  if (section.isShared && (options.output === 'table' || options.output === 'wide')) {
    const shown = rows.filter((row) => {
      const text = columns.map((column) => column.value(row)).join('\0');
      return !seen.has(text) && seen.add(text);
    });
    return { rows: shown, columns };
  }
  return { rows, columns: [{ title: 'ZTUNNEL', value: (row) => String(row['ztunnel']) }, ...columns] };
}

function parseVerb(word: string): string {
  const found = Object.entries(verbs).find(([verb, others]) => verb === word || others.includes(word));
  if (!found) throw usageError(`Cannot show "${word}": write one of ${Object.keys(verbs).join(', ')}`);
  return found[0];
}

function readFile(path: string): Fields {
  try {
    const dump = JSON.parse(readFileSync(path === '-' ? 0 : path, 'utf8')) as Fields;
    if (list(dump['workloads']).length === 0 && dump['workloadState'] === undefined) throw new Error('it is no dump');
    return dump;
  } catch (error) {
    throw new AmbitError(`Cannot read "${path}": ${messageOf(error)}`, { code: 'cli.file', blame: 'downstream' });
  }
}
