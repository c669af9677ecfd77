/** What the control plane keeps of an object: of a pod, a sixth of what the API server sends. */
import type { KubeObject } from '../api/meta.ts';

type Fields = Record<string, unknown>;

/** What discovery reads of a container: its ports, and whether it is a sidecar. */
const containerFields: ReadonlySet<string> = new Set(['name', 'image', 'ports', 'restartPolicy']);
/** Long, and read by nobody here. */
const podSpecDrops = ['volumes', 'tolerations', 'affinity', 'ephemeralContainers', 'topologySpreadConstraints'];
const podStatusDrops = ['containerStatuses', 'initContainerStatuses', 'ephemeralContainerStatuses'];
const nodeStatusDrops = ['images', 'volumesInUse', 'volumesAttached', 'nodeInfo', 'capacity', 'allocatable'];

/** Changes its argument. Managed fields are gone before (`kube/informer.ts`). */
export function slim<T extends KubeObject>(object: T): T {
  delete object.metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration'];
  const { spec, status } = object as { readonly spec?: Fields; readonly status?: Fields };
  if (object.kind === 'Pod') {
    drop(spec, podSpecDrops);
    drop(status, podStatusDrops);
    for (const list of [spec?.['containers'], spec?.['initContainers']]) {
      if (Array.isArray(list)) for (const container of list as Fields[]) keep(container, containerFields);
    }
  }
  if (object.kind === 'Node') drop(status, nodeStatusDrops);
  return object;
}

function drop(fields: Fields | undefined, names: readonly string[]): void {
  if (fields) for (const name of names) delete fields[name];
}

function keep(fields: Fields, names: ReadonlySet<string>): void {
  for (const name of Object.keys(fields)) if (!names.has(name)) delete fields[name];
}
