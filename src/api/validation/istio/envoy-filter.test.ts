import { envoyFilter } from '../../custom/istio/envoy-filter.ts';
import { validateEnvoyFilter } from './envoy-filter.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(envoyFilter, validateEnvoyFilter, {
  fine: {
    'inserts a filter': {
      workloadSelector: { labels: { app: 'reviews' } },
      configPatches: [
        {
          applyTo: 'HTTP_FILTER',
          match: {
            context: 'SIDECAR_INBOUND',
            proxy: { proxyVersion: '^1\\.2.*' },
            listener: {
              portNumber: 8080,
              filterChain: {
                filter: {
                  name: 'envoy.filters.network.http_connection_manager',
                  subFilter: { name: 'envoy.filters.http.router' },
                },
              },
            },
          },
          patch: { operation: 'INSERT_BEFORE', value: { name: 'x' } },
        },
        { applyTo: 'CLUSTER', match: { cluster: { service: 'a' } }, patch: { operation: 'REMOVE' } },
        {
          applyTo: 'HTTP_ROUTE',
          match: { routeConfiguration: { vhost: { name: 'a:80' } } },
          patch: { operation: 'MERGE', value: {} },
        },
      ],
    },
  },
  judged: {
    'patches nothing': [
      {
        configPatches: [{}, { applyTo: 'INVALID', patch: {} }, { applyTo: 'CLUSTER', patch: { operation: 'ADD' } }],
      },
      'spec.configPatches[0].applyTo: Required value: say what is patched',
      'spec.configPatches[0].patch: Required value',
      'spec.configPatches[1].applyTo: Required value: say what is patched',
      'spec.configPatches[1].patch.operation: Required value: say how the patch is applied',
      'spec.configPatches[2].patch.value: Required value: ADD needs a value',
    ],
    'matches what is of another kind': [
      {
        configPatches: [
          { applyTo: 'CLUSTER', match: { listener: {} }, patch: { operation: 'REMOVE' } },
          { applyTo: 'HTTP_FILTER', match: { cluster: {} }, patch: { operation: 'REMOVE' } },
          { applyTo: 'VIRTUAL_HOST', match: { cluster: {} }, patch: { operation: 'REMOVE' } },
        ],
      },
      'spec.configPatches[0].match.listener: Forbidden: may not be set with applyTo CLUSTER, which is matched by cluster',
      'spec.configPatches[1].match.cluster: Forbidden: may not be set with applyTo HTTP_FILTER, which is matched by listener',
      'spec.configPatches[2].match.cluster: Forbidden: may not be set with applyTo VIRTUAL_HOST, which is matched by routeConfiguration',
    ],
    'matches filters that are none': [
      {
        configPatches: [
          {
            applyTo: 'NETWORK_FILTER',
            match: {
              proxy: { proxyVersion: '(' },
              listener: { filterChain: { filter: { subFilter: {} } } },
            },
            patch: { operation: 'REMOVE' },
          },
          {
            applyTo: 'HTTP_FILTER',
            match: {
              listener: {
                filterChain: { filter: { name: 'x', subFilter: { name: 'y' } } },
              },
            },
            patch: { operation: 'REMOVE' },
          },
        ],
      },
      'spec.configPatches[0].match.proxy.proxyVersion: Invalid value: "(": must be a regular expression in RE2\'s syntax: error parsing regexp: missing closing ): `(`',
      'spec.configPatches[0].match.listener.filterChain.filter.name: Required value',
      'spec.configPatches[0].match.listener.filterChain.filter.subFilter: Forbidden: may only be set with applyTo HTTP_FILTER',
      'spec.configPatches[0].match.listener.filterChain.filter.subFilter.name: Required value',
      'spec.configPatches[1].match.listener.filterChain.filter.name: Invalid value: "x": must be envoy.filters.network.http_connection_manager when subFilter is set',
    ],
    'selects and targets': [
      {
        workloadSelector: { labels: { a: 'b' } },
        targetRefs: [{ kind: 'Gateway', group: 'gateway.networking.k8s.io', name: 'x' }],
      },
      'spec.targetRefs: Forbidden: may not be set together with `workloadSelector`',
    ],
  },
});
