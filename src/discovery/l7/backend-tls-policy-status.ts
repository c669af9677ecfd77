/**
 * What the status of a BackendTLSPolicy says: an entry for each target, under the name of waypoints' controller, and one for each
 * Gateway that has routes to one of them (ambient-l7, 15.4). Pure.
 */
import type { BackendTLSPolicy } from '../../api/gateway.ts';
import type { ServiceKey } from '../../api/names.ts';
import type { ObjectVerdict } from '../waypoint-binding.ts';
import { textOf, type PolicyState, type PolicyTargetState } from './backend-tls-policy.ts';
import { gatewayGroup, no, yes } from './gateway-listeners.ts';

type AncestorRef = NonNullable<BackendTLSPolicy['status']>['ancestors'][number]['ancestorRef'];

export interface PolicyVerdict {
  readonly generation: number | undefined;
  readonly ancestors: readonly AncestorVerdict[];
}

export interface AncestorVerdict {
  readonly ancestorRef: AncestorRef;
  readonly controllerName: string;
  /** By type: Accepted, ResolvedRefs. */
  readonly conditions: Readonly<Record<string, ObjectVerdict>>;
}

export interface AncestorScope {
  readonly meshController: string;
  /** The policy that holds for the Service, or for its port of this name. */
  readonly holding: (service: ServiceKey, section: string | undefined) => PolicyState | undefined;
  /** Gateways with routes to the Service. */
  readonly gatewaysOf: (service: ServiceKey) => readonly {
    readonly namespace: string;
    readonly name: string;
    readonly controllerName: string;
  }[];
}

/** More than the status may have are not told. */
const maxAncestors = 16;

export function ancestorVerdicts(state: PolicyState, scope: AncestorScope): PolicyVerdict {
  const { namespace, generation, targets } = state;
  const ancestors = new Map<string, AncestorVerdict>();
  const add = (verdict: AncestorVerdict): void => {
    const key = JSON.stringify([verdict.controllerName, verdict.ancestorRef]);
    if (!ancestors.has(key)) ancestors.set(key, verdict);
  };
  for (const target of targets) {
    const { group, kind, name, sectionName } = target.ref;
    const conditions = conditionsOf(state, target, scope);
    const ancestorRef = { group, kind, namespace, name, ...(sectionName ? { sectionName } : {}) };
    add({ ancestorRef, controllerName: scope.meshController, conditions });
  }
  for (const target of targets) {
    const conditions = conditionsOf(state, target, scope);
    for (const gateway of target.services.flatMap((service) => scope.gatewaysOf(service))) {
      const { controllerName, ...named } = gateway;
      add({ ancestorRef: { group: gatewayGroup, kind: 'Gateway', ...named }, controllerName, conditions });
    }
  }
  return { generation, ancestors: [...ancestors.values()].slice(0, maxAncestors) };
}

function conditionsOf(
  state: PolicyState,
  target: PolicyTargetState,
  scope: AncestorScope,
): Readonly<Record<string, ObjectVerdict>> {
  const { problems, backendTls } = state.read;
  const [first] = problems;
  return {
    Accepted: acceptance(state, target, scope, backendTls !== undefined),
    ResolvedRefs: first ? no(first.reason, textOf(problems)) : yes('ResolvedRefs', 'all references hold'),
  };
}

function acceptance(
  state: PolicyState,
  { ref, services }: PolicyTargetState,
  scope: AncestorScope,
  hasTrust: boolean,
): ObjectVerdict {
  if (state.isIgnored) return no('IgnoredByIstio', 'the annotation istio.io/ignore-policy-attachment says so');
  const full = `${ref.kind} ${state.namespace}/${ref.name}`;
  if (services.length === 0) {
    return no(
      'TargetNotFound',
      `${full} does not exist${ref.sectionName ? `, or has no port ${ref.sectionName}` : ''}`,
    );
  }
  for (const service of services) {
    const holds = scope.holding(service, ref.sectionName || undefined);
    if (holds && (holds.name !== state.name || holds.namespace !== state.namespace)) {
      return no('Conflicted', `${holds.namespace}/${holds.name} is older and for ${full} too`);
    }
  }
  if (!hasTrust) return no('NoValidCACertificate', `nothing to trust: requests to ${full} fail`);
  return yes('Accepted', 'the policy is valid');
}
