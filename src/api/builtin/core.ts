/** Kinds of the core group. */
import * as columns from '../columns/kinds.ts';
import { podColumns } from '../columns/pod.ts';
import * as defaults from '../defaults/kinds.ts';
import { defaultPod } from '../defaults/pod.ts';
import { define } from '../define.ts';
import type { KindInfo } from '../kind-info.ts';
import { kinds } from '../kinds.ts';
import * as core from '../schema/core.ts';
import { podSchema } from '../schema/pod.ts';
import { validateConfigMap, validateEvent, validateNode, validateSecret, validateService } from '../validation/core.ts';
import { dns1035Label, dns1123Label } from '../validation/names.ts';
import { validatePodSpec, validatePodUpdate } from '../validation/pod.ts';

export const coreKinds: readonly KindInfo[] = [
  define(kinds.Namespace, {
    schema: core.namespaceSchema,
    columns: columns.namespaceColumns,
    shortNames: ['ns'],
    nameRule: dns1123Label,
    defaults: defaults.defaultNamespace,
  }),
  define(kinds.Pod, {
    schema: podSchema,
    columns: podColumns,
    shortNames: ['po'],
    categories: ['all'],
    defaults: defaultPod,
    validate: (pod, old) => [
      ...validatePodSpec(pod.at('spec')),
      ...(old ? validatePodUpdate(pod.at('spec'), old.at('spec')) : []),
    ],
  }),
  define(kinds.Service, {
    schema: core.serviceSchema,
    columns: columns.serviceColumns,
    shortNames: ['svc'],
    categories: ['all'],
    nameRule: dns1035Label,
    defaults: defaults.defaultService,
    validate: validateService,
  }),
  define(kinds.ServiceAccount, {
    schema: core.serviceAccountSchema,
    columns: columns.serviceAccountColumns,
    shortNames: ['sa'],
    hasStatus: false,
  }),
  define(kinds.ConfigMap, {
    schema: core.configMapSchema,
    columns: columns.configMapColumns,
    shortNames: ['cm'],
    hasStatus: false,
    validate: validateConfigMap,
  }),
  define(kinds.Secret, {
    schema: core.secretSchema,
    columns: columns.secretColumns,
    hasStatus: false,
    defaults: defaults.defaultSecret,
    validate: validateSecret,
  }),
  define(kinds.Node, {
    schema: core.nodeSchema,
    columns: columns.nodeColumns,
    shortNames: ['no'],
    validate: validateNode,
  }),
  define(kinds.Event, {
    schema: core.eventSchema,
    columns: columns.eventColumns,
    shortNames: ['ev'],
    hasStatus: false,
    validate: validateEvent,
  }),
];
