/** Gateways that have proxies of ours, with what holds for a whole proxy: its settings. */
import type { Gateway, GatewayClass } from '../../api/gateway.ts';
import type { EastWestListener, ProxySettings, WaypointListener } from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { ClusterId, NetworkId } from '../../api/names.ts';
import type { Collection, Graph, Reader } from '../../collection/index.ts';
import { gatewayRole, hboneListeners, hbonePort } from '../gateway-role.ts';
import { clusterOfKey } from '../object-key.ts';
import type { Waypoint } from '../waypoint.ts';
import { originOf } from './l7-services.ts';
import { defaultRetry, retryPolicy } from './retries.ts';

export interface ProxyGateway {
  /** `<namespace>/<name>` */
  readonly gateway: string;
  readonly cluster: ClusterId;
  readonly namespace: string;
  readonly name: string;
  readonly className: string;
  readonly role: 'waypoint' | 'gateway' | 'east-west';
  /** Of a waypoint, or between networks; its policies come later. */
  readonly listener: Omit<WaypointListener, 'policies'> | Omit<EastWestListener, 'policies'> | undefined;
}

export interface ProxyGatewayInputs {
  readonly gateways: Collection<Gateway>;
  readonly gatewayClasses: Collection<GatewayClass>;
  /** By the key of the Gateway. */
  readonly waypoints: Collection<Waypoint>;
}

/** By `<namespace>/<name>`. */
export function deriveProxyGateways(graph: Graph, inputs: ProxyGatewayInputs): Collection<ProxyGateway> {
  const { gateways, gatewayClasses, waypoints } = inputs;
  return graph.flatMap('gateways with proxies', gateways, (gateway, key, read) => {
    const cluster = clusterOfKey(key);
    const gatewayClass = read.get(gatewayClasses, `${cluster}//${gateway.spec.gatewayClassName}`);
    const role = gatewayRole(gateway, gatewayClass);
    if (role !== 'waypoint' && role !== 'ingress' && role !== 'east-west') return [];
    const { name = '', namespace = '' } = gateway.metadata;
    const found: ProxyGateway = {
      gateway: `${namespace}/${name}`,
      cluster,
      namespace,
      name,
      className: gateway.spec.gatewayClassName,
      role: role === 'ingress' ? 'gateway' : role,
      listener:
        role === 'waypoint'
          ? waypointListener(gateway, gatewayClass, read.get(waypoints, key))
          : role === 'east-west'
            ? eastWestListener(gateway)
            : undefined,
    };
    return [[found.gateway, found] as const];
  });
}

function waypointListener(
  gateway: Gateway,
  gatewayClass: GatewayClass | undefined,
  waypoint: Waypoint | undefined,
): Omit<WaypointListener, 'policies'> {
  const annotation = 'ambient.istio.io/xfcc-include-client-identity';
  return {
    kind: 'listener',
    type: 'waypoint',
    name: 'mesh',
    port: hbonePort,
    trafficType: waypoint?.trafficType ?? 'service',
    includesClientIdentity:
      (gateway.metadata.annotations?.[annotation] ?? gatewayClass?.metadata.annotations?.[annotation]) === 'true',
    origin: originOf('Gateway', gateway),
  };
}

/** The port that clients are told of (`network-gateway.ts`): the first that takes HBONE. */
function eastWestListener(gateway: Gateway): Omit<EastWestListener, 'policies'> | undefined {
  const [listener] = hboneListeners(gateway);
  if (!listener) return undefined;
  const origin = originOf('Gateway', gateway);
  return { kind: 'listener', type: 'east-west', name: 'east-west', port: listener.port, origin };
}

export interface SettingsInputs {
  readonly meshConfigs: Collection<MeshConfig>;
  readonly networkOf: (cluster: string, read: Reader) => NetworkId;
  readonly trustDomain: string;
  readonly clusterDomain: string;
}

export function settingsOf(gateway: ProxyGateway, inputs: SettingsInputs, read: Reader): ProxySettings {
  const { meshConfigs, networkOf, trustDomain, clusterDomain } = inputs;
  const config = read.get(meshConfigs, gateway.cluster);
  const retries = config?.defaultHttpRetryPolicy;
  const accessLog = config?.accessLog;
  return {
    kind: 'settings',
    name: 'default',
    role: gateway.role === 'waypoint' ? 'waypoint' : 'gateway',
    gateway: gateway.gateway,
    trustDomain,
    trustDomainAliases: config?.trustDomainAliases ?? [],
    clusterDomain,
    network: networkOf(gateway.cluster, read),
    pathNormalization: config?.pathNormalization ?? 'base',
    numTrustedProxies: config?.proxies?.numTrustedProxies ?? 0,
    defaultRetry: retries ? retryPolicy(retries) : defaultRetry,
    accessLog: accessLog ? { kind: accessLog.encoding, template: accessLog.format } : { kind: 'off' },
    tracingSamplingPercent: config?.proxies?.tracingSamplingPercent ?? defaultSamplingPercent,
    protocolDetectionTimeoutMs: config?.protocolDetectionTimeoutMs ?? 0,
    drainMs: config?.proxies?.terminationDrainMs ?? defaultDrainMs,
  };
}

/** `defaultConfig.tracing.sampling` of Istio. */
const defaultSamplingPercent = 1;
/** `defaultConfig.terminationDrainDuration` of Istio. */
const defaultDrainMs = 5000;
