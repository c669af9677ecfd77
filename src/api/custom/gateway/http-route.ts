/** HTTPRoute: which requests go where, and what is done to them on the way. */
import { kinds } from '../../kinds.ts';
import type { JsonSchema, ValidationRule } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { cors, methods } from './cors.ts';
import { age, gatewayKind, hostnamesColumn, kindSchema } from './definition.ts';
import { externalAuth } from './external-auth.ts';
import { filters } from './filter-rules.ts';
import { headerModifier } from './header-modifier.ts';
import { httpHeaderMatches, pathMatch, queryMatches, wholePath } from './matches.ts';
import { requestMirror } from './mirror.ts';
import { duration } from './names.ts';
import { parentReferences, routeStatus, useDefaultGateways } from './parents.ts';
import { requestRedirect, urlRewrite } from './redirect.ts';
import { localReference, weightedBackend } from './references.ts';
import { hostnames, matchesInAll, namesDiffer, ruleName } from './route-rules.ts';
import { sessionPersistence } from './session-persistence.ts';
import { choice, listOf, object, rule, setOf, withDefault, withRules } from './shape.ts';

const httpFilters: JsonSchema = filters(
  {
    RequestHeaderModifier: ['requestHeaderModifier', headerModifier('Changes the headers of requests.')],
    ResponseHeaderModifier: ['responseHeaderModifier', headerModifier('Changes the headers of responses.')],
    RequestMirror: ['requestMirror', requestMirror],
    RequestRedirect: ['requestRedirect', requestRedirect],
    URLRewrite: ['urlRewrite', urlRewrite],
    ExtensionRef: ['extensionRef', localReference('A filter of an implementation, as an object of its own.')],
    CORS: ['cors', cors],
    ExternalAuth: ['externalAuth', externalAuth],
  },
  ['CORS', 'RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect', 'URLRewrite'],
  rule(
    'May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both',
    "!(self.exists(f, f.type == 'RequestRedirect') && self.exists(f, f.type == 'URLRewrite'))",
  ),
);

const matches: JsonSchema = withDefault(
  listOf(
    'Demands, any of which is enough; every request, if absent.',
    object('Demands, all of which a request must meet.', {
      path: pathMatch,
      headers: httpHeaderMatches,
      queryParams: queryMatches,
      method: choice('The method that a request must have.', ...methods),
    }),
    { max: 64 },
  ),
  [wholePath],
);

const timeouts: JsonSchema = withRules(
  object('How long to wait; 0s for ever.', {
    request: duration('For the whole answer to the client, over all attempts.'),
    backendRequest: duration('For one attempt at a backend.'),
  }),
  rule(
    'backendRequest timeout cannot be longer than request timeout',
    "!(has(self.request) && has(self.backendRequest) && duration(self.request) != duration('0s') && duration(self.backendRequest) > duration(self.request))",
  ),
);

const retry: JsonSchema = object('When a request is tried again.', {
  codes: setOf('Status codes of answers to try again after.', {
    type: 'integer',
    minimum: 400,
    maximum: 599,
    description: 'A status code.',
  }),
  attempts: { type: 'integer', minimum: 1, description: 'How often it is tried again at most.' },
  backoff: duration('How long to wait at least before an attempt.'),
});

const routeRule: JsonSchema = withRules(
  object('Requests of one sort, and what becomes of them.', {
    name: ruleName,
    matches,
    filters: httpFilters,
    backendRefs: listOf(
      'Where requests go, each backend for its share by weight.',
      weightedBackend('A backend, with filters of its own.', { filters: httpFilters }),
      { max: 16 },
    ),
    timeouts,
    retry,
    sessionPersistence,
  }),
  rule(
    'RequestRedirect filter must not be used together with backendRefs',
    '(has(self.backendRefs) && size(self.backendRefs) > 0) ? (!has(self.filters) || self.filters.all(f, !has(f.requestRedirect))): true',
  ),
  ...prefixNeedsOneMatch(),
);

const spec: JsonSchema = object('Which requests go where.', {
  parentRefs: parentReferences,
  hostnames,
  rules: withDefault(
    withRules(
      listOf('Rules; the most specific match of all routes decides.', routeRule, { min: 1, max: 16 }),
      matchesInAll((index) => `self[${index}].matches.size()`),
      namesDiffer,
    ),
    [{ matches: [wholePath] }],
  ),
  useDefaultGateways,
});

const schema: JsonSchema = kindSchema(
  'Sends HTTP requests to backends, by host, path, headers, query and method.',
  spec,
  routeStatus,
);

export const httpRoute: CustomKind = gatewayKind(kinds.HTTPRoute, {
  versions: [
    { name: 'v1', storage: true, schema, columns: [hostnamesColumn, age] },
    { name: 'v1beta1', schema, columns: [hostnamesColumn, age] },
  ],
});

/** A prefix can be replaced only where it is known which prefix matched. */
function prefixNeedsOneMatch(): ValidationRule[] {
  const oneMatch =
    "((size(self.matches) != 1 || !has(self.matches[0].path) || self.matches[0].path.type != 'PathPrefix') ? false : true)";
  const replaces = (field: string) =>
    `f, has(f.${field}) && has(f.${field}.path) && f.${field}.path.type == 'ReplacePrefixMatch' && has(f.${field}.path.replacePrefixMatch)`;
  const inRule = (filter: string, field: string) =>
    rule(
      `When using ${filter} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified`,
      `(has(self.filters) && self.filters.exists_one(${replaces(field)})) ? ${oneMatch} : true`,
    );
  const inBackends = (start: string, filter: string, field: string) =>
    rule(
      `Within backendRefs, ${start} using ${filter} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified`,
      `(has(self.backendRefs) && self.backendRefs.exists_one(b, (has(b.filters) && b.filters.exists_one(${replaces(field)})) )) ? ${oneMatch} : true`,
    );
  return [
    inRule('RequestRedirect', 'requestRedirect'),
    inRule('URLRewrite', 'urlRewrite'),
    inBackends('when', 'RequestRedirect', 'requestRedirect'),
    inBackends('When', 'URLRewrite', 'urlRewrite'),
  ];
}
