/** Kinds of the group apps. */
import * as columns from '../columns/kinds.ts';
import * as defaults from '../defaults/kinds.ts';
import { define } from '../define.ts';
import type { KindInfo } from '../kind-info.ts';
import { kinds } from '../kinds.ts';
import * as workloadColumns from '../columns/workloads.ts';
import * as workloads from '../defaults/workloads.ts';
import * as apps from '../schema/apps.ts';
import * as core from '../schema/core.ts';
import {
  validateControllerRevision,
  validateDaemonSet,
  validateDeployment,
  validateReplicaSet,
  validateStatefulSet,
} from '../validation/apps.ts';

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
    onCreate: workloads.newReplicaSet,
    validate: validateReplicaSet,
  }),
  define(kinds.StatefulSet, {
    schema: apps.statefulSetSchema,
    columns: workloadColumns.statefulSetColumns,
    shortNames: ['sts'],
    categories: ['all'],
    defaults: workloads.defaultStatefulSet,
    onCreate: workloads.newStatefulSet,
    validate: validateStatefulSet,
  }),
  define(kinds.DaemonSet, {
    schema: apps.daemonSetSchema,
    columns: workloadColumns.daemonSetColumns,
    shortNames: ['ds'],
    categories: ['all'],
    defaults: workloads.defaultDaemonSet,
    onCreate: workloads.newDaemonSet,
    validate: validateDaemonSet,
  }),
  define(kinds.ControllerRevision, {
    schema: apps.controllerRevisionSchema,
    columns: workloadColumns.controllerRevisionColumns,
    hasStatus: false,
    validate: validateControllerRevision,
  }),
];
