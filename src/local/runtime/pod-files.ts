/** Pure: the files that a pod has of its own in /etc. */
import type { Pod } from '../../api/index.ts';

export interface PodFilesInput {
  readonly pod: Pod;
  readonly podIp: string;
  /** Absent: `podIp` alone. */
  readonly podIps?: readonly string[];
  readonly hostName: string;
  readonly clusterDnsIp: string;
  /** The node's own resolv.conf, for dnsPolicy Default. */
  readonly nodeResolvConf: string;
}

export const clusterDomain = 'cluster.local';

export function planPodFiles(input: PodFilesInput): ReadonlyMap<string, string> {
  return new Map([
    ['/etc/hostname', `${input.hostName}\n`],
    ['/etc/hosts', hostsFile(input)],
    ['/etc/resolv.conf', resolvConf(input)],
  ]);
}

/** Host name of a pod: `spec.hostname`, else its name. */
export function podHostName(pod: Pod): string {
  return (pod.spec.hostname ?? pod.metadata.name ?? 'pod').slice(0, 63);
}

function hostsFile({ pod, podIp, podIps = [podIp], hostName }: PodFilesInput): string {
  const lines = [
    '# Written by the runtime of the node.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::0\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
  ];
  const { subdomain } = pod.spec;
  const full = subdomain ? `${hostName}.${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}\t` : '';
  for (const ip of podIps) lines.push(`${ip}\t${full}${hostName}`);
  for (const { ip, hostnames = [] } of pod.spec.hostAliases ?? []) lines.push(`${ip}\t${hostnames.join('\t')}`);
  return `${lines.join('\n')}\n`;
}

/** As kubelet writes it (dnsPolicy and dnsConfig of the pod). A hostNetwork pod gets the cluster's names too: the node has no others. */
function resolvConf({ pod, clusterDnsIp, nodeResolvConf }: PodFilesInput): string {
  const { dnsPolicy = 'ClusterFirst', dnsConfig } = pod.spec;
  if (dnsPolicy === 'Default' && !dnsConfig) return nodeResolvConf;
  const isCluster = dnsPolicy === 'ClusterFirst' || dnsPolicy === 'ClusterFirstWithHostNet';
  const servers = [...(isCluster ? [clusterDnsIp] : []), ...(dnsConfig?.nameservers ?? [])];
  const own = isCluster
    ? [`${pod.metadata.namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain]
    : [];
  const searches = [...new Set([...own, ...(dnsConfig?.searches ?? [])])];
  const options = new Map<string, string>(isCluster ? [['ndots', '5']] : []);
  for (const { name, value } of dnsConfig?.options ?? []) if (name) options.set(name, value ?? '');
  const lines = servers.map((ip) => `nameserver ${ip}`);
  if (searches.length > 0) lines.push(`search ${searches.join(' ')}`);
  if (options.size > 0) {
    lines.push(`options ${[...options].map(([name, value]) => (value === '' ? name : `${name}:${value}`)).join(' ')}`);
  }
  return `${lines.join('\n')}\n`;
}
