/** Keeps the rules of aggregated ClusterRoles (`admin`, `edit`, `view`) equal to the union of those that they select. */
import type { ClusterRole } from '../../../api/index.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { Log } from '../../../lib/log.ts';
import { jsonEqual } from '../object-fields.ts';
import type { ObjectStore } from '../store.ts';
import { storedClusterRoles, type RbacAuthorizer } from './authorizer.ts';

/** Runs until the returned function is called. */
export function startAggregation(store: ObjectStore, authorizer: RbacAuthorizer, log: Log): () => void {
  let scheduled = false;
  let stopped = false;
  const settle = async (): Promise<void> => {
    scheduled = false;
    if (stopped) return;
    await store.write((tx) => {
      for (const { object } of tx.list(storedClusterRoles)) {
        const role = object as ClusterRole;
        if (!role.aggregationRule) continue;
        const rules = authorizer.aggregatedRules(role);
        if (!jsonEqual(role.rules ?? [], rules)) tx.put(storedClusterRoles, { ...role, rules } as ClusterRole);
      }
    });
  };
  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      settle().catch((error: unknown) => log.error('Cannot aggregate cluster roles', { error: messageOf(error) }));
    });
  };
  const stopListening = store.watch(storedClusterRoles, store.revision, schedule);
  schedule();
  return () => {
    stopped = true;
    stopListening();
  };
}
