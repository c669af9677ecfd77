/** The resources of L7 proxies as sources of delta xDS: one a Gateway, by names that are the Gateway's own. */
import type { ProxyResource } from '../api/l7/index.ts';
import type { Collection } from '../collection/index.ts';
import type { ProxyResourceOf } from '../discovery/l7/contracts.ts';
import { systemClock, type Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { resourceVersion } from '../wire/index.ts';
import { createMutableSource, type MutableSource, type ResourceSource, type SourceResource } from '../xds/index.ts';

export interface ProxySourcesOptions {
  readonly collection: Collection<ProxyResourceOf>;
  readonly encode: (resource: ProxyResource) => Uint8Array;
  readonly clock?: Clock;
  readonly log: Log;
}

/**
 * How long a waypoint still serves a Service that it does not stand for any more: ztunnels hear of it at another moment, and
 * clients have connections.
 */
const lingerMs = 60_000;

interface Pending {
  readonly next: SourceResource | undefined;
  readonly before: ProxyResource | undefined;
}

export interface ProxySources {
  /** Of a Gateway, `<namespace>/<name>`; empty as long as nothing is known of it. */
  of(gateway: string): ResourceSource;
  /** Hands what the flushes collected to the subscribers, at once. */
  publish(): void;
}

export function createProxySources(options: ProxySourcesOptions): ProxySources {
  const { collection, encode, clock = systemClock, log } = options;
  const sources = new Map<string, MutableSource>();
  const pending = new Map<string, Map<string, Pending>>();
  /** What is gone and still told, by Gateway and name: since when. */
  const lingering = new Map<string, Map<string, object>>();
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
  const note = (gateway: string, name: string, change: Pending): void => {
    const changes = pending.get(gateway);
    if (changes) changes.set(name, change);
    else pending.set(gateway, new Map([[name, change]]));
  };
  /** What goes together with a Service lingers with it, so that all its names lead somewhere. */
  const withLeaving = (
    gateway: string,
    changes: ReadonlyMap<string, Pending>,
  ): Map<string, SourceResource | undefined> => {
    const isLeaving = [...changes.values()].some(({ next, before }) => !next && before?.kind === 'service');
    const told = new Map<string, SourceResource | undefined>();
    const left = new Map(lingering.get(gateway));
    const since = {};
    for (const [name, { next, before }] of changes) {
      left.delete(name);
      if (next || !isLeaving) told.set(name, next);
      else {
        left.set(name, since);
        if (before?.kind === 'service') told.set(name, encodeOnce({ ...before, leaving: true }));
      }
    }
    if (left.size > 0) lingering.set(gateway, left);
    else lingering.delete(gateway);
    if (isLeaving) clock.after(lingerMs, () => forget(gateway, since));
    return told;
  };
  const forget = (gateway: string, since: object): void => {
    const left = lingering.get(gateway) ?? new Map<string, object>();
    const gone = [...left].flatMap(([name, at]) => (at === since ? name : []));
    for (const name of gone) left.delete(name);
    if (left.size === 0) lingering.delete(gateway);
    if (gone.length > 0) sourceOf(gateway).update(new Map(gone.map((name) => [name, undefined])));
  };
  collection.subscribe((changes) => {
    for (const [key, { before, after }] of changes) {
      const owner = after ?? before;
      if (!owner) continue;
      const { kind, name } = owner.resource;
      try {
        note(owner.gateway, `${kind}/${name}`, {
          next: after && encodeOnce(after.resource),
          before: before?.resource,
        });
      } catch (error) {
        // What was sent before stays in force: better an old resource than none.
        log.error('cannot encode a resource', { collection: collection.name, name: key, error: messageOf(error) });
      }
    }
  });
  return {
    of: sourceOf,
    publish() {
      for (const [gateway, changes] of pending) sourceOf(gateway).update(withLeaving(gateway, changes));
      pending.clear();
    },
  };
}
