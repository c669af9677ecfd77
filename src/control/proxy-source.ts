/** The resources of L7 proxies as sources of delta xDS: one a Gateway, by names that are the Gateway's own. */
import type { ProxyResource } from '../api/l7/index.ts';
import type { Collection } from '../collection/index.ts';
import type { ProxyResourceOf } from '../discovery/l7/contracts.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { resourceVersion } from '../wire/index.ts';
import { createMutableSource, type MutableSource, type ResourceSource, type SourceResource } from '../xds/index.ts';

export interface ProxySourcesOptions {
  readonly collection: Collection<ProxyResourceOf>;
  readonly encode: (resource: ProxyResource) => Uint8Array;
  readonly log: Log;
}

export interface ProxySources {
  /** Of a Gateway, `<namespace>/<name>`; empty as long as nothing is known of it. */
  of(gateway: string): ResourceSource;
  /** Hands what the flushes collected to the subscribers, at once. */
  publish(): void;
}

export function createProxySources({ collection, encode, log }: ProxySourcesOptions): ProxySources {
  const sources = new Map<string, MutableSource>();
  const pending = new Map<string, Map<string, SourceResource | undefined>>();
  /** Many Gateways share what discovery made once: encoded once. */
  const encoded = new WeakMap<ProxyResource, SourceResource>();

  const sourceOf = (gateway: string): MutableSource => {
    let source = sources.get(gateway);
    if (!source) sources.set(gateway, (source = createMutableSource()));
    return source;
  };
  const encodeOnce = (resource: ProxyResource): SourceResource => {
    const known = encoded.get(resource);
    if (known) return known;
    const body = encode(resource);
    const made = { version: resourceVersion(body), body };
    encoded.set(resource, made);
    return made;
  };
  const note = (gateway: string, name: string, resource: SourceResource | undefined): void => {
    const changes = pending.get(gateway);
    if (changes) changes.set(name, resource);
    else pending.set(gateway, new Map([[name, resource]]));
  };
  collection.subscribe((changes) => {
    for (const [key, { before, after }] of changes) {
      const owner = after ?? before;
      if (!owner) continue;
      const { kind, name } = owner.resource;
      try {
        note(owner.gateway, `${kind}/${name}`, after && encodeOnce(after.resource));
      } catch (error) {
        // What was sent before stays in force: better an old resource than none.
        log.error('cannot encode a resource', { collection: collection.name, name: key, error: messageOf(error) });
      }
    }
  });
  return {
    of: sourceOf,
    publish() {
      for (const [gateway, changes] of pending) sourceOf(gateway).update(changes);
      pending.clear();
    },
  };
}
