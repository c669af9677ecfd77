/** coordination.k8s.io/v1 Lease: who does a job that only one may do. */
import type { KubeObject } from './meta.ts';

export interface LeaseSpec {
  /** "" or absent: nobody holds it. */
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  /** `metav1.MicroTime`: RFC 3339 with six digits of a second. */
  acquireTime?: string;
  renewTime?: string;
  /** How often the holder changed. */
  leaseTransitions?: number;
  strategy?: string;
  preferredHolder?: string;
}

export interface Lease extends KubeObject {
  spec?: LeaseSpec;
}
