/** Gateway: listeners at which traffic enters, and the infrastructure behind them. */
import { kinds } from '../../kinds.ts';
import type { JsonSchema, ValidationRule } from '../../schema/schema.ts';
import type { CustomKind, PrinterColumn } from '../custom-kind.ts';
import { givenAddresses, wantedAddresses } from './address.ts';
import { pendingConditions, pendingStatus } from './conditions.ts';
import { age, gatewayKind, kindSchema, programmed } from './definition.ts';
import { listeners, listenerStatus, namespaceChoice } from './listener.ts';
import { annotationValue, dnsSubdomain, objectName, port } from './names.ts';
import { localReference, objectReference, secretReference } from './references.ts';
import { choice, count, listOf, mapOf, object, rule, textMap, withDefault, withRules } from './shape.ts';

const infrastructure: JsonSchema = object('What is made for the gateway, and how.', {
  labels: withRules(
    textMap('Labels for everything that is made for the gateway.', 8, {
      type: 'string',
      minLength: 0,
      maxLength: 63,
      pattern: '^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$',
    }),
    ...qualifiedKeys('Label', 'label'),
  ),
  annotations: withRules(
    textMap('Annotations for everything that is made for the gateway.', 16, annotationValue),
    ...qualifiedKeys('Annotation', 'annotation'),
  ),
  parametersRef: localReference('An object that configures this gateway, of a kind that the controller knows.'),
});

const frontendTls: JsonSchema = object('TLS towards clients.', {
  validation: object(
    'How certificates of clients are checked; none is asked for, if absent.',
    {
      caCertificateRefs: listOf(
        'Certificates of the authorities that clients are trusted by.',
        objectReference('An object with certificates of authorities, such as a ConfigMap with the key ca.crt.'),
        { min: 1, max: 16 },
      ),
      mode: withDefault(
        choice(
          'Refuse clients without a valid certificate, or let them in.',
          'AllowValidOnly',
          'AllowInsecureFallback',
        ),
        'AllowValidOnly',
      ),
    },
    'caCertificateRefs',
  ),
});

const tls: JsonSchema = object('TLS of the gateway as a whole.', {
  backend: object('TLS towards backends.', {
    clientCertificateRef: secretReference('The certificate, with its key, by which backends know the gateway.'),
  }),
  frontend: object(
    'TLS towards clients, of all HTTPS listeners or of those on one port.',
    {
      default: frontendTls,
      perPort: withRules(
        mapOf(
          'What differs on some ports.',
          ['port'],
          object(
            'What differs on one port.',
            { port: port('The port of the listeners.'), tls: frontendTls },
            'port',
            'tls',
          ),
          { max: 64 },
        ),
        rule(
          'Port for TLS configuration must be unique within the Gateway',
          'self.all(t1, self.exists_one(t2, t1.port == t2.port))',
        ),
      ),
    },
    'default',
  ),
});

const spec: JsonSchema = object(
  'What the gateway shall be.',
  {
    gatewayClassName: objectName('The GatewayClass, and by it the controller.'),
    listeners: listeners('Ports that take connections.', false),
    addresses: wantedAddresses,
    infrastructure,
    allowedListeners: object('Which ListenerSets may add listeners.', {
      namespaces: namespaceChoice('Namespaces of the ListenerSets.', 'None', 'All', 'Selector', 'Same', 'None'),
    }),
    tls,
    defaultScope: choice('Whether routes that use default Gateways attach to this one.', 'All', 'None'),
  },
  'gatewayClassName',
  'listeners',
);

const pending = ['Accepted', 'Programmed'];

const status: JsonSchema = pendingStatus(
  object('What became of the gateway.', {
    addresses: givenAddresses,
    attachedListenerSets: count('Number of ListenerSets that are attached to it.'),
    conditions: pendingConditions('Whether the gateway is accepted, and serves.', ...pending),
    listeners: listenerStatus,
  }),
  ...pending,
);

const schema: JsonSchema = kindSchema(
  'A gateway: listeners at which traffic enters the mesh or a waypoint.',
  spec,
  status,
);

const columns: readonly PrinterColumn[] = [
  { name: 'Class', type: 'string', jsonPath: '.spec.gatewayClassName' },
  { name: 'Address', type: 'string', jsonPath: '.status.addresses[*].value' },
  programmed,
  age,
];

export const gateway: CustomKind = gatewayKind(kinds.Gateway, {
  shortNames: ['gtw'],
  versions: [
    { name: 'v1', storage: true, schema, columns },
    { name: 'v1beta1', schema, columns },
  ],
});

/** Keys of labels or annotations are a name, or a domain and a name. */
function qualifiedKeys(what: string, lowerCase: string): ValidationRule[] {
  const key = String.raw`^(${dnsSubdomain}/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$`;
  return [
    rule(
      `${what} keys must be in the form of an optional DNS subdomain prefix followed by a required name segment of up to 63 characters.`,
      `self.all(key, key.matches(r"""${key}"""))`,
    ),
    rule(
      `If specified, the ${lowerCase} key's prefix must be a DNS subdomain not longer than 253 characters in total.`,
      'self.all(key, key.split("/")[0].size() < 253)',
    ),
  ];
}
