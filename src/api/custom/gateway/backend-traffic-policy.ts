/** XBackendTrafficPolicy: how much of a backend's traffic may be retries, and sessions that stay with an endpoint. */
import { kinds } from '../../kinds.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { age, directPolicy, gatewayKind, kindSchema } from './definition.ts';
import { duration } from './names.ts';
import { policyStatus } from './policy-status.ts';
import { localReference } from './references.ts';
import { sessionPersistence } from './session-persistence.ts';
import { mapOf, object, rule, withDefault, withRules } from './shape.ts';

const budget: JsonSchema = withDefault(
  object('How much of the traffic may be retries.', {
    percent: withDefault(
      { type: 'integer', minimum: 0, maximum: 100, description: 'How many of a hundred requests may be retries.' },
      20,
    ),
    interval: withDefault(
      withRules(
        duration('Over how long requests are counted.'),
        rule(
          'interval cannot be greater than one hour or less than one second',
          "!(duration(self) < duration('1s') || duration(self) > duration('1h'))",
        ),
      ),
      '10s',
    ),
  }),
  { percent: 20, interval: '10s' },
);

const minRetryRate: JsonSchema = withDefault(
  object('Retries that are allowed whatever the budget says.', {
    count: { type: 'integer', minimum: 1, maximum: 1_000_000, description: 'So many retries.' },
    interval: withRules(
      duration('In so long.'),
      rule(
        'interval cannot be greater than one hour',
        "!(duration(self) == duration('0s') || duration(self) > duration('1h'))",
      ),
    ),
  }),
  { count: 10, interval: '1s' },
);

const schema: JsonSchema = kindSchema(
  'Says how traffic reaches a backend.',
  object(
    'Which backends, and how.',
    {
      targetRefs: mapOf(
        'Backends that the policy is for.',
        ['group', 'kind', 'name'],
        localReference('A backend, mostly a Service.'),
        { min: 1, max: 16 },
      ),
      retryConstraint: object('Keeps retries from overloading the backend.', { budget, minRetryRate }),
      sessionPersistence,
    },
    'targetRefs',
  ),
  policyStatus,
);

export const backendTrafficPolicy: CustomKind = gatewayKind(kinds.XBackendTrafficPolicy, {
  shortNames: ['xbtrafficpolicy'],
  labels: directPolicy,
  versions: [{ name: 'v1alpha1', storage: true, schema, columns: [age] }],
});
