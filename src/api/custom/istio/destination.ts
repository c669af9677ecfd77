/** Where a route leads. */
import { record, text, type JsonSchema } from '../../schema/schema.ts';
import { about, unsigned } from './field.ts';

export const portSelector: JsonSchema = record({ number: about('Number of the port.', unsigned) });

export const destination: JsonSchema = record(
  {
    host: about('Host of a Service or ServiceEntry; a short name is of the namespace of the object.', text),
    subset: about('A subset that a DestinationRule of the host names.', text),
    port: about('Port of the host, where it has several.', portSelector),
  },
  'host',
);
