/** A write that webhooks are asked about: planned, judged, and then carried out if nothing has moved meanwhile. */
import type { AdmissionOperation, KindInfo } from '../../../api/index.ts';
import { storageOf } from '../served-kinds.ts';
import { conflict } from '../status-error.ts';
import type { ObjectStore, Stored, Transaction } from '../store.ts';
import type { Admission, AdmissionOptions } from './admission.ts';

export interface AdmittedCommit {
  readonly kind: KindInfo;
  readonly subresource: string;
  /** Of a request that deletes; otherwise what the plan does tells a create from an update. */
  readonly operation?: 'DELETE';
}

interface Planned {
  readonly namespace: string;
  readonly name: string;
  readonly before: Stored | undefined;
  readonly after: Stored | undefined;
}

/** Each try costs a round of calls; a client that meets more writers than this may come again. */
const maxTries = 5;

export async function commitAdmitted<T>(
  store: ObjectStore,
  admission: Admission,
  commit: AdmittedCommit & AdmissionOptions,
  plan: (tx: Transaction) => T,
): Promise<T> {
  const { kind, subresource, dryRun } = commit;
  const resource = storageOf(kind);
  for (let tries = 1; ; tries++) {
    const planned: Planned[] = [];
    const rehearsal = await store.dryRun((tx) => plan(recording(tx, resource, planned)));
    for (const { namespace, name, before, after } of planned) {
      const operation: AdmissionOperation = commit.operation ?? (before ? 'UPDATE' : 'CREATE');
      const object = operation === 'DELETE' ? undefined : after?.object;
      await admission.review(
        {
          kind,
          subresource,
          operation,
          namespace,
          name,
          ...(object && { object }),
          ...(before && { oldObject: before.object }),
        },
        commit,
      );
    }
    if (dryRun) return rehearsal;
    const outcome = await store.write((tx) => (hasMoved(tx, resource, planned) ? undefined : { result: plan(tx) }));
    if (outcome) return outcome.result;
    if (tries === maxTries) {
      throw conflict(
        kind,
        planned[0]?.name ?? '',
        'the object has been modified; please apply your changes to the latest version and try again',
      );
    }
  }
}

/** The transaction, with a note of what happens to the objects of `resource`. */
function recording(tx: Transaction, resource: string, planned: Planned[]): Transaction {
  const note = (namespace: string, name: string, before: Stored | undefined, after: Stored | undefined): void => {
    planned.push({ namespace, name, before, after });
  };
  return {
    get: (...key) => tx.get(...key),
    list: (...selection) => tx.list(...selection),
    resources: () => tx.resources(),
    put(of, object) {
      const { namespace = '', name = '' } = object.metadata;
      const before = tx.get(of, namespace, name);
      const after = tx.put(of, object);
      if (of === resource) note(namespace, name, before, after);
      return after;
    },
    remove(of, namespace, name) {
      const before = tx.get(of, namespace, name);
      const after = tx.remove(of, namespace, name);
      if (of === resource) note(namespace, name, before, undefined);
      return after;
    },
  };
}

function hasMoved(tx: Transaction, resource: string, planned: readonly Planned[]): boolean {
  return planned.some(
    ({ namespace, name, before }) => tx.get(resource, namespace, name)?.revision !== before?.revision,
  );
}
