/** A bridge, nodes with their runtimes, and an API server, in namespaces that a test makes for itself. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { kinds, type Container, type Pod, type PodSpec } from '../../src/api/index.ts';
import { loadKubeconfig, openKubeClient, type KubeClient } from '../../src/kube/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { startApiServer, type RunningApiServer } from '../../src/local/apiserver/index.ts';
import type { NodePodReport } from '../../src/local/runtime/index.ts';
import { createMeshNetwork, createNodeNetwork, nodeName } from '../../src/local/network/index.ts';

const repository = join(import.meta.dirname, '../..');
/** Then the namespaces are ended, and with them everything in them. */
const insideTimeoutMs = 580_000;
/** Of a test that waits for `runInside`: what is inside says more of what took so long. */
export const insideTestTimeoutMs = 600_000;
const insideVariable = 'AMBIT_TEST_INSIDE';

/** Whether this process is the one that `runInside` started. */
export const isInside: boolean = process.env[insideVariable] === '1';

/** Only root can run as root; an ordinary user has the user namespace alone. */
export const isRoot: boolean = process.getuid?.() === 0;

/**
 * Runs a test file again in mount, pid and network namespaces of its own, as root or as an ordinary user in a user
 * namespace. Resolves to its exit code and output.
 */
export async function runInside(
  file: string,
  options: { asUser?: boolean } = {},
): Promise<{ code: number; output: string }> {
  const script =
    'mount -t tmpfs -o mode=755 t /run && mkdir -p /run/netns && mount --make-shared /run && ip link set lo up && exec "$@"';
  const namespaces = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  // Mounts below /etc and /var that the user namespace may not uncover, as machines with containers have them.
  const covered =
    'mount --bind /etc/hostname /etc/hostname && mount -t tmpfs t /var/tmp && mkdir /var/tmp/inside && exec "$@"';
  const dropRoot = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  const userNamespace = ['unshare', '--user', '--map-root-user'];
  const asUser = isRoot
    ? ['unshare', '--mount', 'sh', '-c', covered, 'sh', ...dropRoot, ...userNamespace]
    : userNamespace;
  const command = [...(options.asUser ? asUser : ['unshare']), ...namespaces, 'sh', '-c', script, 'sh'];
  // A reporter of the parent's would make the child speak its protocol instead of text.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const node = [process.execPath, '--test', '--test-isolation=none', '--test-reporter=spec', file];
  const [program = '', ...args] = [...command, ...node];
  const child = spawn(program, args, {
    env: { ...env, [insideVariable]: '1', HOME: '/tmp' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const timer = setTimeout(() => child.kill('SIGKILL'), insideTimeoutMs);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return { code: code ?? 1, output };
}

export interface TestCluster extends AsyncDisposable {
  readonly client: KubeClient;
  readonly stateDir: string;
  readonly nodes: readonly TestNode[];
  /** Starts a pod on a node (default: the first) and gives the object as it was created. */
  startPod(
    name: string,
    spec: Partial<PodSpec> & { containers: Container[] },
    options?: Partial<Pod['metadata']> & { node?: number },
  ): Promise<Pod>;
  /** Waits until the pod is as `holds` wants it. Fails with its status. */
  podIs(name: string, what: string, holds: (pod: Pod) => boolean, timeoutMs?: number): Promise<Pod>;
  /** Stops the API server while `work` runs. */
  withoutApi(work: () => Promise<void>): Promise<void>;
  podIsGone(name: string): Promise<void>;
  /** Deletes the pod and waits until it is gone. */
  removePod(name: string): Promise<void>;
  log(name: string, query?: string): Promise<string>;
  /** The first container of a pod, as its node tells of it. */
  container(name: string, node?: number): Promise<{ pid: number; restartCount: number }>;
  /** Runs a shell command in the container that `pid` is in. */
  exec(pid: number, script: string): Promise<string>;
  /** Sends `text` to a port of the pod through the API server and gives what comes back, errors included. */
  forward(name: string, port: number, text: string): Promise<string>;
}

export interface TestNode {
  readonly name: string;
  readonly manifests: string;
  readonly socketPath: string;
  process: ChildProcess;
  /** What the runtime logged. */
  output(): string;
  start(): Promise<void>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

export async function openTestCluster(options: { nodes: number }): Promise<TestCluster> {
  const stateDir = mkdtempSync(join(tmpdir(), 'ambit-runtime-'));
  for (const folder of ['pki', 'run', 'manifests', 'logs']) mkdirSync(join(stateDir, folder), { mode: 0o700 });
  const users = [
    { name: 'admin', token: 'token-of-the-admin-of-this-test', user: 'ambit:admin', groups: ['system:masters'] },
    ...Array.from({ length: options.nodes }, (_, i) => ({
      name: nodeName(i + 1),
      token: `token-of-node-${i + 1}-of-this-test`,
      user: `system:node:node-${i + 1}`,
      groups: ['system:nodes'],
    })),
  ];
  writeFileSync(join(stateDir, 'pki/tokens.json'), JSON.stringify(users));
  await createMeshNetwork();
  for (let index = 1; index <= options.nodes; index++) await createNodeNetwork({ index, nodeCount: options.nodes });
  const startServer = (): Promise<RunningApiServer> =>
    startApiServer({
      stateDir,
      listen: { host: '172.30.0.1', port: 6443 },
      socketPath: join(stateDir, 'run/apiserver.sock'),
      tokensFile: join(stateDir, 'pki/tokens.json'),
      nodeSocket: (node) => join(stateDir, 'run', `${node}.sock`),
      log: silentLog(),
    });
  let server = await startServer();
  for (const { name, token } of users) writeKubeconfig(stateDir, name, token);
  const client = openKubeClient(loadKubeconfig(join(stateDir, 'admin.kubeconfig')), { log: silentLog() });
  // What controllers make in every namespace; none runs here.
  await client.create(kinds.ServiceAccount, { metadata: { name: 'default', namespace: 'default' } });
  await client.create(kinds.ConfigMap, {
    metadata: { name: 'kube-root-ca.crt', namespace: 'default' },
    data: { 'ca.crt': server.caPem },
  });
  const nodes = Array.from({ length: options.nodes }, (_, i) => testNode(stateDir, i + 1, options.nodes));
  const cluster: TestCluster = {
    client,
    stateDir,
    nodes,
    async startPod(name, spec, { node = 1, ...metadata } = {}) {
      const pod: Pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: 'default', ...metadata },
        spec: { terminationGracePeriodSeconds: 1, ...spec, nodeName: nodeName(node) },
      };
      return client.create(kinds.Pod, pod);
    },
    async withoutApi(work) {
      await server.close();
      try {
        await work();
      } finally {
        server = await startServer();
      }
    },
    podIs: (name, what, holds, timeoutMs = 60_000) => podIs(cluster, name, what, holds, timeoutMs),
    async log(name, query = '') {
      const response = await client.raw({
        method: 'GET',
        path: `/api/v1/namespaces/default/pods/${name}/log?${query}`,
      });
      return response.body.text();
    },
    async podIsGone(name) {
      await eventually(`${name} to be gone`, async () => {
        const { items } = await client.list(kinds.Pod, { namespace: 'default' });
        return items.some((each) => each.metadata.name === name) ? undefined : true;
      });
    },
    async removePod(name) {
      await client.delete(kinds.Pod, name, 'default');
      await cluster.podIsGone(name);
    },
    container: (name, node = 1) =>
      eventually(`the process of ${name}`, async () => {
        const pods = (await getJson(join(stateDir, 'run', `${nodeName(node)}.sock`), '/pods')) as NodePodReport[];
        const found = pods.find((pod) => pod.name === name)?.containers.find((each) => !each.isInit);
        return found?.pid === undefined ? undefined : { pid: found.pid, restartCount: found.restartCount };
      }),
    async exec(pid, script) {
      const enter = ['nsenter', '-t', String(pid), '--mount', '--net', '--pid', '--'];
      const [program, ...args] = [...enter, 'sh', '-c', script];
      return (await promisify(execFile)(program, args)).stdout;
    },
    async forward(name, port, text) {
      const path = `/api/v1/namespaces/default/pods/${name}/portforward?ports=${port}`;
      const webSocket = await client.openWebSocket(path, ['v4.channel.k8s.io']);
      const chunks: Buffer[] = [];
      let seen = 0;
      webSocket.on('message', (data: Buffer) => {
        // The first message on each of the two channels is the port.
        if (seen++ >= 2) chunks.push(data.subarray(1));
        else if (data.readUInt16LE(1) !== port) chunks.push(Buffer.from('wrong port'));
      });
      webSocket.send(Buffer.concat([Buffer.from([0]), Buffer.from(text)]));
      await once(webSocket, 'close');
      return Buffer.concat(chunks).toString();
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map((node) => node.kill('SIGKILL')));
      await client.close();
      await server.close();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
  try {
    await Promise.all(nodes.map((node) => node.start()));
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return cluster;
}

export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  timeoutMs = 60_000,
): Promise<T> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadlineMs) throw new Error(`Waited ${timeoutMs} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** A Service and the slice that a controller would make for it. */
export async function createService(
  client: KubeClient,
  options: { name: string; port: number; targetPort: number; pods: readonly Pod[]; headless?: boolean },
): Promise<void> {
  const { name, port, targetPort, pods } = options;
  await client.create(kinds.Service, {
    metadata: { name, namespace: 'default' },
    spec: { ports: [{ port, targetPort }], ...(options.headless ? { clusterIP: 'None' } : {}) },
  });
  await client.create(kinds.EndpointSlice, {
    metadata: { name: `${name}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: pods.map((pod) => ({ addresses: [pod.status?.podIP ?? ''], conditions: { ready: true } })),
    ports: [{ name: '', port: targetPort, protocol: 'TCP' }],
  });
}

function getJson(socketPath: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    get({ socketPath, path, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(JSON.parse(text)));
    }).on('error', reject);
  });
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') ?? false;
}

async function podIs(
  cluster: TestCluster,
  name: string,
  what: string,
  holds: (pod: Pod) => boolean,
  timeoutMs: number,
): Promise<Pod> {
  let last: Pod | undefined;
  try {
    return await eventually(
      what,
      async () => {
        last = await cluster.client.get(kinds.Pod, name, 'default');
        return holds(last) ? last : undefined;
      },
      timeoutMs,
    );
  } catch (error) {
    const events = (await cluster.client.list(kinds.Event, { namespace: 'default' })).items
      .filter((event) => event.involvedObject.name === name)
      .map((event) => `${event.reason}: ${event.message}`);
    const output = cluster.nodes.map((node) => node.output()).join('\n');
    throw new Error(`${String(error)}\n${JSON.stringify(last?.status, null, 1)}\n${events.join('\n')}\n${output}`, {
      cause: error,
    });
  }
}

function writeKubeconfig(stateDir: string, name: string, token: string): void {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'test',
        cluster: { server: 'https://172.30.0.1:6443', 'certificate-authority': join(stateDir, 'pki/apiserver-ca.pem') },
      },
    ],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  };
  writeFileSync(join(stateDir, `${name}.kubeconfig`), JSON.stringify(config), { mode: 0o600 });
}

function testNode(stateDir: string, index: number, nodeCount: number): TestNode {
  const name = nodeName(index);
  const manifests = join(stateDir, 'manifests', name);
  const logFile = join(stateDir, 'logs', `${name}.log`);
  mkdirSync(manifests);
  const args = ['--node', name, '--index', String(index), '--nodes', String(nodeCount), '--state', stateDir];
  args.push('--kubeconfig', join(stateDir, `${name}.kubeconfig`), '--manifests', manifests);
  args.push('--image', 'test/echo*=/bin/echo from the image table');
  const node: TestNode = {
    name,
    manifests,
    socketPath: join(stateDir, 'run', `${name}.sock`),
    process: undefined as unknown as ChildProcess,
    output: () => readFileSync(logFile, 'utf8'),
    async start() {
      const output = openSync(logFile, 'a');
      const before = countReady(node.output());
      const program = join(repository, 'src/bin/node-runtime.ts');
      const [enter, ...rest] = ['nsenter', `--net=/run/netns/${name}`, process.execPath, program, ...args];
      node.process = spawn(enter, rest, {
        stdio: ['ignore', output, output],
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', RUNTIME_SECRET: 'not for pods' },
      });
      let ended = false;
      node.process.once('exit', () => (ended = true));
      await eventually(`${name} to be ready`, () => {
        if (ended) throw new Error(`The runtime ended:\n${node.output()}`);
        return countReady(node.output()) > before ? true : undefined;
      });
    },
    async kill(signal) {
      if (node.process.exitCode !== null || node.process.signalCode !== null) return;
      const ended = once(node.process, 'exit');
      node.process.kill(signal);
      await ended;
    },
  };
  return node;
}

function countReady(output: string): number {
  return output.split('Node is ready').length - 1;
}
