/** The definitions of Ambit's own kinds, put into the store of a server that starts. */
import { crdOf } from '../../../api/custom/crd.ts';
import { customKinds } from '../../../api/custom/index.ts';
import { kinds, type CustomResourceDefinition, type KindInfo } from '../../../api/index.ts';
import { kindInfo } from '../../../api/serving.ts';
import { jsonEqual, type ApiObject } from '../object-fields.ts';
import { prepareCreate } from '../object-rules.ts';
import type { Transaction } from '../store.ts';
import { admitDefinition, crdStorage } from './definition.ts';

/**
 * Adds those that are missing, and updates those that an earlier version wrote. They are known to be sound (`npm run check`
 * and a real API server judge them), so that starting does not wait for the compilation of every rule.
 */
export function installDefinitions(tx: Transaction, nowMs: number): void {
  const crdKind = kindInfo(kinds.CustomResourceDefinition) as KindInfo;
  for (const kind of customKinds) {
    const crd = crdOf(kind);
    const existing = tx.get(crdStorage, '', crd.metadata.name ?? '')?.object as CustomResourceDefinition | undefined;
    if (existing && jsonEqual(withoutDefaults(existing), crd.spec)) continue;
    const object = crdKind.defaults(crd) as unknown as ApiObject;
    if (existing) {
      const { metadata, status } = existing;
      const updated = {
        ...object,
        metadata: { ...metadata, generation: (metadata.generation ?? 1) + 1 },
        ...(status && { status }),
      } as unknown as ApiObject;
      admitDefinition(tx, updated, existing as unknown as ApiObject, nowMs);
      tx.put(crdStorage, updated);
      continue;
    }
    prepareCreate(crdKind, object, nowMs, () => false);
    admitDefinition(tx, object, undefined, nowMs);
    tx.put(crdStorage, object);
  }
}

function withoutDefaults({ spec }: CustomResourceDefinition): Partial<CustomResourceDefinition['spec']> {
  const { conversion: _, ...rest } = spec;
  return rest;
}
