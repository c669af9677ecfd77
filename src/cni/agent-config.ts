/** Settings of a node agent, read from the environment that the chart and the local mesh set. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemNamespace } from '../api/names.ts';
import { AmbitError } from '../lib/errors.ts';
import type { NodeAgentOptions } from './agent-options.ts';
import { parseResolvConf, type ClusterDns } from './resolver.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type NodeAgentConfig = Omit<NodeAgentOptions, 'client' | 'log' | 'signal' | 'apiAccess'>;

/** Throws `cni.config` with every problem at once. */
export function parseNodeAgentConfig(env: Environment): NodeAgentConfig {
  const problems: string[] = [];
  const oneOf = <T extends string>(name: string, allowed: readonly T[]): T | undefined => {
    const value = env[name];
    if (value === undefined || value === '') return undefined;
    if (!(allowed as readonly string[]).includes(value))
      problems.push(`${name} is "${value}", not ${allowed.join(', ')}`);
    return value as T;
  };
  const port = (name: string, fallback: number): number => {
    const value = Number(env[name] || fallback);
    if (!Number.isInteger(value) || value < 0 || value > 65_535) problems.push(`${name} is "${env[name]}", no port`);
    return value;
  };
  const nodeName = env['NODE_NAME'] ?? '';
  if (nodeName === '') problems.push('NODE_NAME is not set');
  const excludedNamespaces = list(env['EXCLUDE_NAMESPACES'] ?? 'kube-system');
  const namespace = env['POD_NAMESPACE'] || systemNamespace;
  const procFolder = env['HOST_PROC'] || undefined;
  const runDir = env['CNI_RUN_DIR'] || undefined;
  const dnsCapture = oneOf('DNS_CAPTURE', ['auto', 'on', 'off'] as const);
  const ruleProgram = oneOf('RULE_PROGRAM', ['nft', 'iptables'] as const);
  const probeMark = Number(env['PROBE_MARK'] || 0);
  if (!Number.isInteger(probeMark) || probeMark < 0 || probeMark > 0xffff_ffff)
    problems.push(`PROBE_MARK is "${env['PROBE_MARK']}", no mark`);
  const config: NodeAgentConfig = {
    nodeName,
    netnsFolder: env['NETNS_DIR'] ?? '/var/run/netns',
    ...(procFolder === undefined ? {} : { procFolder }),
    socketPath: env['ZTUNNEL_SOCKET'] ?? '/var/run/ztunnel/ztunnel.sock',
    ...(runDir === undefined ? {} : { pluginSocketPath: join(runDir, 'pluginevent.sock') }),
    ...installerOf(env, { runDir, excludedNamespaces, namespace }),
    readinessPort: port('READINESS_PORT', 8000),
    metricsPort: port('METRICS_PORT', 15_014),
    excludedNamespaces,
    ...(env['HOST_PROBE_SNAT_IP'] ? { probeIp4: env['HOST_PROBE_SNAT_IP'] } : {}),
    ...(env['HOST_PROBE_SNAT_IPV6'] ? { probeIp6: env['HOST_PROBE_SNAT_IPV6'] } : {}),
    ...(probeMark === 0 ? {} : { probeMark }),
    ...(dnsCapture === undefined ? {} : { dnsCapture }),
    ...(ruleProgram === undefined ? {} : { ruleProgram }),
    clusterDns: clusterDnsOf(env, procFolder),
  };
  if (problems.length > 0) {
    throw new AmbitError(`Cannot start the node agent: ${problems.join('; ')}`, {
      code: 'cni.config',
      blame: 'downstream',
    });
  }
  return config;
}

/** With CNI_CONF_DIR and CNI_BIN_DIR the plugin is installed; HOST_CNI_BIN_DIR and HOST_CNI_RUN_DIR are the folders as the node has them. */
function installerOf(
  env: Environment,
  where: {
    readonly runDir: string | undefined;
    readonly excludedNamespaces: readonly string[];
    readonly namespace: string;
  },
): Pick<NodeAgentConfig, 'installer' | 'daemonSet'> {
  const { CNI_CONF_DIR: confDir, CNI_BIN_DIR: binDir } = env;
  const { runDir, excludedNamespaces, namespace } = where;
  if (!confDir || !binDir || runDir === undefined) return {};
  return {
    installer: {
      confDir,
      launcher: { binDir, hostBinDir: env['HOST_CNI_BIN_DIR'] || binDir, nodePath: process.execPath },
      chain: { runDir: env['HOST_CNI_RUN_DIR'] || runDir, excludedNamespaces, systemNamespace: namespace },
      ownConfig: env['CNI_OWN_CONFIG'] !== 'false',
    },
    daemonSet: { namespace, name: env['DAEMON_SET'] || 'istio-cni-node' },
  };
}

/** Kubelet gives this pod what it gives others (ClusterFirstWithHostNet); the node's own file is that of its first process. */
function clusterDnsOf(env: Environment, procFolder: string | undefined): ClusterDns {
  const own = parseResolvConf(tryRead('/etc/resolv.conf') ?? '');
  const given = list(env['CLUSTER_DNS'] ?? '');
  return {
    nameservers: given.length > 0 ? given : (own?.nameservers ?? []),
    clusterDomain: env['CLUSTER_DOMAIN'] || 'cluster.local',
    nodeResolvConf: procFolder === undefined ? '' : (tryRead(join(procFolder, '1/root/etc/resolv.conf')) ?? ''),
  };
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function tryRead(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
