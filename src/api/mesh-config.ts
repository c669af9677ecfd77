/** `MeshConfig`, as far as Ambit reads it: key `mesh` of ConfigMap `istio` (or `istio-<revision>`) in the root namespace. */
import type {
  DestinationRuleSpecTrafficPolicyLoadBalancerLocalityLbSetting,
  VirtualServiceSpecHttpRetries,
} from './custom/types.gen.ts';
import type { ExtensionProvider } from './extension-provider.ts';
import type { LabelSelector } from './meta.ts';

export interface MeshConfig {
  /** Which namespaces belong to the mesh, by their labels; one match is enough. None: all of them. */
  readonly discoverySelectors: readonly LabelSelector[];
  /** What workloads may reach that the mesh does not know, where no Sidecar says it. Absent: anything. */
  readonly outboundTrafficPolicy?: 'allow-any' | 'registry-only';
  /** Further names of the mesh's trust domain. The chart hands them to ztunnels, too. */
  readonly trustDomainAliases?: readonly string[];
  /** `serviceScopeConfigs`: which Services other networks may reach. Absent: those labelled `istio.io/global: "true"`. */
  readonly serviceScopes?: readonly ServiceScope[];
  /** Of routes that say nothing of retries. */
  readonly defaultHttpRetryPolicy?: VirtualServiceSpecHttpRetries;
  /** Of Services without routes, at their own waypoint. */
  readonly defaultInboundHttpRetryPolicy?: VirtualServiceSpecHttpRetries;
  /** Where no DestinationRule says it. */
  readonly localityLbSetting?: DestinationRuleSpecTrafficPolicyLoadBalancerLocalityLbSetting;
  readonly connectTimeoutMs?: number;
  readonly tcpKeepalive?: { readonly probes?: number; readonly timeMs?: number; readonly intervalMs?: number };
  readonly pathNormalization?: 'none' | 'base' | 'merge-slashes' | 'decode-and-merge-slashes';
  readonly protocolDetectionTimeoutMs?: number;
  /** `accessLogFile`, `accessLogFormat` (empty: Istio's own) and `accessLogEncoding`. Absent: no file. */
  readonly accessLog?: { readonly file: string; readonly format: string; readonly encoding: 'text' | 'json' };
  readonly enableTracing?: boolean;
  readonly extensionProviders?: readonly ExtensionProvider[];
  /** Names of providers that are used where no Telemetry says it. */
  readonly defaultProviders?: {
    readonly tracing: readonly string[];
    readonly metrics: readonly string[];
    readonly accessLogging: readonly string[];
  };
  /** `defaultConfig`, for all proxies. */
  readonly proxies?: {
    /** `tracing.sampling`, 0 to 100. */
    readonly tracingSamplingPercent?: number;
    /** `gatewayTopology.numTrustedProxies` */
    readonly numTrustedProxies?: number;
    /** Threads of proxies for which nobody says it in a narrower place; 0: one for each core. */
    readonly concurrency?: number;
    /** `terminationDrainDuration` */
    readonly terminationDrainMs?: number;
  };
}

/** Of Services that both selectors select; an absent one selects all. */
export interface ServiceScope {
  readonly services: LabelSelector;
  /** Of the Service's namespace. */
  readonly namespaces: LabelSelector;
  readonly scope: 'local' | 'global';
}
