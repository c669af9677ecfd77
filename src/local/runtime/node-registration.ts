/** The Node object: made when it is missing, its conditions kept fresh, made again when somebody deletes it. */
import { arch, cpus, machine, release, totalmem } from 'node:os';
import { kinds, type CoreCondition, type Node } from '../../api/index.ts';
import { createBackoff } from '../../lib/backoff.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { isKubeError, type KubeClient } from '../../kube/index.ts';
import { timestamp } from './container-status.ts';

export interface NodeRegistrationOptions {
  readonly client: KubeClient;
  readonly nodeName: string;
  /** One of each family that the mesh has. */
  readonly hostIps: readonly string[];
  readonly podCidrs: readonly string[];
  /** Where the API server asks for logs and streams; absent: it has another way. */
  readonly kubeletPort?: number;
  /** Beside kubernetes.io/hostname, os and arch: topology, for example. */
  readonly labels: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const heartbeatMs = 60_000;
const maxPods = 250;

/** What the node has, for the Node object and for the downward API. */
export function nodeCapacity(): { cpu: number; memory: number; 'ephemeral-storage': number } {
  return { cpu: cpus().length, memory: totalmem(), 'ephemeral-storage': 0 };
}

/** Registers the node; resolves once it is in the API and Ready. Goes on with heartbeats until `signal` aborts. */
export async function registerNode(options: NodeRegistrationOptions): Promise<void> {
  await writeUntilDone(options);
  void keepFresh(options);
}

async function keepFresh(options: NodeRegistrationOptions): Promise<void> {
  for (;;) {
    await sleep(heartbeatMs, options.signal);
    if (options.signal.aborted) return;
    await writeUntilDone(options);
  }
}

async function writeUntilDone(options: NodeRegistrationOptions): Promise<void> {
  const backoff = createBackoff({ initialMs: 200, maxMs: 5_000 });
  while (!options.signal.aborted) {
    try {
      await write(options);
      return;
    } catch (error) {
      options.log.warn('Cannot write the Node object', { error: messageOf(error) });
      await sleep(backoff.next(), options.signal);
    }
  }
}

async function write(options: NodeRegistrationOptions): Promise<void> {
  const { client, nodeName, signal } = options;
  let node: Node;
  try {
    node = await client.get(kinds.Node, nodeName, undefined, signal);
  } catch (error) {
    if (!isKubeError(error) || error.status !== 404) throw error;
    node = await client.create(kinds.Node, describeNode(options), signal);
  }
  const status = describeStatus(options, node.status?.conditions ?? []);
  await client.patch(kinds.Node, nodeName, undefined, { status }, { type: 'merge', subresource: 'status', signal });
}

function describeNode(options: NodeRegistrationOptions): Node {
  const { nodeName, podCidrs } = options;
  const [podCidr = ''] = podCidrs;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: nodeName,
      labels: {
        'kubernetes.io/hostname': nodeName,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': architecture(),
        ...options.labels,
      },
    },
    spec: { podCIDR: podCidr, podCIDRs: [...podCidrs], providerID: `ambit://${nodeName}` },
  };
}

function describeStatus(
  options: NodeRegistrationOptions,
  before: readonly CoreCondition[],
): NonNullable<Node['status']> {
  const now = timestamp(options.clock.nowMs());
  const { cpu, memory } = nodeCapacity();
  const resources = { cpu: String(cpu), memory: `${Math.floor(memory / 1024)}Ki`, pods: String(maxPods) };
  const condition = (type: string, status: 'True' | 'False', reason: string, message: string): CoreCondition => {
    const known = before.find((each) => each.type === type);
    const lastTransitionTime = known?.status === status ? (known.lastTransitionTime ?? now) : now;
    return { type, status, reason, message, lastHeartbeatTime: now, lastTransitionTime };
  };
  return {
    capacity: resources,
    allocatable: resources,
    conditions: [
      condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
      condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
      condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
      condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'),
    ],
    addresses: [
      ...options.hostIps.map((address) => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: options.nodeName },
    ],
    ...(options.kubeletPort === undefined
      ? {}
      : { daemonEndpoints: { kubeletEndpoint: { Port: options.kubeletPort } } }),
    nodeInfo: {
      machineID: options.nodeName,
      systemUUID: options.nodeName,
      bootID: options.nodeName,
      kernelVersion: release(),
      osImage: 'Ambit local node',
      containerRuntimeVersion: 'ambit://1.0.0',
      kubeletVersion: 'v1.33.0',
      kubeProxyVersion: 'v1.33.0',
      operatingSystem: 'linux',
      architecture: architecture(),
    },
  };
}

function architecture(): string {
  if (arch() === 'x64') return 'amd64';
  return arch() === 'arm64' ? 'arm64' : machine();
}
