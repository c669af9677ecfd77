/** `ambit explain`: why a request gets where it gets, step by step, without sending it. */
import { Command, Option } from 'commander';
import { dump } from 'js-yaml';
import { kinds } from '../api/kinds.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { systemNamespace } from '../api/names.ts';
import type { Explanation, Step } from '../explain/index.ts';
import { isKubeError, type KubeClient } from '../kube/index.ts';
import {
  collect,
  contextOption,
  ExitCode,
  kubeconfigOption,
  openCluster,
  outputOption,
  stateOption,
  usageError,
  type CliContext,
  type ClusterOptions,
  type OutputFormat,
} from './context.ts';
import { findPod } from './find-pod.ts';

interface Options extends ClusterOptions {
  readonly from: string;
  readonly to: string;
  readonly namespace: string;
  readonly method: string;
  readonly path: string;
  readonly header?: readonly string[];
  readonly authority?: string;
  readonly output: OutputFormat;
}

export function explainCommand(context: CliContext): Command {
  return new Command('explain')
    .description('tell what would become of a request, and why: capture, waypoint, route, policies, endpoints')
    .addOption(
      new Option(
        '--from <pod>',
        'the pod that asks, as NAME, NAME.NAMESPACE or NAMESPACE/NAME; or deploy/NAME',
      ).makeOptionMandatory(),
    )
    .addOption(
      new Option(
        '--to <service>',
        'whom it asks: SERVICE[.NAMESPACE], a host name, a pod or an IP, with :PORT',
      ).makeOptionMandatory(),
    )
    .addOption(new Option('-n, --namespace <name>', 'namespace of names without one').default('default'))
    .addOption(new Option('--method <method>', 'of the request').default('GET'))
    .addOption(new Option('--path <path>', 'of the request, with its query').default('/'))
    .addOption(new Option('-H, --header <name:value>', 'a header of the request; may be repeated').argParser(collect))
    .addOption(new Option('--authority <host>', 'the Host header (default: whom it asks)'))
    .addOption(outputOption())
    .addOption(stateOption())
    .addOption(kubeconfigOption())
    .addOption(contextOption())
    .addHelpText(
      'after',
      '\nExit code 0: the request gets to an endpoint; 1: it is refused on the way.\n' +
        '\nExamples:\n  ambit explain --from deploy/productpage-v1 --to reviews:9080 --path /reviews/0\n' +
        '  ambit explain -n shop --from client.front --to app --method PUT -H "x-user: tester" -o json',
    )
    .action((options: Options) => run(context, options));
}

async function run(context: CliContext, options: Options): Promise<void> {
  const { explain, readWorld } = await import('../explain/index.ts');
  const to = parseDestination(options.to);
  const question = {
    ...to,
    request: {
      method: options.method.toUpperCase(),
      path: options.path.startsWith('/') ? options.path : `/${options.path}`,
      headers: (options.header ?? []).map(parseHeader),
      ...(options.authority === undefined ? {} : { authority: options.authority }),
    },
  };
  const client = openCluster(context, options);
  let explanation: Explanation;
  try {
    const meshConfig = await readMeshConfig(client);
    const from = await findSource(client, options.from, options.namespace);
    explanation = explain(await readWorld(client, meshConfig ? { meshConfig } : {}), { ...question, from });
  } finally {
    await client.close();
  }
  if (options.output === 'json') context.out.write(`${JSON.stringify(explanation, null, 2)}\n`);
  else if (options.output === 'yaml') context.out.write(dump(explanation));
  else context.out.write(format(explanation));
  if (explanation.verdict === 'refused') throw new ExitCode(1);
}

async function readMeshConfig(client: KubeClient): Promise<MeshConfig | undefined> {
  const { meshConfigKey, meshConfigName, parseMeshConfig } = await import('../control/mesh-config.ts');
  try {
    const { data } = await client.get(kinds.ConfigMap, meshConfigName('default'), systemNamespace);
    return parseMeshConfig(data?.[meshConfigKey] ?? '').config;
  } catch (error) {
    if (isKubeError(error, 'kube.not-found')) return undefined;
    throw error;
  }
}

interface Source {
  readonly namespace: string;
  readonly pod: string;
}

/** A pod as it is written, of a Deployment one that runs. */
async function findSource(client: KubeClient, text: string, namespace: string): Promise<Source> {
  const [, of] = /^deploy(?:ment)?\/(.+)$/.exec(text) ?? [];
  if (of === undefined) return parsePod(text, namespace);
  const deployment = parsePod(of, namespace);
  const pod = await findPod(client, { kind: 'deploy', name: deployment.pod }, deployment.namespace);
  return { namespace: deployment.namespace, pod: pod.metadata.name ?? '' };
}

function parsePod(text: string, namespace: string): Source {
  const slash = text.indexOf('/');
  if (slash > 0) return { namespace: text.slice(0, slash), pod: text.slice(slash + 1) };
  const dot = text.lastIndexOf('.');
  if (dot > 0) return { namespace: text.slice(dot + 1), pod: text.slice(0, dot) };
  return { namespace, pod: text };
}

function parseDestination(text: string): { readonly to: string; readonly port: number | undefined } {
  const found = /^(?:\[([^\]]+)\]|([^:]+)|([0-9a-fA-F:]+:[0-9a-fA-F:]*))(?::(\d+))?$/.exec(text);
  const to = found?.[1] ?? found?.[2] ?? found?.[3];
  const port = found?.[4] === undefined ? undefined : Number(found[4]);
  if (to === undefined || (port !== undefined && (port < 1 || port > 65_535))) {
    throw usageError(`Cannot use --to "${text}": write SERVICE, SERVICE.NAMESPACE or IP, with :PORT`);
  }
  return { to, port };
}

function parseHeader(text: string): readonly [string, string] {
  const colon = text.indexOf(':');
  if (colon < 1) throw usageError(`Cannot use the header "${text}": write NAME: VALUE`);
  return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
}

const marks: Readonly<Record<Step['outcome'], string>> = { passes: '+', stops: 'x', note: '.' };

function format({ verdict, answer, steps }: Explanation): string {
  const lines = steps.flatMap(({ stage, outcome, summary, details }) => [
    `${marks[outcome]} ${stage}: ${summary}`,
    ...details.map((detail) => `    ${detail}`),
  ]);
  lines.push('', verdict === 'reached' ? 'The request gets there.' : `The request does not get there: ${answer}.`);
  return `${lines.join('\n')}\n`;
}
