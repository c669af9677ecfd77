/** Kinds of the group discovery.k8s.io. */
import * as columns from '../columns/kinds.ts';
import * as defaults from '../defaults/kinds.ts';
import { define } from '../define.ts';
import type { KindInfo } from '../kind-info.ts';
import { kinds } from '../kinds.ts';
import * as core from '../schema/core.ts';
import { validateEndpointSlice } from '../validation/core.ts';

export const discoveryKinds: readonly KindInfo[] = [
  define(kinds.EndpointSlice, {
    schema: core.endpointSliceSchema,
    columns: columns.endpointSliceColumns,
    hasStatus: false,
    defaults: defaults.defaultEndpointSlice,
    validate: validateEndpointSlice,
  }),
];
