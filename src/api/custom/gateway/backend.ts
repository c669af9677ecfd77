/** XBackend: a backend outside of the cluster, by its host name. */
import { kinds } from '../../kinds.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { backendValidation } from './backend-validation.ts';
import { conditions } from './conditions.ts';
import { age, gatewayKind, kindSchema } from './definition.ts';
import { controllerName, port, preciseHostname } from './names.ts';
import { parentReference } from './parents.ts';
import { secretReference } from './references.ts';
import { choice, listOf, object, rule, text, withRules } from './shape.ts';

const tls: JsonSchema = withRules(
  object(
    'TLS towards the backend.',
    {
      mode: choice('Who shows a certificate.', 'None', 'ServerOnly', 'ClientAndServer'),
      clientCertificateRef: secretReference('The certificate, with its key, that the backend is shown.'),
      validation: backendValidation,
    },
    'mode',
  ),
  rule(
    'clientCertificateRef must be set if and only if mode is ClientAndServer',
    "self.mode == 'ClientAndServer' ? has(self.clientCertificateRef) : !has(self.clientCertificateRef)",
  ),
);

const spec: JsonSchema = withRules(
  object(
    'Where the backend is, and how it is spoken to.',
    {
      type: choice('What names the backend.', 'ExternalHostname'),
      externalHostname: object(
        'The backend by its host name.',
        {
          hostname: withRules(
            preciseHostname('A name that DNS knows, not one of the cluster.'),
            rule('hostname must not be an IP address or end with .cluster.local', "!self.endsWith('.cluster.local')"),
          ),
        },
        'hostname',
      ),
      port: object(
        'The port of the backend.',
        {
          name: withRules(
            text('Name of the port.', { max: 63 }),
            rule(
              'Name must be a valid DNS label',
              'size(self) == 0 || !format.dns1123Label().validate(self).hasValue()',
            ),
          ),
          port: port('Number of the port.'),
        },
        'port',
      ),
      protocol: choice('What is spoken on the port.', 'TCP', 'HTTP', 'HTTP2', 'HTTP11', 'H2C', 'MCP'),
      tls,
    },
    'port',
    'type',
  ),
  rule(
    'externalHostname must be set when type is ExternalHostname and must be unset otherwise',
    "self.type == 'ExternalHostname' ? has(self.externalHostname) : !has(self.externalHostname)",
  ),
);

const status: JsonSchema = object('What became of the backend.', {
  parents: listOf(
    'One entry for each parent whose routes use the backend.',
    object(
      'What one controller says for one parent.',
      {
        parentRef: parentReference('The parent.'),
        controllerName: controllerName('The controller that wrote the entry.'),
        conditions: conditions('Whether the backend is accepted there.', {}),
      },
      'controllerName',
      'parentRef',
    ),
    { max: 32 },
  ),
});

const schema: JsonSchema = kindSchema('A backend outside of the cluster, for routes to name.', spec, status);

export const backend: CustomKind = gatewayKind(kinds.XBackend, {
  shortNames: ['xbackend'],
  versions: [{ name: 'v1alpha1', storage: true, schema, columns: [age] }],
});
