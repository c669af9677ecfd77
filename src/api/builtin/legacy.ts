/** Kinds of the core group that this server keeps for those who still ask for them, and does little with itself. */
import { claimColumns, endpointsColumns } from '../columns/policies.ts';
import { objectsAt, fill, type JsonObject } from '../defaults/fill.ts';
import { defaultClaim, newClaim } from '../defaults/workloads.ts';
import { define } from '../define.ts';
import type { KindInfo } from '../kind-info.ts';
import { kinds } from '../kinds.ts';
import { claimSchema } from '../schema/claim.ts';
import { endpointsSchema } from '../schema/networking.ts';
import { validateClaim, validateEndpoints } from '../validation/legacy.ts';

export const legacyKinds: readonly KindInfo[] = [
  define(kinds.Endpoints, {
    schema: endpointsSchema,
    columns: endpointsColumns,
    shortNames: ['ep'],
    hasStatus: false,
    defaults: defaultEndpoints,
    deprecationWarning: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
    validate: validateEndpoints,
  }),
  define(kinds.PersistentVolumeClaim, {
    schema: claimSchema,
    columns: claimColumns,
    shortNames: ['pvc'],
    defaults: defaultClaim,
    onCreate: newClaim,
    createWarning: 'there are no volumes on this server: the claim stays Pending, and so do the pods that use it',
    validate: validateClaim,
  }),
];

function defaultEndpoints(endpoints: JsonObject): void {
  for (const subset of objectsAt(endpoints, 'subsets'))
    for (const port of objectsAt(subset, 'ports')) fill(port, { protocol: 'TCP' });
}
