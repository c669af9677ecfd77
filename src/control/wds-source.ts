/** A derived collection as resources of delta xDS: each change encoded once, whoever subscribes. */
import type { Changes, Collection } from '../collection/index.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { resourceVersion } from '../wire/index.ts';
import { createMutableSource, type ResourceSource, type SourceResource } from '../xds/index.ts';

export interface WdsSourceOptions<V> {
  readonly collection: Collection<V>;
  readonly encode: (value: V) => Uint8Array;
  /** Further names that on-demand clients ask by. */
  readonly aliases?: (value: V) => readonly string[];
  readonly log: Log;
}

export interface WdsSource {
  readonly source: ResourceSource;
  /** Hands what the flushes collected to the subscribers, at once. */
  publish(): void;
}

export function createWdsSource<V>(options: WdsSourceOptions<V>): WdsSource {
  const { collection, encode, aliases, log } = options;
  const source = createMutableSource();
  const pending = new Map<string, SourceResource | undefined>();
  collection.subscribe((changes: Changes<V>) => {
    for (const [name, { after }] of changes) {
      if (after === undefined) {
        pending.set(name, undefined);
        continue;
      }
      try {
        const body = encode(after);
        pending.set(name, { version: resourceVersion(body), body, ...(aliases ? { aliases: aliases(after) } : {}) });
      } catch (error) {
        // What was sent before stays in force: better an old resource than none.
        log.error('cannot encode a resource', { collection: collection.name, name, error: messageOf(error) });
      }
    }
  });
  return {
    source,
    publish() {
      if (pending.size === 0) return;
      source.update(pending);
      pending.clear();
    },
  };
}
