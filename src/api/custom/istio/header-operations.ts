/** Changes of headers, on the way to the backend and back. */
import { list, record, text, textMap, type JsonSchema } from '../../schema/schema.ts';
import { about } from './field.ts';

const operations = record({
  set: about('Headers to set, in place of what is there.', textMap),
  add: about('Headers to add to what is there.', textMap),
  remove: about('Headers to remove.', list(text)),
});

export const headers: JsonSchema = record({
  request: about('Changes before the request goes to the backend.', operations),
  response: about('Changes before the response goes to the client.', operations),
});
