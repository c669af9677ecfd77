/**
 * Routes that a VirtualService leaves to another one (`delegate`): one route for each route of the other, whose matches are
 * both matches together, and whose other fields win (ambient-l7, 2.1). Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import type { VirtualService } from '../../api/istio.ts';
import type { Origin } from '../../api/l7/index.ts';
import { fullHost } from './host-names.ts';
import { originOf } from './l7-services.ts';
import type { RuleProblems } from './rule-problems.ts';
import type { VsDestination, VsHttp, VsHttpMatch, VsStringMatch } from './virtual-service-types.ts';

/** A route with where it was written. */
export interface SourcedRoute {
  readonly route: VsHttp;
  readonly origin: Origin;
  /** Hosts in it are in full, and seen from here. */
  readonly namespace: string;
  /** Of the object that is being translated, for its status. */
  readonly path: string;
}

export interface DelegateContext {
  readonly find: (namespace: string, name: string) => VirtualService | undefined;
  readonly clusterDomain: string;
  readonly problems: RuleProblems;
}

/** `<namespace>/<name>` of those that it leaves routes to. */
export function delegatesOf({ metadata, spec }: VirtualService): string[] {
  return (spec?.http ?? []).flatMap(({ delegate }) =>
    delegate ? `${delegate.namespace ?? metadata.namespace}/${delegate.name}` : [],
  );
}

export function httpRoutesOf(vs: VirtualService, context: DelegateContext): SourcedRoute[] {
  const { namespace = '' } = vs.metadata;
  return (vs.spec?.http ?? []).flatMap((written, index) => {
    const path = `spec.http[${index}]`;
    const route = withFullHosts(written, namespace, context.clusterDomain);
    if (route.delegate) return delegated(vs, route, path, context);
    return [{ route, origin: originOf('VirtualService', vs, path), namespace, path }];
  });
}

/** What a root and its delegate call by one short name may be two Services. */
function withFullHosts(route: VsHttp, namespace: string, clusterDomain: string): VsHttp {
  const full = <T extends VsDestination>(destination: T): T => ({
    ...destination,
    host: fullHost(destination.host, namespace, clusterDomain),
  });
  return {
    ...route,
    ...(route.route ? { route: route.route.map((one) => ({ ...one, destination: full(one.destination) })) } : {}),
    ...(route.mirror ? { mirror: full(route.mirror) } : {}),
    ...(route.mirrors ? { mirrors: route.mirrors.map((one) => ({ ...one, destination: full(one.destination) })) } : {}),
  };
}

function delegated(vs: VirtualService, root: VsHttp, path: string, context: DelegateContext): SourcedRoute[] {
  const { find, clusterDomain, problems } = context;
  const { name = '', namespace = vs.metadata.namespace ?? '' } = root.delegate ?? {};
  const delegate = find(namespace, name);
  const refuse = (message: string): [] => {
    problems.fault(`${path}.delegate`, 'DelegateNotFound', message);
    return [];
  };
  if (!delegate) return refuse(`VirtualService ${namespace}/${name} does not exist: the route is left out`);
  if ((delegate.spec?.hosts ?? []).length > 0) {
    return refuse(`VirtualService ${namespace}/${name} has hosts of its own: the route is left out`);
  }
  return (delegate.spec?.http ?? []).flatMap((written, index) => {
    const own = withFullHosts(written, namespace, clusterDomain);
    const ownPath = `spec.http[${index}]`;
    const place = `${path}.delegate(${namespace}/${name}).${ownPath}`;
    if (own.delegate) {
      problems.fault(place, 'UnsupportedValue', 'a delegate may not delegate: the route is left out');
      return [];
    }
    const match = mergeMatches(root.match, own.match);
    if (match === 'conflict') {
      problems.fault(place, 'Invalid', `its matches fit none of ${path}: the route is left out`);
      return [];
    }
    const merged = mergeRoutes(root, own, match);
    return [{ route: merged, origin: originOf('VirtualService', delegate, ownPath), namespace, path: place }];
  });
}

function mergeRoutes(root: VsHttp, own: VsHttp, match: VsHttpMatch[]): VsHttp {
  const { delegate: _, match: __, name: rootName, ...above } = root;
  const names = [rootName, own.name].filter((name) => name !== undefined && name !== '');
  // Mirrors are one thing in several spellings.
  const mirrored = own.mirror ?? own.mirrors;
  const { mirror, mirrors, mirrorPercentage, mirrorPercent, mirror_percent, ...plain } = above;
  const mirroring = { mirror, mirrors, mirrorPercentage, mirrorPercent, mirror_percent };
  const inherited = mirrored ? plain : { ...plain, ...withoutUndefined(mirroring) };
  return {
    ...inherited,
    ...withoutUndefined(own),
    ...(names.length > 0 ? { name: names.join('-') } : {}),
    ...(match.length > 0 ? { match } : {}),
  };
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;
}

/** Every pair that can hold at once. A delegate's match that fits no match of the root drops the route, as in Istio. */
function mergeMatches(root: VsHttpMatch[] = [], own: VsHttpMatch[] = []): VsHttpMatch[] | 'conflict' {
  if (root.length === 0 || own.length === 0) return [...root, ...own];
  const merged: VsHttpMatch[] = [];
  for (const inner of own) {
    const fitting = root.flatMap((outer) => mergeMatch(outer, inner) ?? []);
    if (fitting.length === 0) return 'conflict';
    merged.push(...fitting);
  }
  return merged;
}

function mergeMatch(root: VsHttpMatch, own: VsHttpMatch): VsHttpMatch | undefined {
  if (own.gateways && root.gateways && !own.gateways.every((gateway) => root.gateways?.includes(gateway)))
    return undefined;
  if (root.port !== undefined && own.port !== undefined && root.port !== own.port) return undefined;
  if (root.sourceNamespace && own.sourceNamespace && root.sourceNamespace !== own.sourceNamespace) return undefined;
  const uri = mergePath(root, own);
  const scheme = mergeText(root.scheme, own.scheme);
  const method = mergeText(root.method, own.method);
  const authority = mergeText(root.authority, own.authority);
  const maps = (['headers', 'withoutHeaders', 'queryParams', 'sourceLabels'] as const).map((field) => {
    const outer: Readonly<Record<string, unknown>> = root[field] ?? {};
    const both: Readonly<Record<string, unknown>> = { ...outer, ...own[field] };
    const agrees = Object.entries(outer).every(([name, value]) => isDeepStrictEqual(both[name], value));
    return agrees ? ([field, both] as const) : undefined;
  });
  const known = maps.filter((map) => map !== undefined);
  if ([uri, scheme, method, authority].includes('conflict') || known.length < maps.length) return undefined;
  const names = [root.name, own.name].filter((name) => name !== undefined && name !== '');
  return {
    ...root,
    ...own,
    ...withoutUndefined({ uri, scheme, method, authority } as Pick<
      VsHttpMatch,
      'uri' | 'scheme' | 'method' | 'authority'
    >),
    ...Object.fromEntries(known.filter(([, both]) => Object.keys(both).length > 0)),
    ...(names.length > 0 ? { name: names.join('-') } : {}),
  };
}

type Merged = VsStringMatch | undefined | 'conflict';

/** The delegate's path must lie under the root's prefix. */
function mergePath(root: VsHttpMatch, own: VsHttpMatch): Merged {
  const [outer, inner] = [root.uri, own.uri];
  if (!outer || !inner) return inner ?? outer;
  if (isDeepStrictEqual(outer, inner)) return inner;
  const text = inner.exact ?? inner.prefix;
  if (outer.prefix === undefined || text === undefined || inner.regex !== undefined) return 'conflict';
  const isFolded = root.ignoreUriCase === true && own.ignoreUriCase === true;
  const isUnder = isFolded ? text.toLowerCase().startsWith(outer.prefix.toLowerCase()) : text.startsWith(outer.prefix);
  return isUnder ? inner : 'conflict';
}

function mergeText(outer: VsStringMatch | undefined, inner: VsStringMatch | undefined): Merged {
  if (!outer || !inner) return inner ?? outer;
  if (isDeepStrictEqual(outer, inner)) return inner;
  const text = inner.exact ?? inner.prefix;
  if (outer.prefix === undefined || text === undefined || inner.regex !== undefined) return 'conflict';
  return text.startsWith(outer.prefix) ? inner : 'conflict';
}
