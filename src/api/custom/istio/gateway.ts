/** networking.istio.io Gateway: the listeners of a gateway's pods. */
import { kinds } from '../../kinds.ts';
import { list, record, text, textMap } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { about } from './field.ts';
import { istioKind, networkingVersions } from './kind.ts';
import { portFields } from './port.ts';
import { serverTls } from './server-tls.ts';

const server = record(
  {
    port: about('Where it listens.', record(portFields, 'number', 'protocol', 'name')),
    bind: about('Address, or unix:// and a path, to listen on.', text),
    hosts: about(
      'Hosts that it serves, as host or namespace/host, of the VirtualServices of that namespace.',
      list(text),
    ),
    tls: about('TLS of the listener.', serverTls),
    name: about('Name of the listener.', text),
    defaultEndpoint: about('Not in use.', text),
  },
  'port',
  'hosts',
);

const spec = about(
  'The listeners.',
  record({
    selector: about('Labels of the pods that listen.', textMap),
    servers: about('The listeners.', list(server)),
  }),
);

export const istioGateway: CustomKind = istioKind(kinds.IstioGateway, {
  spec,
  versions: networkingVersions,
  shortNames: ['gw'],
});
