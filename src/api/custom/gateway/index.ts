/** The Gateway API's kinds, with their definitions. */
import type { CustomKind } from '../custom-kind.ts';
import { gatewayClass } from './gateway-class.ts';
import { gateway } from './gateway.ts';
import { httpRoute } from './http-route.ts';
import { referenceGrant } from './reference-grant.ts';

export const gatewayKinds: readonly CustomKind[] = [gatewayClass, gateway, httpRoute, referenceGrant];
