/** Resource type names, and the version of a resource: a hash of its content, so that replicas agree. */
import { hash } from 'node:crypto';

export const addressTypeUrl = 'type.googleapis.com/istio.workload.Address';
export const authorizationTypeUrl = 'type.googleapis.com/istio.security.Authorization';

/** 16 hexadecimal digits that follow from the encoded resource alone. */
export function resourceVersion(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex').slice(0, 16);
}
