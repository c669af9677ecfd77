/** Pure: what a container's status says of how it was made, as kubelet 1.35 writes it. */
import type { Container, ContainerStatus, VolumeMount, VolumeMountStatus } from '../../api/index.ts';

type ContainerFacts = Pick<ContainerStatus, 'allocatedResources' | 'resources' | 'user' | 'volumeMounts'>;

/** `user`: as the container sees itself; told while it runs. */
export function containerFacts(
  container: Container,
  user: { readonly user: number; readonly group: number } | undefined,
): ContainerFacts {
  const { resources = {}, volumeMounts = [] } = container;
  const { limits, requests } = resources;
  const facts: ContainerFacts = { resources: { ...(limits && { limits }), ...(requests && { requests }) } };
  if (requests && Object.keys(requests).length > 0) facts.allocatedResources = requests;
  if (volumeMounts.length > 0) facts.volumeMounts = volumeMounts.map(mountStatus);
  if (user) facts.user = { linux: { uid: user.user, gid: user.group, supplementalGroups: [user.group] } };
  return facts;
}

/** What is mounted below a read-only mount stays as it is. */
function mountStatus({ name, mountPath, readOnly }: VolumeMount): VolumeMountStatus {
  return { name, mountPath, ...(readOnly ? { readOnly, recursiveReadOnly: 'Disabled' } : {}) };
}
