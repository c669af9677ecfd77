/** All that L7 proxies are told, by Gateway: settings, listeners, services, routes, backends, policies (ambient-l7, 1.6). */
import type { Gateway, GatewayClass } from '../../api/gateway.ts';
import type { ProxyPolicy, ProxyResource } from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { Collection, Graph } from '../../collection/index.ts';
import type { Waypoint } from '../waypoint.ts';
import { attach, targetKey } from './attachments.ts';
import { defaultBackend } from './backend-defaults.ts';
import type { BackendNeed, BoundRoutes, PolicyTarget, ProxyResourceOf, TargetedPolicy } from './contracts.ts';
import { deriveServiceTables, parentKey } from './derive-service-tables.ts';
import type { L7Services } from './l7-services.ts';
import { deriveProxyGateways, settingsOf, type ProxyGateway, type SettingsInputs } from './proxy-gateways.ts';

export interface ProxyInputs extends SettingsInputs {
  readonly gateways: Collection<Gateway>;
  readonly gatewayClasses: Collection<GatewayClass>;
  readonly waypoints: Collection<Waypoint>;
  readonly meshConfigs: Collection<MeshConfig>;
  readonly services: L7Services;
  readonly routes: readonly Collection<BoundRoutes>[];
  readonly policies: readonly Collection<TargetedPolicy>[];
}

export interface DerivedProxies {
  /** By `<gateway>|<kind>/<name>`. */
  readonly resources: Collection<ProxyResourceOf>;
  /** By `<namespace>/<name>`. */
  readonly gateways: Collection<ProxyGateway>;
}

/** A backend that something at a proxy refers to. */
interface PlacedNeed {
  readonly gateway: string;
  readonly name: string;
  readonly need: BackendNeed;
}

export function deriveProxies(graph: Graph, inputs: ProxyInputs): DerivedProxies {
  const { meshConfigs, services } = inputs;
  const gateways = deriveProxyGateways(graph, inputs);
  const routes = graph.index('routes by parent', graph.join('bound routes', inputs.routes), ({ parent }) => [
    parentKey(parent),
  ]);
  const policies = graph.index(
    'L7 policies by target',
    graph.join('targeted policies', inputs.policies),
    ({ target }) => [targetKey(target)],
  );
  const ofGateway = (gateway: ProxyGateway): PolicyTarget[] => [
    { kind: 'mesh' },
    { kind: 'gateway-class', name: gateway.className },
    { kind: 'namespace', namespace: gateway.namespace },
    { kind: 'gateway', gateway: gateway.gateway },
  ];

  const tables = deriveServiceTables(graph, {
    gateways,
    services,
    routes,
    meshConfigs,
    hasSubset: () => false,
  });

  const ofGateways = graph.flatMap('resources of gateways', gateways, (gateway, _, read) => {
    const settings = settingsOf(gateway, inputs, read);
    if (!gateway.listener) return named(gateway.gateway, [settings]);
    const { attachment, policies: attached } = attach(ofGateway(gateway), policies, read);
    return named(gateway.gateway, [settings, { ...gateway.listener, policies: attachment }, ...attached]);
  });
  const ofServices = graph.flatMap('resources of services at waypoints', tables, (one, _, read) => {
    const { gateway, service } = one;
    const { attachment, policies: attached } = attach(
      [
        { kind: 'namespace', namespace: service.namespace },
        { kind: 'service', service: service.name },
      ],
      policies,
      read,
    );
    return named(gateway, [{ ...service, policies: attachment }, ...one.tables, ...attached]);
  });

  const needs = graph.flatMap('backends that are needed', tables, ({ gateway, backends }) =>
    [...backends].map(([name, need]) => [`${gateway}|${name}`, { gateway, name, need } satisfies PlacedNeed] as const),
  );
  const backends = graph.flatMap('backends of proxies', needs, ({ gateway, name, need }, _, read) => {
    const at = read.get(gateways, gateway);
    const service = read.get(services.all, need.service);
    if (!at || !service) return [];
    const meshConfig = read.get(meshConfigs, at.cluster);
    return named(gateway, [defaultBackend({ name, need, service, isEdge: at.role === 'gateway', meshConfig })]);
  });

  return { gateways, resources: graph.join('resources of proxies', [ofGateways, ofServices, backends]) };
}

function named(
  gateway: string,
  resources: readonly (ProxyResource | ProxyPolicy)[],
): (readonly [string, ProxyResourceOf])[] {
  return resources.map((resource) => [`${gateway}|${resource.kind}/${resource.name}`, { gateway, resource }] as const);
}
