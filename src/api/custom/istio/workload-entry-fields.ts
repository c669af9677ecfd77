/** One endpoint outside of Kubernetes: a WorkloadEntry, the template of a WorkloadGroup, an endpoint of a ServiceEntry. */
import { record, type JsonSchema } from '../../schema/schema.ts';
import { about, ruled, strictPort, unsigned } from './field.ts';

const address = ruled(
  ruled(
    { type: 'string', maxLength: 256 },
    "!self.startsWith('unix://') || self.startsWith('unix:///') || self.startsWith('unix://@')",
    'the path of a unix socket must be absolute or abstract',
  ),
  "!self.startsWith('unix://') || !self.endsWith('/')",
  'a unix socket may not be a folder',
);

const ports = ruled(
  { type: 'object', maxProperties: 128, additionalProperties: strictPort },
  "self.all(key, size(key) < 63 && key.matches('^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$'))",
  'port name must be valid',
);

const path: JsonSchema = { type: 'string', maxLength: 2048 };

const fields = record({
  address: about('IP address, DNS name, or unix:// and a path.', address),
  ports: about("Ports of the endpoint by the name of the service's port.", ports),
  labels: about('Labels by which it is selected.', {
    type: 'object',
    maxProperties: 256,
    additionalProperties: { type: 'string' },
  }),
  network: about('Network that it is in; endpoints of other networks are reached through gateways.', path),
  locality: about('Where it is, as region/zone/subzone.', path),
  weight: about('Its share, against that of the others.', unsigned),
  serviceAccount: about('Service account whose identity it has.', { type: 'string', maxLength: 253 }),
});

/** Every field; nothing is required. */
export const workloadTemplate: JsonSchema = ruled(
  fields,
  "!(has(self.address) && self.address.startsWith('unix://')) || !has(self.ports)",
  'a unix socket has no ports',
);

/** Like `workloadTemplate`, and it can be reached. */
export const workloadEntryFields: JsonSchema = ruled(
  workloadTemplate,
  'has(self.address) || has(self.network)',
  'address is required, unless network is set',
);
