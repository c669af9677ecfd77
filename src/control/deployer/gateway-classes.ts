/** The classes that Gateways of ours may name, made when a cluster has none of the name; whoever made one keeps it. */
import type { GatewayClass } from '../../api/gateway.ts';
import { kinds } from '../../api/kinds.ts';
import { isKubeError, type KubeClient } from '../../kube/index.ts';

interface OwnClass {
  readonly name: string;
  readonly controller: string;
  readonly description: string;
}

const edge = 'Takes traffic from outside into the mesh';
const eastWest = 'Takes tunnels of other networks into this one';
const waypoint = 'Takes traffic inside of the mesh for what is labelled with it';

const ambitClasses: readonly OwnClass[] = [
  { name: 'ambit', controller: 'ambit.dev/gateway-controller', description: edge },
  { name: 'ambit-waypoint', controller: 'ambit.dev/mesh-controller', description: waypoint },
  { name: 'ambit-east-west', controller: 'ambit.dev/eastwest-controller', description: eastWest },
];
const istioClasses: readonly OwnClass[] = [
  { name: 'istio', controller: 'istio.io/gateway-controller', description: edge },
  { name: 'istio-waypoint', controller: 'istio.io/mesh-controller', description: waypoint },
  { name: 'istio-east-west', controller: 'istio.io/eastwest-controller', description: eastWest },
  {
    name: 'istio-remote',
    controller: 'istio.io/unmanaged-gateway',
    description: 'A gateway that is somewhere else: nothing is deployed for it',
  },
];

/** Beside an istiod, which has Istio's names, only our own. */
export function ownClasses(hasIstioClasses: boolean): readonly OwnClass[] {
  return hasIstioClasses ? [...ambitClasses, ...istioClasses] : ambitClasses;
}

/** Controllers of classes that we answer for. */
export function ownControllers(hasIstioClasses: boolean): ReadonlySet<string> {
  return new Set(ownClasses(hasIstioClasses).map(({ controller }) => controller));
}

/** Makes a class unless there is one of its name. Resolves to false where the API has no such kind. */
export async function createClass(client: KubeClient, own: OwnClass, signal: AbortSignal): Promise<boolean> {
  const object: GatewayClass = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'GatewayClass',
    metadata: { name: own.name },
    spec: { controllerName: own.controller, description: own.description },
  };
  try {
    await client.create(kinds.GatewayClass, object, { fieldManager: 'istiod', signal });
  } catch (error) {
    if (isKubeError(error, 'kube.not-found')) return false;
    if (!isKubeError(error, 'kube.already-exists')) throw error;
  }
  return true;
}
