/** networking.istio.io Sidecar: what the proxies of workloads listen for and may reach. */
import { kinds } from '../../kinds.ts';
import { list, oneOf, record, text } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { connectionPool } from './connection-pool.ts';
import { destination } from './destination.ts';
import { about } from './field.ts';
import { istioKind, networkingVersions } from './kind.ts';
import { portFields } from './port.ts';
import { workloadSelector } from './selector.ts';
import { serverTls } from './server-tls.ts';

const listener = {
  port: about('Where it listens.', record(portFields)),
  bind: about('Address, or unix:// and a path, to listen on.', text),
  captureMode: about('How traffic comes to the listener.', oneOf('DEFAULT', 'IPTABLES', 'NONE')),
};

const spec = about(
  'What the proxies listen for and may reach.',
  record({
    workloadSelector,
    ingress: about(
      'Listeners for traffic to the workload; without it, all of its ports.',
      list(
        record(
          {
            ...listener,
            defaultEndpoint: about('Where the workload listens, as 127.0.0.1:8080 or unix:///path.', text),
            tls: about('TLS of the listener.', serverTls),
            connectionPool: about('Limits on connections to the workload at this port.', connectionPool),
          },
          'port',
        ),
      ),
    ),
    egress: about(
      'Listeners for traffic from the workload, and the hosts that it may reach.',
      list(
        record({ ...listener, hosts: about('Hosts, as namespace/host; * and . as namespace.', list(text)) }, 'hosts'),
      ),
    ),
    inboundConnectionPool: about('Limits on connections to the workload.', connectionPool),
    outboundTrafficPolicy: about(
      'What happens to traffic to hosts that the mesh does not know.',
      record({
        mode: about('Refuse it, or let it pass.', oneOf('REGISTRY_ONLY', 'ALLOW_ANY')),
        egressProxy: about('Where it goes, in place of its own destination.', destination),
      }),
    ),
  }),
);

export const sidecar: CustomKind = istioKind(kinds.Sidecar, { spec, versions: networkingVersions });
