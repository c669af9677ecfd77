/** Pods by who controls them, so that a controller does not search all pods for its own. */
import type { Pod } from '../../api/index.ts';
import { objectKey } from '../../kube/index.ts';
import { controllerOf } from './ownership.ts';
import type { Source } from './source.ts';

export interface PodIndex {
  /** Pods whose controller has this uid. */
  ownedBy(uid: string): Pod[];
  /** Pods that nobody controls. */
  orphansIn(namespace: string): Pod[];
}

/** Must be made before the controllers listen to the pods: they look here when they hear of a change. */
export function createPodIndex(pods: Pick<Source<Pod>, 'onChange'>): PodIndex {
  const owned = new Map<string, Map<string, Pod>>();
  const orphans = new Map<string, Map<string, Pod>>();

  pods.onChange((after, before) => {
    if (before) {
      const [groups, group] = placeOf(before);
      const found = groups.get(group);
      found?.delete(objectKey(before));
      if (found?.size === 0) groups.delete(group);
    }
    if (!after) return;
    const [groups, group] = placeOf(after);
    const found = groups.get(group) ?? new Map<string, Pod>();
    groups.set(group, found.set(objectKey(after), after));
  });
  return {
    ownedBy: (uid) => [...(owned.get(uid)?.values() ?? [])],
    orphansIn: (namespace) => [...(orphans.get(namespace)?.values() ?? [])],
  };

  function placeOf(pod: Pod): [Map<string, Map<string, Pod>>, string] {
    const owner = controllerOf(pod);
    return owner ? [owned, owner.uid] : [orphans, pod.metadata.namespace ?? ''];
  }
}
