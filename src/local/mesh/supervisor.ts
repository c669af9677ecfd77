/**
 * The supervisor of a local mesh: lays out the network, starts the API server, the control plane and every node,
 * keeps them running, and answers for them on a unix socket in the state folder.
 */
import { rmSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { kinds, systemNamespace, type Pod } from '../../api/index.ts';
import { sleep } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { loadKubeconfig, openKubeClient, type KubeClient } from '../../kube/index.ts';
import { createMeshNetwork, createNodeNetwork } from '../network/index.ts';
import { Component, type ComponentStatus } from './components.ts';
import {
  controlKubeconfigPath,
  ensureTokens,
  type StaticToken,
  nodeKubeconfigPath,
  supervisorKubeconfigPath,
  writeKubeconfigs,
} from './credentials.ts';
import { startForwarder } from './forwarder.ts';
import type { SelfCommand } from './init.ts';
import { childrenOf } from './host-process.ts';
import { controllers, storageAndApi, type ServerCommand } from './kubernetes/server-commands.ts';
import { nodeKeyPair, serverFiles, serverUsers, writeServerFiles } from './kubernetes/server-files.ts';
import { ensureNodeBindings, ensureServerObjects } from './kubernetes/server-objects.ts';
import { nodeNames, type NodePod } from './nodes.ts';
import { forwarderLoopPid, killLeftovers } from './leftovers.ts';
import { nodeGet } from './node-socket.ts';
import { readMeshRecord, type MeshRecord, type StatePaths } from './state-dir.ts';
import { startMeshServices } from './mesh-services.ts';
import { markNodesUnheard } from './stale-status.ts';
import { manifestFolder, systemPods, writeStaticPods } from './static-pods.ts';
import { controlAddress, createIfMissing, defaultNamespace, ensureSystemObjects } from './system-objects.ts';

/** Where a start has got to. `ready` means every component is. */
export type MeshPhase =
  | { readonly kind: 'starting'; readonly step: string }
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly message: string };

export interface MeshStatus {
  readonly phase: MeshPhase;
  readonly components: readonly ComponentStatus[];
  /** Inside the mesh's pid namespace; absent while it is being started again. */
  readonly forwarderPid?: number;
}

export interface SupervisorOptions {
  readonly paths: StatePaths;
  readonly self: SelfCommand;
  readonly log: Log;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #record: MeshRecord;
  readonly #components: Component[] = [];
  #phase: MeshPhase = { kind: 'starting', step: 'laying out the network' };
  #client: KubeClient | undefined;
  #server: Server | undefined;
  readonly #services = new AbortController();
  readonly #since = new Date().toISOString();

  constructor(options: SupervisorOptions) {
    const record = readMeshRecord(options.paths);
    if (!record) throw new Error(`No mesh record in ${options.paths.root}`);
    this.#options = options;
    this.#record = record;
  }

  /** Starts everything. Resolves when the mesh is ready; a failure stays visible in `status` and is tried again by init. */
  async start(): Promise<void> {
    const { paths, log } = this.#options;
    await this.#serve();
    try {
      await killLeftovers();
      const nodes = nodeNames(this.#record.nodes);
      const { kubernetes } = this.#record;
      const tokens = ensureTokens(paths, nodes, kubernetes === undefined ? [] : serverUsers);
      await this.#layOutNetwork(nodes);

      this.#step('starting the API server');
      const apiserver =
        kubernetes === undefined ? this.#startApiServer() : await this.#startKubernetes(kubernetes, nodes, tokens);
      await waitUntil(() => apiserver.isReady());
      const caPem = readFileSync(join(paths.pki, 'apiserver-ca.pem'), 'utf8');
      writeKubeconfigs(paths, { tokens, caPem, apiPort: this.#record.apiPort });
      const client = openKubeClient(loadKubeconfig(supervisorKubeconfigPath(paths)), { log: log.child('kube') });
      this.#client = client;
      const isBare = this.#record.bare ?? false;
      if (isBare) await createIfMissing(client, defaultNamespace);
      else await ensureSystemObjects(client);
      if (kubernetes !== undefined) {
        for (const command of controllers(kubernetes, serverFiles(paths))) this.#startServer(command);
        await ensureNodeBindings(client);
        if (!isBare) await ensureServerObjects({ client, pods: systemPods(paths) });
      }
      await markNodesUnheard(client);
      await startMeshServices({
        client,
        paths,
        publish: this.#record.publish ?? [],
        hasEgress: this.#record.egress !== undefined,
        log: log.child('services'),
        signal: this.#services.signal,
      });

      this.#step(isBare ? 'starting the nodes' : 'starting the control plane and the nodes');
      const control = isBare ? undefined : this.#startControl();
      const runtimes = nodes.map((node, index) => this.#startNode(node, index + 1));
      if (control) await waitUntil(() => control.isReady());
      this.#step('waiting for the nodes');
      for (const runtime of runtimes) await waitUntil(() => runtime.isReady());
      if (!isBare) {
        this.#step('waiting for node agents and ztunnels');
        await waitUntil(() => this.#systemPodsReady());
      }
      this.#phase = { kind: 'ready' };
      log.info('Mesh is ready', { nodes: nodes.length });
    } catch (error) {
      this.#phase = { kind: 'failed', message: messageOf(error) };
      log.error('Cannot start the mesh', { error: messageOf(error) });
      throw error;
    }
  }

  async status(): Promise<MeshStatus> {
    const supervised = await Promise.all(this.#components.map((component) => component.status()));
    const pods = await Promise.all(nodeNames(this.#record.nodes).map((node) => this.#systemContainers(node)));
    const itself = {
      component: 'supervisor',
      node: '',
      pid: process.pid,
      ready: this.#phase.kind === 'ready',
      since: this.#since,
    };
    const [forwarderPid] = childrenOf(forwarderLoopPid());
    return {
      phase: this.#phase,
      components: [itself, ...supervised, ...pods.flat()],
      ...(forwarderPid === undefined ? {} : { forwarderPid }),
    };
  }

  /** Nodes first, so that pods end in order; the API server last, so that they can say so. */
  async stop(): Promise<void> {
    const inOrder = [...this.#components].reverse();
    const nodes = inOrder.filter((component) => component.spec.node !== undefined);
    await Promise.all(nodes.map((component) => component.stop(5000)));
    for (const component of inOrder) if (component.spec.node === undefined) await component.stop(5000);
    this.#services.abort();
    await this.#client?.close();
    this.#server?.close();
  }

  #step(step: string): void {
    this.#phase = { kind: 'starting', step };
  }

  async #layOutNetwork(nodes: readonly string[]): Promise<void> {
    await createMeshNetwork();
    for (let index = 1; index <= nodes.length; index++) await createNodeNetwork({ index, nodeCount: nodes.length });
  }

  #startApiServer(): Component {
    const { paths } = this.#options;
    return this.#startComponent({
      component: 'apiserver',
      command: this.#bin(
        'apiserver',
        '--state',
        paths.root,
        '--listen',
        `${controlAddress}:6443`,
        '--token-file',
        paths.tokens,
      ),
      isReady: () => httpsReady(`https://${controlAddress}:6443/readyz`, join(paths.pki, 'apiserver-ca.pem')),
    });
  }

  /** Kubernetes' own server has no unix socket: the supervisor keeps one for it. */
  async #startKubernetes(binary: string, nodes: readonly string[], tokens: readonly StaticToken[]): Promise<Component> {
    const { paths, log } = this.#options;
    const files = await writeServerFiles(paths, { nodes, tokens });
    const [etcd, apiserver] = storageAndApi(binary, paths, files);
    this.#startServer(etcd);
    rmSync(paths.apiserverSocket, { force: true });
    await startForwarder({
      listen: { path: paths.apiserverSocket },
      target: { host: controlAddress, port: 6443 },
      log: log.child('apiserver-socket'),
    });
    return this.#startServer(apiserver);
  }

  #startServer({ component, command, readyUrl }: ServerCommand): Component {
    const caPath = join(this.#options.paths.pki, 'apiserver-ca.pem');
    const isReady = readyUrl.startsWith('https:')
      ? (): Promise<boolean> => httpsReady(readyUrl, caPath)
      : async (): Promise<boolean> => (await fetch(readyUrl, { signal: AbortSignal.timeout(1000) })).ok;
    return this.#startComponent({ component, command, isReady });
  }

  #startControl(): Component {
    const { paths } = this.#options;
    return this.#startComponent({
      component: 'control',
      command: this.#bin('control'),
      env: {
        KUBECONFIG: controlKubeconfigPath(paths),
        POD_NAMESPACE: systemNamespace,
        POD_NAME: 'istiod',
        LISTEN: '0.0.0.0:15012',
      },
      isReady: async () =>
        (await fetch(`http://${controlAddress}:15014/readyz`, { signal: AbortSignal.timeout(1000) })).ok,
    });
  }

  #startNode(node: string, index: number): Component {
    const { paths } = this.#options;
    const { kubernetes, bare = false } = this.#record;
    const args = [
      '--node',
      node,
      '--index',
      String(index),
      '--nodes',
      String(this.#record.nodes),
      '--state',
      paths.root,
    ];
    args.push('--kubeconfig', nodeKubeconfigPath(paths, node));
    // On Kubernetes' own server a node may not make Pods that refer to accounts or ConfigMaps (NodeRestriction): DaemonSets do.
    if (kubernetes === undefined && !bare) {
      writeStaticPods(paths, node);
      args.push('--manifests', manifestFolder(paths, node));
    } else {
      args.push('--system-namespace', systemNamespace);
    }
    if (kubernetes !== undefined) {
      const { certPath, keyPath } = nodeKeyPair(paths, node);
      args.push('--tls-cert-file', certPath, '--tls-private-key-file', keyPath);
      args.push('--client-ca-file', serverFiles(paths).caPath);
    }
    if (!bare) args.push('--mesh');
    if (this.#record.egress !== undefined) args.push('--egress');
    for (const image of this.#record.images) args.push('--image', image);
    return this.#startComponent({
      component: 'node-runtime',
      node,
      command: ['nsenter', `--net=/run/netns/${node}`, ...this.#bin('node-runtime', ...args)],
      isReady: () => this.#nodeReady(node),
    });
  }

  #startComponent(spec: {
    component: string;
    node?: string;
    command: readonly string[];
    env?: Readonly<Record<string, string>>;
    isReady: () => Promise<boolean>;
  }): Component {
    const { paths, self, log } = this.#options;
    const name = spec.node === undefined ? spec.component : `${spec.component}-${spec.node}`;
    const component = new Component(
      {
        ...spec,
        env: {
          PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
          HOME: '/root',
          ...(self.compileCache === undefined ? {} : { NODE_COMPILE_CACHE: self.compileCache }),
          ...spec.env,
        },
        logPath: join(paths.logs, `${name}.log`),
      },
      log,
    );
    this.#components.push(component);
    component.start();
    return component;
  }

  #bin(name: string, ...args: string[]): string[] {
    return [this.#options.self.node, join(this.#options.self.binDir, `${name}.ts`), ...args];
  }

  async #nodeReady(node: string): Promise<boolean> {
    const found = await this.#client?.get(kinds.Node, node);
    return (
      found?.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false
    );
  }

  async #systemPodsReady(): Promise<boolean> {
    if (!this.#client) return false;
    const pods = (await this.#client.list(kinds.Pod, { namespace: systemNamespace })).items;
    return nodeNames(this.#record.nodes).every((node) =>
      ['istio-cni-node', 'ztunnel'].every((app) =>
        pods.some((pod) => pod.metadata.labels?.['app'] === app && pod.spec?.nodeName === node && isPodReady(pod)),
      ),
    );
  }

  /** The node agent and the ztunnel of a node are containers of its runtime. */
  async #systemContainers(node: string): Promise<ComponentStatus[]> {
    let pods: readonly NodePod[];
    try {
      pods = (await nodeGet(this.#options.paths, node, '/pods')) as readonly NodePod[];
    } catch {
      return [];
    }
    const components: Record<string, string> = { 'istio-cni-node': 'node-agent', ztunnel: 'ztunnel' };
    return pods.flatMap((pod) => {
      const component = components[pod.labels?.['app'] ?? ''];
      const [container] = pod.containers;
      if (pod.namespace !== systemNamespace || component === undefined || !container) return [];
      return [{ component, node, pid: container.pid ?? 0, ready: container.ready, since: container.startedAt ?? '' }];
    });
  }

  /** `GET /status` and `POST /stop` on the unix socket. Only the owner of the state folder reaches it. */
  async #serve(): Promise<void> {
    const { supervisorSocket } = this.#options.paths;
    rmSync(supervisorSocket, { force: true });
    const server = createServer((request, response) => {
      const answer = (code: number, body: unknown): void => {
        response.writeHead(code, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(body));
      };
      if (request.method === 'GET' && request.url === '/status') {
        this.status().then(
          (status) => answer(200, status),
          (error: unknown) => answer(500, { message: messageOf(error) }),
        );
      } else if (request.method === 'POST' && request.url === '/stop') {
        this.stop().then(
          () => answer(200, {}),
          (error: unknown) => answer(500, { message: messageOf(error) }),
        );
      } else {
        answer(404, { message: `No ${request.method} ${request.url}` });
      }
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(supervisorSocket, resolve);
    });
  }
}

export function isPodReady(pod: Pod): boolean {
  return (
    pod.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false
  );
}

/** Asks again until it holds. There is no deadline: whoever waits for the mesh has one. */
async function waitUntil(holds: () => Promise<boolean>): Promise<void> {
  for (;;) {
    try {
      if (await holds()) return;
    } catch {
      // Not there yet.
    }
    await sleep(50);
  }
}

async function httpsReady(url: string, caPath: string): Promise<boolean> {
  const { request } = await import('node:https');
  const ca = readFileSync(caPath, 'utf8');
  return new Promise((resolve) => {
    const call = request(url, { ca, timeout: 1000, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(false));
    call.end();
  });
}
