/** networking.istio.io WorkloadEntry: an endpoint that is no pod. */
import { kinds } from '../../kinds.ts';
import type { CustomKind } from '../custom-kind.ts';
import { about } from './field.ts';
import { ageColumn, istioKind, networkingVersions, textColumn } from './kind.ts';
import { workloadEntryFields } from './workload-entry-fields.ts';

export const workloadEntry: CustomKind = istioKind(kinds.WorkloadEntry, {
  spec: about('The endpoint.', workloadEntryFields),
  requiresSpec: true,
  versions: networkingVersions,
  shortNames: ['we'],
  columns: [ageColumn, textColumn('Address', '.spec.address', 'Where the endpoint is.')],
});
