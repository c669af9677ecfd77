/** Kinds of the group apps. */
import * as columns from '../columns/kinds.ts';
import * as defaults from '../defaults/kinds.ts';
import { define } from '../define.ts';
import type { KindInfo } from '../kind-info.ts';
import { kinds } from '../kinds.ts';
import * as core from '../schema/core.ts';
import { validateDeployment, validateReplicaSet } from '../validation/apps.ts';

export const appsKinds: readonly KindInfo[] = [
  define(kinds.Deployment, {
    schema: core.deploymentSchema,
    columns: columns.deploymentColumns,
    shortNames: ['deploy'],
    categories: ['all'],
    defaults: defaults.defaultDeployment,
    validate: validateDeployment,
  }),
  define(kinds.ReplicaSet, {
    schema: core.replicaSetSchema,
    columns: columns.replicaSetColumns,
    shortNames: ['rs'],
    categories: ['all'],
    defaults: defaults.defaultReplicaSet,
    validate: validateReplicaSet,
  }),
];
