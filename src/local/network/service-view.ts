/** Services and their EndpointSlices as the API has them, for rules and names alike. */
import { kinds, type EndpointSlice, type Service } from '../../api/index.ts';
import { objectKey, startInformer, type KubeClient } from '../../kube/index.ts';
import type { Log } from '../../lib/log.ts';
import { SliceIndex } from './slice-index.ts';

export interface ServiceView {
  /** By `namespace/name`. */
  readonly services: ReadonlyMap<string, Service>;
  readonly slicesOf: (serviceKey: string) => Iterable<EndpointSlice>;
  /** Both lists are in. */
  readonly synced: Promise<void>;
}

export interface ServiceViewOptions {
  readonly client: KubeClient;
  readonly signal: AbortSignal;
  readonly log: Log;
  /** A Service, or one of its slices, came, changed or went. */
  readonly onChange: (serviceKey: string) => void;
}

export function followServices(options: ServiceViewOptions): ServiceView {
  const { client, signal, log, onChange } = options;
  const index = new SliceIndex();
  const serviceChanged = (service: Service): void => onChange(objectKey(service));
  const services = startInformer<Service>(client, kinds.Service, {
    signal,
    log,
    onAdd: serviceChanged,
    onUpdate: (_, service) => serviceChanged(service),
    onDelete: serviceChanged,
  });
  const sliceChanged = (after: EndpointSlice | undefined, before: EndpointSlice | undefined): void => {
    for (const key of index.apply(after, before)) onChange(key);
  };
  const slices = startInformer<EndpointSlice>(client, kinds.EndpointSlice, {
    signal,
    log,
    onAdd: (slice) => sliceChanged(slice, undefined),
    onUpdate: (before, slice) => sliceChanged(slice, before),
    onDelete: (slice) => sliceChanged(undefined, slice),
  });
  return {
    services: services.store,
    slicesOf: (key) => index.of(key),
    synced: Promise.all([services.synced, slices.synced]).then(() => {}),
  };
}
