/** What kinds a server has now, Kubernetes' own and those of definitions, each in its preferred version. */
import type { KindRef } from '../../api/index.ts';
import type { KubeClient } from '../../kube/index.ts';

interface GroupList {
  readonly groups: readonly { readonly preferredVersion: { readonly groupVersion: string } }[];
}

interface ResourceList {
  readonly resources: readonly {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
    readonly verbs: readonly string[];
  }[];
}

/** Every kind that can be listed and deleted. Throws `kube.unreachable` and what the server refuses. */
export async function discoverKinds(client: KubeClient, signal: AbortSignal): Promise<KindRef[]> {
  const { groups } = await read<GroupList>(client, '/apis', signal);
  const versions = ['v1', ...groups.map(({ preferredVersion }) => preferredVersion.groupVersion)];
  const lists = await Promise.all(versions.map((groupVersion) => kindsIn(client, groupVersion, signal)));
  return lists.flat();
}

async function kindsIn(client: KubeClient, groupVersion: string, signal: AbortSignal): Promise<KindRef[]> {
  const [group = '', version = groupVersion] = groupVersion.includes('/') ? groupVersion.split('/') : [];
  const path = group === '' ? `/api/${version}` : `/apis/${groupVersion}`;
  const { resources } = await read<ResourceList>(client, path, signal);
  return resources
    .filter(({ name, verbs }) => !name.includes('/') && verbs.includes('list') && verbs.includes('delete'))
    .map(({ name, kind, namespaced }) => ({ group, version, kind, plural: name, namespaced }));
}

async function read<T>(client: KubeClient, path: string, signal: AbortSignal): Promise<T> {
  const response = await client.raw({ method: 'GET', path, signal });
  return JSON.parse(await response.body.text()) as T;
}
