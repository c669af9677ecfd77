/** A pod's network namespace: one veth pair to its node, routed point to point (a /32 each way, no bridge in the node). */
import { gatewayLink, netnsPath, podAddress, podGateway } from './addresses.ts';
import { runTool } from './tool.ts';

export interface PodNetworkOptions {
  /** Name of the namespace under /run/netns: the pod's UID. */
  readonly name: string;
  readonly nodeIndex: number;
  /** Last part of the pod's address, 2 to 254; also names the link in the node, `pod-<host>`. */
  readonly host: number;
}

/** Makes the namespace and its link, from inside the node's network namespace. Two child processes. */
export async function createPodNetwork(options: PodNetworkOptions): Promise<{ ip: string; netnsPath: string }> {
  const { name, nodeIndex, host } = options;
  const ip = podAddress(nodeIndex, host);
  const gateway = podGateway(nodeIndex);
  const link = podLink(host);
  await runTool({
    command: ['ip', '-batch', '-'],
    input: lines(
      `netns add ${name}`,
      `link add ${link} type veth peer name eth0 netns ${name}`,
      `link set ${link} up`,
      `route replace ${ip} dev ${link} src ${gateway}`,
    ),
  });
  await runTool({
    command: ['ip', '-n', name, '-batch', '-'],
    input: lines(
      'link set lo up',
      `addr add ${ip}/32 dev eth0`,
      'link set eth0 up',
      `route add ${gateway} dev eth0 scope link`,
      `route add default via ${gateway} dev eth0`,
    ),
  });
  return { ip, netnsPath: netnsPath(name) };
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
