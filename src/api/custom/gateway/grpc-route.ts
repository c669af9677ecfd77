/** GRPCRoute: which calls go where, and what is done to them on the way. */
import { kinds } from '../../kinds.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { age, gatewayKind, hostnamesColumn, kindSchema } from './definition.ts';
import { filters } from './filter-rules.ts';
import { headerModifier } from './header-modifier.ts';
import { headerMatches, matchType } from './matches.ts';
import { requestMirror } from './mirror.ts';
import { parentReferences, routeStatus, useDefaultGateways } from './parents.ts';
import { localReference, weightedBackend } from './references.ts';
import { hostnames, matchesInAll, namesDiffer, ruleName } from './route-rules.ts';
import { sessionPersistence } from './session-persistence.ts';
import { listOf, object, rule, text, withRules } from './shape.ts';

const grpcFilters: JsonSchema = filters(
  {
    ResponseHeaderModifier: ['responseHeaderModifier', headerModifier('Changes the metadata of responses.')],
    RequestHeaderModifier: ['requestHeaderModifier', headerModifier('Changes the metadata of requests.')],
    RequestMirror: ['requestMirror', requestMirror],
    ExtensionRef: ['extensionRef', localReference('A filter of an implementation, as an object of its own.')],
  },
  ['RequestHeaderModifier', 'ResponseHeaderModifier'],
);

const servicePattern = String.raw`^(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$`;
const methodPattern = '^[A-Za-z_][A-Za-z_0-9]*$';

const methodMatch: JsonSchema = withRules(
  object('The service and method that a call must be of.', {
    type: matchType,
    service: text('What the service must be, with its package: foo.bar.Greeter; any, if absent.', { max: 1024 }),
    method: text('What the method must be; any, if absent.', { max: 1024 }),
  }),
  rule(
    "One or both of 'service' or 'method' must be specified",
    'has(self.type) ? has(self.service) || has(self.method) : true',
  ),
  ...[['service', servicePattern] as const, ['method', methodPattern] as const].map(([field, pattern]) =>
    rule(
      `${field} must only contain valid characters (matching ${pattern})`,
      `(!has(self.type) || self.type == 'Exact') && has(self.${field}) ? self.${field}.matches(r"""${pattern}"""): true`,
    ),
  ),
);

const matches: JsonSchema = listOf(
  'Demands, any of which is enough; every call, if absent.',
  object('Demands, all of which a call must meet.', {
    method: methodMatch,
    headers: headerMatches(text('What its value must be.', { min: 1, max: 4096 })),
  }),
  { max: 64 },
);

const routeRule: JsonSchema = object('Calls of one sort, and what becomes of them.', {
  name: ruleName,
  matches,
  filters: grpcFilters,
  backendRefs: listOf(
    'Where calls go, each backend for its share by weight.',
    weightedBackend('A backend, with filters of its own.', { filters: grpcFilters }),
    { max: 16 },
  ),
  sessionPersistence,
});

const spec: JsonSchema = object('Which calls go where.', {
  parentRefs: parentReferences,
  hostnames,
  rules: withRules(
    listOf('Rules; the most specific match of all routes decides.', routeRule, { max: 16 }),
    matchesInAll((index) => `(has(self[${index}].matches) ? self[${index}].matches.size() : 0)`),
    namesDiffer,
  ),
  useDefaultGateways,
});

const schema: JsonSchema = kindSchema(
  'Sends gRPC calls to backends, by host, service, method and metadata.',
  spec,
  routeStatus,
);

export const grpcRoute: CustomKind = gatewayKind(kinds.GRPCRoute, {
  versions: [{ name: 'v1', storage: true, schema, columns: [hostnamesColumn, age] }],
});
