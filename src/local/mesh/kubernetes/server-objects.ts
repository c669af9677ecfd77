/** What Kubernetes' own server lacks for a mesh, and the embedded one brings: permissions, the mesh's kinds, one Pod of each component a node. */
import { createHash } from 'node:crypto';
import { kinds, systemNamespace, type KindRef, type KubeObject } from '../../../api/index.ts';
import { crdOf, type CustomResourceDefinition } from '../../../api/custom/crd.ts';
import { customKinds } from '../../../api/custom/index.ts';
import type { KubeClient } from '../../../kube/index.ts';
import { sleep } from '../../../lib/clock.ts';
import { podLabels, type SystemPod } from '../static-pods.ts';
import { createIfMissing, type Wanted } from '../system-objects.ts';
import { kubeletClientUser } from './server-files.ts';

const rbacGroup = 'rbac.authorization.k8s.io';
const customResourceDefinition: KindRef<CustomResourceDefinition> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};
const daemonSet: KindRef<DaemonSet> = {
  group: 'apps',
  version: 'v1',
  kind: 'DaemonSet',
  plural: 'daemonsets',
  namespaced: true,
};

interface DaemonSet extends KubeObject {
  spec?: unknown;
}

/** Says which manifest a DaemonSet was made of. */
const manifestHashAnnotation = 'ambit.dev/manifest-hash';

export interface ServerObjectsOptions {
  readonly client: KubeClient;
  readonly pods: readonly SystemPod[];
}

/** Makes what is missing, and brings what is ours up to date. Resolves when every kind is served. */
export async function ensureServerObjects(options: ServerObjectsOptions): Promise<void> {
  const { client, pods } = options;
  await ensureDefinitions(client);
  for (const pod of pods) await ensureDaemonSet(client, pod);
}

/** What nodes of ours need of any cluster. */
export async function ensureNodeBindings(client: KubeClient): Promise<void> {
  for (const wanted of nodeBindings()) await createIfMissing(client, wanted);
}

/** What a node of ours may do beyond a kubelet: it routes Services itself. And the API server may ask the nodes. */
function nodeBindings(): Wanted[] {
  const bind = (name: string, role: string, subject: { kind: 'User' | 'Group'; name: string }): Wanted => ({
    kind: kinds.ClusterRoleBinding,
    object: {
      metadata: { name },
      subjects: [{ apiGroup: rbacGroup, ...subject }],
      roleRef: { apiGroup: rbacGroup, kind: 'ClusterRole', name: role },
    },
  });
  return [
    bind('ambit:node-proxier', 'system:node-proxier', { kind: 'Group', name: 'system:nodes' }),
    bind('ambit:kubelet-api', 'system:kubelet-api-admin', { kind: 'User', name: kubeletClientUser }),
  ];
}

async function ensureDefinitions(client: KubeClient): Promise<void> {
  const definitions = customKinds.map(crdOf);
  for (const object of definitions) {
    if (await createIfMissing(client, { kind: customResourceDefinition, object: { ...object } })) continue;
    const { resourceVersion } = (await client.get(customResourceDefinition, object.metadata.name ?? '')).metadata;
    const metadata = { ...object.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
    await client.replace(customResourceDefinition, { ...object, metadata });
  }
  const isEstablished = async ({ metadata }: CustomResourceDefinition): Promise<boolean> => {
    const { status } = await client.get(customResourceDefinition, metadata.name ?? '');
    return status?.conditions?.some(({ type, status: is }) => type === 'Established' && is === 'True') ?? false;
  };
  for (const definition of definitions) while (!(await isEstablished(definition))) await sleep(50);
}

async function ensureDaemonSet(client: KubeClient, { app, spec }: SystemPod): Promise<void> {
  const labels = podLabels(app);
  const hash = createHash('sha256').update(JSON.stringify({ labels, spec })).digest('hex').slice(0, 16);
  const metadata = { name: app, namespace: systemNamespace, labels, annotations: { [manifestHashAnnotation]: hash } };
  const object = {
    metadata,
    spec: { selector: { matchLabels: { app } }, template: { metadata: { labels }, spec } },
  };
  if (await createIfMissing(client, { kind: daemonSet, object })) return;
  const found = await client.get(daemonSet, app, systemNamespace);
  if (found.metadata.annotations?.[manifestHashAnnotation] === hash) return;
  const { resourceVersion } = found.metadata;
  await client.replace(daemonSet, {
    ...object,
    metadata: { ...metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
  });
}
