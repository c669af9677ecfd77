/** What the API still says of an earlier life of the mesh: no node has been heard of yet, so nothing on it is ready. */
import { kinds, type CoreCondition, type KindRef, type Node, type Pod } from '../../api/index.ts';
import type { KubeClient } from '../../kube/index.ts';

/** Takes readiness from every node and pod, until their node says it anew. As the node controller does for a node it lost. */
export async function markNodesUnheard(client: KubeClient): Promise<void> {
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const write = async <T extends Node | Pod>(kind: KindRef<T>, object: T): Promise<void> => {
    const conditions = withoutReadiness(object.status?.conditions ?? [], now);
    if (!conditions) return;
    const { name = '', namespace } = object.metadata;
    await client.patch(kind, name, namespace, { status: { conditions } }, { type: 'merge', subresource: 'status' });
  };
  for (const node of (await client.list(kinds.Node)).items) await write(kinds.Node, node);
  for (const pod of (await client.list(kinds.Pod)).items) await write(kinds.Pod, pod);
}

/** The conditions with `Ready` no longer true; undefined when it is not. */
export function withoutReadiness(conditions: readonly CoreCondition[], now: string): CoreCondition[] | undefined {
  if (!conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True')) return undefined;
  return conditions.map((condition) =>
    condition.type === 'Ready'
      ? { ...condition, status: 'False', reason: 'NodeNotReady', lastTransitionTime: now }
      : condition,
  );
}
