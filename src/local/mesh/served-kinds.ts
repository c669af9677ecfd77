/** Which kinds an API server has, by its discovery: those of definitions that somebody applied are among them. */
import type { KindRef, KubeObject } from '../../api/index.ts';
import { isKubeError, type KubeClient } from '../../kube/index.ts';
import { sleep } from '../../lib/clock.ts';

interface ResourceList {
  readonly resources?: readonly { readonly name: string; readonly kind: string; readonly namespaced: boolean }[];
}

/** A definition that was just applied is served a moment later. */
const patienceMs = 5_000;
const pollMs = 100;

/**
 * Finds a kind by `apiVersion` and kind. What is not served yet is asked for again, for up to 5 s, if `isExpected` says that its
 * definition was applied just now.
 */
export async function findServedKind(
  client: KubeClient,
  wanted: { readonly apiVersion: string; readonly kind: string },
  isExpected: boolean,
): Promise<KindRef<KubeObject> | undefined> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    const found = await lookUp(client, wanted);
    if (found || !isExpected || performance.now() > deadlineMs) return found;
    await sleep(pollMs);
  }
}

async function lookUp(
  client: KubeClient,
  { apiVersion, kind }: { readonly apiVersion: string; readonly kind: string },
): Promise<KindRef<KubeObject> | undefined> {
  const slash = apiVersion.indexOf('/');
  const [group, version] = slash < 0 ? ['', apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
  const path =
    group === ''
      ? `/api/${encodeURIComponent(version)}`
      : `/apis/${encodeURIComponent(group)}/${encodeURIComponent(version)}`;
  try {
    const response = await client.raw({ method: 'GET', path });
    const { resources = [] } = JSON.parse(await response.body.text()) as ResourceList;
    const found = resources.find((resource) => resource.kind === kind && !resource.name.includes('/'));
    return found && { group, version, kind, plural: found.name, namespaced: found.namespaced };
  } catch (error) {
    if (isKubeError(error) && error.status === 404) return undefined;
    throw error;
  }
}
