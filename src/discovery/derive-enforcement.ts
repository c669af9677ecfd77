/**
 * Waypoints that are required: what goes around them is refused by the ztunnels of the pods behind them.
 *
 * The label `ambit.io/require-waypoint` on an object (Service or pod) decides for it; else it holds where the object's
 * namespace or one of its waypoints has it. A pod that a required waypoint stands for takes connections of the waypoints in
 * that waypoint's namespace alone: of all of them, so that a change from one to the next cuts nothing.
 */
import type { Namespace, Pod, Service } from '../api/core.ts';
import type { Gateway } from '../api/gateway.ts';
import type { KubeObject } from '../api/meta.ts';
import { policyKey, type PolicyKey, type ServiceKey } from '../api/names.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Collection, Graph, Reader } from '../collection/index.ts';
import { emptyMatch, type Authorization } from '../policy/model.ts';
import type { Bindings } from './derive-bindings.ts';
import type { GatewayObjects } from './gateway-objects.ts';
import { clusterOfKey, objectKey } from './object-key.ts';
import type { Selections } from './selections.ts';
import { withTrustDomains } from './trust-domain-aliases.ts';
import type { WaypointBinding } from './waypoint-binding.ts';

export interface Enforcement {
  /** By `<namespace>/<name>`. */
  readonly authorizations: Collection<Authorization>;
  /** The policy that a pod names, by the key of the Pod. */
  readonly policies: Collection<PolicyKey>;
}

export interface EnforcementInputs {
  readonly namespaces: Collection<Namespace>;
  readonly gateways: Collection<Gateway>;
  readonly gatewayObjects: Collection<GatewayObjects>;
  readonly services: Collection<Service>;
  readonly pods: Collection<Pod>;
  readonly serviceBindings: Collection<WaypointBinding>;
  readonly bindings: Bindings;
  readonly selections: Selections;
  readonly meshConfigs: Collection<MeshConfig>;
  readonly trustDomain: string;
}

const requireLabel = 'ambit.io/require-waypoint';
/** Kubernetes names have no underscores: no policy of a user is called so. */
const policyPrefix = 'ambit_require_waypoint';

export function deriveEnforcement(graph: Graph, inputs: EnforcementInputs): Enforcement {
  const { gateways, gatewayObjects, services, pods, serviceBindings, bindings, selections } = inputs;
  const ofNamespaces = graph.map('namespaces that require waypoints', inputs.namespaces, wish);
  const ofGateways = graph.map('gateways that are required', gateways, wish);
  /** `<namespace>` of each of the waypoints that are required; undefined: none is. */
  const required = (
    object: KubeObject,
    binding: WaypointBinding | undefined,
    cluster: ReturnType<typeof clusterOfKey>,
    read: Reader,
  ): string[] | undefined => {
    if (!binding?.waypoint) return undefined;
    const { namespace = '' } = object.metadata;
    const names = binding.gateways.map((gateway) => gateway.split('/') as [string, string]);
    const isRequired =
      wish(object) ??
      (read.get(ofNamespaces, objectKey(cluster, '', namespace)) === true ||
        names.some(([of, name]) => read.get(ofGateways, objectKey(cluster, of, name)) === true));
    return isRequired ? names.map(([of]) => of) : undefined;
  };

  const ofServices = graph.map('services that require waypoints', services, (service, key, read) => {
    const cluster = clusterOfKey(key);
    const waypoints = required(service, read.get(serviceBindings, key), cluster, read);
    const facts = waypoints && read.get(selections.services, key);
    return facts && { cluster, namespace: facts.namespace, service: facts.key, waypoints };
  });
  const byService = graph.index('services that require waypoints by key', ofServices, ({ cluster, service }) => [
    `${cluster}/${service}`,
  ]);
  // Most namespaces require none: their pods look no further.
  const concerned = graph.flatMap('namespaces with required waypoints', ofServices, ({ cluster, namespace }) => [
    [`${cluster}/${namespace}`, true] as const,
  ]);

  const ofPods = graph.map('waypoints that pods require', pods, (pod, key, read) => {
    const cluster = clusterOfKey(key);
    const { namespace = '', labels = {} } = pod.metadata;
    const found = new Set<string>();
    let isRequired = false;
    const add = (waypoints: readonly string[] | undefined): void => {
      isRequired ||= waypoints !== undefined;
      for (const one of waypoints ?? []) found.add(one);
    };
    add(required(pod, bindings.ofPod(pod, cluster, read), cluster, read));
    if (read.get(concerned, `${cluster}/${namespace}`)) {
      const keys: Iterable<ServiceKey> = selections.of({ cluster, namespace, labels }, () => [], read).keys();
      for (const service of keys) {
        for (const { waypoints } of read.lookup(byService, `${cluster}/${service}`).values()) add(waypoints);
      }
    }
    return isRequired ? { namespace, waypoints: [...found].toSorted() } : undefined;
  });

  const accounts = graph.flatMap('accounts of waypoints', gatewayObjects, ({ role, serviceAccount }, key) =>
    role === 'waypoint' ? [[key, serviceAccount] as const] : [],
  );
  const accountsByNamespace = graph.index('accounts of waypoints by namespace', accounts, (_, key) => [
    key.slice(0, key.lastIndexOf('/')),
  ]);
  const authorizations = graph.flatMap('policies of required waypoints', ofPods, (of, key, read) => {
    const cluster = clusterOfKey(key);
    const principals = of.waypoints.flatMap((namespace) =>
      [...new Set(read.lookup(accountsByNamespace, `${cluster}/${namespace}`).values())].map(
        (account) => `${inputs.trustDomain}/ns/${namespace}/sa/${account}`,
      ),
    );
    const name = policyOf(of);
    const domains = [inputs.trustDomain, ...(read.get(inputs.meshConfigs, cluster)?.trustDomainAliases ?? [])];
    return [[name, withTrustDomains(denyOthers(name, principals.toSorted()), domains)] as const];
  });
  return { authorizations, policies: graph.map('policies that pods require', ofPods, policyOf) };
}

/** What an object says itself. Whatever it says but `false` asks for it: a slip must not open a way around. */
function wish({ metadata }: KubeObject): boolean | undefined {
  const value = metadata.labels?.[requireLabel];
  return value === undefined ? undefined : value !== 'false';
}

/** One policy for all pods that the waypoints of the same namespaces stand for; a waypoint that is absent lets nobody in. */
function policyOf(of: { readonly namespace: string; readonly waypoints: readonly string[] }): PolicyKey {
  const [first, ...others] = of.waypoints;
  if (first === undefined) return policyKey(of.namespace, `${policyPrefix}_absent`);
  return policyKey(first, [policyPrefix, ...others].join('_'));
}

/** A denial, which no ALLOW of a user can undo. Whoever has no identity has none of these. */
function denyOthers(key: PolicyKey, principals: readonly string[]): Authorization {
  const [namespace = '', name = ''] = key.split('/');
  const values = principals.length > 0 ? principals : ['nobody'];
  const notPrincipals = values.map((value) => ({ kind: 'exact' as const, value }));
  return {
    name,
    namespace,
    scope: 'workload-selector',
    action: 'deny',
    rules: [{ clauses: [{ matches: [{ ...emptyMatch, notPrincipals }] }] }],
    dryRun: false,
  };
}
