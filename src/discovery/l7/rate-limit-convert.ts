/** RateLimit (policy.ambit.dev) -> what an L7 proxy counts by. Pure. */
import type { RateLimitPolicy } from '../../api/ambit.ts';
import type { HttpMatch, RateLimit, RateLimitKey, RateLimitRule } from '../../api/l7/index.ts';
import { re2Problems } from '../../api/validation/re2.ts';
import { durationMs } from './gateway-api-duration.ts';
import { httpMatch, regexesOf } from './http-route-matches.ts';
import { originOf } from './l7-services.ts';

export interface RateLimitConversion {
  readonly policy: RateLimit;
  /** One line for each limit that is not enforced as written. */
  readonly notes: readonly string[];
  /** Names of providers that limits ask. */
  readonly providers: readonly string[];
}

type Limit = RateLimitPolicy['spec']['limits'][number];
type LimitMatch = NonNullable<Limit['matches']>[number];
type LimitKey = NonNullable<Limit['by']>[number];

/** `isProvider`: whether the mesh configuration has a rate limit service of that name. */
export function convertRateLimit(policy: RateLimitPolicy, isProvider: (name: string) => boolean): RateLimitConversion {
  const { name = '', namespace = '' } = policy.metadata;
  const notes: string[] = [];
  const limits = policy.spec.limits.flatMap((limit) => {
    const matches = (limit.matches ?? []).map(limitMatch);
    const [problem] = matches.flatMap(regexes).flatMap(re2Problems);
    if (problem !== undefined) {
      notes.push(`limits[${limit.name}] is left out: ${problem}`);
      return [];
    }
    const { global } = limit;
    if (global && !isProvider(global.provider)) {
      const consequence = global.failureMode === 'FailClosed' ? 'what it counts is refused' : 'it limits nothing';
      notes.push(
        `limits[${limit.name}]: the mesh configuration has no rate limit service "${global.provider}": ${consequence}`,
      );
    }
    return [limitRule(limit, matches)];
  });
  return {
    policy: { kind: 'rate-limit', name: `${namespace}/${name}`, origin: originOf('RateLimit', policy), limits },
    notes,
    providers: limits.flatMap(({ enforcement }) => (enforcement.kind === 'global' ? [enforcement.provider] : [])),
  };
}

function limitRule(limit: Limit, matches: readonly HttpMatch[]): RateLimitRule {
  const { name, by = [], statusCode = 429, dryRun = false } = limit;
  return { name, matches, by: by.map(limitKey), enforcement: enforcementOf(limit), dryRun, status: statusCode };
}

const units: Readonly<Record<string, number>> = { Second: 1000, Minute: 60_000, Hour: 3_600_000, Day: 86_400_000 };

function enforcementOf({ local, global }: Limit): RateLimitRule['enforcement'] {
  if (global) {
    const { provider, domain, timeout, failureMode = 'FailOpen' } = global;
    const timeoutMs = durationMs(timeout) ?? defaultTimeoutMs;
    return { kind: 'global', provider, domain, timeoutMs, failOpen: failureMode === 'FailOpen' };
  }
  const { requests = 1, burst = requests, unit, interval } = local ?? {};
  const intervalMs = durationMs(interval) ?? units[unit ?? 'Second'] ?? 1000;
  return { kind: 'local', burst, tokens: requests, intervalMs: Math.max(1, intervalMs) };
}

const defaultTimeoutMs = 100;

function limitMatch(match: LimitMatch): HttpMatch {
  const { claims = [], path, ...rest } = match;
  // Unlike in a route, a path that is not written is any path: also that of `OPTIONS *`.
  const { path: demanded, ...others } = httpMatch({ ...rest, ...(path ? { path } : {}) });
  return {
    ...others,
    ...(path && demanded ? { path: demanded } : {}),
    ...(claims.length > 0
      ? {
          claims: claims.map(({ path: claim, type, value }) => ({
            path: claim,
            match: { kind: type === 'RegularExpression' ? 'regex' : 'exact', value } as const,
            invert: false,
          })),
        }
      : {}),
  };
}

function regexes(match: HttpMatch): string[] {
  const claims = (match.claims ?? []).map((claim) => claim.match).filter(({ kind }) => kind === 'regex');
  return [...regexesOf(match), ...claims.map((claim) => ('value' in claim ? claim.value : ''))];
}

/** Descriptor keys that rate limit services know from Envoy, where it has one. */
function limitKey({ type, name = '', path = [], value = '', key }: LimitKey): RateLimitKey {
  switch (type) {
    case 'Header':
      return { kind: 'header', name: name.toLowerCase(), key: key ?? name.toLowerCase() };
    case 'QueryParam':
      return { kind: 'query', name, key: key ?? name };
    case 'Claim':
      return { kind: 'claim', path, key: key ?? path.join('.') };
    case 'RemoteIP':
      return { kind: 'remote-ip', key: key ?? 'remote_address' };
    case 'SourcePrincipal':
      return { kind: 'source-principal', key: key ?? 'source_principal' };
    case 'SourceNamespace':
      return { kind: 'source-namespace', key: key ?? 'source_namespace' };
    case 'Method':
      return { kind: 'method', key: key ?? 'method' };
    case 'Path':
      return { kind: 'path', key: key ?? 'path' };
    case 'Route':
      return { kind: 'route', key: key ?? 'route' };
    case 'Value':
      return { kind: 'value', key: key ?? 'generic_key', value };
  }
}
