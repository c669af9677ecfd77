/** A snapshot out of single resources, which shares with the one before all that did not change. Pure. */
import type { ProxyResource, ProxyResourceKind } from '../../api/l7/index.ts';
import type { ProxySnapshot } from './snapshot.ts';

/** All but `settings`, which is one. */
type MappedKind = Exclude<ProxyResourceKind, 'settings'>;
type OfKind<Kind extends ProxyResourceKind> = Extract<ProxyResource, { readonly kind: Kind }>;
type Maps = { readonly [Kind in MappedKind]: Map<string, OfKind<Kind>> };

/** Undefined without settings. A map in which nothing changed is the one of `previous`. */
export function assembleSnapshot(
  resources: Iterable<ProxyResource>,
  previous: ProxySnapshot | undefined,
): ProxySnapshot | undefined {
  let settings: OfKind<'settings'> | undefined;
  const maps: Maps = {
    listener: new Map(),
    service: new Map(),
    routes: new Map(),
    backend: new Map(),
    authorization: new Map(),
    authentication: new Map(),
    'rate-limit': new Map(),
    telemetry: new Map(),
    extension: new Map(),
    provider: new Map(),
    secret: new Map(),
  };
  for (const resource of resources) {
    if (resource.kind === 'settings') settings = resource;
    // The map of its kind.
    else (maps[resource.kind] as Map<string, ProxyResource>).set(resource.name, resource);
  }
  if (!settings) return undefined;
  const policies = {
    authorization: share(previous?.policies.authorization, maps.authorization),
    authentication: share(previous?.policies.authentication, maps.authentication),
    'rate-limit': share(previous?.policies['rate-limit'], maps['rate-limit']),
    telemetry: share(previous?.policies.telemetry, maps.telemetry),
    extension: share(previous?.policies.extension, maps.extension),
  };
  const samePolicies = previous && sharesAll(previous.policies, policies);
  return {
    settings,
    listeners: share(previous?.listeners, maps.listener),
    services: share(previous?.services, maps.service as Map<OfKind<'service'>['name'], OfKind<'service'>>),
    routes: share(previous?.routes, maps.routes),
    backends: share(previous?.backends, maps.backend),
    policies: samePolicies ? previous.policies : policies,
    providers: share(previous?.providers, maps.provider),
    secrets: share(previous?.secrets, maps.secret),
  };
}

function share<Key, Value>(before: ReadonlyMap<Key, Value> | undefined, now: Map<Key, Value>): ReadonlyMap<Key, Value> {
  if (before?.size !== now.size) return now;
  for (const [key, value] of now) if (before.get(key) !== value) return now;
  return before;
}

function sharesAll<T extends object>(before: T, now: T): boolean {
  return Object.entries(now).every(([key, value]) => before[key as keyof T] === value);
}
