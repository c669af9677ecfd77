/** The CORS filter of HTTPRoute in the terms of the model. Pure. */
import type { CorsPolicy, TextMatch } from '../../api/l7/index.ts';
import type { RouteFilter } from './http-route-filters.ts';

const defaultMaxAgeSeconds = 5;

export function corsPolicy(filter: NonNullable<RouteFilter['cors']>): CorsPolicy {
  const { allowOrigins = [], allowMethods = [], allowHeaders = [], exposeHeaders = [] } = filter;
  return {
    allowOrigins: allowOrigins.map(originMatch),
    allowMethods,
    allowHeaders,
    exposeHeaders,
    maxAgeSeconds: filter.maxAge ?? defaultMaxAgeSeconds,
    allowCredentials: filter.allowCredentials ?? false,
    unmatchedPreflights: 'ignore',
  };
}

/** `*` is every origin; in a host, one star stands for one or more labels: `https://*.example.com`. */
function originMatch(origin: string): TextMatch {
  if (origin === '*') return { kind: 'present' };
  if (!origin.includes('*')) return { kind: 'exact', value: origin };
  const [before = '', ...after] = origin
    .split('*')
    .map((part) => part.replaceAll(/[.+?^$()[\]{}|\\]/g, String.raw`\$&`));
  return { kind: 'regex', value: `${before}[^/]+${after.join('[^/]+')}` };
}
