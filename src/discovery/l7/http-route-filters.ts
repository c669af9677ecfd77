/** Filters of HTTPRoute and GRPCRoute, of rules and of backends, in the terms of the model (ambient-l7, 2.3). Pure. */
import type { HTTPRoute } from '../../api/gateway.ts';
import type { CorsPolicy, HeaderChanges, HttpAction, Mirror, PathRewrite, UrlRewrite } from '../../api/l7/index.ts';
import { corsPolicy } from './http-route-cors.ts';
import type { ReferenceReader } from './gateway-api-backends.ts';

export type RouteFilter = NonNullable<NonNullable<HTTPRoute['spec']['rules']>[number]['filters']>[number];
type Redirect = Extract<HttpAction, { kind: 'redirect' }>;

export interface ReadFilters {
  readonly requestHeaders?: HeaderChanges;
  readonly responseHeaders?: HeaderChanges;
  readonly rewrite?: UrlRewrite;
  readonly redirect?: Redirect;
  readonly mirrors?: readonly Mirror[];
  readonly cors?: CorsPolicy;
  /** A filter cannot be honoured: what it stands before must answer with an error rather than do without it. */
  readonly isInvalid: boolean;
}

const ofBackends: ReadonlySet<RouteFilter['type']> = new Set([
  'RequestHeaderModifier',
  'ResponseHeaderModifier',
  'URLRewrite',
]);

export function readFilters(
  filters: readonly RouteFilter[] | undefined,
  options: { readonly path: string; readonly references: ReferenceReader; readonly isOfBackend?: boolean },
): ReadFilters {
  const { path, references, isOfBackend = false } = options;
  let read: ReadFilters = { isInvalid: false };
  const mirrors: Mirror[] = [];
  for (const [index, filter] of (filters ?? []).entries()) {
    const at = `${path}.filters[${index}]`;
    const one = isOfBackend && !ofBackends.has(filter.type) ? undefined : readFilter(filter, at, references, mirrors);
    if (one) read = { ...read, ...one };
    else {
      const where = isOfBackend ? ' at a backend' : '';
      references.refuse({
        reason: 'InvalidFilter',
        message: `filter ${filter.type}${where} is not supported: requests are answered with 500`,
        path: at,
      });
      read = { ...read, isInvalid: true };
    }
  }
  return mirrors.length > 0 ? { ...read, mirrors } : read;
}

function readFilter(
  filter: RouteFilter,
  path: string,
  references: ReferenceReader,
  mirrors: Mirror[],
): Partial<ReadFilters> | undefined {
  switch (filter.type) {
    case 'RequestHeaderModifier':
      return { requestHeaders: headerChanges(filter.requestHeaderModifier) };
    case 'ResponseHeaderModifier':
      return { responseHeaders: headerChanges(filter.responseHeaderModifier) };
    case 'RequestRedirect':
      return filter.requestRedirect && { redirect: redirect(filter.requestRedirect) };
    case 'URLRewrite':
      return filter.urlRewrite && { rewrite: urlRewrite(filter.urlRewrite) };
    case 'CORS':
      return filter.cors && { cors: corsPolicy(filter.cors) };
    case 'RequestMirror': {
      if (!filter.requestMirror) return undefined;
      const target = references.target(filter.requestMirror.backendRef, `${path}.requestMirror.backendRef`);
      // A copy that has nowhere to go harms nobody: the status tells of it.
      if (target.kind === 'backend') {
        mirrors.push({ backend: target.backend, percent: mirrorPercent(filter.requestMirror) });
      }
      return {};
    }
    case 'ExtensionRef':
    case 'ExternalAuth':
      return undefined;
  }
}

function headerChanges({ set = [], add = [], remove = [] }: RouteFilter['requestHeaderModifier'] = {}): HeaderChanges {
  // Proxies fill in commands between percent signs, which the Gateway API does not have.
  const pair = ({ name, value }: { readonly name: string; readonly value: string }): readonly [string, string] => [
    name.toLowerCase(),
    value.replaceAll('%', '%%'),
  ];
  return { set: set.map(pair), add: add.map(pair), remove: remove.map((name) => name.toLowerCase()) };
}

function redirect(filter: NonNullable<RouteFilter['requestRedirect']>): Redirect {
  const { scheme, hostname, port, path, statusCode = 302 } = filter;
  return {
    kind: 'redirect',
    status: statusCode,
    ...(scheme === undefined ? {} : { scheme }),
    ...(hostname === undefined ? {} : { hostname }),
    port: port ?? (scheme === undefined ? 'from-request' : 'from-scheme'),
    ...(path ? { path: pathRewrite(path) } : {}),
  };
}

function urlRewrite({ hostname, path }: NonNullable<RouteFilter['urlRewrite']>): UrlRewrite {
  return {
    ...(hostname === undefined ? {} : { authority: hostname }),
    ...(path ? { path: pathRewrite(path) } : {}),
  };
}

function pathRewrite(path: NonNullable<NonNullable<RouteFilter['urlRewrite']>['path']>): PathRewrite {
  return path.type === 'ReplaceFullPath'
    ? { kind: 'full', value: path.replaceFullPath ?? '/' }
    : { kind: 'prefix', value: path.replacePrefixMatch ?? '/', bySegments: true };
}

function mirrorPercent({ percent, fraction }: NonNullable<RouteFilter['requestMirror']>): number {
  if (percent !== undefined) return percent;
  return fraction ? (fraction.numerator / (fraction.denominator ?? 100)) * 100 : 100;
}
