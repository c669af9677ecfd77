/** The filter that asks a further server whether a request may pass. */
import type { JsonSchema } from '../../schema/schema.ts';
import { pathCharacters } from './names.ts';
import { backendReference } from './references.ts';
import { choice, object, rule, setOf, text, withRules } from './shape.ts';

export const externalAuth: JsonSchema = withRules(
  object(
    'Asks a server of authorization, and lets pass what it allows.',
    {
      protocol: choice('How the server is asked: plain HTTP, or gRPC (ext_authz of Envoy).', 'HTTP', 'GRPC'),
      backendRef: backendReference('The server.'),
      grpc: object('More of asking over gRPC.', {
        allowedHeaders: headerSet('Request headers that the server gets; all, if absent.'),
      }),
      http: object('More of asking over HTTP.', {
        path: {
          ...text('What comes before the path of the request when the server is asked.', { max: 1024 }),
          pattern: pathCharacters,
        },
        allowedHeaders: headerSet('Request headers that the server gets beside those it always gets.'),
        allowedResponseHeaders: headerSet(
          'Headers of its answer that the backend gets; all but those of HTTP itself, if absent.',
        ),
      }),
      forwardBody: object('Whether the server gets the body too.', {
        maxSize: { type: 'integer', description: 'How many bytes of the body at most; 0 for none.' },
      }),
    },
    'backendRef',
    'protocol',
  ),
  ...['grpc', 'http'].flatMap((field) => {
    const protocol = field.toUpperCase();
    return [
      rule(
        `${field} must be specified when protocol is set to '${protocol}'`,
        `self.protocol == '${protocol}' ? has(self.${field}) : true`,
      ),
      rule(
        `protocol must be '${protocol}' when ${field} is set`,
        `has(self.${field}) ? self.protocol == '${protocol}' : true`,
      ),
    ];
  }),
);

function headerSet(description: string): JsonSchema {
  return setOf(description, { type: 'string' }, { max: 64 });
}
