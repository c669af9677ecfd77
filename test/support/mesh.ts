/** A local mesh for a test: brought up by the command line as a user would, and gone when the test ends, however it ends. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spawn, type ChildProcess } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { kinds, systemNamespace, type Pod } from '../../src/api/index.ts';
import { loadKubeconfig, openExec, openKubeClient, type KubeClient } from '../../src/kube/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { planEnterPod, statePaths } from '../../src/local/mesh/index.ts';
import { eventually, run, start, type RunOptions, type RunResult } from './run.ts';

export const repository: string = dirname(dirname(import.meta.dirname));
export const launcher: string = join(repository, 'ambit');
export const programs: string = join(repository, 'test/support/programs');

/** A binary with Kubernetes' own server: then every mesh runs on that in place of the embedded API. */
const kubernetes = process.env['AMBIT_TEST_KUBERNETES'];

export interface TestMesh extends AsyncDisposable {
  readonly state: string;
  readonly kubeconfig: string;
  readonly client: KubeClient;
  /** Runs `ambit ARGS --state STATE`; flags go before `--`. */
  ambit(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Applies YAML by `ambit up -f`, and waits for its pods. */
  apply(yaml: string): Promise<void>;
  /** Runs a command in the first container of a pod, through the API server, and gives its output; fails when it fails. */
  exec(pod: string, command: readonly string[]): Promise<string>;
  /** Starts a command in a pod, past the API server, which may end meanwhile. The command has to end with its standard input. */
  startInPod(pod: string, command: readonly string[]): Promise<ChildProcess>;
  /** Runs a command in a node's network namespace. */
  startOnNode(node: string, command: readonly string[]): ChildProcess;
  enrol(namespace: string): Promise<void>;
  unenrol(namespace: string): Promise<void>;
  pod(namespace: string, name: string): Promise<Pod>;
  /** `NAMESPACE/NAME` of a node's own pod, by its label `app`. */
  systemPod(app: string, node: string): Promise<string>;
}

export interface TestMeshOptions {
  /** The API server and the nodes alone. */
  readonly bare?: boolean;
  readonly nodes?: number;
  readonly manifests?: string;
  /** `PATTERN=COMMAND`: what images mean. */
  readonly images?: readonly string[];
}

/** Brings a mesh up. Fails with everything `ambit up` said. */
export async function openTestMesh(options: TestMeshOptions = {}): Promise<TestMesh> {
  const state = await mkdtemp(join(tmpdir(), 'ambit-test-'));
  const kubeconfig = join(state, 'kubeconfig');
  const env = { KUBECONFIG: '' };
  const ambit = (args: readonly string[], runOptions: RunOptions = {}): Promise<RunResult> => {
    const end = args.indexOf('--');
    const flags = end < 0 ? args : args.slice(0, end);
    const rest = end < 0 ? [] : args.slice(end);
    return run([launcher, ...flags, '--state', state, ...rest], { ...runOptions, env: { ...env, ...runOptions.env } });
  };
  const close = async (): Promise<void> => {
    await ambit(['down']);
    await rm(state, { recursive: true, force: true });
  };
  const mustRun = async (args: readonly string[]): Promise<RunResult> => {
    const result = await ambit(args);
    if (result.code !== 0)
      throw new Error(`ambit ${args.join(' ')} ended with ${result.code}: ${result.stderr}\n${result.stdout}`);
    return result;
  };
  let applied = 0;
  const writeManifests = async (yaml: string): Promise<string> => {
    const file = join(state, `manifests-${applied++}.yaml`);
    await writeFile(file, yaml);
    return file;
  };
  try {
    const files = options.manifests === undefined ? [] : ['-f', await writeManifests(options.manifests)];
    const server = kubernetes ? ['--kubernetes', kubernetes] : [];
    const bare = options.bare ? ['--bare'] : [];
    const images = (options.images ?? []).flatMap((image) => ['--image', image]);
    await mustRun(['up', '--nodes', String(options.nodes ?? 2), ...server, ...bare, ...images, ...files]);
  } catch (error) {
    await close();
    throw error;
  }
  const client = openKubeClient(loadKubeconfig(kubeconfig), { log: silentLog() });
  const setMode = async (namespace: string, mode: string | null): Promise<void> => {
    await client.patch(
      kinds.Namespace,
      namespace,
      undefined,
      { metadata: { labels: { 'istio.io/dataplane-mode': mode } } },
      { type: 'merge' },
    );
    await eventually(
      async () => {
        const pods = (await client.list(kinds.Pod, { namespace })).items;
        const enrolled = pods.filter((pod) => pod.metadata.annotations?.['ambient.istio.io/redirection'] === 'enabled');
        return enrolled.length === (mode === null ? 0 : pods.length) ? true : undefined;
      },
      `namespace ${namespace} ${mode === null ? 'out of' : 'in'} the mesh`,
    );
  };
  return {
    state,
    kubeconfig,
    client,
    ambit,
    async apply(yaml) {
      await mustRun(['up', '-f', await writeManifests(yaml)]);
    },
    async exec(pod, command) {
      const [namespace, name] = splitPod(pod);
      const { spec } = await client.get(kinds.Pod, name, namespace);
      const container = spec.containers[0]?.name ?? '';
      const target = { namespace, pod: name, container, command, stdin: false, tty: false };
      const { stdout, stderr, exitCode } = await openExec(client, target);
      const [said, complaints, code] = await Promise.all([text(stdout), text(stderr), exitCode]);
      if (code !== 0) throw new Error(`${command.join(' ')} in ${pod} ended with ${code}: ${complaints}\n${said}`);
      return said;
    },
    async startInPod(pod, command) {
      const [ns, name] = splitPod(pod);
      const { metadata, spec } = await client.get(kinds.Pod, name, ns);
      const plan = await planEnterPod(statePaths(state), {
        uid: metadata.uid ?? '',
        node: spec.nodeName ?? '',
        pod: name,
        command,
      });
      const [program = '', ...args] = plan.command;
      return spawn(program, args, { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...plan.env }, stdio: 'pipe' });
    },
    startOnNode(node, command) {
      return start([launcher, 'exec', '--node', node, '--state', state, '--', ...command], { env });
    },
    enrol: (namespace) => setMode(namespace, 'ambient'),
    unenrol: (namespace) => setMode(namespace, null),
    pod: (namespace, name) => client.get(kinds.Pod, name, namespace),
    async systemPod(app, node) {
      const { items } = await client.list(kinds.Pod, { namespace: systemNamespace, labelSelector: `app=${app}` });
      const found = items.find((pod) => pod.spec.nodeName === node);
      if (!found) throw new Error(`No pod of ${app} on ${node}`);
      return `${systemNamespace}/${found.metadata.name}`;
    },
    async [Symbol.asyncDispose]() {
      await client.close();
      await close();
    },
  };
}

/** `NAMESPACE/NAME`, or a name in the namespace `default`. */
function splitPod(pod: string): [namespace: string, name: string] {
  const slash = pod.lastIndexOf('/');
  return slash < 0 ? ['default', pod] : [pod.slice(0, slash), pod.slice(slash + 1)];
}

/** A pod that runs one of the test programs. */
export function programPod(options: {
  readonly name: string;
  readonly namespace?: string;
  readonly node?: string;
  readonly program: string;
  readonly args?: readonly string[];
  readonly port?: number;
  readonly labels?: Readonly<Record<string, string>>;
}): string {
  const { name, namespace = 'default', node, program, args = [], port, labels = {} } = options;
  const command = [process.execPath, join(programs, program), ...args];
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name, ...labels } },
    spec: {
      serviceAccountName: name,
      terminationGracePeriodSeconds: 0,
      ...(node === undefined ? {} : { nodeName: node }),
      containers: [
        {
          name: 'main',
          image: 'none',
          command,
          ...(port === undefined
            ? {}
            : { ports: [{ containerPort: port }], readinessProbe: { tcpSocket: { port }, periodSeconds: 1 } }),
        },
      ],
    },
  });
}

export function serviceAccount(name: string, namespace = 'default'): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } });
}

export function namespace(name: string): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
}

export function service(
  name: string,
  port: number,
  options: { readonly namespace?: string; readonly targetPort?: number } = {},
): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: options.namespace ?? 'default' },
    spec: { selector: { app: name }, ports: [{ name: 'tcp', port, targetPort: options.targetPort ?? port }] },
  });
}

/** YAML of several documents; JSON is YAML. */
export function documents(...texts: readonly string[]): string {
  return texts.join('\n---\n');
}

/** A client on node-1 and an echo server on node-2 behind the Service `server`, port 7000, each with an account of its own. */
export function clientAndEchoServer(): string {
  return documents(
    serviceAccount('client'),
    serviceAccount('server'),
    programPod({ name: 'client', node: 'node-1', program: 'idle.ts' }),
    programPod({ name: 'server', node: 'node-2', program: 'echo-server.ts', args: ['7000'], port: 7000 }),
    service('server', 7000),
  );
}
