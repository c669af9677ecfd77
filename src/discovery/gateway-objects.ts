/** What is deployed for a Gateway: whether it is, how it is called, and who it runs as (ambient-l7, 1.4). Pure. */
import type { Gateway, GatewayClass } from '../api/gateway.ts';
import { gatewayController, gatewayRole, type GatewayRole } from './gateway-role.ts';

export interface GatewayObjects {
  /** Of the class, also where nobody made the class yet. */
  readonly controller: string;
  readonly role: GatewayRole;
  /** Of its Deployment and of its Service. */
  readonly name: string;
  readonly serviceAccount: string;
  /** Whether the proxies are deployed by the control plane. Who names a host instead has them already. */
  readonly isDeployed: boolean;
}

/** Undefined for Gateways of other controllers. Those of the mesh are called as their Gateway is, others also after their class. */
export function gatewayObjects(gateway: Gateway, gatewayClass: GatewayClass | undefined): GatewayObjects | undefined {
  const controller = gatewayController(gateway, gatewayClass);
  const role = gatewayRole(gateway, gatewayClass);
  if (controller === undefined || role === 'foreign' || role === 'unknown') return undefined;
  const { metadata, spec } = gateway;
  const { name: own = '', annotations = {} } = metadata;
  const suffix = role === 'waypoint' || role === 'east-west' ? '' : `-${spec.gatewayClassName}`;
  const name = annotations['gateway.istio.io/name-override'] || `${own}${suffix}`;
  const hasNoHost = (spec.addresses ?? []).every(({ type = 'IPAddress' }) => type === 'IPAddress');
  return {
    controller,
    role,
    name,
    serviceAccount: annotations['gateway.istio.io/service-account'] || name,
    isDeployed: role !== 'remote' && hasNoHost,
  };
}
