/** The bridge in init's network namespace, and each node's namespace behind a veth on it. */
import {
  bridgeAddress,
  bridgeName,
  bridgePrefixLength,
  gatewayLink,
  netnsPath,
  nodeAddress,
  nodeName,
  podCidr,
  podGateway,
  serviceCidr,
} from './addresses.ts';
import { runTool } from './tool.ts';

export interface NodeNetworkOptions {
  /** 1 to `nodeCount`. */
  readonly index: number;
  readonly nodeCount: number;
}

/** Makes the bridge, in the caller's network namespace. Once a mesh. */
export async function createMeshNetwork(): Promise<void> {
  await batch([
    'link set lo up',
    `link add ${bridgeName} type bridge`,
    `addr add ${bridgeAddress}/${bridgePrefixLength} dev ${bridgeName}`,
    `link set ${bridgeName} up`,
  ]);
}

/**
 * Makes the namespace `/run/netns/node-N` with its link to the bridge (`eth0`), its gateway address, and routes to the
 * pods of every other node; the caller's namespace gets the route to this node's pods. Addresses outside the mesh are
 * unreachable at once, not after a timeout. Called in the namespace that has the bridge.
 */
export async function createNodeNetwork(options: NodeNetworkOptions): Promise<void> {
  const { index, nodeCount } = options;
  const name = nodeName(index);
  await batch([
    `netns add ${name}`,
    `link add ${name} type veth peer name eth0 netns ${name}`,
    `link set ${name} master ${bridgeName} up`,
    `route replace ${podCidr(index)} via ${nodeAddress(index)} dev ${bridgeName} onlink`,
  ]);
  await enterAndConfigure(name, planNode(index, nodeCount));
}

/** `ip` batch lines that configure a node, run inside its namespace. */
function planNode(index: number, nodeCount: number): string[] {
  const lines = [
    'link set lo up',
    `addr replace ${nodeAddress(index)}/${bridgePrefixLength} dev eth0`,
    'link set eth0 up',
    `link add ${gatewayLink} type bridge`,
    `addr replace ${podGateway(index)}/32 dev ${gatewayLink}`,
    `link set ${gatewayLink} up`,
    // Lets connections to Services pass the first routing decision; service rules rewrite or refuse them.
    `route replace ${serviceCidr} dev ${gatewayLink} src ${podGateway(index)}`,
    `route replace unreachable ${podCidr(index)}`,
    'route replace unreachable default',
  ];
  for (let other = 1; other <= nodeCount; other++) {
    if (other !== index) lines.push(`route replace ${podCidr(other)} via ${nodeAddress(other)} dev eth0 onlink`);
  }
  return lines;
}

/** Settings that a node must not inherit from the host: it forwards, and pods' packets come in asymmetrically. */
const nodeSettings: Readonly<Record<string, string>> = {
  'net/ipv4/ip_forward': '1',
  'net/ipv4/conf/all/rp_filter': '0',
  'net/ipv4/conf/default/rp_filter': '0',
};

async function enterAndConfigure(name: string, lines: readonly string[]): Promise<void> {
  // `ip netns exec` would remount /sys; nsenter changes the network namespace alone.
  const settings = Object.entries(nodeSettings).map(([path, value]) => `echo ${value} > /proc/sys/${path}`);
  await runTool({
    command: ['nsenter', `--net=${netnsPath(name)}`, 'sh', '-ec', `${settings.join('\n')}\nexec ip -batch -`],
    input: `${lines.join('\n')}\n`,
  });
}

async function batch(lines: readonly string[]): Promise<void> {
  await runTool({ command: ['ip', '-batch', '-'], input: `${lines.join('\n')}\n` });
}
