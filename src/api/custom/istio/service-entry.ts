/** networking.istio.io ServiceEntry: a service that Kubernetes does not know. */
import { kinds } from '../../kinds.ts';
import { list, oneOf, record, text, type JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { about, listBy, ruled, strictPort } from './field.ts';
import { ageColumn, istioKind, networkingVersions, textColumn } from './kind.ts';
import { workloadSelector } from './selector.ts';
import { workloadEntryFields } from './workload-entry-fields.ts';

const word: JsonSchema = { type: 'string', maxLength: 256 };

const ports = ruled(
  {
    ...listBy(
      'name',
      record(
        {
          number: about('Number of the port.', strictPort),
          protocol: about('HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, MONGO, REDIS, MYSQL, TCP or TLS.', word),
          name: about('Name of the port.', word),
          targetPort: about('Port of the endpoints, where it is another.', strictPort),
        },
        'number',
        'name',
      ),
    ),
    maxItems: 256,
  },
  'self.all(one, self.exists_one(other, one.number == other.number))',
  'port number cannot be duplicated',
);

const spec = about(
  'The service.',
  [
    ['!(has(self.workloadSelector) && has(self.endpoints))', 'only one of workloadSelector or endpoints can be set'],
    [
      "!has(self.addresses) || !has(self.resolution) || self.resolution in ['NONE', 'STATIC'] || !self.addresses.exists(address, address.contains('/'))",
      'CIDR addresses are only allowed with the resolution NONE or STATIC',
    ],
    [
      "(has(self.resolution) && self.resolution != 'NONE') || !has(self.endpoints)",
      'resolution NONE cannot have endpoints',
    ],
    [
      "!has(self.resolution) || self.resolution != 'DNS_ROUND_ROBIN' || !has(self.endpoints) || self.endpoints.size() <= 1",
      'resolution DNS_ROUND_ROBIN cannot have several endpoints',
    ],
  ].reduce(
    (schema, [rule = '', message = '']) => ruled(schema, rule, message),
    record(
      {
        hosts: about('DNS names of the service; *. at the front for all names below.', {
          type: 'array',
          minItems: 1,
          maxItems: 256,
          items: ruled(text, "self != '*'", 'hostname cannot be wildcard'),
        }),
        addresses: about('Virtual addresses or CIDR blocks of the service.', {
          type: 'array',
          maxItems: 256,
          items: { type: 'string', maxLength: 64 },
        }),
        ports: about('Ports of the service.', ports),
        location: about('Whether the service is part of the mesh.', oneOf('MESH_EXTERNAL', 'MESH_INTERNAL')),
        resolution: about(
          'How the addresses of the service are found; NONE takes the one that the client connected to.',
          oneOf('NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'),
        ),
        endpoints: about('Endpoints of the service.', { type: 'array', maxItems: 4096, items: workloadEntryFields }),
        workloadSelector: about('Pods and WorkloadEntries that are its endpoints.', workloadSelector),
        exportTo: about('Namespaces that see it: . for its own, * for all.', list(text)),
        subjectAltNames: about('Names, one of which the certificate of an endpoint must have.', list(text)),
      },
      'hosts',
    ),
  ),
);

export const serviceEntry: CustomKind = istioKind(kinds.ServiceEntry, {
  spec,
  requiresSpec: true,
  versions: networkingVersions,
  shortNames: ['se'],
  columns: [
    textColumn('Hosts', '.spec.hosts', 'DNS names of the service.'),
    textColumn('Location', '.spec.location', 'Whether the service is part of the mesh.'),
    textColumn('Resolution', '.spec.resolution', 'How its addresses are found.'),
    ageColumn,
  ],
});
