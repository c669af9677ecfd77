/** EndpointSlices of Services that have a selector; those without are somebody else's. */
import { isDeepStrictEqual } from 'node:util';
import {
  kinds,
  matchesLabels,
  serviceNameLabel,
  sliceManagedByLabel,
  type EndpointSlice,
  type Pod,
} from '../../api/index.ts';
import { isKubeError, objectKey } from '../../kube/index.ts';
import { isLive, type Cluster, type Controller } from './cluster.ts';
import { planSlices, sliceManager } from './endpoints.ts';
import { createWorkQueue } from './work-queue.ts';

export function createEndpointSliceController(cluster: Cluster): Controller {
  const { client, clock, services, slices, pods, signal } = cluster;
  const queue = createWorkQueue({ reconcile, signal, log: cluster.log.child('endpointslice'), clock });

  services.onChange((after, before) => {
    const service = after ?? before;
    if (service) queue.add(objectKey(service));
  });
  slices.onChange((after, before) => {
    const slice = after ?? before;
    const { namespace, labels } = slice?.metadata ?? {};
    if (labels?.[sliceManagedByLabel] === sliceManager) queue.add(`${namespace}/${labels[serviceNameLabel]}`);
  });
  pods.onChange((after, before) => {
    for (const pod of [after, before]) if (pod) addServicesOf(pod);
  });
  return queue;

  function addServicesOf({ metadata }: Pod): void {
    for (const [key, service] of services.store) {
      if (service.metadata.namespace !== metadata.namespace || !service.spec?.selector) continue;
      if (matchesLabels(metadata.labels, service.spec.selector)) queue.add(key);
    }
  }

  async function reconcile(key: string): Promise<void> {
    const service = services.store.get(key);
    // The slices of a Service that is gone go with it: garbage collection.
    if (!service || service.metadata.deletionTimestamp || !isLive(cluster, service.metadata.namespace)) return;
    const wanted = planSlices(service, pods.store.values());
    const { name, namespace } = service.metadata;
    const stored = [...slices.store.values()].filter(
      ({ metadata }) =>
        metadata.namespace === namespace &&
        metadata.labels?.[serviceNameLabel] === name &&
        metadata.labels?.[sliceManagedByLabel] === sliceManager,
    );
    const byName = new Map(stored.map((slice) => [slice.metadata.name, slice]));
    for (const [sliceName, slice] of wanted) await write(slice, byName.get(sliceName));
    if (wanted.size === 0) return;
    for (const { metadata } of stored) {
      if (wanted.has(metadata.name ?? '')) continue;
      await client
        .delete(kinds.EndpointSlice, metadata.name ?? '', metadata.namespace, { signal })
        .catch((error: unknown) => {
          if (!isKubeError(error, 'kube.not-found')) throw error;
        });
    }
  }

  async function write(slice: EndpointSlice, stored: EndpointSlice | undefined): Promise<void> {
    if (!stored) {
      await client.create(kinds.EndpointSlice, slice, signal);
      return;
    }
    const { labels, ownerReferences } = slice.metadata;
    const metadata = { ...stored.metadata, labels: labels ?? {}, ownerReferences: ownerReferences ?? [] };
    const same =
      isDeepStrictEqual(metadata, stored.metadata) &&
      isDeepStrictEqual(slice.endpoints, stored.endpoints) &&
      isDeepStrictEqual(slice.ports ?? [], stored.ports ?? []);
    if (!same) await client.replace(kinds.EndpointSlice, { ...slice, metadata }, undefined, signal);
  }
}
