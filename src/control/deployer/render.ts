/** Everything that is deployed for a Gateway: our objects, with the user's overlays merged into them. Pure. */
import type { Gateway } from '../../api/gateway.ts';
import type { KindRef, KubeObject } from '../../api/meta.ts';
import type { ProxyConfig } from '../../api/istio.ts';
import type { GatewayObjects } from '../../discovery/index.ts';
import { gatewaySelector, ownedMetadata } from './gateway-metadata.ts';
import { deployedParts, partKinds, type DeployedPart, type Overlay } from './parts.ts';
import { proxyDeployment, type ProxyMesh } from './proxy-deployment.ts';
import { proxyService } from './proxy-service.ts';
import type { ProxyValues } from './proxy-values.ts';

export interface Rendered {
  readonly kind: KindRef;
  readonly object: KubeObject & { readonly metadata: { readonly name: string } };
}

export interface RenderOptions {
  readonly values: ProxyValues;
  readonly mesh: ProxyMesh;
  /** In the order in which they apply: of the class, then of the Gateway. */
  readonly overlays: readonly Overlay[];
  /** Of all namespaces. Default none. */
  readonly proxyConfigs?: readonly ProxyConfig[];
}

/** Only where an overlay asks for them. */
const onRequest: ReadonlySet<DeployedPart> = new Set(['horizontalPodAutoscaler', 'podDisruptionBudget']);

/** Throws `control.overlay` for an overlay that makes no sense. */
export function renderGateway(gateway: Gateway, objects: GatewayObjects, options: RenderOptions): Rendered[] {
  const { overlays } = options;
  const base: Readonly<Record<DeployedPart, KubeObject & Record<string, unknown>>> = {
    serviceAccount: {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: ownedMetadata(gateway, objects, objects.serviceAccount),
    },
    service: { ...proxyService(gateway, objects) },
    deployment: { ...proxyDeployment(gateway, objects, options) },
    horizontalPodAutoscaler: {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: ownedMetadata(gateway, objects, objects.name),
      // The least that the API takes: what the overlay says decides.
      spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: objects.name }, maxReplicas: 1 },
    },
    podDisruptionBudget: {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: ownedMetadata(gateway, objects, objects.name),
      spec: { selector: { matchLabels: gatewaySelector(gateway) } },
    },
  };
  return deployedParts
    .filter((part) => !onRequest.has(part) || overlays.some((overlay) => overlay.has(part)))
    .map((part) => ({
      kind: partKinds[part],
      object: overlays.reduce<KubeObject>((merged, overlay) => overlay.apply(merged, part), base[part]),
    })) as Rendered[];
}
