/** How a text is compared. */
import { record, text, type JsonSchema } from '../../schema/schema.ts';
import { about, atMostOne } from './field.ts';

export const stringMatch: JsonSchema = {
  ...record({
    exact: about('The whole text, in its case.', text),
    prefix: about('What the text begins with.', text),
    regex: about('RE2 expression that matches the whole text.', text),
  }),
  ...atMostOne('exact', 'prefix', 'regex'),
};
