/** The filter that answers CORS preflight requests (WHATWG Fetch, CORS protocol). */
import type { JsonSchema } from '../../schema/schema.ts';
import { headerName } from './names.ts';
import { choice, count, object, rule, setOf, text, withDefault, withRules } from './shape.ts';

export const methods: readonly string[] = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
];

const origin: JsonSchema = {
  ...text('An origin, scheme://host[:port]; its host may begin with the wildcard *.', { min: 1, max: 253 }),
  pattern: String.raw`(^\*$)|(^(http(s)?):\/\/(((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)$)`,
};

export const cors: JsonSchema = object('Says which pages of other origins may use the backend.', {
  allowOrigins: starAlone(
    setOf('Origins whose pages may send requests; * for all.', origin, { max: 64 }),
    'AllowOrigins',
    'origins',
  ),
  allowMethods: starAlone(
    setOf('Methods that they may use; * for all.', choice('A method.', ...methods, '*'), { max: 9 }),
    'AllowMethods',
    'methods',
  ),
  allowHeaders: starAlone(
    setOf('Request headers that they may send; * for all.', headerName('A header.'), { max: 64 }),
    'AllowHeaders',
    'methods',
  ),
  exposeHeaders: setOf('Response headers that they may read; * for all.', headerName('A header.'), { max: 64 }),
  allowCredentials: { type: 'boolean', description: 'Whether requests may carry cookies and other credentials.' },
  maxAge: withDefault(count('For how many seconds the answer may be kept.', { min: 1 }), 5),
});

/** The wildcard stands for all, so nothing else stands beside it. */
function starAlone(schema: JsonSchema, list: string, others: string): JsonSchema {
  return withRules(
    schema,
    rule(`${list} cannot contain '*' alongside other ${others}`, "!('*' in self && self.size() > 1)"),
  );
}
