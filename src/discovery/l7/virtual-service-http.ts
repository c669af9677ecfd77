/** `http` of a VirtualService -> rules of the model, for one port of one Service (ambient-l7, 2.1). Pure. */
import type {
  HttpAction,
  HttpMatch,
  HttpRule,
  Mirror,
  PathRewrite,
  RetryPolicy,
  RouteTable,
  UrlRewrite,
} from '../../api/l7/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { parseRegex } from '../../policy/text-match.ts';
import { decodeProxyResource, encodeProxyResource, proxyResourceName } from '../../wire/index.ts';
import { milliseconds } from './durations.ts';
import { causesWithoutEffect, retryPolicy, type HttpRetries } from './retries.ts';
import type { SourcedRoute } from './virtual-service-delegates.ts';
import { destinationTarget, weighted, type DestinationContext } from './virtual-service-destinations.ts';
import { httpMatch } from './virtual-service-match.ts';
import { corsPolicy, faultInjection, withHeaders } from './virtual-service-policy.ts';
import type { VsHttp } from './virtual-service-types.ts';

/** A rule that cannot be translated answers what it matches with an error, and leaves the others alone. */
const brokenStatus = 500;

export function httpRules(sourced: SourcedRoute, context: DestinationContext): HttpRule[] {
  const { route, origin, path } = sourced;
  const matches = matchesOf(route, path, context);
  if (!matches) return [];
  const common = { name: ruleName(sourced), origin };
  try {
    return partsByRewrite(route, matches).map(({ rewrite, matches: some }) => {
      const rule = { ...common, matches: some, ...behaviour(sourced, rewrite, context) };
      checkRule(rule);
      return rule;
    });
  } catch (error) {
    const message = `${messageOf(error)}: what it matches is answered with ${brokenStatus}`;
    context.problems.fault(path, 'Invalid', message);
    return [{ ...common, matches, action: { kind: 'respond', status: brokenStatus } }];
  }
}

/** Throws what a proxy would refuse it for, and everything else with it. */
function checkRule(rule: HttpRule): void {
  const hosts = [{ domains: ['*'], rules: [rule] }];
  const table: RouteTable = { kind: 'routes', name: 'rule', hosts, tls: [], tcp: [] };
  decodeProxyResource(proxyResourceName(table), encodeProxyResource(table));
}

/** Undefined: nothing matches it here. */
function matchesOf(route: VsHttp, path: string, { port, problems }: DestinationContext): HttpMatch[] | undefined {
  const { match = [] } = route;
  if (match.length === 0) return [];
  const found = match.flatMap(
    (one, index) => httpMatch(one, { path: `${path}.match[${index}]`, port, problems }) ?? [],
  );
  // One alternative that takes everything leaves nothing for the others.
  if (found.some((one) => Object.keys(one).length === 0)) return [];
  return found.length > 0 ? found : undefined;
}

/** `reviews-route` or `shop.reviews.0`. */
function ruleName({ route, origin }: SourcedRoute): string {
  return route.name || `${origin.namespace}.${origin.name}.${/\d+/.exec(origin.path ?? '')?.[0] ?? 0}`;
}

interface Part {
  readonly matches: readonly HttpMatch[];
  readonly rewrite: UrlRewrite | undefined;
}

/** What `rewrite.uri` replaces is what matched: of an expression, the whole path. */
function partsByRewrite({ rewrite }: VsHttp, matches: readonly HttpMatch[]): Part[] {
  if (!rewrite) return [{ matches, rewrite: undefined }];
  const { uri, authority, uriRegexRewrite } = rewrite;
  const withPath = (path: PathRewrite | undefined): UrlRewrite => ({
    ...(authority ? { authority } : {}),
    ...(path ? { path } : {}),
  });
  if (uriRegexRewrite) {
    const pattern = uriRegexRewrite.match ?? '';
    parseRegex(pattern);
    return [{ matches, rewrite: withPath({ kind: 'regex', pattern, value: uriRegexRewrite.rewrite ?? '' }) }];
  }
  if (!uri) return [{ matches, rewrite: withPath(undefined) }];
  const byRegex = matches.filter(({ path }) => path?.kind === 'regex');
  const others = matches.filter(({ path }) => path?.kind !== 'regex');
  const parts: Part[] = [];
  if (others.length > 0 || byRegex.length === 0)
    parts.push({ matches: others, rewrite: withPath({ kind: 'prefix', value: uri, bySegments: false }) });
  if (byRegex.length > 0) parts.push({ matches: byRegex, rewrite: withPath({ kind: 'full', value: uri }) });
  return parts;
}

function behaviour(
  sourced: SourcedRoute,
  rewrite: UrlRewrite | undefined,
  context: DestinationContext,
): Omit<HttpRule, 'name' | 'origin' | 'matches'> {
  const { route, path } = sourced;
  const timeoutMs = milliseconds(route.timeout);
  const fault = route.fault && faultInjection(route.fault, `${path}.fault`, context.problems);
  const mirrors = mirrorsOf(sourced, context);
  return {
    action: actionOf(sourced, rewrite, context),
    ...withHeaders(route.headers, `${path}.headers`, context.problems),
    ...(timeoutMs ? { timeoutMs } : {}),
    ...(route.retries ? { retry: retriesOf(route.retries, `${path}.retries`, context) } : {}),
    ...(fault ? { fault } : {}),
    ...(mirrors.length > 0 ? { mirrors } : {}),
    ...(route.corsPolicy ? { cors: corsPolicy(route.corsPolicy) } : {}),
  };
}

function retriesOf(retries: HttpRetries, path: string, { problems }: DestinationContext): RetryPolicy {
  for (const cause of causesWithoutEffect(retries)) {
    problems.note(`${path}.retryOn`, `${cause} is no cause that waypoints see`);
  }
  return retryPolicy(retries);
}

function actionOf(sourced: SourcedRoute, rewrite: UrlRewrite | undefined, context: DestinationContext): HttpAction {
  const { route, path, namespace } = sourced;
  if (route.redirect) return redirectOf(route.redirect);
  if (route.directResponse) return respondOf(route.directResponse);
  const destinations = weighted(route.route ?? []).map(({ route: one, index, weight }) => ({
    weight,
    target: destinationTarget(one.destination, { path: `${path}.route[${index}].destination`, namespace }, context),
    ...withHeaders(one.headers, `${path}.route[${index}].headers`, context.problems),
  }));
  if (destinations.length === 0) throw new Error('Cannot translate the route: it leads nowhere');
  return { kind: 'forward', destinations, ...(rewrite ? { rewrite } : {}) };
}

const movedPermanently = 301;

function redirectOf(redirect: NonNullable<VsHttp['redirect']>): HttpAction {
  const { uri, prefixRewrite, authority, scheme, port, derivePort, redirectCode } = redirect;
  const derived = { FROM_PROTOCOL_DEFAULT: 'from-scheme', FROM_REQUEST_PORT: 'from-request' } as const;
  const target = port ?? (derivePort && derived[derivePort]);
  const path: PathRewrite | undefined = uri
    ? { kind: 'full', value: uri }
    : prefixRewrite
      ? { kind: 'prefix', value: prefixRewrite, bySegments: false }
      : undefined;
  return {
    kind: 'redirect',
    status: redirectCode || movedPermanently,
    ...(scheme ? { scheme } : {}),
    ...(authority ? { hostname: authority } : {}),
    ...(target === undefined ? {} : { port: target }),
    ...(path ? { path } : {}),
  };
}

function respondOf({ status, body }: NonNullable<VsHttp['directResponse']>): HttpAction {
  if (body?.string !== undefined) return { kind: 'respond', status, body: body.string };
  if (body?.bytes === undefined) return { kind: 'respond', status };
  const bytes = Buffer.from(body.bytes, 'base64');
  const text = bytes.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(bytes)) {
    throw new Error('Cannot translate directResponse.body.bytes: they are no text in UTF-8');
  }
  return { kind: 'respond', status, body: text };
}

function mirrorsOf({ route, path, namespace }: SourcedRoute, context: DestinationContext): Mirror[] {
  const older = route.mirrorPercentage?.value ?? route.mirrorPercent ?? route.mirror_percent ?? 100;
  const wanted = route.mirror
    ? [{ destination: route.mirror, percent: older, path: `${path}.mirror` }]
    : (route.mirrors ?? []).map(({ destination, percentage }, index) => ({
        destination,
        percent: percentage?.value ?? (percentage ? 0 : 100),
        path: `${path}.mirrors[${index}].destination`,
      }));
  return wanted.flatMap(({ destination, percent, path: at }) => {
    if (percent === 0) return [];
    const target = destinationTarget(destination, { path: at, namespace }, context);
    return target.kind === 'backend' ? [{ backend: target.backend, percent }] : [];
  });
}
