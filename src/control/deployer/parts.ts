/** The objects that a Gateway may be deployed as. */
import { kinds } from '../../api/kinds.ts';
import type { KindRef, KubeObject } from '../../api/meta.ts';

/** Also the keys of a ConfigMap that changes them. */
export type DeployedPart =
  | 'serviceAccount'
  | 'service'
  | 'deployment'
  | 'horizontalPodAutoscaler'
  | 'podDisruptionBudget';

/** In the order in which they are applied: pods refer to their account. */
export const partKinds: Readonly<Record<DeployedPart, KindRef>> = {
  serviceAccount: kinds.ServiceAccount,
  service: kinds.Service,
  deployment: kinds.Deployment,
  horizontalPodAutoscaler: kinds.HorizontalPodAutoscaler,
  podDisruptionBudget: kinds.PodDisruptionBudget,
};

export const deployedParts: readonly DeployedPart[] = Object.keys(partKinds) as DeployedPart[];

/** What a user changes in them. */
export interface Overlay {
  has(part: DeployedPart): boolean;
  /** Throws `control.overlay`. */
  apply(object: KubeObject, part: DeployedPart): KubeObject;
}
