/** Watches the kinds that discovery reads, and writes them into its sources. */
import type { KindRef, KubeObject } from '../api/meta.ts';
import { kinds } from '../api/kinds.ts';
import type { Pod } from '../api/core.ts';
import type { ClusterId } from '../api/names.ts';
import type { Source } from '../collection/index.ts';
import { keyOfObject, type DiscoverySources } from '../discovery/index.ts';
import { startInformer, type Informer, type InformerMetrics, type KubeClient } from '../kube/index.ts';
import type { Log } from '../lib/log.ts';
import { slim } from './slim.ts';
import { resourceNameOf, type ResourceName } from './replica-report.ts';

export interface InformersOptions {
  readonly client: KubeClient;
  readonly cluster: ClusterId;
  readonly sources: DiscoverySources;
  readonly metrics: InformerMetrics;
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Called besides the sources, straight from the watch. */
  readonly onPod: (pod: Pod) => void;
  readonly onPodGone: (pod: Pod) => void;
}

export interface Informers {
  /** By resource, for kinds that have a status of ours: everything written up to this version is in the sources. */
  positions(): Record<ResourceName, string>;
  /** Every kind was listed once. */
  readonly synced: Promise<void>;
  /** Kinds that were not. */
  readonly missing: ReadonlySet<ResourceName>;
}

// A mesh works without them; without policies it would be open.
const optional = { isOptional: true };

export function startInformers(options: InformersOptions): Informers {
  const { client, cluster, sources, metrics, signal, log } = options;
  const missing = new Set<ResourceName>();
  const watch = <T extends KubeObject>(
    kind: KindRef<T>,
    source: Source<T>,
    tell: {
      onChange?: (object: T) => void;
      onGone?: (object: T) => void;
      isOptional?: boolean;
      fieldSelector?: string;
    } = {},
  ): Informer<T> => {
    const set = (object: T): void => {
      source.set(keyOfObject(cluster, object), object);
      tell.onChange?.(object);
    };
    const informer = startInformer(client, kind, {
      metrics,
      signal,
      log,
      transform: slim,
      isOptional: tell.isOptional ?? false,
      ...(tell.fieldSelector === undefined ? {} : { fieldSelector: tell.fieldSelector }),
      onAdd: set,
      onUpdate: (_, after) => set(after),
      onDelete(object) {
        source.delete(keyOfObject(cluster, object));
        tell.onGone?.(object);
      },
    });
    missing.add(resourceNameOf(kind));
    informer.synced.then(
      () => missing.delete(resourceNameOf(kind)),
      () => {},
    );
    return informer;
  };
  const configuration = [
    [kinds.AuthorizationPolicy, watch(kinds.AuthorizationPolicy, sources.authorizationPolicies)],
    [kinds.PeerAuthentication, watch(kinds.PeerAuthentication, sources.peerAuthentications)],
    [kinds.RequestAuthentication, watch(kinds.RequestAuthentication, sources.requestAuthentications, optional)],
    [kinds.RateLimit, watch(kinds.RateLimit, sources.rateLimits, optional)],
    [kinds.ProxyExtension, watch(kinds.ProxyExtension, sources.proxyExtensions, optional)],
    [kinds.ServiceEntry, watch(kinds.ServiceEntry, sources.serviceEntries, optional)],
    [kinds.WorkloadEntry, watch(kinds.WorkloadEntry, sources.workloadEntries, optional)],
  ] as const;
  const all = [
    ...configuration.map(([, informer]) => informer),
    watch(kinds.Pod, sources.pods, { onChange: options.onPod, onGone: options.onPodGone }),
    watch(kinds.Service, sources.services),
    watch(kinds.EndpointSlice, sources.endpointSlices),
    watch(kinds.Node, sources.nodes),
    watch(kinds.Namespace, sources.namespaces),
    watch(kinds.Sidecar, sources.sidecars, optional),
    watch(kinds.Gateway, sources.gateways, optional),
    watch(kinds.GatewayClass, sources.gatewayClasses, optional),
    watch(kinds.VirtualService, sources.virtualServices, optional),
    watch(kinds.DestinationRule, sources.destinationRules, optional),
    watch(kinds.HTTPRoute, sources.httpRoutes, optional),
    watch(kinds.GRPCRoute, sources.grpcRoutes, optional),
    watch(kinds.TCPRoute, sources.tcpRoutes, optional),
    watch(kinds.TLSRoute, sources.tlsRoutes, optional),
    watch(kinds.ReferenceGrant, sources.referenceGrants, optional),
    watch(kinds.BackendTLSPolicy, sources.backendTlsPolicies, optional),
    watch(kinds.Telemetry, sources.telemetries, optional),
    watch(kinds.EnvoyFilter, sources.envoyFilters, optional),
    watch(kinds.WasmPlugin, sources.wasmPlugins, optional),
    watch(kinds.TrafficExtension, sources.trafficExtensions, optional),
    watch(kinds.IstioGateway, sources.istioGateways, optional),
    watch(kinds.WorkloadGroup, sources.workloadGroups, optional),
    // Never the tokens of service accounts, nor what releases are kept in.
    watch(kinds.Secret, sources.secrets, {
      fieldSelector: 'type!=kubernetes.io/service-account-token,type!=helm.sh/release.v1',
    }),
    watch(kinds.ConfigMap, sources.configMaps),
  ];
  const synced = Promise.all(all.map((informer) => informer.synced)).then(() => {});
  synced.catch(() => {});
  return {
    synced,
    missing,
    positions: () =>
      Object.fromEntries(
        configuration.map(([kind, informer]) => [resourceNameOf(kind), informer.health().resourceVersion ?? '']),
      ),
  };
}
