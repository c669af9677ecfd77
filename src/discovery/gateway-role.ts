/** What a Gateway is for: decided by the controller of its class, and by the class's name only where nobody made the class. */
import type { Gateway, GatewayClass } from '../api/gateway.ts';
import type { ApplicationTunnel } from '../api/workload.ts';

/** `foreign`: of a controller that is neither Istio's nor ours. */
export type GatewayRole = 'waypoint' | 'east-west' | 'remote' | 'ingress' | 'foreign' | 'unknown';

const rolesOfControllers: Readonly<Record<string, GatewayRole>> = {
  'istio.io/mesh-controller': 'waypoint',
  'istio.io/eastwest-controller': 'east-west',
  'istio.io/unmanaged-gateway': 'remote',
  'istio.io/gateway-controller': 'ingress',
  'ambit.dev/mesh-controller': 'waypoint',
  'ambit.dev/eastwest-controller': 'east-west',
  'ambit.dev/unmanaged-gateway': 'remote',
  'ambit.dev/gateway-controller': 'ingress',
};

/** Of classes that nobody made yet. */
const controllersOfNames: Readonly<Record<string, string>> = {
  'istio-waypoint': 'istio.io/mesh-controller',
  'istio-east-west': 'istio.io/eastwest-controller',
  'istio-remote': 'istio.io/unmanaged-gateway',
  istio: 'istio.io/gateway-controller',
  'ambit-waypoint': 'ambit.dev/mesh-controller',
  'ambit-east-west': 'ambit.dev/eastwest-controller',
  'ambit-remote': 'ambit.dev/unmanaged-gateway',
  ambit: 'ambit.dev/gateway-controller',
};

/** The port and the protocol of listeners that take the mesh's own tunnels. */
export const hbonePort = 15008;
const hboneProtocol = 'HBONE';

export function gatewayRole(gateway: Gateway, gatewayClass: GatewayClass | undefined): GatewayRole {
  const controller = gatewayController(gateway, gatewayClass);
  if (controller === undefined) return 'unknown';
  return rolesOfControllers[controller] ?? 'foreign';
}

/** Undefined: nobody made its class, and it is none that we know by its name. */
export function gatewayController(gateway: Gateway, gatewayClass: GatewayClass | undefined): string | undefined {
  return gatewayClass ? gatewayClass.spec.controllerName : controllersOfNames[gateway.spec.gatewayClassName];
}

/** Whether statuses that this controller wrote are ours to change. `hasIstioClasses`: nobody else stands for Istio's names. */
export function isOwnController(controllerName: string, hasIstioClasses: boolean): boolean {
  return (
    Object.hasOwn(rolesOfControllers, controllerName) && (hasIstioClasses || !controllerName.startsWith('istio.io/'))
  );
}

/** Under whose name statuses of what follows Services are told: that of waypoints' controller. */
export function meshController(hasIstioClasses: boolean): string {
  return hasIstioClasses ? 'istio.io/mesh-controller' : 'ambit.dev/mesh-controller';
}

export function hboneListeners(gateway: Gateway): Gateway['spec']['listeners'] {
  return gateway.spec.listeners.filter(({ protocol }) => protocol === hboneProtocol);
}

/**
 * `ambient.istio.io/waypoint-inbound-binding`, `<protocol>[/<port>]`, of the Gateway or else of its class: the waypoint stands
 * behind a ztunnel, which hands it traffic in this way.
 */
export function inboundBinding(
  gateway: Gateway,
  gatewayClass: GatewayClass | undefined,
): ApplicationTunnel | undefined {
  const annotation = 'ambient.istio.io/waypoint-inbound-binding';
  const text = gateway.metadata.annotations?.[annotation] ?? gatewayClass?.metadata.annotations?.[annotation];
  const [, protocol, port = '0'] = /^(PROXY|NONE)(?:\/(\d{1,5}))?$/.exec(text ?? '') ?? [];
  if (protocol === undefined || Number(port) > 65535) return undefined;
  return { protocol: protocol === 'PROXY' ? 'proxy' : 'none', port: Number(port) };
}
