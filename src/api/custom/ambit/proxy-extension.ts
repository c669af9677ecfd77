/** policy.ambit.dev ProxyExtension: a filter of the user's own, in TypeScript or JavaScript. */
import { kinds } from '../../kinds.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { conditions } from '../gateway/conditions.ts';
import { accepted, age, kindSchema } from '../gateway/definition.ts';
import { duration } from '../gateway/names.ts';
import { choice, count, object, rule, text, withDefault, withRules } from '../gateway/shape.ts';
import { policyTargets } from './targets.ts';

const source = withRules(
  object('Where the module is.', {
    inline: text('The module itself.', { min: 1, max: 65_536 }),
    configMap: object(
      'A ConfigMap in the namespace of the object that holds the module.',
      {
        name: text('Name of the ConfigMap.', { min: 1, max: 253 }),
        key: withDefault(
          {
            ...text('Key of the module, which ends in .ts, .js or .mjs.', { min: 1, max: 253 }),
            pattern: '\\.(ts|js|mjs)$',
          },
          'extension.ts',
        ),
      },
      'name',
    ),
  }),
  rule('exactly one of inline and configMap must be set', 'has(self.inline) != has(self.configMap)'),
);

const schema: JsonSchema = kindSchema(
  "Has requests pass a filter of the user's own, which runs in a process without files, network or keys.",
  object(
    'The module, and how it runs.',
    {
      targetRefs: policyTargets('Whose requests pass it'),
      source,
      config: {
        type: 'object',
        description: 'What the module is made with.',
        'x-kubernetes-preserve-unknown-fields': true,
      },
      phase: withDefault(
        choice(
          'When it is asked: before tokens are verified, before policies decide, after all of these, or last.',
          'Authentication',
          'Authorization',
          'Statistics',
          'Last',
        ),
        'Last',
      ),
      priority: withDefault(count('Order within the phase: the highest first.', { min: -1000, max: 1000 }), 0),
      failureMode: withDefault(
        choice('What becomes of requests that it fails at.', 'FailOpen', 'FailClosed'),
        'FailClosed',
      ),
      timeout: withDefault(
        withRules(
          duration('How long one call may take.'),
          rule('timeout must be 1ms to 60s', "duration(self) >= duration('1ms') && duration(self) <= duration('60s')"),
        ),
        '1s',
      ),
      memoryMegabytes: withDefault(count('Memory that the module may take.', { min: 16, max: 4096 }), 64),
      maxBodyBytes: withDefault(
        count('How much of the body of a request it is shown; 0: nothing.', { min: 0, max: 1_048_576 }),
        0,
      ),
    },
    'targetRefs',
    'source',
  ),
  object('What became of the object.', { conditions: conditions('Whether it is accepted, and held by every proxy.') }),
);

export const proxyExtension: CustomKind = {
  ref: kinds.ProxyExtension,
  shortNames: ['pext'],
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
