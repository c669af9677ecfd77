/** Kubernetes' own kinds, with all that is known of each. Custom kinds come to a server by their definitions: see `custom/`. */
import { admissionKinds } from './builtin/admission.ts';
import { apiextensionsKinds } from './builtin/apiextensions.ts';
import { appsKinds } from './builtin/apps.ts';
import { autoscalingKinds } from './builtin/autoscaling.ts';
import { batchKinds } from './builtin/batch.ts';
import { coreKinds } from './builtin/core.ts';
import { discoveryKinds } from './builtin/discovery.ts';
import { eventsKinds } from './builtin/events.ts';
import { legacyKinds } from './builtin/legacy.ts';
import { networkingKinds, schedulingKinds } from './builtin/networking.ts';
import { policyKinds } from './builtin/policy.ts';
import { coordinationKinds, rbacKinds } from './builtin/rbac.ts';
import type { FieldError } from './field-error.ts';
import type { KindInfo } from './kind-info.ts';
import type { KindRef, KubeObject } from './meta.ts';

export const builtinKinds: readonly KindInfo[] = [
  ...coreKinds,
  ...legacyKinds,
  ...appsKinds,
  ...batchKinds,
  ...autoscalingKinds,
  ...policyKinds,
  ...networkingKinds,
  ...schedulingKinds,
  ...eventsKinds,
  ...discoveryKinds,
  ...coordinationKinds,
  ...rbacKinds,
  ...apiextensionsKinds,
  ...admissionKinds,
];

const byGroupKind: ReadonlyMap<string, KindInfo> = new Map(
  builtinKinds.map((info) => [`${info.group}/${info.kind}`, info]),
);

/** What is known of one of Kubernetes' own kinds, whatever version of it the reference names. */
export function kindInfo(kind: Pick<KindRef, 'group' | 'kind'>): KindInfo | undefined {
  return byGroupKind.get(`${kind.group}/${kind.kind}`);
}

/** All problems of an object at once: structure, metadata, then meaning. `object` has its defaults. */
export function validate(
  kind: Pick<KindRef, 'group' | 'kind'>,
  object: KubeObject,
  options: { readonly old?: KubeObject } = {},
): FieldError[] {
  const info = kindInfo(kind);
  if (!info) throw new Error(`Kind ${kind.group}/${kind.kind} is not registered`);
  return info.validate(object, options);
}
