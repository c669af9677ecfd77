/** A pod's network namespace: one veth pair to its node, routed point to point (a /32 each way, no bridge in the node). */
import { gatewayLink, netnsPath, podAddress, podAddress6, podGateway, podGateway6 } from './addresses.ts';
import { meshFamilies } from './ip-families.ts';
import { runTool } from './tool.ts';

export interface PodNetworkOptions {
  /** Name of the namespace under /run/netns: the pod's UID. */
  readonly name: string;
  readonly nodeIndex: number;
  /** Last part of the pod's address, 2 to 254; also names the link in the node, `pod-<host>`. */
  readonly host: number;
}

/** Pods' IPv6 next hop: the same link-local address at every node's end, because neighbours answer for their own link only. */
const linkGateway6 = 'fe80::1';

export interface PodNetwork {
  /** IPv4 first, then IPv6 where the mesh has it. */
  readonly ips: readonly [string, ...string[]];
  readonly netnsPath: string;
}

/** Makes the namespace and its link, from inside the node's network namespace. Two child processes. */
export async function createPodNetwork(options: PodNetworkOptions): Promise<PodNetwork> {
  const { name, nodeIndex, host } = options;
  const ip = podAddress(nodeIndex, host);
  const ip6 = meshFamilies().includes('IPv6') ? podAddress6(nodeIndex, host) : undefined;
  const gateway = podGateway(nodeIndex);
  const link = podLink(host);
  await runTool({
    command: ['ip', '-batch', '-'],
    input: lines(
      `netns add ${name}`,
      `link add ${link} type veth peer name eth0 netns ${name}`,
      // The link-local addresses are ours to give: those of the kernel would be probed for a second first.
      ...(ip6 ? [`link set ${link} addrgenmode none`] : []),
      `link set ${link} up`,
      `route replace ${ip} dev ${link} src ${gateway}`,
      ...(ip6
        ? [
            `addr add ${linkGateway6}/64 dev ${link} nodad`,
            `route replace ${ip6} dev ${link} src ${podGateway6(nodeIndex)}`,
          ]
        : []),
    ),
  });
  await runTool({
    command: ['ip', '-n', name, '-batch', '-'],
    input: lines(
      'link set lo up',
      ...(ip6 ? ['link set eth0 addrgenmode none'] : []),
      `addr add ${ip}/32 dev eth0`,
      'link set eth0 up',
      `route add ${gateway} dev eth0 scope link`,
      `route add default via ${gateway} dev eth0`,
      ...(ip6
        ? [
            'addr add fe80::2/64 dev eth0 nodad',
            `addr add ${ip6}/128 dev eth0 nodad`,
            `route add ::/0 via ${linkGateway6} dev eth0`,
          ]
        : []),
    ),
  });
  return { ips: ip6 === undefined ? [ip] : [ip, ip6], netnsPath: netnsPath(name) };
}

/**
 * Takes the link and the namespace away. The link goes by itself only when nothing holds the namespace any more, so it
 * is deleted by name. What is not there is no failure.
 */
export async function removePodNetwork(options: { readonly name: string; readonly host?: number }): Promise<void> {
  const input =
    options.host === undefined
      ? lines(`netns del ${options.name}`)
      : lines(`link del ${podLink(options.host)}`, `netns del ${options.name}`);
  await runTool({ command: ['ip', '-force', '-batch', '-'], input }).catch(() => {});
}

/** Takes away every pod link of the node that the caller is in: what a runtime that was killed left. */
export async function removeStalePodLinks(): Promise<void> {
  const listed = await runTool({ command: ['ip', '-o', 'link', 'show', 'type', 'veth'] });
  const names = [...listed.matchAll(/^\d+: (pod-\d+)[@:]/gm)].map((match) => match[1] ?? '');
  if (names.length === 0) return;
  await runTool({
    command: ['ip', '-force', '-batch', '-'],
    input: lines(...names.map((name) => `link del ${name}`)),
  }).catch(() => {});
}

/** Whether the caller's network namespace is that of a node. */
export async function isNodeNetwork(): Promise<boolean> {
  const listed = await runTool({ command: ['ip', '-o', 'link'] });
  return listed.includes(`: ${gatewayLink}:`);
}

function podLink(host: number): string {
  return `pod-${host}`;
}

function lines(...all: readonly string[]): string {
  return `${all.join('\n')}\n`;
}
