/** EndpointSlices by the Service that they belong to, so that one Service's are found without a look at all the others. */
import { serviceNameLabel, type EndpointSlice } from '../../api/index.ts';

export class SliceIndex {
  readonly #byService = new Map<string, Map<string, EndpointSlice>>();

  /** Slices of the Service `namespace/name`. */
  of(serviceKey: string): Iterable<EndpointSlice> {
    return this.#byService.get(serviceKey)?.values() ?? [];
  }

  /** Takes `after` in place of `before` and gives the keys of the Services that this concerns. */
  apply(after: EndpointSlice | undefined, before: EndpointSlice | undefined): string[] {
    const touched = new Set<string>();
    const old = before && ownerKey(before);
    if (before && old !== undefined) {
      touched.add(old);
      const slices = this.#byService.get(old);
      slices?.delete(before.metadata.name ?? '');
      if (slices?.size === 0) this.#byService.delete(old);
    }
    const owner = after && ownerKey(after);
    if (after && owner !== undefined) {
      touched.add(owner);
      const slices = this.#byService.get(owner) ?? new Map<string, EndpointSlice>();
      slices.set(after.metadata.name ?? '', after);
      this.#byService.set(owner, slices);
    }
    return [...touched];
  }
}

function ownerKey({ metadata }: EndpointSlice): string | undefined {
  const service = metadata.labels?.[serviceNameLabel];
  return service === undefined ? undefined : `${metadata.namespace}/${service}`;
}
