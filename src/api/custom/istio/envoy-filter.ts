/** networking.istio.io EnvoyFilter: patches of the configuration of Envoy. */
import { kinds } from '../../kinds.ts';
import { integer, list, oneOf, open, record, text, textMap, type JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { about, atMostOne, ruled, ruledAtMostOne, strictPort, unsigned } from './field.ts';
import { istioKind } from './kind.ts';
import { workloadSelector } from './selector.ts';
import { targetRefs } from './target-ref.ts';

const filter = about(
  'A filter of the chain.',
  record({
    name: about('Name of the filter.', text),
    subFilter: about('A filter inside of it.', record({ name: about('Name of the filter.', text) })),
  }),
);

const listener = record({
  portNumber: about('Port of the listener.', unsigned),
  portName: about('Not in use.', text),
  name: about('Name of the listener.', text),
  listenerFilter: about('Name of a listener filter.', text),
  filterChain: about(
    'A filter chain of the listener.',
    record({
      name: about('Name of the chain.', text),
      sni: about('Server name that the chain is for.', text),
      transportProtocol: about('raw_buffer or tls.', text),
      applicationProtocols: about('ALPN protocols, with commas between.', text),
      destinationPort: about('Destination port that the chain is for.', unsigned),
      filter,
    }),
  ),
});

const routeConfiguration = record({
  portNumber: about('Port that the routes are for.', unsigned),
  portName: about('Name of that port.', text),
  gateway: about('Gateway that the routes are of, as namespace/name.', text),
  name: about('Name of the route configuration.', text),
  vhost: about(
    'A virtual host of it.',
    record({
      name: about('Name of the virtual host, as host:port.', text),
      domainName: about('A domain of the virtual host.', text),
      route: about(
        'A route of the virtual host.',
        record({
          name: about('Name of the route.', text),
          action: about('What the route does.', oneOf('ANY', 'ROUTE', 'REDIRECT', 'DIRECT_RESPONSE')),
        }),
      ),
    }),
  ),
});

const cluster = record({
  portNumber: about('Port of the service.', unsigned),
  service: about('Host of the service.', text),
  subset: about('Subset of the service.', text),
  name: about('Name of the cluster.', text),
});

const waypoint = record({
  portNumber: about('Port of the service.', strictPort),
  filter,
  route: about('A route.', record({ name: about('Name of the route.', text) })),
});

const match: JsonSchema = {
  ...ruled(
    record({
      context: about('Which listeners.', oneOf('ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND', 'GATEWAY', 'WAYPOINT')),
      proxy: about(
        'Which proxies.',
        record({
          proxyVersion: about('Expression for the version of the proxy.', text),
          metadata: about("Entries of the proxy's metadata.", textMap),
        }),
      ),
      listener: about('Which listener.', listener),
      routeConfiguration: about('Which routes.', routeConfiguration),
      cluster: about('Which cluster.', cluster),
      waypoint: about('Which part of a waypoint.', waypoint),
    }),
    "has(self.waypoint) == (has(self.context) && self.context == 'WAYPOINT')",
    'waypoint must be set when context is WAYPOINT, and only then',
  ),
  ...atMostOne('listener', 'routeConfiguration', 'cluster', 'waypoint'),
};

const patch = record({
  operation: about(
    'How the patch is applied.',
    oneOf(
      'INVALID',
      'MERGE',
      'ADD',
      'REMOVE',
      'INSERT_BEFORE',
      'INSERT_AFTER',
      'INSERT_FIRST',
      'REPLACE',
      'MERGE_AND_REPLACE_LIST',
    ),
  ),
  value: about("Envoy's configuration.", open),
  filterClass: about('Where among the filters an added one goes.', oneOf('UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS')),
});

const places = [
  'INVALID',
  'LISTENER',
  'FILTER_CHAIN',
  'NETWORK_FILTER',
  'HTTP_FILTER',
  'ROUTE_CONFIGURATION',
  'VIRTUAL_HOST',
  'HTTP_ROUTE',
  'CLUSTER',
  'EXTENSION_CONFIG',
  'BOOTSTRAP',
  'LISTENER_FILTER',
];

const spec = about(
  'The patches.',
  ruledAtMostOne(
    record({
      workloadSelector,
      targetRefs,
      configPatches: about(
        'The patches, in order.',
        list(
          record({
            applyTo: about('What kind of thing is patched.', oneOf(...places)),
            match: about('Which of them.', match),
            patch: about('The patch.', patch),
          }),
        ),
      ),
      priority: about('Order among EnvoyFilters: low ones first.', integer),
    }),
    'workloadSelector',
    'targetRefs',
  ),
);

export const envoyFilter: CustomKind = istioKind(kinds.EnvoyFilter, { spec, versions: ['v1alpha3'] });
