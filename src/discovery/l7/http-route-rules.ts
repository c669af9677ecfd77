/** HTTPRoute -> rules of the model, one for each match, so that precedence can order them (ambient-l7, 2.3). Pure. */
import type { HTTPRoute } from '../../api/gateway.ts';
import type { HttpAction, HttpMatch, HttpRule, WeightedDestination } from '../../api/l7/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { parseRegex } from '../../policy/text-match.ts';
import type { BackendRef, ReferenceReader } from './gateway-api-backends.ts';
import { readFilters, type ReadFilters, type RouteFilter } from './http-route-filters.ts';
import { httpMatch, regexesOf } from './http-route-matches.ts';
import { readRetry, readTimeouts } from './http-route-retry.ts';
import { sessionPersistence, type RouteSession } from './http-route-session.ts';

type HttpRouteRule = NonNullable<HTTPRoute['spec']['rules']>[number];

/** A rule that says what nobody can do, by its field: it is left out. */
export interface DroppedRule {
  readonly path: string;
  readonly message: string;
}

export interface ReadRules<Rule> {
  readonly rules: readonly Rule[];
  readonly dropped: readonly DroppedRule[];
}

export function httpRules(route: HTTPRoute, references: ReferenceReader): ReadRules<HttpRule> {
  return readRules(route, 'HTTPRoute', references, (rule) => ({
    ...rule,
    name: rule.name,
    matches: (rule.matches?.length ? rule.matches : [{}]).map(httpMatch),
    policy: {
      ...readTimeouts(rule),
      ...(rule.retry ? { retry: readRetry(rule.retry, rule.timeouts) } : {}),
    },
    session: rule.sessionPersistence,
  }));
}

/** What rules of HTTPRoute and GRPCRoute have in common, with their matches in the terms of the model. */
export interface CommonRule {
  readonly name: string | undefined;
  readonly matches: readonly HttpMatch[];
  readonly filters?: readonly RouteFilter[];
  readonly backendRefs?: NonNullable<HttpRouteRule['backendRefs']>;
  readonly policy: Pick<HttpRule, 'timeoutMs' | 'retry'>;
  readonly session: RouteSession | undefined;
}

interface RouteObject<Rule> {
  readonly metadata: HTTPRoute['metadata'];
  readonly spec: { readonly rules?: readonly Rule[] };
}

export function readRules<Rule>(
  route: RouteObject<Rule>,
  kind: string,
  references: ReferenceReader,
  common: (rule: Rule) => CommonRule,
): ReadRules<HttpRule> {
  const { name = '', namespace = '', generation = 0 } = route.metadata;
  const rules: HttpRule[] = [];
  const dropped: DroppedRule[] = [];
  for (const [index, source] of (route.spec.rules ?? []).entries()) {
    const rule = common(source);
    const path = `spec.rules[${index}]`;
    const problem = regexProblem(rule.matches);
    if (problem !== undefined) {
      dropped.push({ path, message: problem });
      continue;
    }
    const ruleName = `${namespace}.${name}.${rule.name ?? index}`;
    const filters = readFilters(rule.filters, { path, references });
    const shared = { ...sharedParts(filters), ...rule.policy, action: actionOf(rule, filters, path, references) };
    for (const [matchIndex, match] of rule.matches.entries()) {
      const isAlone = rule.matches.length === 1;
      rules.push({
        name: isAlone ? ruleName : `${ruleName}.${matchIndex}`,
        origin: { kind, namespace, name, generation, path: isAlone ? path : `${path}.matches[${matchIndex}]` },
        matches: [match],
        ...shared,
        ...(rule.session
          ? { sessionPersistence: sessionPersistence(rule.session, ruleName, isAlone ? match.path : undefined) }
          : {}),
      });
    }
  }
  return { rules, dropped };
}

function sharedParts(filters: ReadFilters): Partial<HttpRule> {
  const { requestHeaders, responseHeaders, mirrors, cors } = filters;
  return {
    ...(requestHeaders ? { requestHeaders } : {}),
    ...(responseHeaders ? { responseHeaders } : {}),
    ...(mirrors ? { mirrors } : {}),
    ...(cors ? { cors } : {}),
  };
}

function actionOf(rule: CommonRule, filters: ReadFilters, path: string, references: ReferenceReader): HttpAction {
  const destinations = readDestinations(rule.backendRefs, path, references);
  if (filters.isInvalid) return { kind: 'respond', status: 500 };
  if (filters.redirect) return filters.redirect;
  if (destinations.length === 0) return { kind: 'respond', status: 500 };
  return { kind: 'forward', destinations, ...(filters.rewrite ? { rewrite: filters.rewrite } : {}) };
}

/** Backends of weight 0 are looked up too, so that the status tells of them, and then get nothing. */
function readDestinations(
  refs: readonly (BackendRef & { readonly filters?: readonly RouteFilter[] })[] | undefined,
  rulePath: string,
  references: ReferenceReader,
): WeightedDestination[] {
  return (refs ?? []).flatMap((ref, index) => {
    const path = `${rulePath}.backendRefs[${index}]`;
    const target = references.target(ref, path);
    const filters = readFilters(ref.filters, { path, references, isOfBackend: true });
    const { requestHeaders, responseHeaders, rewrite } = filters;
    const weight = ref.weight ?? 1;
    if (weight === 0) return [];
    return {
      weight,
      target: filters.isInvalid
        ? { kind: 'invalid' as const, status: 500, reason: 'a filter of the backend is not supported' }
        : target,
      ...(requestHeaders ? { requestHeaders } : {}),
      ...(responseHeaders ? { responseHeaders } : {}),
      ...(rewrite ? { rewrite } : {}),
    };
  });
}

function regexProblem(matches: readonly HttpMatch[]): string | undefined {
  for (const pattern of matches.flatMap(regexesOf)) {
    try {
      parseRegex(pattern);
    } catch (error) {
      return messageOf(error);
    }
  }
  return undefined;
}
