/** What a rule of an HTTPRoute or GRPCRoute asks of requests: path, headers, query parameters. */
import type { JsonSchema, ValidationRule } from '../../schema/schema.ts';
import { headerName, headerValue, pathCharacters } from './names.ts';
import { choice, mapOf, object, rule, text, withDefault, withRules } from './shape.ts';

export const wholePath: object = { path: { type: 'PathPrefix', value: '/' } };

/** Exact, unless it says otherwise. */
export const matchType: JsonSchema = withDefault(
  choice('How the value is compared.', 'Exact', 'RegularExpression'),
  'Exact',
);

export function headerMatches(value: JsonSchema): JsonSchema {
  return mapOf(
    'Headers that a request must have, all of them.',
    ['name'],
    object(
      'A demand on one header.',
      { type: matchType, name: headerName('The header; case does not matter.'), value },
      'name',
      'value',
    ),
    { max: 16 },
  );
}

export const httpHeaderMatches: JsonSchema = headerMatches(headerValue('What its value must be.'));

export const queryMatches: JsonSchema = mapOf(
  'Query parameters that a request must have, all of them.',
  ['name'],
  object(
    'A demand on one query parameter.',
    {
      type: matchType,
      name: headerName('The parameter.'),
      value: text('What its value must be.', { min: 1, max: 1024 }),
    },
    'name',
    'value',
  ),
  { max: 16 },
);

export const pathMatch: JsonSchema = withDefault(
  withRules(
    object('The path that a request must have.', {
      type: withDefault(
        choice('How the path is compared; prefixes by whole segments.', 'Exact', 'PathPrefix', 'RegularExpression'),
        'PathPrefix',
      ),
      value: withDefault(text('What the path must be.', { max: 1024 }), '/'),
    }),
    literal("value must be an absolute path and start with '/' when type one of", "self.value.startsWith('/')"),
    ...['//', '/./', '/../', '%2f', '%2F', '#'].map((part) =>
      literal(`must not contain '${part}' when type one of`, `!self.value.contains('${part}')`),
    ),
    ...['/..', '/.'].map((end) =>
      literal(`must not end with '${end}' when type one of`, `!self.value.endsWith('${end}')`),
    ),
    rule(
      "type must be one of ['Exact', 'PathPrefix', 'RegularExpression']",
      "self.type in ['Exact','PathPrefix'] || self.type == 'RegularExpression'",
    ),
    literal(
      `must only contain valid characters (matching ${pathCharacters}) for types`,
      `self.value.matches(r"""${pathCharacters}""")`,
    ),
  ),
  { type: 'PathPrefix', value: '/' },
);

/** A rule on values that are paths, not expressions. */
function literal(message: string, expression: string): ValidationRule {
  return rule(`${message} ['Exact', 'PathPrefix']`, `(self.type in ['Exact','PathPrefix']) ? ${expression} : true`);
}
