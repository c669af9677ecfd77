/** The CNI plugin: chained after the plugin that made a pod's network, it lets the pod go on only once it is in the mesh. */
import { admitPod, PluginFailure } from './admit-pod.ts';

/** As the container runtime calls it (CNI specification, section 2): variables `CNI_*`, and the configuration on standard input. */
export interface PluginCall {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: string;
}

export interface PluginAnswer {
  readonly exitCode: number;
  readonly stdout: string;
}

interface PluginConfig {
  readonly cniVersion?: string;
  readonly prevResult?: PreviousResult;
  /** Folder of the node agent's socket and of the file by which the API is asked when the agent is down. */
  readonly cni_agent_run_dir?: string;
  readonly exclude_namespaces?: readonly string[];
  /** Where the mesh's own pods are. */
  readonly pod_namespace?: string;
}

interface PreviousResult {
  readonly ips?: readonly { readonly address?: string }[];
}

const nothing: PluginAnswer = { exitCode: 0, stdout: '' };
const supportedVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];
const latestVersion = '1.1.0';
const defaultRunDir = '/var/run/istio-cni';

/** Error codes of the specification, section 5. */
const incompatibleVersion = 1;
const invalidVariables = 4;
const undecodable = 6;
const invalidConfig = 7;

/** Never throws: what goes wrong is an answer in the protocol. */
export async function runCniPlugin(call: PluginCall): Promise<PluginAnswer> {
  let version = latestVersion;
  try {
    const command = call.env['CNI_COMMAND'];
    // Nothing of ours outlives a pod: the node agent follows it by the API, and its rules end with its namespace.
    if (command === 'DEL' || command === 'GC') return nothing;
    const config = parseConfig(call.stdin);
    version = config.cniVersion ?? '0.3.1';
    if (command === 'VERSION') return answer({ cniVersion: latestVersion, supportedVersions });
    if (!supportedVersions.includes(version))
      throw new PluginFailure(incompatibleVersion, `CNI version ${version} is not spoken here`);
    switch (command) {
      case 'ADD':
        return answer(await add(call, config));
      // The agent looks after what is captured. Nor does its absence make the node unfit: pods outside of the mesh start without it.
      case 'CHECK':
      case 'STATUS':
        return nothing;
      case undefined:
      default:
        throw new PluginFailure(invalidVariables, `CNI_COMMAND "${command ?? ''}" is not known`);
    }
  } catch (error) {
    const failure = error instanceof PluginFailure ? error : undefined;
    const msg = error instanceof Error ? error.message : String(error);
    return { exitCode: 1, stdout: JSON.stringify({ cniVersion: version, code: failure?.code ?? 999, msg }) };
  }
}

/** The result of the plugins before, unchanged. */
async function add({ env }: PluginCall, config: PluginConfig): Promise<unknown> {
  const { prevResult } = config;
  if (!prevResult)
    throw new PluginFailure(invalidConfig, 'there is no prevResult: the plugin is chained after another');
  const args = parseArgs(env['CNI_ARGS'] ?? '');
  const { K8S_POD_NAME: name, K8S_POD_NAMESPACE: namespace, K8S_POD_UID: uid } = args;
  // Not a container of Kubernetes.
  if (!name || !namespace) return prevResult;
  const netns = env['CNI_NETNS'];
  if (!netns) throw new PluginFailure(invalidVariables, 'CNI_NETNS is not set');
  await admitPod({
    runDir: config.cni_agent_run_dir ?? defaultRunDir,
    excludedNamespaces: config.exclude_namespaces ?? ['kube-system'],
    systemNamespace: config.pod_namespace ?? 'istio-system',
    pod: {
      name,
      namespace,
      ...(uid ? { uid } : {}),
      netns,
      ips: (prevResult.ips ?? []).flatMap(({ address }) => address?.split('/')[0] ?? []),
    },
  });
  return prevResult;
}

function parseConfig(text: string): PluginConfig {
  let parsed: unknown;
  try {
    parsed = text.trim() === '' ? {} : JSON.parse(text);
  } catch (error) {
    throw new PluginFailure(undecodable, `the configuration is not JSON: ${(error as Error).message}`);
  }
  if (!isFields(parsed)) throw new PluginFailure(undecodable, 'the configuration is no JSON object');
  const problem = problemOf(parsed);
  if (problem !== undefined) throw new PluginFailure(invalidConfig, `the configuration is not usable: ${problem}`);
  return parsed;
}

/** What is not of the type that it should be: nobody should be let out of the mesh by it. */
function problemOf(config: Readonly<Record<string, unknown>>): string | undefined {
  for (const name of ['cniVersion', 'cni_agent_run_dir', 'pod_namespace']) {
    if (config[name] !== undefined && typeof config[name] !== 'string') return `${name} is no text`;
  }
  const { exclude_namespaces: excluded = [], prevResult = {} } = config;
  if (!Array.isArray(excluded) || !excluded.every((each) => typeof each === 'string'))
    return 'exclude_namespaces is no list of names';
  if (!isFields(prevResult)) return 'prevResult is no object';
  const { ips = [] } = prevResult;
  if (!Array.isArray(ips) || !ips.every((each) => isFields(each) && typeof (each['address'] ?? '') === 'string'))
    return 'prevResult.ips is no list of addresses';
  return undefined;
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `A=1;B=2` */
function parseArgs(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(';').map((pair) => {
      const at = pair.indexOf('=');
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

function answer(value: unknown): PluginAnswer {
  return { exitCode: 0, stdout: JSON.stringify(value) };
}
