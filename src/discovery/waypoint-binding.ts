/**
 * Which waypoint an object uses, and what its status says of it (ambient-l4, 10.4 and 10.7). Pure.
 *
 * Who asked for a waypoint is never told to do without: one that is absent, not ready or not permitted stays on the wire, and
 * ztunnels refuse what they cannot send through it.
 */
import type { Condition, ObjectMeta } from '../api/meta.ts';
import { matchesSelector } from '../api/selector.ts';
import type { GatewayAddress, MeshService } from '../api/workload.ts';
import { hbonePort } from './gateway-role.ts';
import { declaredWaypoint, type WaypointDeclaration, type WaypointReference } from './waypoint-labels.ts';
import { serviceAddress, type Waypoint } from './waypoint.ts';

export type ObjectVerdict = Pick<Condition, 'status' | 'reason' | 'message'>;

export interface WaypointBinding {
  readonly waypoint?: GatewayAddress;
  readonly weighted: MeshService['weightedWaypoints'];
  /** `<namespace>/<name>` of the Gateways whose proxies stand for the object, the first of them before it is ready, too. */
  readonly gateways: readonly string[];
  /** Of the condition `istio.io/WaypointBound`. */
  readonly verdict: ObjectVerdict;
}

export interface BindingRequest {
  readonly metadata: ObjectMeta;
  /** Which traffic the object stands for. */
  readonly traffic: 'service' | 'workload';
  /** What `metadata` asks for is asked for the services of the object: for its workloads it is like the namespace's word. */
  readonly isInherited?: boolean;
  /** A Service without an address: its clients connect to the addresses of its pods. */
  readonly isHeadless?: boolean;
  /** Only clients of its own namespace see it. */
  readonly isPrivate?: boolean;
  /** What the namespace asks for. */
  readonly ofNamespace: WaypointDeclaration | 'none' | undefined;
  readonly clusterDomain: string;
  readonly find: (namespace: string, name: string) => Waypoint | undefined;
  /** Labels of the object's own namespace. */
  readonly namespaceLabels: () => Readonly<Record<string, string>> | undefined;
}

/** Values of `gateway.istio.io/managed`: what belongs to a gateway of the mesh never goes through one. */
const managedByMesh: ReadonlySet<string> = new Set([
  'istio.io-mesh-controller',
  'istio.io-eastwest-controller',
  'ambit.dev-mesh-controller',
  'ambit.dev-eastwest-controller',
]);

/** Undefined: it uses none, and there is nothing to say. */
export function bindWaypoint(request: BindingRequest): WaypointBinding | undefined {
  const { metadata, ofNamespace, traffic } = request;
  if (managedByMesh.has(metadata.labels?.['gateway.istio.io/managed'] ?? '')) return undefined;
  const own = declaredWaypoint(metadata);
  const declared = own ?? ofNamespace;
  const isOwn = own !== undefined && !request.isInherited;
  if (declared === undefined || declared === 'none') return undefined;
  const found = resolve(declared.primary, request);
  // A namespace asks for all its objects at once: those that its waypoint is not for do without.
  const takesIt = found.waypoint || !isOwn ? takes(found.waypoint, traffic) : true;
  if (!takesIt) {
    if (!isOwn) return undefined;
    const message = `waypoint ${found.name} takes ${found.waypoint?.trafficType} traffic, not ${traffic} traffic`;
    return { weighted: [], gateways: [], verdict: no('UnsupportedTrafficType', message) };
  }
  const primary = { waypoint: found.address, weighted: [], gateways: gatewaysOf(found) };
  if (found.kind === 'refused') return { ...primary, verdict: found.verdict };
  const canary = traffic === 'service' ? declared.canary : undefined;
  if (!canary) {
    const past = request.isHeadless === true ? headlessHint : '';
    return { ...primary, verdict: yes(`Successfully attached to waypoint ${found.name}${past}`) };
  }
  return bindCanary(canary, found, request);
}

/** Nobody can tell which Service such a connection is meant for, if any. */
const headlessHint =
  '; it is headless: connections to the addresses of its pods go past it, unless the pods ask for a waypoint as well';

type Resolved = {
  readonly name: string;
  readonly address: GatewayAddress;
  readonly waypoint: Waypoint | undefined;
} & ({ readonly kind: 'usable' } | { readonly kind: 'refused'; readonly verdict: ObjectVerdict });

function resolve(reference: WaypointReference, request: BindingRequest): Resolved {
  const own = request.metadata.namespace ?? '';
  const { name, namespace = own } = reference;
  const waypoint = request.find(namespace, name);
  const common = { name: `${namespace}/${name}`, waypoint };
  if (request.isPrivate && namespace !== own) {
    const message = `waypoint ${common.name} is in another namespace, to which this is not exported`;
    return refused(common, deniedAddress(namespace, name), no('CrossNamespaceWaypointForbidden', message));
  }
  if (!waypoint) {
    const message = `waypoint ${common.name} does not exist: connections are refused until it does`;
    return refused(common, serviceAddress(namespace, name, request.clusterDomain), no('WaypointIsNotReady', message));
  }
  if (!isAllowed(waypoint, own, request)) {
    const message = `waypoint ${common.name} does not let namespace ${own} attach: connections are refused`;
    return refused(common, deniedAddress(namespace, name), no('AttachmentDenied', message));
  }
  if (waypoint.notReady !== undefined) {
    const message = `${waypoint.notReady}: connections are refused until it is ready`;
    return refused(common, waypoint.address, no('WaypointIsNotReady', message));
  }
  return { ...common, kind: 'usable', address: waypoint.address };
}

function refused(
  common: { readonly name: string; readonly waypoint: Waypoint | undefined },
  address: GatewayAddress,
  verdict: ObjectVerdict,
): Resolved {
  return { ...common, kind: 'refused', address, verdict };
}

function gatewaysOf(found: Resolved): string[] {
  const isUsed = found.waypoint && (found.kind === 'usable' || found.verdict.reason === 'WaypointIsNotReady');
  return isUsed ? [found.name] : [];
}

/** What is not there yet takes what waypoints take by default. */
function takes(waypoint: Waypoint | undefined, traffic: 'service' | 'workload'): boolean {
  const type = waypoint?.trafficType ?? 'service';
  return type === 'all' || type === traffic;
}

function isAllowed({ namespace, allowed }: Waypoint, own: string, request: BindingRequest): boolean {
  switch (allowed.from) {
    case 'All':
      return true;
    case 'Same':
      return namespace === own;
    case 'Selector':
      return matchesSelector(request.namespaceLabels(), allowed.selector);
  }
}

/** A name that no Service can have, so that every ztunnel refuses; it tells in their logs what is wrong. */
function deniedAddress(namespace: string, name: string): GatewayAddress {
  const hostname = `${name}.${namespace}.attachment-denied.invalid`;
  return { destination: { kind: 'hostname', namespace, hostname }, hboneMtlsPort: hbonePort };
}

function bindCanary(
  canary: NonNullable<WaypointDeclaration['canary']>,
  primary: Resolved,
  request: BindingRequest,
): WaypointBinding {
  const alone = (verdict: ObjectVerdict): WaypointBinding => ({
    waypoint: primary.address,
    weighted: [],
    gateways: gatewaysOf(primary),
    verdict: { ...verdict, message: `${verdict.message}; waypoint ${primary.name} takes everything` },
  });
  const weight = /^\d{1,3}$/.test(canary.weight) ? Number(canary.weight) : Infinity;
  if (weight > 100) {
    return alone(no('CanaryInvalidWeight', `the canary's weight ${JSON.stringify(canary.weight)} is not 0 to 100`));
  }
  const second = resolve(canary, request);
  if (second.name === primary.name) {
    return alone(no('CanarySameAsPrimary', 'the canary is the waypoint itself'));
  }
  if (!takes(second.waypoint, request.traffic)) {
    return alone(no('UnsupportedTrafficType', `canary ${second.name} does not take ${request.traffic} traffic`));
  }
  if (second.kind === 'refused') return alone(no(second.verdict.reason, `canary: ${second.verdict.message}`));
  const weighted = [
    { destination: primary.address, weight: 100 - weight },
    { destination: second.address, weight },
  ];
  return {
    waypoint: primary.address,
    weighted: weight === 0 ? [] : weighted,
    // Also without a share: it may be given one at any time.
    gateways: [...gatewaysOf(primary), ...gatewaysOf(second)],
    verdict: yes(`Successfully attached to waypoint ${primary.name}, and by ${weight} % to canary ${second.name}`),
  };
}

function yes(message: string): ObjectVerdict {
  return { status: 'True', reason: 'WaypointAccepted', message };
}

function no(reason: string, message: string): ObjectVerdict {
  return { status: 'False', reason, message };
}
