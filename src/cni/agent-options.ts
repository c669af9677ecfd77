/** What a node agent is told: of its node, of what it speaks with, and of what is done there. */
import type { KubeClient } from '../kube/index.ts';
import type { Log } from '../lib/log.ts';
import type { EnrolmentTimings } from './enrolment-context.ts';
import type { InstallerOptions } from './plugin/installer.ts';
import type { ApiAccess } from './plugin/pod-lookup.ts';
import type { ClusterDns } from './resolver.ts';
import type { RuleProgram } from './rules/rule-writer.ts';

export interface NodeAgentOptions {
  readonly nodeName: string;
  readonly client: KubeClient;
  /** Folder with the network namespace of each pod by its UID; absent: none is named so. */
  readonly netnsFolder?: string;
  /** The node's /proc, to find namespaces and resolvers by the pods' processes; absent: they are not looked for. */
  readonly procFolder?: string;
  /** ztunnel connects here. The agent keeps the node's secret beside it. */
  readonly socketPath: string;
  /** The listener holder's socket; default: beside ztunnel's. Nobody needs to listen there. */
  readonly holderPath?: string;
  /** The CNI plugin asks here; absent: nobody does. */
  readonly pluginSocketPath?: string;
  /** What the plugin may ask the API with while the agent is away; kept up to date beside the socket. */
  readonly apiAccess?: () => ApiAccess;
  /** Keeps the CNI plugin installed; absent: somebody else calls us for each pod, or nobody. */
  readonly installer?: Omit<InstallerOptions, 'clock' | 'log' | 'onInstall'>;
  /** The agent's own: when it is gone as the agent ends, the plugin and the node's rules go too. */
  readonly daemonSet?: { readonly namespace: string; readonly name: string };
  /** `/healthz` and `/readyz`. Upstream: 8000. */
  readonly readinessPort?: number;
  /** `/metrics`. Upstream: 15014. */
  readonly metricsPort?: number;
  readonly excludedNamespaces?: readonly string[];
  readonly probeIp4?: string;
  readonly probeIp6?: string;
  /** Of the connections by which the kubelet probes; absent: it has none, and whatever connects from the node is taken for it. */
  readonly probeMark?: number;
  /** DNS of pods that say nothing themselves; `auto`: where the ztunnel can ask the resolvers that the pod asked. */
  readonly dnsCapture?: 'auto' | 'on' | 'off';
  readonly clusterDns?: ClusterDns;
  /** Default: what is usable. */
  readonly ruleProgram?: RuleProgram;
  readonly timings?: Partial<EnrolmentTimings>;
  readonly log: Log;
  /** Ends the agent. What is enrolled stays enrolled. */
  readonly signal: AbortSignal;
}
