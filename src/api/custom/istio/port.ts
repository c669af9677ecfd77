/** Ports as Istio's Gateway and Sidecar write them. */
import { text, type JsonSchema } from '../../schema/schema.ts';
import { about, unsigned } from './field.ts';

export const portFields: Readonly<Record<string, JsonSchema>> = {
  number: about('Number of the port.', unsigned),
  protocol: about('HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, MONGO, REDIS, MYSQL, TCP or TLS.', text),
  name: about('Name of the port.', text),
  targetPort: about('Port of the endpoints; no longer in use.', unsigned),
};
