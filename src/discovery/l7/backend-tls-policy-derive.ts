/** BackendTLSPolicies as one part of the graph: which of them holds for a port of a Service, and what their statuses say. */
import { serviceKey, type ServiceKey } from '../../api/names.ts';
import type { Origin, TlsSecret, UpstreamTls } from '../../api/l7/index.ts';
import type { Collection, Graph, Reader } from '../../collection/index.ts';
import { meshController } from '../gateway-role.ts';
import type { MeshScope } from '../mesh-scope.ts';
import { serviceHostname } from '../mesh-service.ts';
import { clusterOfKey } from '../object-key.ts';
import { portsOfEntry, portsOfService } from '../ports.ts';
import { hostsOf } from '../service-entry.ts';
import { listsInForce } from './authority-lists.ts';
import {
  caSecretName,
  readBackendTls,
  textOf,
  type PolicyState,
  type PolicyTargetState,
} from './backend-tls-policy.ts';
import { ancestorVerdicts, type PolicyVerdict } from './backend-tls-policy-status.ts';
import type { BoundRoutes } from './contracts.ts';
import type { Authorities } from './gateway-api-certificates.ts';
import type { GatewayView } from './gateway-listeners-view.ts';
import type { Revocations } from './secrets.ts';

/** How a port of a Service is to be connected to. */
export type BackendTlsDecision =
  | {
      readonly kind: 'tls';
      readonly tls: UpstreamTls;
      /** To be given to every proxy that has the backend. */
      readonly secret?: TlsSecret;
      readonly origin: Origin;
    }
  /** Nothing can be trusted: requests to it must fail. */
  | { readonly kind: 'refused'; readonly reason: string; readonly origin: Origin };

export interface DerivedBackendTls {
  /** Undefined: no policy is for it. `portName`: of the port, as the Service names it. */
  readonly of: (service: ServiceKey, portName: string, read: Reader) => BackendTlsDecision | undefined;
  /** By the key of the policy. */
  readonly verdicts: Collection<PolicyVerdict>;
}

export function deriveBackendTls(
  graph: Graph,
  inputs: {
    readonly scope: MeshScope;
    readonly boundRoutes: Collection<BoundRoutes>;
    readonly views: Collection<GatewayView>;
    readonly clusterDomain: string;
    readonly hasIstioClasses: boolean;
    readonly authorities: Authorities;
  },
): DerivedBackendTls {
  const { scope, boundRoutes, views, clusterDomain, authorities } = inputs;
  const controllerName = meshController(inputs.hasIstioClasses);
  const states = graph.map('backend TLS policies and their targets', scope.backendTlsPolicies, (policy, key, read) => {
    const { name = '', namespace = '', generation, creationTimestamp = '', annotations } = policy.metadata;
    const at = `${clusterOfKey(key)}/${namespace}`;
    const state: PolicyState = {
      namespace,
      name,
      generation,
      createdAt: creationTimestamp,
      isIgnored: annotations?.['istio.io/ignore-policy-attachment'] === 'true',
      targets: policy.spec.targetRefs.map((ref) => ({
        ref,
        services: targetsOf(ref, namespace, at, { scope, clusterDomain, read }),
      })),
      read: readBackendTls(policy, (kind, of) => {
        const caKey = `${at}/${of}`;
        const ca = authorities.certificates(kind, caKey, read);
        const last = (): Revocations | undefined => authorities.lastLists(kind, caKey, read);
        return ca && { ca, lists: listsInForce(authorities.lists(kind, caKey, read), last) };
      }),
    };
    return state;
  });
  const byService = graph.index('backend TLS policies by service', states, ({ isIgnored, targets }) =>
    isIgnored ? [] : targets.flatMap(({ services }) => services),
  );
  const holding = (service: ServiceKey, section: string | undefined, read: Reader): PolicyState | undefined => {
    const policies = [...read.lookup(byService, service).values()];
    const ofSection = (wanted: string | undefined): PolicyState[] =>
      policies.filter(({ targets }) =>
        targets.some(({ ref, services }) => (ref.sectionName || undefined) === wanted && services.includes(service)),
      );
    const [first] = ofSection(section).toSorted(byAge);
    return first;
  };
  const edges = graph.index('routes of gateways by backend', boundRoutes, ({ parent, backends }) =>
    parent.kind === 'listener' ? backends.map(({ service }) => service) : [],
  );
  const gateways = graph.index('gateways by name', views, ({ namespace, name }) => [`${namespace}/${name}`]);

  return {
    of(service, portName, read) {
      // A policy for the port goes before one for the whole.
      const policy = (portName && holding(service, portName, read)) || holding(service, undefined, read);
      return policy && decisionOf(policy);
    },
    verdicts: graph.map('verdicts on backend TLS policies', states, (state, _, read) =>
      ancestorVerdicts(state, {
        meshController: controllerName,
        holding: (service, section) => holding(service, section, read),
        gatewaysOf(service) {
          const names = new Set<string>();
          for (const { parent } of read.lookup(edges, service).values()) {
            if (parent.kind === 'listener') names.add(parent.gateway);
          }
          return [...names].toSorted().flatMap((name) => {
            const [view] = read.lookup(gateways, name).values();
            const { namespace = '', name: own = '', controllerName = '' } = view ?? {};
            return view ? [{ namespace, name: own, controllerName }] : [];
          });
        },
      }),
    ),
  };
}

function decisionOf({ namespace, name, generation = 0, read }: PolicyState): BackendTlsDecision {
  const origin: Origin = { kind: 'BackendTLSPolicy', namespace, name, generation };
  const { backendTls, problems } = read;
  if (!backendTls) {
    return { kind: 'refused', reason: `BackendTLSPolicy ${namespace}/${name}: ${textOf(problems)}`, origin };
  }
  const { tls, caCertificates, revocations } = backendTls;
  if (caCertificates === undefined) return { kind: 'tls', tls, origin };
  const secret: TlsSecret = {
    kind: 'secret',
    name: caSecretName(namespace, name),
    caCertificates,
    ...(revocations === undefined ? {} : { revocations }),
  };
  return { kind: 'tls', tls, secret, origin };
}

function byAge(a: PolicyState, b: PolicyState): number {
  return compare(a.createdAt, b.createdAt) || compare(`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function targetsOf(
  { group, kind, name, sectionName }: PolicyTargetState['ref'],
  namespace: string,
  at: string,
  { scope, clusterDomain, read }: { readonly scope: MeshScope; readonly clusterDomain: string; readonly read: Reader },
): ServiceKey[] {
  const hasPort = (ports: readonly { readonly name: string }[]): boolean =>
    !sectionName || ports.some((port) => port.name === sectionName);
  if (group === '' && kind === 'Service') {
    const service = read.get(scope.services, `${at}/${name}`);
    if (!service || !hasPort(portsOfService(service))) return [];
    return [serviceKey(namespace, serviceHostname(service, clusterDomain))];
  }
  if (group === 'networking.istio.io' && kind === 'ServiceEntry') {
    const entry = read.get(scope.serviceEntries, `${at}/${name}`);
    if (!entry || !hasPort(portsOfEntry(entry))) return [];
    return hostsOf(entry).map((host) => serviceKey(namespace, host));
  }
  return [];
}
