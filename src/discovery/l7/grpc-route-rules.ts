/** GRPCRoute -> rules of the model: a call is a POST to `/<service>/<method>`. Pure. */
import type { GRPCRoute } from '../../api/gateway.ts';
import type { HttpMatch, HttpRule, PathMatch } from '../../api/l7/index.ts';
import type { ReferenceReader } from './gateway-api-backends.ts';
import { headerMatches } from './http-route-matches.ts';
import { readRules, type ReadRules } from './http-route-rules.ts';

type GrpcRouteRule = NonNullable<GRPCRoute['spec']['rules']>[number];
type GrpcRouteMatch = NonNullable<GrpcRouteRule['matches']>[number];

export function grpcRules(route: GRPCRoute, references: ReferenceReader): ReadRules<HttpRule> {
  return readRules(route, 'GRPCRoute', references, (rule: GrpcRouteRule) => ({
    ...rule,
    name: rule.name,
    matches: (rule.matches?.length ? rule.matches : [{}]).map(grpcMatch),
    policy: {},
    session: rule.sessionPersistence,
  }));
}

function grpcMatch({ method, headers = [] }: GrpcRouteMatch): HttpMatch {
  const path = methodMatch(method);
  return {
    ...(path ? { path } : {}),
    ...(headers.length > 0 ? { headers: headerMatches(headers) } : {}),
  };
}

function methodMatch({ type = 'Exact', service, method }: GrpcRouteMatch['method'] = {}): PathMatch | undefined {
  if (!service && !method) return undefined;
  if (type === 'Exact' && service) {
    return method ? { kind: 'exact', value: `/${service}/${method}` } : { kind: 'path-prefix', value: `/${service}` };
  }
  // Groups of their own, so that an alternative inside does not reach out.
  const part = (text: string | undefined, fallback: string): string =>
    text ? (type === 'Exact' ? quoted(text) : `(?:${text})`) : fallback;
  return { kind: 'regex', value: `/${part(service, '[^/]+')}/${part(method, '[^/]+')}` };
}

function quoted(text: string): string {
  return text.replaceAll(/[.+*?^$()[\]{}|\\]/g, String.raw`\$&`);
}
