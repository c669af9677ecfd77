/** The kubelet of a local node: runs the pods that the API places on it, serves their names, and routes Services. */
import { statSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { kinds, type Pod } from '../../api/index.ts';
import { systemClock, type Clock } from '../../lib/clock.ts';
import { AmbitError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { EventRecorder, startInformer, type KubeClient } from '../../kube/index.ts';
import { deleteUdpFlows } from '../../net/index.ts';
import { ClusterNames, startDnsServer, type RunningDnsServer } from '../dns/index.ts';
import {
  AddressPool,
  askHostResolver,
  followServices,
  gatewayLink,
  hostOf,
  isNodeNetwork,
  meshFamilies,
  nodeAddress,
  nodeAddress6,
  nodeScope,
  podCidr,
  podCidr6,
  podGateway,
  podGateway6,
  removePodNetwork,
  removeStalePodLinks,
  ServiceProxy,
  startEgress,
} from '../network/index.ts';
import { readHostView } from './host-view.ts';
import type { ImageEntry } from './image-table.ts';
import type { NodeContext } from './node-context.ts';
import { keepNodeLease } from './node-lease.ts';
import { kubeletPort, startNodeListener, type NodeListenerFiles } from './node-listener.ts';
import { nodeCapacity, registerNode } from './node-registration.ts';
import { startNodeServer } from './node-server.ts';
import { clusterDomain } from './pod-files.ts';
import { PodManager } from './pod-manager.ts';
import { ReferencedObjects } from './referenced-objects.ts';
import { StartGate } from './start-gate.ts';
import { StaticPods } from './static-pods.ts';
import { StatusWriter } from './status-writer.ts';

export interface NodeRuntimeOptions {
  readonly nodeName: string;
  /** From 1; decides the node's addresses. */
  readonly index: number;
  readonly stateDir: string;
  /** Folder of static pod manifests; absent: none. */
  readonly manifestsDir?: string;
  readonly client: KubeClient;
  readonly images: readonly ImageEntry[];
  readonly log: Log;
  /** Aborting it is `close` without waiting. */
  readonly signal: AbortSignal;
  /** More labels of the Node object. */
  readonly nodeLabels?: Readonly<Record<string, string>>;
  /** Folders that pods may not see, besides `stateDir`; those that are not there are passed over. */
  readonly hidden?: readonly string[];
  /** Folders that pods always see: the program and its Node. */
  readonly kept?: readonly string[];
  /** On tmpfs, private to the mesh; default /run/ambit. */
  readonly runDir?: string;
  /** Pods of DaemonSets there are as privileged as they ask to be; others never are. Default: none. */
  readonly systemNamespaces?: readonly string[];
  /** Serve a cluster's API server over TLS on port 10250; absent: only the unix socket. */
  readonly listener?: NodeListenerFiles;
  /** Pods wait until the node agent of the mesh let them start. */
  readonly mesh?: boolean;
  /** Unix socket of the host's relay: TCP and names outside the mesh go by it. Absent: they are refused. */
  readonly egressSocket?: string;
  readonly clock?: Clock;
}

export interface RunningNodeRuntime {
  /** Path of the node's unix socket. */
  readonly socketPath: string;
  /** Ends the node's pods and everything else; their objects stay in the API. */
  close(): Promise<void>;
}

/** How many pods set up at a time. */
const concurrentStarts = 6;
const closeGraceMs = 3_000;
/** Namespaces and sockets of the mesh, and the machine's settings and devices. */
const alwaysForbidden = ['/run', '/proc', '/sys', '/dev'];

/**
 * Starts the node, in the network namespace that `createNodeNetwork` made. Resolves when it is Ready in the API. Throws
 * `runtime.no-node-network` when it is started elsewhere.
 */
export async function startNodeRuntime(options: NodeRuntimeOptions): Promise<RunningNodeRuntime> {
  const { nodeName, index, client, log, clock = systemClock } = options;
  if (!(await isNodeNetwork())) {
    throw new AmbitError(`Cannot run node ${nodeName}: this is not the network namespace of a node`, {
      code: 'runtime.no-node-network',
      blame: 'downstream',
    });
  }
  const stop = new AbortController();
  options.signal.addEventListener('abort', () => stop.abort(), { once: true });
  const { signal } = stop;
  const memoryFolder = join(options.runDir ?? '/run/ambit', nodeName);
  const diskFolder = join(options.stateDir, 'nodes', nodeName);
  await removeLeftovers(memoryFolder, diskFolder);

  const host = readHostView(join(memoryFolder, 'host'));
  const hostIp = nodeAddress(index);
  const hasIpv6 = meshFamilies().includes('IPv6');
  if (!hasIpv6) log.info('IPv6 is switched off here: the node has IPv4 alone');
  const hostIps = hasIpv6 ? [hostIp, nodeAddress6(index)] : [hostIp];
  const addresses = new AddressPool();
  const services = await startServices(options, clock, signal);
  const node: NodeContext = {
    nodeName,
    nodeIndex: index,
    hostIp,
    hostIps,
    clusterDnsIp: podGateway(index),
    nodeResolvConf: await readFile('/etc/resolv.conf', 'utf8').catch(() => ''),
    capacity: nodeCapacity(),
    images: options.images,
    host,
    hidden: await present([options.stateDir, ...(options.hidden ?? []), ...closedAbove(options.kept ?? [])]),
    kept: options.kept ?? [],
    systemNamespaces: options.systemNamespaces ?? [],
    forbidden: [options.stateDir, ...(options.hidden ?? []), ...alwaysForbidden],
    memoryFolder,
    diskFolder,
    ...(options.mesh ? { cniRunDir: join(memoryFolder, 'cni') } : {}),
    addresses,
    client,
    objects: new ReferencedObjects({ client, log }),
    services: services.known,
    events: new EventRecorder({ component: 'kubelet', client, nodeName, clock, log }),
    statuses: new StatusWriter({ client, log, signal }),
    gate: new StartGate(concurrentStarts),
    clock,
    log,
  };
  const manager = new PodManager(node, signal);
  const server = await startNodeServer({
    socketPath: join(options.stateDir, 'run', `${nodeName}.sock`),
    workers: () => manager.workers(),
    find: (namespace, name) => manager.find(namespace, name),
    clock,
    log,
  });
  const listener = options.listener
    ? await startNodeListener({
        ...options.listener,
        host: hostIp,
        port: kubeletPort,
        nodeName,
        client,
        accept: (socket) => server.accept(socket),
        clock,
        log,
      })
    : undefined;
  // Addresses that pods had before come back to them: none may be given away before the list is in.
  const first: Pod[] = [];
  let isListed = false;
  const pods = startInformer<Pod>(client, kinds.Pod, {
    fieldSelector: `spec.nodeName=${nodeName}`,
    signal,
    log,
    onAdd: (pod) => {
      if (isListed) manager.apply(pod);
      else first.push(pod);
    },
    onUpdate: (_, pod) => {
      if (isListed) manager.apply(pod);
    },
    onDelete: (pod) => manager.remove(pod),
  });
  await registerNode({
    client,
    nodeName,
    hostIps,
    podCidrs: hasIpv6 ? [podCidr(index), podCidr6(index)] : [podCidr(index)],
    ...(listener ? { kubeletPort } : {}),
    labels: options.nodeLabels ?? {},
    clock,
    log,
    signal,
  });
  void keepNodeLease({ client, nodeName, clock, log, signal });
  await pods.synced;
  for (const pod of first) addresses.skipPast(hostOf(pod.status?.podIP, index) ?? 0);
  const statics = options.manifestsDir
    ? new StaticPods({
        folder: options.manifestsDir,
        nodeName,
        clock,
        log,
        onChange: (wanted) => manager.applyStatic(wanted),
      })
    : undefined;
  // The manifests first: a mirror pod of an earlier run is kept for its static pod.
  await statics?.start();
  isListed = true;
  for (const pod of pods.store.values()) manager.apply(pod);
  log.info('Node is ready', { node: nodeName, address: hostIp });

  let closing: Promise<void> | undefined;
  return {
    socketPath: join(options.stateDir, 'run', `${nodeName}.sock`),
    close() {
      closing ??= (async () => {
        statics?.close();
        await manager.close(closeGraceMs);
        stop.abort();
        await listener?.close();
        await server.close();
        await services.close();
      })();
      return closing;
    },
  };
}

/** Names and ClusterIPs: what the node's pods reach Services by. */
async function startServices(
  options: NodeRuntimeOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<{ readonly known: NodeContext['services']; close(): Promise<void> }> {
  const { client, index, log } = options;
  const view = followServices({ client, signal, log, onChange: (key) => proxy.changed(key) });
  const proxy = new ServiceProxy({
    scope: nodeScope(index, meshFamilies()),
    services: view.services,
    slicesOf: view.slicesOf,
    forgetFlows: deleteUdpFlows,
    clock,
    log,
  });
  // Half a list would refuse what works: the rules of an earlier runtime stay, and names wait, until all is known.
  let names: ClusterNames | undefined;
  void view.synced.then(
    () => {
      names = new ClusterNames({ clusterDomain, ...view });
      proxy.start();
    },
    () => {},
  );
  const { egressSocket } = options;
  const egress = egressSocket === undefined ? undefined : await startNodeEgress(index, egressSocket, log);
  const dns: RunningDnsServer = await startDnsServer({
    host: podGateway(index),
    clusterDomain,
    log,
    names: () => names,
    ...(egressSocket === undefined ? {} : { upstream: (query) => askHostResolver(egressSocket, query) }),
  });
  return {
    known: { all: view.services, synced: view.synced },
    async close() {
      proxy.close();
      egress?.close();
      await dns.close();
    },
  };
}

function startNodeEgress(index: number, relayPath: string, log: Log): Promise<{ close(): void }> {
  const v4 = { listen: podGateway(index), source: nodeAddress(index) };
  const v6 = { listen: podGateway6(index), source: nodeAddress6(index) };
  const addresses = { IPv4: v4, ...(meshFamilies().includes('IPv6') ? { IPv6: v6 } : {}) };
  return startEgress({ addresses, device: gatewayLink, relayPath, log: log.child('egress') });
}

/** What a runtime that was killed left: its processes are gone with it, their namespaces, links and folders are not. */
async function removeLeftovers(memoryFolder: string, diskFolder: string): Promise<void> {
  const podFolder = join(memoryFolder, 'pods');
  const uids = await readdir(podFolder).catch(() => []);
  await removeStalePodLinks();
  for (const uid of uids) await removePodNetwork({ name: uid });
  await rm(podFolder, { recursive: true, force: true });
  await rm(join(memoryFolder, 'host'), { recursive: true, force: true });
  await rm(join(diskFolder, 'pods'), { recursive: true, force: true });
  await mkdir(podFolder, { recursive: true, mode: 0o700 });
  await mkdir(join(diskFolder, 'pods'), { recursive: true, mode: 0o700 });
}

/**
 * Folders above the kept ones that a container cannot pass: root without capabilities is one user among others, and the
 * program may lie in somebody's private home.
 */
function closedAbove(kept: readonly string[]): string[] {
  const closed: string[] = [];
  for (const each of kept) {
    for (let folder = dirname(each); folder !== '/'; folder = dirname(folder)) {
      const { uid, mode } = statSync(folder);
      const isOpen = (mode & (uid === process.getuid?.() ? 0o100 : 0o001)) !== 0;
      if (!isOpen) closed.push(folder);
    }
  }
  return closed;
}

async function present(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map((path) =>
      readdir(path).then(
        () => [path],
        () => [],
      ),
    ),
  );
  return [...new Set(found.flat())];
}
