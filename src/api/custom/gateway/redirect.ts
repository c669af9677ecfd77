/** The filters that answer with another address, or ask the backend for one. */
import type { JsonSchema, ValidationRule } from '../../schema/schema.ts';
import { port, preciseHostname } from './names.ts';
import { choice, object, rule, text, withDefault, withRules } from './shape.ts';

const path: JsonSchema = withRules(
  object(
    'Another path.',
    {
      type: choice(
        'Whether the whole path is replaced, or the prefix that matched.',
        'ReplaceFullPath',
        'ReplacePrefixMatch',
      ),
      replaceFullPath: text('What replaces the whole path.', { max: 1024 }),
      replacePrefixMatch: text('What replaces the prefix that matched.', { max: 1024 }),
    },
    'type',
  ),
  ...fieldOfType('ReplaceFullPath', 'replaceFullPath'),
  ...fieldOfType('ReplacePrefixMatch', 'replacePrefixMatch'),
);

export const requestRedirect: JsonSchema = object(
  'Answers with a redirect; what is not said stays as in the request.',
  {
    scheme: choice('Scheme of the new address.', 'http', 'https'),
    hostname: preciseHostname('Host of the new address.'),
    path,
    port: port('Port of the new address; that of the scheme, or of the listener, if absent.'),
    statusCode: withDefault(
      { type: 'integer', enum: [301, 302, 303, 307, 308], description: 'Status code of the answer.' },
      302,
    ),
  },
);

export const urlRewrite: JsonSchema = object('Changes the address before the request is sent on.', {
  hostname: preciseHostname('The Host that the backend gets.'),
  path,
});

function fieldOfType(type: string, field: string): ValidationRule[] {
  return [
    rule(
      `${field} must be specified when type is set to '${type}'`,
      `self.type == '${type}' ? has(self.${field}) : true`,
    ),
    rule(`type must be '${type}' when ${field} is set`, `has(self.${field}) ? self.type == '${type}' : true`),
  ];
}
