/**
 * Policies for L7 proxies, bound to their targets: AuthorizationPolicy, RequestAuthentication, RateLimit (ambient-l7, 1.7).
 *
 * Waypoints go by `targetRefs` alone; policies with a selector or without both are ztunnel's there, and hold at gateways of the
 * edge, whose pods they select.
 */
import type { ExtensionProvider } from '../../api/extension-provider.ts';
import type { Gateway } from '../../api/gateway.ts';
import type { AuthorizationPolicy } from '../../api/istio.ts';
import type { HttpAuthorization, ProxyPolicy } from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { KubeObject } from '../../api/meta.ts';
import { serviceKey } from '../../api/names.ts';
import { matchesLabels } from '../../api/selector.ts';
import type { Collection, Graph, Reader } from '../../collection/index.ts';
import { gatewayRole } from '../gateway-role.ts';
import type { MeshScope } from '../mesh-scope.ts';
import { isMeshService, serviceHostname } from '../mesh-service.ts';
import { clusterOfKey } from '../object-key.ts';
import { hostsOf } from '../service-entry.ts';
import type { ObjectVerdict } from '../waypoint-binding.ts';
import { targetKey } from './attachments.ts';
import { convertAuthentication } from './authentication-convert.ts';
import { keyNeedOf, keySetId, type KeyNeed, type KeySet } from './authentication-keys.ts';
import { convertHttpAuthorization } from './authorization-convert.ts';
import type { PolicyTarget, TargetedPolicy } from './contracts.ts';
import {
  attachmentVerdict,
  resolveTarget,
  targetRefsOf,
  type ResolvedTarget,
  type TargetRef,
  type TargetScope,
} from './derive-policies-targets.ts';
import type { L7Services } from './l7-services.ts';
import { convertExtension } from './extension-convert.ts';
import { convertRateLimit } from './rate-limit-convert.ts';
import { guardedPorts, unaskedConnections } from './unasked-connections.ts';

export interface HttpPolicyInputs {
  readonly scope: MeshScope;
  readonly services: L7Services;
  readonly meshConfigs: Collection<MeshConfig>;
  /** What is known of the keys that rules need, by `keySetId`. */
  readonly keySets: Collection<KeySet>;
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly clusterDomain: string;
}

/** What a status says of a policy's attachment; only of policies with targets. */
export interface AttachmentVerdict {
  readonly verdict: ObjectVerdict;
  readonly generation: number | undefined;
}

export interface DerivedHttpPolicies {
  readonly policies: Collection<TargetedPolicy>;
  /** By the key of the object. */
  readonly authorizationVerdicts: Collection<AttachmentVerdict>;
  readonly authenticationVerdicts: Collection<AttachmentVerdict>;
  readonly rateLimitVerdicts: Collection<AttachmentVerdict>;
  readonly extensionVerdicts: Collection<AttachmentVerdict>;
  /** Names of rate limit services that limits ask, by themselves. */
  readonly askedProviders: Collection<string>;
  /** Keys to fetch, by `keySetId`. */
  readonly neededKeys: Collection<KeyNeed>;
}

interface Converted<P extends ProxyPolicy = ProxyPolicy> {
  readonly policy: P;
  readonly notes: readonly string[];
}

/** A policy where it is written: `refs` or, without any, the labels of pods that it is for. */
interface Placed extends Converted {
  readonly refs: readonly TargetRef[];
  readonly selector: Readonly<Record<string, string>>;
  readonly resolved: readonly ResolvedTarget[];
  readonly namespace: string;
  readonly createdAt: string;
  readonly generation: number | undefined;
}

interface PolicySpec {
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly targetRef?: TargetRef;
  readonly targetRefs?: readonly TargetRef[];
}

export function deriveHttpPolicies(graph: Graph, inputs: HttpPolicyInputs): DerivedHttpPolicies {
  const { scope, meshConfigs, keySets, rootNamespace, trustDomain } = inputs;
  const targets = targetScopes(graph, inputs);
  const edges = edgeGateways(graph, scope);

  const place = <T extends KubeObject & { readonly spec?: PolicySpec }, P extends ProxyPolicy>(
    name: string,
    objects: Collection<T>,
    convert: (object: T, key: string, read: Reader) => Converted<P> | undefined,
    /** What else is to be said, once it is known what the policy is bound to. */
    judge?: (
      policy: P,
      bound: readonly PolicyTarget[],
      at: { readonly cluster: string; readonly read: Reader },
    ) => string[],
  ): Collection<Placed> =>
    graph.map(name, objects, (object, key, read) => {
      const cluster = clusterOfKey(key);
      const converted = convert(object, key, read);
      if (!converted) return undefined;
      const { namespace = '', creationTimestamp = '', generation } = object.metadata;
      const refs = targetRefsOf(object.spec);
      const resolved = refs.map((ref) => resolveTarget(ref, namespace, targets(cluster, read)));
      const bound = resolved.flatMap((one) => one.targets);
      return {
        policy: converted.policy,
        notes: [...converted.notes, ...(judge?.(converted.policy, bound, { cluster, read }) ?? [])],
        refs,
        selector: object.spec?.selector?.matchLabels ?? {},
        resolved,
        namespace,
        createdAt: creationTimestamp,
        generation,
      };
    });
  const verdictsOf = (name: string, placed: Collection<Placed>): Collection<AttachmentVerdict> =>
    graph.map(name, placed, ({ refs, resolved, notes, generation }) =>
      refs.length > 0 ? { verdict: attachmentVerdict(resolved, notes), generation } : undefined,
    );
  const targeted = (name: string, placed: Collection<Placed>): Collection<TargetedPolicy> =>
    graph.flatMap(name, placed, ({ policy, refs, selector, resolved, namespace, createdAt }, key, read) => {
      const bound =
        refs.length > 0
          ? resolved.flatMap((one) => one.targets)
          : edgeTargets(read.all(edges), { cluster: clusterOfKey(key), namespace, selector, rootNamespace });
      return bound.map(
        (target) => [`${policy.kind}/${policy.name}|${targetKey(target)}`, { target, policy, createdAt }] as const,
      );
    });

  const aliases = graph.map('trust domain aliases at L7', meshConfigs, (config) => config.trustDomainAliases);
  const authorizers = providerNames(graph, meshConfigs, ['envoyExtAuthzGrpc', 'envoyExtAuthzHttp']);
  const byHttp = providerNames(graph, meshConfigs, ['envoyExtAuthzHttp']);
  const portsOf = guardedPorts(graph, inputs);
  const convert = (policy: AuthorizationPolicy, key: string, read: Reader): Converted<HttpAuthorization> => {
    const cluster = clusterOfKey(key);
    const converted = convertHttpAuthorization(policy, [trustDomain, ...(read.get(aliases, cluster) ?? [])]);
    const { provider } = converted.policy;
    if (provider === undefined || read.get(authorizers, cluster)?.has(provider)) return converted;
    const note = `the mesh configuration has no external authorizer ${JSON.stringify(provider)}: what the rules match is denied`;
    return { ...converted, notes: [...converted.notes, note] };
  };
  const authorizations = place(
    'L7 authorizations',
    scope.authorizationPolicies,
    convert,
    (policy, bound, { cluster, read }) => {
      const { provider } = policy;
      if (provider === undefined || !read.get(byHttp, cluster)?.has(provider)) return [];
      const ports = bound.flatMap((target) => portsOf(target, cluster, read));
      const note = unaskedConnections(policy, ports);
      return note === undefined ? [] : [note];
    },
  );
  const authentications = place('L7 authentications', scope.requestAuthentications, (policy, _, read) =>
    convertAuthentication(policy, (id) => read.get(keySets, id)),
  );
  const rateLimitServices = providerNames(graph, meshConfigs, ['envoyRateLimitGrpc']);
  const limits = graph.map('conversions of rate limits', scope.rateLimits, (policy, key, read) =>
    convertRateLimit(policy, (name) => read.get(rateLimitServices, clusterOfKey(key))?.has(name) ?? false),
  );
  const rateLimits = place('L7 rate limits', scope.rateLimits, (_, key, read) => read.get(limits, key));
  const extensions = place('L7 extensions', scope.proxyExtensions, (object, key, read) => {
    const at = `${clusterOfKey(key)}/${object.metadata.namespace ?? ''}`;
    return convertExtension(object, (name) => read.get(scope.configMaps, `${at}/${name}`)?.data);
  });
  return {
    policies: graph.join('L7 policies with targets', [
      targeted('targeted authorizations', authorizations),
      targeted('targeted authentications', authentications),
      targeted('targeted rate limits', rateLimits),
      targeted('targeted extensions', extensions),
    ]),
    extensionVerdicts: verdictsOf('attachment of extensions', extensions),
    rateLimitVerdicts: verdictsOf('attachment of rate limits', rateLimits),
    askedProviders: graph.flatMap('rate limit services that are asked', limits, ({ providers }) =>
      providers.map((name) => [name, name] as const),
    ),
    authorizationVerdicts: verdictsOf('attachment of authorizations', authorizations),
    authenticationVerdicts: verdictsOf('attachment of authentications', authentications),
    neededKeys: graph.flatMap('keys that are needed', scope.requestAuthentications, ({ spec }) =>
      (spec?.jwtRules ?? []).flatMap((rule) => {
        const need = keyNeedOf(rule);
        return need ? [[keySetId(need), need] as const] : [];
      }),
    ),
  };
}

/** By cluster: names of the providers of some kinds. */
function providerNames(
  graph: Graph,
  meshConfigs: Collection<MeshConfig>,
  kinds: readonly ExtensionProvider['kind'][],
): Collection<ReadonlySet<string>> {
  return graph.map(
    `names of providers: ${kinds.join(', ')}`,
    meshConfigs,
    ({ extensionProviders = [] }) =>
      new Set(extensionProviders.flatMap(({ kind, name }) => (kinds.includes(kind) ? [name] : []))),
  );
}

/** A gateway of the edge, with the labels of its pods. */
export interface EdgeGateway {
  readonly cluster: string;
  readonly namespace: string;
  readonly gateway: string;
  readonly labels: Readonly<Record<string, string>>;
}

export function edgeGateways(graph: Graph, { gateways, gatewayClasses }: MeshScope): Collection<EdgeGateway> {
  return graph.map('gateways that selectors may choose', gateways, (gateway, key, read) => {
    const cluster = clusterOfKey(key);
    const { name = '', namespace = '', labels } = gateway.metadata;
    const { gatewayClassName, infrastructure } = gateway.spec;
    if (gatewayRole(gateway, read.get(gatewayClasses, `${cluster}//${gatewayClassName}`)) !== 'ingress')
      return undefined;
    const own = {
      'gateway.networking.k8s.io/gateway-name': name,
      'gateway.networking.k8s.io/gateway-class-name': gatewayClassName,
    };
    const wanted = infrastructure ? infrastructure.labels : labels;
    return { cluster, namespace, gateway: `${namespace}/${name}`, labels: { ...wanted, ...own } };
  });
}

export function edgeTargets(
  edges: Iterable<[string, EdgeGateway]>,
  policy: {
    readonly cluster: string;
    readonly namespace: string;
    readonly selector: Readonly<Record<string, string>>;
    readonly rootNamespace: string;
  },
): PolicyTarget[] {
  const { cluster, namespace, selector, rootNamespace } = policy;
  return [...edges].flatMap(([, edge]) =>
    edge.cluster === cluster &&
    (namespace === rootNamespace || namespace === edge.namespace) &&
    matchesLabels(edge.labels, selector)
      ? [{ kind: 'gateway', gateway: edge.gateway } as const]
      : [],
  );
}

/** Also for other kinds of policies. */
export function targetScopes(
  graph: Graph,
  inputs: Pick<HttpPolicyInputs, 'scope' | 'services' | 'rootNamespace' | 'clusterDomain'>,
): (cluster: string, read: Reader) => TargetScope {
  const { scope, services, rootNamespace, clusterDomain } = inputs;
  // As little of them as targets need: what else changes recomputes no policy.
  const roles = graph.map('roles of gateways', scope.gateways, (gateway, key, read) =>
    gatewayRole(gateway, read.get(scope.gatewayClasses, `${clusterOfKey(key)}//${gateway.spec.gatewayClassName}`)),
  );
  const ofServices = graph.map('targets among services', scope.services, (service) =>
    isMeshService(service)
      ? [serviceKey(service.metadata.namespace ?? '', serviceHostname(service, clusterDomain))]
      : undefined,
  );
  const ofEntries = graph.map('targets among entries', scope.serviceEntries, (entry) =>
    hostsOf(entry).map((host) => serviceKey(entry.metadata.namespace ?? '', host)),
  );
  const waypoints = graph.map('services with waypoints', services.all, (service) =>
    service.waypoints.length > 0 ? true : undefined,
  );
  return (cluster, read) => {
    const withWaypoints = (keys: readonly ReturnType<typeof serviceKey>[] | undefined) =>
      keys?.map((key) => ({ key, hasWaypoint: read.get(waypoints, key) ?? false }));
    return {
      rootNamespace,
      gateway: (namespace, name) => read.get(roles, `${cluster}/${namespace}/${name}`),
      gatewayClass(name) {
        const role = gatewayRole(ofClass(name), read.get(scope.gatewayClasses, `${cluster}//${name}`));
        return role === 'unknown' ? undefined : role;
      },
      service: (namespace, name) => withWaypoints(read.get(ofServices, `${cluster}/${namespace}/${name}`)),
      entry: (namespace, name) => withWaypoints(read.get(ofEntries, `${cluster}/${namespace}/${name}`)),
    };
  };
}

/** A Gateway of the class: what a class is for is what its Gateways are for. */
function ofClass(gatewayClassName: string): Gateway {
  return { metadata: {}, spec: { gatewayClassName, listeners: [] } };
}
