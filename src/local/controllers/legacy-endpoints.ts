/** Endpoints, for those who still read them: the EndpointSlices of a Service in their older form. */
import { isDeepStrictEqual } from 'node:util';
import {
  kinds,
  serviceNameLabel,
  type Endpoint,
  type EndpointAddress,
  type Endpoints,
  type EndpointSlice,
  type EndpointSubset,
  type Service,
} from '../../api/index.ts';
import { isKubeError, objectKey } from '../../kube/index.ts';
import { isLive, type Cluster, type Controller } from './cluster.ts';
import { openSource } from './source.ts';
import { createWorkQueue } from './work-queue.ts';

const managedByLabel = 'endpoints.kubernetes.io/managed-by';
const manager = 'endpoint-controller';
/** No more addresses than this are written, as in Kubernetes. */
const maxAddresses = 1000;

export function createEndpointsController(cluster: Cluster): Controller & { readonly synced: Promise<void> } {
  const { client, clock, services, slices, signal } = cluster;
  const log = cluster.log.child('endpoints');
  const queue = createWorkQueue({ reconcile, signal, log, clock });
  const stored = openSource(kinds.Endpoints, { client, signal, log });

  services.onChange((after, before) => {
    const service = after ?? before;
    if (service) queue.add(objectKey(service));
  });
  slices.onChange((after, before) => {
    const { namespace, labels } = (after ?? before)?.metadata ?? {};
    if (labels?.[serviceNameLabel]) queue.add(`${namespace}/${labels[serviceNameLabel]}`);
  });
  stored.onChange((after, before) => {
    if (!after && before) queue.add(objectKey(before));
  });
  return { ...queue, synced: stored.synced };

  async function reconcile(key: string): Promise<void> {
    const service = services.store.get(key);
    const existing = stored.store.get(key);
    const isOurs = existing?.metadata.labels?.[managedByLabel] === manager;
    if (!service || service.metadata.deletionTimestamp) {
      if (existing && isOurs) await remove(existing);
      return;
    }
    // Without a selector they are somebody else's.
    if (!service.spec?.selector || !isLive(cluster, service.metadata.namespace)) return;
    const own = [...slices.store.values()].filter(
      ({ metadata }) =>
        metadata.namespace === service.metadata.namespace &&
        metadata.labels?.[serviceNameLabel] === service.metadata.name,
    );
    const wanted = planEndpoints(service, own);
    if (!existing) await create(wanted);
    else if (
      !isDeepStrictEqual(existing.subsets ?? [], wanted.subsets ?? []) ||
      !isDeepStrictEqual(existing.metadata.labels, wanted.metadata.labels)
    ) {
      const { resourceVersion = '' } = existing.metadata;
      await client.replace(
        kinds.Endpoints,
        { ...wanted, metadata: { ...wanted.metadata, resourceVersion } },
        undefined,
        signal,
      );
    }
  }

  async function create(endpoints: Endpoints): Promise<void> {
    await client.create(kinds.Endpoints, endpoints, signal).catch((error: unknown) => {
      if (!isKubeError(error, 'kube.already-exists')) throw error;
    });
  }

  async function remove({ metadata: { name = '', namespace } }: Endpoints): Promise<void> {
    await client.delete(kinds.Endpoints, name, namespace, { signal }).catch((error: unknown) => {
      if (!isKubeError(error, 'kube.not-found')) throw error;
    });
  }
}

/** The addresses of one family, grouped by their ports. */
export function planEndpoints(service: Service, slices: readonly EndpointSlice[]): Endpoints {
  const { name = '', namespace = '', labels } = service.metadata;
  const family = service.spec?.ipFamilies?.[0] ?? 'IPv4';
  const subsets = slices
    .filter(({ addressType }) => addressType === family)
    .toSorted((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1))
    .flatMap((slice) => subsetOf(slice) ?? []);
  const isHeadless = service.spec?.clusterIP === 'None';
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: {
      name,
      namespace,
      labels: { ...labels, [managedByLabel]: manager, ...(isHeadless && { 'service.kubernetes.io/headless': '' }) },
    },
    ...(subsets.length > 0 && { subsets }),
  };
}

function subsetOf({ endpoints, ports }: EndpointSlice): EndpointSubset | undefined {
  const living = endpoints.filter(({ conditions }) => !conditions?.terminating).slice(0, maxAddresses);
  const ready = living.filter(({ conditions }) => conditions?.ready !== false);
  const notReady = living.filter(({ conditions }) => conditions?.ready === false);
  if (living.length === 0) return undefined;
  return {
    ...(ready.length > 0 && { addresses: ready.flatMap(addressesOf) }),
    ...(notReady.length > 0 && { notReadyAddresses: notReady.flatMap(addressesOf) }),
    ...(ports &&
      ports.length > 0 && {
        ports: ports.flatMap(({ name, port, protocol, appProtocol }) =>
          port === undefined
            ? []
            : [{ ...(name && { name }), port, protocol: protocol ?? 'TCP', ...(appProtocol && { appProtocol }) }],
        ),
      }),
  };
}

function addressesOf({ addresses, hostname, nodeName, targetRef }: Endpoint): EndpointAddress[] {
  return addresses.map((ip) => ({
    ip,
    ...(hostname !== undefined && { hostname }),
    ...(nodeName !== undefined && { nodeName }),
    ...(targetRef && { targetRef }),
  }));
}
