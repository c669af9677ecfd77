/** Labels, annotations and owner of what is deployed for a Gateway (ambient-l7, 1.4). Pure. */
import type { Gateway } from '../../api/gateway.ts';
import type { ObjectMeta } from '../../api/meta.ts';
import type { GatewayObjects } from '../../discovery/index.ts';

export const managedLabel = 'gateway.istio.io/managed';
export const gatewayNameLabel = 'gateway.networking.k8s.io/gateway-name';
const gatewayClassLabel = 'gateway.networking.k8s.io/gateway-class-name';

type Texts = Readonly<Record<string, string>>;

/** What says how a Gateway is deployed, or what tools keep for themselves, is not handed on. */
const notHandedOn: ReadonlySet<string> = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'gateway.istio.io/name-override',
  'gateway.istio.io/service-account',
  'gateway.istio.io/controller-version',
]);

/** Value of the label that says who manages an object: a label cannot hold a slash. */
export function managerOf(controller: string): string {
  return controller.replaceAll('/', '-');
}

/** What the user wants on everything: the Gateway's `infrastructure`, or, where it says nothing, what is on the Gateway itself. */
export function infrastructure({ metadata, spec }: Gateway): { readonly labels: Texts; readonly annotations: Texts } {
  const wanted = spec.infrastructure ?? metadata;
  return { labels: handedOn(wanted.labels), annotations: handedOn(wanted.annotations) };
}

/** Of an object called `name` that goes with its Gateway. */
export function ownedMetadata(gateway: Gateway, objects: GatewayObjects, name: string): ObjectMeta & { name: string } {
  const { labels, annotations } = infrastructure(gateway);
  const { name: owner = '', namespace = '', uid = '' } = gateway.metadata;
  return {
    name,
    namespace,
    labels: { ...labels, ...gatewayLabels(gateway, objects) },
    ...(Object.keys(annotations).length > 0 ? { annotations: { ...annotations } } : {}),
    ownerReferences: [{ apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway', name: owner, uid }],
  };
}

export function gatewayLabels(gateway: Gateway, objects: GatewayObjects): Record<string, string> {
  return {
    ...gatewaySelector(gateway),
    [gatewayClassLabel]: gateway.spec.gatewayClassName,
    [managedLabel]: managerOf(objects.controller),
  };
}

export function gatewaySelector({ metadata }: Gateway): Record<string, string> {
  return { [gatewayNameLabel]: metadata.name ?? '' };
}

function handedOn(texts: Texts = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).filter(([key]) => !notHandedOn.has(key) && !key.startsWith('gateway.networking.k8s.io/')),
  );
}
