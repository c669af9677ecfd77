/** The bridge in init's network namespace, and each node's namespace behind a veth on it. */
import {
  bridgeAddress,
  bridgeAddress6,
  bridgeName,
  bridgePrefixLength,
  bridgePrefixLength6,
  gatewayLink,
  netnsPath,
  nodeAddress,
  nodeAddress6,
  nodeName,
  podCidr,
  podCidr6,
  podGateway,
  podGateway6,
  serviceCidr,
  serviceCidr6,
} from './addresses.ts';
import { kernelHasIpv6, meshFamilies } from './ip-families.ts';
import { runTool } from './tool.ts';

export interface NodeNetworkOptions {
  /** 1 to `nodeCount`. */
  readonly index: number;
  readonly nodeCount: number;
}

/**
 * Makes the bridge, in the caller's network namespace. Once a mesh. Where IPv6 is switched off, bridge, nodes and pods
 * have IPv4 alone. The route leads connections to Services as far as the rules that rewrite or refuse them.
 */
export async function createMeshNetwork(): Promise<void> {
  const lines = [
    'link set lo up',
    // Neighbours are asked by multicast: a bridge that snoops drops the first questions.
    `link add ${bridgeName} type bridge mcast_snooping 0`,
    `addr add ${bridgeAddress}/${bridgePrefixLength} dev ${bridgeName}`,
    `link set ${bridgeName} up`,
    `route replace ${serviceCidr} dev ${bridgeName} src ${bridgeAddress}`,
  ];
  if (kernelHasIpv6()) {
    lines.push(
      `addr add ${bridgeAddress6}/${bridgePrefixLength6} dev ${bridgeName} nodad`,
      `route replace ${serviceCidr6} dev ${bridgeName} src ${bridgeAddress6}`,
    );
  }
  await batch(lines);
}

/**
 * Makes the namespace `/run/netns/node-N` with its link to the bridge (`eth0`), its gateway address, and routes to the
 * pods of every other node; the caller's namespace gets the route to this node's pods. Addresses outside the mesh are
 * unreachable at once, not after a timeout. Called in the namespace that has the bridge.
 */
export async function createNodeNetwork(options: NodeNetworkOptions): Promise<void> {
  const { index, nodeCount } = options;
  const name = nodeName(index);
  const hasIpv6 = meshFamilies().includes('IPv6');
  await batch([
    `netns add ${name}`,
    `link add ${name} type veth peer name eth0 netns ${name}`,
    `link set ${name} master ${bridgeName} up`,
    `route replace ${podCidr(index)} via ${nodeAddress(index)} dev ${bridgeName} onlink`,
    ...(hasIpv6 ? [`route replace ${podCidr6(index)} via ${nodeAddress6(index)} dev ${bridgeName} onlink`] : []),
  ]);
  await enterAndConfigure(name, {
    settings: hasIpv6 ? [...nodeSettings, ...nodeSettings6] : nodeSettings,
    lines: [...planNode(index, nodeCount), ...(hasIpv6 ? planNode6(index, nodeCount) : [])],
  });
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

/** The same for IPv6. Addresses are used at once: nobody else in the mesh can have them. */
function planNode6(index: number, nodeCount: number): string[] {
  const lines = [
    `addr replace ${nodeAddress6(index)}/${bridgePrefixLength6} dev eth0 nodad`,
    `addr replace ${podGateway6(index)}/128 dev ${gatewayLink} nodad`,
    `route replace ${serviceCidr6} dev ${gatewayLink} src ${podGateway6(index)}`,
    `route replace unreachable ${podCidr6(index)}`,
    'route replace unreachable ::/0',
  ];
  for (let other = 1; other <= nodeCount; other++) {
    if (other !== index) lines.push(`route replace ${podCidr6(other)} via ${nodeAddress6(other)} dev eth0 onlink`);
  }
  return lines;
}

/** Settings that a node must not inherit from the host: it forwards, and pods' packets come in asymmetrically. */
const nodeSettings: readonly string[] = [
  'net/ipv4/ip_forward=1',
  'net/ipv4/conf/all/rp_filter=0',
  'net/ipv4/conf/default/rp_filter=0',
];
const nodeSettings6: readonly string[] = ['net/ipv6/conf/all/forwarding=1', 'net/ipv6/conf/default/forwarding=1'];

async function enterAndConfigure(
  name: string,
  plan: { readonly settings: readonly string[]; readonly lines: readonly string[] },
): Promise<void> {
  // `ip netns exec` would remount /sys; nsenter changes the network namespace alone.
  const settings = plan.settings.map((setting) => {
    const [path = '', value = ''] = setting.split('=');
    return `echo ${value} > /proc/sys/${path}`;
  });
  await runTool({
    command: ['nsenter', `--net=${netnsPath(name)}`, 'sh', '-ec', `${settings.join('\n')}\nexec ip -batch -`],
    input: `${plan.lines.join('\n')}\n`,
  });
}

async function batch(lines: readonly string[]): Promise<void> {
  await runTool({ command: ['ip', '-batch', '-'], input: `${lines.join('\n')}\n` });
}
