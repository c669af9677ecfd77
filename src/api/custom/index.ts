/** Every kind that Ambit brings to a server by a CustomResourceDefinition. */
import { ambitKinds } from './ambit/index.ts';
import type { CustomKind } from './custom-kind.ts';
import { gatewayKinds } from './gateway/index.ts';
import { istioKinds } from './istio/index.ts';

export const customKinds: readonly CustomKind[] = [...istioKinds, ...gatewayKinds, ...ambitKinds];
