/** policy.ambit.dev RateLimit: how many requests a Service, or all that passes a Gateway, takes, counted by what they have. */
import { kinds } from '../../kinds.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { conditions } from '../gateway/conditions.ts';
import { methods } from '../gateway/cors.ts';
import { accepted, age, kindSchema } from '../gateway/definition.ts';
import { policyTargets } from './targets.ts';
import { httpHeaderMatches, matchType, pathMatch, queryMatches } from '../gateway/matches.ts';
import { duration, headerName } from '../gateway/names.ts';
import { choice, count, listOf, mapOf, object, rule, text, withDefault, withRules } from '../gateway/shape.ts';

/** A path that is demanded only where it is written. */
const { default: _, ...demandedPath } = pathMatch;

const claimPath = listOf(
  'Where the claim is in the token: its name, or the names that lead to it.',
  text('A name.', { min: 1, max: 256 }),
  { min: 1, max: 8 },
);

const claimMatch = object(
  'A demand on one claim of the verified token; of a list, any member.',
  { path: claimPath, type: matchType, value: text('What it must be.', { max: 1024 }) },
  'path',
  'value',
);

const matches = listOf(
  'Requests that count: those that meet any of these demands; all of them, if absent.',
  object('Demands, all of which a request must meet.', {
    path: demandedPath,
    method: choice('The method that a request must have.', ...methods),
    headers: httpHeaderMatches,
    queryParams: queryMatches,
    claims: listOf('Claims that its token must have, all of them.', claimMatch, { max: 16 }),
  }),
  { max: 16 },
);

/** Types of what requests are told apart by, and the field that each needs. */
const keyFields: Readonly<Record<string, string | undefined>> = {
  Header: 'name',
  QueryParam: 'name',
  Claim: 'path',
  RemoteIP: undefined,
  SourcePrincipal: undefined,
  SourceNamespace: undefined,
  Method: undefined,
  Path: undefined,
  Route: undefined,
  Value: 'value',
};

const by = listOf(
  'What requests are told apart by: each combination of values is counted for itself; all together, if absent.',
  withRules(
    object(
      'One property of requests. Those that lack it are counted together.',
      {
        type: choice(
          'The property; RemoteIP is the original client, SourcePrincipal the peer.',
          ...Object.keys(keyFields),
        ),
        name: headerName('Name of the header or query parameter.'),
        path: claimPath,
        value: text('A fixed value, for the rules of a rate limit service.', { min: 1, max: 1024 }),
        key: text(
          'What a rate limit service knows the property by; its name, or its type as in remote_address, if absent.',
          {
            min: 1,
            max: 256,
          },
        ),
      },
      'type',
    ),
    ...['name', 'path', 'value'].map((field) => {
      const types = Object.keys(keyFields).filter((type) => keyFields[type] === field);
      const list = types.map((type) => `'${type}'`).join(', ');
      return rule(
        `${field} must be set for ${types.join(' and ')}, and for no other type`,
        `has(self.${field}) == (self.type in [${list}])`,
      );
    }),
    rule('key must be set for Value', "self.type != 'Value' || has(self.key)"),
  ),
  { max: 8 },
);

const local = withRules(
  object(
    'Counted by each proxy for itself: what they let through together grows with their number.',
    {
      requests: count('How many requests there may be in each unit or interval.', { min: 1, max: 1_000_000_000 }),
      unit: choice('A common interval.', 'Second', 'Minute', 'Hour', 'Day'),
      interval: withRules(
        duration('Another interval, as 10s.'),
        rule('interval must be 1ms to 24h', "duration(self) >= duration('1ms') && duration(self) <= duration('24h')"),
      ),
      burst: count('How many requests may come at once; as many as requests, if absent.', {
        min: 1,
        max: 1_000_000_000,
      }),
    },
    'requests',
  ),
  rule('exactly one of unit and interval must be set', 'has(self.unit) != has(self.interval)'),
);

const global = object(
  'Counted by a service for all proxies (envoy.service.ratelimit.v3), which knows the rules.',
  {
    provider: text('Name of an extension provider of the mesh configuration, of type envoyRateLimitGrpc.', {
      min: 1,
      max: 253,
    }),
    domain: text('Domain of the rules there.', { min: 1, max: 253 }),
    timeout: withDefault(
      withRules(
        duration('How long a request waits for the service.'),
        rule('timeout must be 1ms to 60s', "duration(self) >= duration('1ms') && duration(self) <= duration('60s')"),
      ),
      '100ms',
    ),
    failureMode: withDefault(
      choice('What becomes of requests while the service does not answer.', 'FailOpen', 'FailClosed'),
      'FailOpen',
    ),
  },
  'provider',
  'domain',
);

const limit = withRules(
  object(
    'One limit. A request must be within all limits that count it.',
    {
      name: {
        ...text('Name of the limit, for metrics and logs.', { min: 1, max: 63 }),
        pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
      },
      matches,
      by,
      local,
      global,
      statusCode: withDefault(count('Status of refusals.', { min: 400, max: 599 }), 429),
      dryRun: withDefault(
        { type: 'boolean', description: 'Whether what is over the limit is only counted and logged.' },
        false,
      ),
    },
    'name',
  ),
  rule('exactly one of local and global must be set', 'has(self.local) != has(self.global)'),
);

const schema: JsonSchema = kindSchema(
  'Says how many requests are taken.',
  object(
    'What is limited, and how.',
    {
      targetRefs: policyTargets('What the limits are for'),
      limits: mapOf('The limits.', ['name'], limit, { min: 1, max: 16 }),
    },
    'targetRefs',
    'limits',
  ),
  object('What became of the object.', { conditions: conditions('Whether it is accepted, and held by every proxy.') }),
);

export const rateLimit: CustomKind = {
  ref: kinds.RateLimit,
  shortNames: ['rl'],
  categories: ['ambit'],
  labels: { 'gateway.networking.k8s.io/policy': 'Inherited' },
  versions: [
    {
      name: 'v1alpha1',
      storage: true,
      schema,
      columns: [{ name: 'Target', type: 'string', jsonPath: '.spec.targetRefs[0].name' }, accepted, age],
    },
  ],
};
