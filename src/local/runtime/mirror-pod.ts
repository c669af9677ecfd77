/** The API's copy of a static pod: made when it is missing, replaced when it is another's or another version's. */
import { kinds, type Pod } from '../../api/index.ts';
import { createBackoff } from '../../lib/backoff.ts';
import { sleep } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { isKubeError, type KubeClient } from '../../kube/index.ts';
import { mirrorAnnotation, type StaticPod } from './static-pods.ts';

/** Whether `pod` is the copy of a static pod. */
export function isMirrorPod(pod: Pod): boolean {
  return pod.metadata.annotations?.[mirrorAnnotation] !== undefined;
}

/** Resolves to the mirror pod as the API has it. Tries until it works; rejects only when `signal` aborts. */
export async function ensureMirrorPod(options: {
  readonly client: KubeClient;
  readonly wanted: StaticPod;
  readonly signal: AbortSignal;
  readonly log: Log;
}): Promise<Pod> {
  const { client, wanted, signal, log } = options;
  const { name = '', namespace = 'default' } = wanted.pod.metadata;
  const { nodeName = '' } = wanted.pod.spec;
  const backoff = createBackoff({ initialMs: 200, maxMs: 5_000 });
  for (;;) {
    signal.throwIfAborted();
    try {
      const found = await readPod(client, name, namespace, nodeName, signal);
      if (!found) return await client.create(kinds.Pod, await ownedByNode(client, wanted.pod, signal), signal);
      if (!found.metadata.deletionTimestamp && found.metadata.annotations?.[mirrorAnnotation] === wanted.hash)
        return found;
      await deletePodNow(client, found, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      const isExpected = isKubeError(error) && (error.status === 409 || error.status === 404);
      if (!isExpected) log.warn('Cannot write a mirror pod', { pod: `${namespace}/${name}`, error: messageOf(error) });
      await sleep(backoff.next(), signal);
    }
  }
}

/** Takes the object out of the API at once, if it is still the same pod; one that is gone is no failure. */
export async function deletePodNow(client: KubeClient, pod: Pod, signal?: AbortSignal): Promise<void> {
  const { name = '', namespace, uid } = pod.metadata;
  try {
    await client.delete(kinds.Pod, name, namespace, {
      gracePeriodSeconds: 0,
      ...(uid === undefined ? {} : { preconditions: { uid } }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (isKubeError(error) && (error.status === 404 || error.status === 409)) return;
    throw error;
  }
}

/** The API takes from a node only pods that go when it goes. */
async function ownedByNode(client: KubeClient, pod: Pod, signal: AbortSignal): Promise<Pod> {
  const { nodeName: name = '' } = pod.spec;
  const { uid = '' } = (await client.get(kinds.Node, name, undefined, signal)).metadata;
  const owner = { apiVersion: 'v1', kind: 'Node', name, uid, controller: true };
  return { ...pod, metadata: { ...pod.metadata, ownerReferences: [owner] } };
}

/** In a list: a node may ask for a pod by its name only while it has one. */
async function readPod(
  client: KubeClient,
  name: string,
  namespace: string,
  nodeName: string,
  signal: AbortSignal,
): Promise<Pod | undefined> {
  const fieldSelector = `metadata.name=${name},spec.nodeName=${nodeName}`;
  return (await client.list(kinds.Pod, { namespace, fieldSelector, signal })).items[0];
}
