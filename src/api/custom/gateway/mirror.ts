/** The filter that sends a copy of requests to a further backend. */
import type { JsonSchema } from '../../schema/schema.ts';
import { backendReference } from './references.ts';
import { count, object, rule, withDefault, withRules } from './shape.ts';

export const requestMirror: JsonSchema = withRules(
  object(
    'Sends copies to a further backend, whose answers are thrown away.',
    {
      backendRef: backendReference('Where copies go.'),
      percent: count('How many of a hundred requests are copied; all, if neither this nor fraction is said.', {
        min: 0,
        max: 100,
      }),
      fraction: withRules(
        object(
          'Which part of the requests is copied.',
          {
            numerator: count('So many.', { min: 0 }),
            denominator: withDefault(count('Of so many.', { min: 1 }), 100),
          },
          'numerator',
        ),
        rule('numerator must be less than or equal to denominator', 'self.numerator <= self.denominator'),
      ),
    },
    'backendRef',
  ),
  rule(
    'Only one of percent or fraction may be specified in HTTPRequestMirrorFilter',
    '!(has(self.percent) && has(self.fraction))',
  ),
);
