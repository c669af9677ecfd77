/** Sessions that stay with one endpoint. */
import type { JsonSchema } from '../../schema/schema.ts';
import { duration } from './names.ts';
import { choice, object, rule, text, withDefault, withRules } from './shape.ts';

export const sessionPersistence: JsonSchema = withRules(
  object('Keeps the requests of a session at one endpoint.', {
    type: withDefault(choice('What carries the session.', 'Cookie', 'Header'), 'Cookie'),
    sessionName: text('Name of the cookie or header; the implementation chooses, if absent.', { max: 128 }),
    absoluteTimeout: duration('How long a session lives at most.'),
    cookieConfig: object('More of the cookie.', {
      lifetimeType: withDefault(
        choice('Whether the cookie outlives the browser, for absoluteTimeout.', 'Permanent', 'Session'),
        'Session',
      ),
    }),
  }),
  rule(
    'AbsoluteTimeout must be specified when cookie lifetimeType is Permanent',
    "!has(self.cookieConfig) || !has(self.cookieConfig.lifetimeType) || self.cookieConfig.lifetimeType != 'Permanent' || has(self.absoluteTimeout)",
  ),
  rule('cookieConfig can only be set with type Cookie', "!has(self.cookieConfig) || self.type == 'Cookie'"),
);
