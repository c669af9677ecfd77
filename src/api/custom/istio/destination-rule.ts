/** networking.istio.io DestinationRule: how clients treat a host, and which subsets it has. */
import { kinds } from '../../kinds.ts';
import { list, oneOf, record, text, textMap, type JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { clientTls } from './client-tls.ts';
import { connectionPool } from './connection-pool.ts';
import { portSelector } from './destination.ts';
import { about, percent, unsigned } from './field.ts';
import { ageColumn, istioKind, networkingVersions, textColumn } from './kind.ts';
import { loadBalancer } from './load-balancer.ts';
import { outlierDetection } from './outlier-detection.ts';
import { selector } from './selector.ts';

const perPort: Readonly<Record<string, JsonSchema>> = {
  loadBalancer: about('How an endpoint is chosen.', loadBalancer),
  connectionPool: about('Limits on connections and requests.', connectionPool),
  outlierDetection: about('When an endpoint is left out because it fails.', outlierDetection),
  tls: about('TLS towards the host.', clientTls),
};

const tunnel = record(
  {
    protocol: about('CONNECT (if nothing is said) or POST.', text),
    targetHost: about('Host at the far end.', text),
    targetPort: about('Port at the far end.', unsigned),
  },
  'targetHost',
  'targetPort',
);

const retryBudget = record({
  percent: about('Retries at a time, of the requests at a time; 20 if nothing is said.', percent),
  minRetryConcurrency: about('Retries at a time that are always allowed; 3 if nothing is said.', unsigned),
  budgetInterval: about('Time over which requests are counted.', text),
});

const trafficPolicy = record({
  ...perPort,
  portLevelSettings: about('For single ports; what is said here replaces all of the above.', {
    type: 'array',
    maxItems: 4096,
    items: record({ port: about('The port.', portSelector), ...perPort }),
  }),
  tunnel: about('A tunnel through the host to somewhere else.', tunnel),
  proxyProtocol: about(
    "A PROXY protocol header with the client's address.",
    record({ version: about('Version of the header; V1 if nothing is said.', oneOf('V1', 'V2')) }),
  ),
  retryBudget: about('How much of the traffic may be retries.', retryBudget),
});

const spec = about(
  'How clients treat the host.',
  record(
    {
      host: about('The host; a short name is of the namespace of the object.', text),
      trafficPolicy: about('For all of the host.', trafficPolicy),
      subsets: about(
        'Named parts of the host, for routes to lead to.',
        list(
          record(
            {
              name: about('Name of the subset.', text),
              labels: about('Labels that its endpoints have.', textMap),
              trafficPolicy: about('For the subset; each block replaces that of the host.', trafficPolicy),
            },
            'name',
          ),
        ),
      ),
      exportTo: about('Namespaces whose clients it is for: . for its own, * for all.', list(text)),
      workloadSelector: about('Clients that it is for.', selector),
    },
    'host',
  ),
);

export const destinationRule: CustomKind = istioKind(kinds.DestinationRule, {
  spec,
  versions: networkingVersions,
  shortNames: ['dr'],
  columns: [textColumn('Host', '.spec.host', 'The host that it is about.'), ageColumn],
});
