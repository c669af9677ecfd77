/** All that L7 proxies are told, by Gateway: settings, listeners, services, routes, backends, policies (ambient-l7, 1.6). */
import type { Namespace, Secret, Service } from '../../api/core.ts';
import type { DestinationRule, VirtualService } from '../../api/istio.ts';
import type { Gateway, GatewayClass } from '../../api/gateway.ts';
import type { PolicyAttachment, ProxyPolicy, ProxyResource } from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { Collection, Graph } from '../../collection/index.ts';
import type { Waypoint } from '../waypoint.ts';
import { attach, targetKey } from './attachments.ts';
import { deriveBackendMembers, type MemberInputs } from './backend-members.ts';
import type { DerivedBackendTls } from './backend-tls-policy-derive.ts';
import type { BackendNeed, BoundRoutes, PolicyTarget, ProxyResourceOf, TargetedPolicy } from './contracts.ts';
import { deriveBackends, type PlacedNeed } from './derive-backends.ts';
import { deriveEastWestTables } from './derive-east-west-tables.ts';
import { deriveEdgeTables } from './derive-edge-tables.ts';
import { derivePlacedRoutes, type HasSubset } from './derive-placed-routes.ts';
import { deriveServiceTables } from './derive-service-tables.ts';
import { deriveVirtualServices } from './derive-virtual-services.ts';
import { deriveDestinationRules } from './destination-rules.ts';
import type { L7Services } from './l7-services.ts';
import { deriveRuleCredentials } from './rule-credentials.ts';
import { deriveProviders } from './providers.ts';
import { deriveRuleVerdicts, type RuleVerdicts } from './rule-verdicts.ts';
import { deriveProxyGateways, settingsOf, type ProxyGateway, type SettingsInputs } from './proxy-gateways.ts';

export interface ProxyInputs extends SettingsInputs, MemberInputs {
  readonly gateways: Collection<Gateway>;
  readonly gatewayClasses: Collection<GatewayClass>;
  readonly waypoints: Collection<Waypoint>;
  readonly meshConfigs: Collection<MeshConfig>;
  readonly services: L7Services;
  readonly virtualServices: Collection<VirtualService>;
  readonly destinationRules: Collection<DestinationRule>;
  readonly backendTls: DerivedBackendTls['of'];
  readonly secrets: Collection<Secret>;
  readonly rootNamespace: string;
  readonly namespaces: Collection<Namespace>;
  readonly kubeServices: Collection<Service>;
  /** Of the Gateway API. */
  readonly routes: Collection<BoundRoutes>;
  /** Of gateways at the edge, without policies. */
  readonly edgeListeners: Collection<ProxyResourceOf>;
  /** What is told as it is, under its key. */
  readonly more: readonly Collection<ProxyResourceOf>[];
  readonly policies: readonly Collection<TargetedPolicy>[];
  /** Names of providers that policies ask, whether the mesh configuration has them or not; by themselves. */
  readonly askedProviders: Collection<string>;
}

export interface DerivedProxies {
  /** By `<gateway>|<kind>/<name>`. */
  readonly resources: Collection<ProxyResourceOf>;
  /** By `<namespace>/<name>`. */
  readonly gateways: Collection<ProxyGateway>;
  readonly verdicts: RuleVerdicts;
}

export function deriveProxies(graph: Graph, inputs: ProxyInputs): DerivedProxies {
  const { meshConfigs, services } = inputs;
  const gateways = deriveProxyGateways(graph, inputs);
  const virtualServices = deriveVirtualServices(graph, inputs);
  const allRoutes = graph.join('bound routes', [virtualServices.routes, inputs.routes]);
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

  const rules = deriveDestinationRules(graph, inputs);
  const credentials = deriveRuleCredentials(graph, inputs);
  const hasSubset: HasSubset = ({ service: key, subset = '' }, gateway, read) => {
    const service = read.get(services.all, key);
    return service !== undefined && rules.of(service, gateway, read)?.subsets.has(subset) === true;
  };
  const placed = derivePlacedRoutes(graph, { gateways, services, routes: allRoutes, hasSubset });
  const tables = deriveServiceTables(graph, { gateways, services, placed, meshConfigs });
  const eastWestTables = deriveEastWestTables(graph, { ...inputs, gateways });
  const listeners = inputs.edgeListeners;
  const edgeTables = deriveEdgeTables(graph, { placed, listeners });

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

  // Policies of Services are for those who see requests; of the gateway those of its listener hold.
  const ofShared = graph.flatMap('resources of services between networks', eastWestTables, (one) =>
    named(one.gateway, [{ ...one.service, policies: noPolicies }, ...one.tables]),
  );

  const ofListeners = graph.flatMap(
    'listeners at the edge with policies',
    listeners,
    ({ gateway, resource }, key, read) => {
      const at = read.get(gateways, gateway);
      if (!at || resource.kind !== 'listener') return [];
      const { attachment, policies: attached } = attach(ofGateway(at), policies, read);
      const routeTables = read.get(edgeTables, key)?.tables ?? [];
      return named(gateway, [{ ...resource, policies: attachment }, ...routeTables, ...attached]);
    },
  );

  const providers = deriveProviders(graph, { ...inputs, gateways });
  const needing = graph.join<{ readonly gateway: string; readonly backends: ReadonlyMap<string, BackendNeed> }>(
    'what needs backends',
    [tables, eastWestTables, edgeTables, providers.needs],
  );
  const needs = graph.flatMap('backends that are needed', needing, ({ gateway, backends }) =>
    [...backends].map(([name, need]) => [`${gateway}|${name}`, { gateway, name, need } satisfies PlacedNeed] as const),
  );
  const members = deriveBackendMembers(graph, inputs);
  const backends = deriveBackends(graph, needs, { ...inputs, gateways, rules, members, credentials });

  return {
    gateways,
    verdicts: deriveRuleVerdicts(graph, { ...inputs, judged: virtualServices.judged, rules, credentials, gateways }),
    resources: graph.join('resources of proxies', [
      ofGateways,
      ofListeners,
      ofServices,
      ofShared,
      backends,
      providers.resources,
      ...inputs.more,
    ]),
  };
}

const noPolicies: PolicyAttachment = {
  authorization: [],
  authentication: [],
  rateLimits: [],
  telemetry: [],
  extensions: [],
};

function named(
  gateway: string,
  resources: readonly (ProxyResource | ProxyPolicy)[],
): (readonly [string, ProxyResourceOf])[] {
  return resources.map((resource) => [`${gateway}|${resource.kind}/${resource.name}`, { gateway, resource }] as const);
}
