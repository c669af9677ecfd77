/** What a policy with `targetRefs` binds, and what its status says of each target (ambient-l7, 1.3 and 1.7). Pure. */
import type { ServiceKey } from '../../api/names.ts';
import type { GatewayRole } from '../gateway-role.ts';
import type { ObjectVerdict } from '../waypoint-binding.ts';
import type { PolicyTarget } from './contracts.ts';

export interface TargetRef {
  readonly group?: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly sectionName?: string;
}

/** What there is to attach to, as a policy's namespace sees it. */
export interface TargetScope {
  readonly rootNamespace: string;
  readonly gateway: (namespace: string, name: string) => GatewayRole | undefined;
  readonly gatewayClass: (name: string) => GatewayRole | undefined;
  /** Hosts with whether a waypoint stands for each; undefined: there is no such object. */
  readonly service: (namespace: string, name: string) => readonly TargetService[] | undefined;
  readonly entry: (namespace: string, name: string) => readonly TargetService[] | undefined;
}

export interface TargetService {
  readonly key: ServiceKey;
  readonly hasWaypoint: boolean;
}

export interface ResolvedTarget {
  /** `Gateway.gateway.networking.k8s.io:shop/waypoint`, `Service:shop/web`, as statuses name it. */
  readonly ancestor: string;
  /** Several for an entry with several hosts; none where there is nothing to bind. */
  readonly targets: readonly PolicyTarget[];
  /** Absent: it is bound. */
  readonly problem?: TargetProblem;
}

export interface TargetProblem {
  readonly reason: 'Invalid' | 'TargetNotFound' | 'AncestorNotBound';
  readonly message: string;
}

const gatewayGroup = 'gateway.networking.k8s.io';
const istioGroup = 'networking.istio.io';

/** Roles of Gateways whose proxies decide by policies. */
const roles: ReadonlySet<GatewayRole> = new Set<GatewayRole>(['waypoint', 'ingress', 'east-west']);

/** `targetRef` is the older field, for one. */
export function targetRefsOf(
  spec:
    | { readonly targetRef?: TargetRef | undefined; readonly targetRefs?: readonly TargetRef[] | undefined }
    | undefined,
): readonly TargetRef[] {
  return [...(spec?.targetRef ? [spec.targetRef] : []), ...(spec?.targetRefs ?? [])];
}

export function resolveTarget(ref: TargetRef, namespace: string, scope: TargetScope): ResolvedTarget {
  const { group = '', kind, name } = ref;
  const ancestor = `${group === '' ? kind : `${kind}.${group}`}:${kind === 'GatewayClass' ? '' : `${namespace}/`}${name}`;
  const refuse = (reason: TargetProblem['reason'], message: string): ResolvedTarget => ({
    ancestor,
    targets: [],
    problem: { reason, message: `${ancestor}: ${message}` },
  });
  if (ref.namespace && ref.namespace !== namespace) return refuse('Invalid', 'a target in another namespace');
  switch (`${group}/${kind}`) {
    case `${gatewayGroup}/Gateway`: {
      const role = scope.gateway(namespace, name);
      if (role === undefined) return refuse('TargetNotFound', 'it does not exist');
      if (!roles.has(role)) return refuse('Invalid', 'it has no proxies of this mesh');
      return { ancestor, targets: [{ kind: 'gateway', gateway: `${namespace}/${name}` }] };
    }
    case `${gatewayGroup}/GatewayClass`: {
      const role = scope.gatewayClass(name);
      if (role === undefined) return refuse('TargetNotFound', 'it does not exist');
      if (!roles.has(role)) return refuse('Invalid', 'it is of another controller');
      if (namespace !== scope.rootNamespace) {
        return refuse('Invalid', `a policy for a whole class has to be in namespace ${scope.rootNamespace}`);
      }
      return { ancestor, targets: [{ kind: 'gateway-class', name }] };
    }
    case '/Service':
    case 'core/Service':
      return bindServices(ancestor, scope.service(namespace, name), refuse);
    case `${istioGroup}/ServiceEntry`:
      return bindServices(ancestor, scope.entry(namespace, name), refuse);
    default:
      return refuse('Invalid', 'a target can be a Gateway, a GatewayClass, a Service or a ServiceEntry');
  }
}

/** Bound by those who stand for it, now or later. */
function bindServices(
  ancestor: string,
  services: readonly TargetService[] | undefined,
  refuse: (reason: TargetProblem['reason'], message: string) => ResolvedTarget,
): ResolvedTarget {
  if (!services) return refuse('TargetNotFound', 'it does not exist');
  const targets = services.map(({ key }): PolicyTarget => ({ kind: 'service', service: key }));
  if (services.some(({ hasWaypoint }) => hasWaypoint)) return { ancestor, targets };
  const { problem } = refuse('AncestorNotBound', 'no waypoint stands for it: label it istio.io/use-waypoint');
  return { ancestor, targets, ...(problem ? { problem } : {}) };
}

/** Kubernetes allows 32 KiB; nobody reads that much. */
const maxMessageLength = 4096;

/** One condition for all targets: true when the policy holds everywhere, and as it was written. */
export function attachmentVerdict(resolved: readonly ResolvedTarget[], notes: readonly string[]): ObjectVerdict {
  const bound = resolved.filter(({ problem }) => !problem).map(({ ancestor }) => ancestor);
  const problems = resolved.flatMap(({ problem }) => problem ?? []);
  const boundTo = bound.length > 0 ? [`bound to ${bound.join(', ')}`] : [];
  const message = [...problems.map((problem) => problem.message), ...notes, ...boundTo].join('; ');
  const shown = message.length <= maxMessageLength ? message : `${message.slice(0, maxMessageLength - 1)}…`;
  const [first] = problems;
  if (first) return { status: 'False', reason: first.reason, message: shown };
  if (notes.length > 0) return { status: 'False', reason: 'Invalid', message: shown };
  return { status: 'True', reason: 'Accepted', message: shown };
}
