/** Writes the annotation by which everybody learns that a pod is redirected. */
import { kinds, type Pod } from '../api/index.ts';
import { isKubeError, type KubeClient } from '../kube/index.ts';
import { redirectionAnnotation } from './enrolment.ts';

/** Without a `value` it is taken away. Throws what the API answers. */
export async function annotateRedirection(
  client: Pick<KubeClient, 'patch'>,
  pod: Pod,
  value: 'enabled' | 'pending' | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { name = '', namespace, uid } = pod.metadata;
  // The UID makes it a no-op error for a namesake that came after.
  const patch = {
    metadata: { ...(uid === undefined ? {} : { uid }), annotations: { [redirectionAnnotation]: value ?? null } },
  };
  try {
    await client.patch(kinds.Pod, name, namespace, patch, {
      type: 'merge',
      subresource: 'status',
      fieldManager: 'istio-cni',
      signal,
    });
  } catch (error) {
    // A namesake: ours is gone.
    if (!isKubeError(error) || error.status !== 409) throw error;
  }
}
