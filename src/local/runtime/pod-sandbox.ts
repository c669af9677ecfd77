/** Where a pod's containers live: its address and network namespace, or the node's own for hostNetwork. */
import { writeFileSync } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { closeNetns, openNetns, withNetns } from '../../net/index.ts';
import { createPodNetwork, hostOf, removePodNetwork } from '../network/index.ts';
import type { Pod } from '../../api/index.ts';
import type { NodeContext } from './node-context.ts';
import { podHostName } from './pod-files.ts';
import { openPodNamespaces, type PodNamespaces } from './pod-namespaces.ts';

export interface PodSandboxOptions {
  readonly node: NodeContext;
  readonly hostIpc: boolean;
  readonly sharesProcesses: boolean;
  /** A folder in memory, made and removed with the sandbox. */
  readonly sharedMemory: string;
}

export interface PodSandbox {
  readonly hostName: string;
  readonly namespaces: PodNamespaces;
  readonly sharedMemory: string;
  readonly podIp: string;
  /** Beginning with `podIp`: one of each family that the mesh has. */
  readonly podIps: readonly string[];
  /** Absent: the node's network namespace. */
  readonly netnsPath?: string;
  /** Takes the namespaces and the address back. */
  close(): Promise<void>;
}

/** Opens the sandbox. A pod that had an address before the runtime restarted gets it again if it is free. */
export async function openPodSandbox(pod: Pod, uid: string, options: PodSandboxOptions): Promise<PodSandbox> {
  const { node, hostIpc, sharesProcesses, sharedMemory } = options;
  const hostName = pod.spec.hostNetwork ? node.nodeName : podHostName(pod);
  const namespaces = await openPodNamespaces({ hostName, hostIpc, sharesProcesses });
  try {
    await mkdir(sharedMemory, { recursive: true });
    await chmod(sharedMemory, 0o1777);
    const network = await openPodNetwork(pod, uid, node);
    return {
      ...network,
      hostName,
      namespaces,
      sharedMemory,
      async close() {
        await namespaces.close();
        await network.close();
        await rm(sharedMemory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await namespaces.close();
    throw error;
  }
}

type PodNetwork = Pick<PodSandbox, 'podIp' | 'podIps' | 'netnsPath' | 'close'>;

async function openPodNetwork(pod: Pod, uid: string, node: NodeContext): Promise<PodNetwork> {
  if (pod.spec.hostNetwork) return { podIp: node.hostIp, podIps: node.hostIps, close: async () => {} };
  const host = node.addresses.take(hostOf(pod.status?.podIP, node.nodeIndex));
  try {
    const network = await createPodNetwork({ name: uid, nodeIndex: node.nodeIndex, host });
    openNetworkToAll(network.netnsPath);
    return {
      podIp: network.ips[0],
      podIps: network.ips,
      netnsPath: network.netnsPath,
      async close() {
        await removePodNetwork({ name: uid, host });
        node.addresses.free(host);
      },
    };
  } catch (error) {
    await removePodNetwork({ name: uid, host });
    node.addresses.free(host);
    throw error;
  }
}

/** Without capabilities a container may still use every port and ping, as container runtimes have it. */
function openNetworkToAll(path: string): void {
  const netns = openNetns(path);
  try {
    withNetns(netns, () => {
      writeFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', '0');
      // Only ids of the user namespace that the mesh is in can be named; all containers are group 0 there.
      writeFileSync('/proc/sys/net/ipv4/ping_group_range', '0 0');
    });
  } finally {
    closeNetns(netns);
  }
}
