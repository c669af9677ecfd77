/** The Gateway API's kinds, with their definitions. */
import type { CustomKind } from '../custom-kind.ts';
import { backendTlsPolicy } from './backend-tls-policy.ts';
import { backendTrafficPolicy } from './backend-traffic-policy.ts';
import { backend } from './backend.ts';
import { gatewayClass } from './gateway-class.ts';
import { gateway } from './gateway.ts';
import { grpcRoute } from './grpc-route.ts';
import { httpRoute } from './http-route.ts';
import { listenerSet } from './listener-set.ts';
import { mesh } from './mesh.ts';
import { referenceGrant } from './reference-grant.ts';
import { tcpRoute } from './tcp-route.ts';
import { tlsRoute } from './tls-route.ts';
import { udpRoute } from './udp-route.ts';

export const gatewayKinds: readonly CustomKind[] = [
  gatewayClass,
  gateway,
  listenerSet,
  httpRoute,
  grpcRoute,
  tlsRoute,
  tcpRoute,
  udpRoute,
  referenceGrant,
  backendTlsPolicy,
  backendTrafficPolicy,
  backend,
  mesh,
];
