/** `ambit proxy-config`: what an L7 proxy holds, read from its admin port, in the verbs of istioctl and Ambit's own words. */
import { readFileSync } from 'node:fs';
import { Argument, Command, InvalidArgumentError } from 'commander';
import type { KubeClient } from '../../kube/index.ts';
import { AmbitError, codeOf, messageOf } from '../../lib/errors.ts';
import { callAdmin, type PodName } from '../admin-call.ts';
import {
  contextOption,
  kubeconfigOption,
  openCluster,
  outputOption,
  stateOption,
  usageError,
  type CliContext,
  type ClusterOptions,
  type OutputFormat,
} from '../context.ts';
import { formatTable, printList } from '../output.ts';
import { fields, text, type Fields } from '../dump-fields.ts';
import { changeLevels } from '../change-levels.ts';
import { findProxy } from './find-proxy.ts';
import { sections, type Filter, type Section } from './sections.ts';

interface Options extends ClusterOptions {
  readonly namespace: string;
  readonly port?: string;
  readonly fqdn?: string;
  readonly name?: string;
  readonly file?: string;
  readonly level?: string;
  readonly reset?: boolean;
  readonly output: OutputFormat;
}

/** Each verb with its other words. */
const verbs: Readonly<Record<string, readonly string[]>> = {
  all: [],
  backends: ['backend', 'clusters', 'cluster', 'c'],
  endpoints: ['endpoint', 'ep'],
  listeners: ['listener', 'l'],
  log: ['logs', 'o'],
  policies: ['policy', 'p'],
  routes: ['route', 'r'],
  secrets: ['secret', 's'],
};

export function proxyConfigCommand(context: CliContext): Command {
  return new Command('proxy-config')
    .alias('pc')
    .description('show what a waypoint or a gateway is told, and change its log levels')
    .addArgument(new Argument('<what>', 'what to show').choices(Object.keys(verbs)).argParser(parseVerb))
    .addArgument(new Argument('[proxy]', 'POD, deploy/NAME or the name of a Gateway, each with .NAMESPACE or without'))
    .option('-n, --namespace <ns>', 'namespace of the proxy', 'default')
    .option('--port <port>', 'only what is of this port', parsePort)
    .option('--fqdn <host>', 'only what is of this host')
    .option('--name <name>', 'only what has this name')
    .option('--file <dump>', 'read a /config_dump from a file')
    .option('--level <levels>', 'log: set LEVEL or SCOPE:LEVEL,..., as in info,upstream:debug')
    .option('-r, --reset', 'log: back to the levels of the start')
    .addOption(outputOption())
    .addOption(stateOption())
    .addOption(kubeconfigOption())
    .addOption(contextOption())
    .addHelpText(
      'after',
      '\nExamples:\n  ambit proxy-config routes waypoint -n bookinfo\n  ambit proxy-config endpoints deploy/waypoint.bookinfo --fqdn reviews.bookinfo.svc.cluster.local\n' +
        '  ambit proxy-config log waypoint --level debug',
    )
    .action((what: string, proxy: string | undefined, options: Options) => run(context, { what, proxy, options }));
}

async function run(
  context: CliContext,
  { what, proxy, options }: { what: string; proxy: string | undefined; options: Options },
): Promise<void> {
  if (what !== 'log' && (options.level !== undefined || options.reset === true)) {
    throw usageError(`Cannot use --level and --reset with "${what}": write ambit proxy-config log`);
  }
  if (options.file !== undefined) {
    if (what === 'log' || proxy !== undefined) throw usageError('Cannot use --file with a proxy: write one of them');
    return print(context, what, options, readFile(options.file));
  }
  if (proxy === undefined) throw usageError(`No proxy: write ambit proxy-config ${what} POD[.NAMESPACE]`);
  const client = openCluster(context, options);
  try {
    const pod = await findProxy(client, proxy, options.namespace);
    if (what === 'log') {
      return await changeLevels(context, options, async (path) => [
        { proxy: `${pod.pod}.${pod.namespace}`, answer: await ask(client, pod, 'POST', path) },
      ]);
    }
    print(context, what, options, parseDump(await ask(client, pod, 'GET', '/config_dump'), pod));
  } finally {
    await client.close();
  }
}

function print(context: CliContext, what: string, options: Options, dump: Fields): void {
  const { refusal } = fields(dump['configuration']);
  if (refusal !== undefined) {
    context.err.write(
      `ambit: the proxy refuses what it was told last, and goes on with what it had: ${text(refusal)}\n`,
    );
  }
  const filter: Filter = { port: options.port, fqdn: options.fqdn, name: options.name };
  const section = sections[what];
  if (section) {
    return printList(context, rowsOf(section, dump, filter), { format: options.output, columns: section.columns });
  }
  if (options.output !== 'table') return printList(context, [dump], { format: options.output, columns: [] });
  for (const [name, each] of Object.entries(sections)) {
    context.out.write(`${name.toUpperCase()}\n${formatTable(rowsOf(each, dump, filter), each.columns)}\n`);
  }
}

function rowsOf(section: Section, dump: Fields, filter: Filter): Fields[] {
  return section.rows(dump).filter((row) =>
    (['port', 'fqdn', 'name'] as const).every((key) => {
      const wanted = filter[key];
      return wanted === undefined || (section.filterBy[key]?.(row).includes(wanted) ?? false);
    }),
  );
}

async function ask(client: KubeClient, pod: PodName, method: 'GET' | 'POST', path: string): Promise<string> {
  try {
    return await callAdmin(client, pod, { method, path });
  } catch (error) {
    if (codeOf(error) === 'cli.usage') throw error;
    throw noProxy(
      `No answer from the proxy in pod "${pod.pod}" of namespace "${pod.namespace}": ${messageOf(error)}`,
      error,
    );
  }
}

function parseDump(dump: string, { pod, namespace }: PodName): Fields {
  const parsed = fields(JSON.parse(dump));
  if (parsed['configuration'] !== undefined) return parsed;
  const advice =
    parsed['workloads'] === undefined ? 'it is none of Ambit' : "it is a ztunnel: see 'ambit ztunnel-config'";
  throw noProxy(`Cannot show the proxy in pod "${pod}" of namespace "${namespace}": ${advice}`);
}

function readFile(path: string): Fields {
  try {
    const dump = fields(JSON.parse(readFileSync(path === '-' ? 0 : path, 'utf8')));
    if (dump['configuration'] === undefined) throw new Error('it is no dump');
    return dump;
  } catch (error) {
    throw new AmbitError(`Cannot read "${path}": ${messageOf(error)}`, { code: 'cli.file', blame: 'downstream' });
  }
}

function noProxy(message: string, cause?: unknown): AmbitError {
  return new AmbitError(message, { code: 'cli.no-proxy', blame: 'upstream', cause });
}

/** Stays a text, as rows have it. */
function parsePort(text: string): string {
  if (/^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535) return text;
  throw new InvalidArgumentError('It must be a number from 1 to 65535.');
}

function parseVerb(word: string): string {
  const found = Object.entries(verbs).find(([verb, others]) => verb === word || others.includes(word));
  if (!found) throw usageError(`Cannot show "${word}": write one of ${Object.keys(verbs).join(', ')}`);
  return found[0];
}
