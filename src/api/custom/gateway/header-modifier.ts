/** The filters that set, add and remove headers. */
import type { JsonSchema } from '../../schema/schema.ts';
import { headerName, headerValue } from './names.ts';
import { mapOf, object, setOf } from './shape.ts';

export function headerModifier(description: string): JsonSchema {
  return object(description, {
    set: headers('Headers that replace those of the same name.'),
    add: headers('Headers that come after those of the same name.'),
    remove: setOf('Names of headers to take away; case does not matter.', { type: 'string' }, { max: 16 }),
  });
}

function headers(description: string): JsonSchema {
  return mapOf(
    description,
    ['name'],
    object(
      'A header.',
      { name: headerName('Its name; case does not matter.'), value: headerValue('Its value.') },
      'name',
      'value',
    ),
    { max: 16 },
  );
}
