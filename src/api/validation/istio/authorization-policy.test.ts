import { authorizationPolicy } from '../../custom/istio/authorization-policy.ts';
import { validateAuthorizationPolicy } from './authorization-policy.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(authorizationPolicy, validateAuthorizationPolicy, {
  fine: {
    'lets a frontend call': {
      selector: { matchLabels: { app: 'httpbin' } },
      action: 'ALLOW',
      rules: [
        {
          from: [{ source: { principals: ['cluster.local/ns/default/sa/curl'] } }, { source: { namespaces: ['dev'] } }],
          to: [
            {
              operation: {
                methods: ['GET'],
                paths: ['/info*', '/user/{*}/items/{**}'],
                ports: ['80'],
                hosts: ['example.com', 'example.com:*'],
              },
            },
          ],
          when: [
            { key: 'request.auth.claims[iss]', values: ['https://accounts.google.com'] },
            { key: 'source.ip', notValues: ['10.1.2.3', '10.2.0.0/16'] },
          ],
        },
      ],
    },
    'is for a waypoint': {
      targetRefs: [
        { kind: 'Service', group: '', name: 'reviews' },
        { kind: 'Gateway', group: 'gateway.networking.k8s.io', name: 'waypoint' },
      ],
      action: 'DENY',
      rules: [
        {
          from: [{ source: { notTrustDomains: ['cluster.local'], serviceAccounts: ['shop/cart'] } }],
        },
      ],
    },
    'asks a provider': {
      action: 'CUSTOM',
      provider: { name: 'ext-authz' },
      rules: [
        {
          to: [{ operation: { paths: ['/admin/*'] } }],
          from: [{ source: { ipBlocks: ['::1'], notRemoteIpBlocks: ['fd00::/8'] } }],
        },
      ],
    },
    'denies all': { action: 'DENY', rules: [{}] },
  },
  judged: {
    'allows nothing': [{}, 'W spec: allows nothing: every request to the selected workloads is denied'],
    'denies nothing': [
      { action: 'DENY' },
      'spec.rules: Required value: DENY needs at least one rule: without one it matches nothing',
    ],
    'audits nothing': [
      { action: 'AUDIT', rules: [] },
      'spec.rules: Required value: AUDIT needs at least one rule: without one it matches nothing',
    ],
    'asks nobody': [
      { action: 'CUSTOM', rules: [{}] },
      'spec.provider.name: Required value: CUSTOM needs the name of a provider',
    ],
    'asks about nothing': [
      { action: 'CUSTOM', provider: { name: 'p' } },
      'spec.rules: Required value: CUSTOM needs at least one rule',
    ],
    'names a provider without asking': [
      { rules: [{}], provider: { name: 'p' } },
      'spec.provider: Forbidden: may only be set when `action` is CUSTOM',
    ],
    'asks about identities': [
      {
        action: 'CUSTOM',
        provider: { name: 'p' },
        rules: [
          {
            from: [{ source: { principals: ['a'], notNamespaces: ['b'], requestPrincipals: ['*'] } }],
            when: [
              { key: 'request.auth.audiences', values: ['x'] },
              { key: 'source.principal', values: ['x'] },
            ],
          },
        ],
      },
      'spec.rules[0].from[0].source.principals: Forbidden: is not supported with the action CUSTOM',
      'spec.rules[0].from[0].source.requestPrincipals: Forbidden: is not supported with the action CUSTOM',
      'spec.rules[0].from[0].source.notNamespaces: Forbidden: is not supported with the action CUSTOM',
      'spec.rules[0].when[0].key: Forbidden: request.auth.audiences is not supported with the action CUSTOM',
      'spec.rules[0].when[1].key: Forbidden: source.principal is not supported with the action CUSTOM',
    ],
    'has a rule that is null': [
      { rules: [null] },
      'spec.rules[0]: Required value: must not be null: {} matches everything',
    ],
    'has empty lists': [
      { rules: [{ from: [], to: [] }] },
      'spec.rules[0].from: Required value: must not be an empty list: leave it out to match everything',
      'spec.rules[0].to: Required value: must not be an empty list: leave it out to match everything',
    ],
    'has a source that says nothing': [
      {
        rules: [
          {
            from: [{}, { source: {} }, { source: { principals: [] } }, { source: { principals: [''] } }],
          },
        ],
      },
      'spec.rules[0].from[0].source: Required value',
      'spec.rules[0].from[1].source: Required value: must set at least one field',
      'spec.rules[0].from[2].source.principals: Required value: must not be an empty list',
      'spec.rules[0].from[3].source.principals[0]: Invalid value: "": must not be empty',
    ],
    'has an operation that says nothing': [
      {
        rules: [
          {
            to: [{}, { operation: {} }, { operation: { paths: [''] } }],
          },
        ],
      },
      'spec.rules[0].to[0].operation: Required value',
      'spec.rules[0].to[1].operation: Required value: must set at least one field',
      'spec.rules[0].to[2].operation.paths[0]: Invalid value: "": must not be empty',
    ],
    'names a caller in two ways': [
      {
        rules: [
          {
            from: [{ source: { serviceAccounts: ['cart'], namespaces: ['shop'] } }],
          },
        ],
      },
      'spec.rules[0].from[0].source.serviceAccounts: Forbidden: may not be set together with `namespaces`',
    ],
    'has service accounts that are none': [
      {
        rules: [
          {
            from: [{ source: { serviceAccounts: ['a/b/c', 'shop/*'] } }],
          },
        ],
      },
      'spec.rules[0].from[0].source.serviceAccounts[0]: Invalid value: "a/b/c": must be `name` or `namespace/name`',
      `spec.rules[0].from[0].source.serviceAccounts[1]: Invalid value: "shop/*": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-'...`,
    ],
    'has blocks that are none': [
      {
        rules: [
          {
            from: [{ source: { ipBlocks: ['10.0.0.0/40'], notRemoteIpBlocks: ['x'] } }],
          },
        ],
      },
      'spec.rules[0].from[0].source.ipBlocks[0]: Invalid value: "10.0.0.0/40": must be an IP address or a CIDR block, (e.g. 10.9.8.7 or 10.9.8.0/24)',
      'spec.rules[0].from[0].source.notRemoteIpBlocks[0]: Invalid value: "x": must be an IP address or a CIDR block, (e.g. 10.9.8.7 or 10.9.8.0/24)',
    ],
    'has ports that are none': [
      {
        rules: [
          {
            to: [{ operation: { ports: ['0', '70000'], notPorts: ['http'] } }],
          },
        ],
      },
      'spec.rules[0].to[0].operation.ports[0]: Invalid value: "0": must be between 1 and 65535, inclusive',
      'spec.rules[0].to[0].operation.ports[1]: Invalid value: "70000": must be between 1 and 65535, inclusive',
      'spec.rules[0].to[0].operation.notPorts[0]: Invalid value: "http": must be between 1 and 65535, inclusive',
    ],
    'has templates of paths that are none': [
      {
        rules: [
          {
            to: [{ operation: { paths: ['/a/{id}', '/{**}/b/{**}', '/{*}/*', 'a/{*}', '/{**}/{*}', '/a b/{*}'] } }],
          },
        ],
      },
      'spec.rules[0].to[0].operation.paths[0]: Invalid value: "/a/{id}": only the segments {*} and {**} are supported in a path template',
      'spec.rules[0].to[0].operation.paths[1]: Invalid value: "/{**}/b/{**}": {**} may be used at most once',
      'spec.rules[0].to[0].operation.paths[2]: Invalid value: "/{*}/*": may not mix * with {*} or {**}',
      'spec.rules[0].to[0].operation.paths[3]: Invalid value: "a/{*}": a path template must begin with /',
      'spec.rules[0].to[0].operation.paths[4]: Invalid value: "/{**}/{*}": {**} must come after every {*}',
      'spec.rules[0].to[0].operation.paths[5]: Invalid value: "/a b/{*}": the other segments of a path template may only have the characters of a path',
    ],
    'has conditions that are none': [
      {
        rules: [
          {
            when: [
              { key: '' },
              { key: 'source.colour', values: ['red'] },
              { key: 'source.ip' },
              { key: 'source.ip', values: [] },
              { key: 'remote.ip', values: ['host'] },
              { key: 'destination.port', notValues: ['x'] },
              { key: 'source.serviceAccount', values: ['a/b/c'] },
              { key: 'request.headers', values: ['x'] },
            ],
          },
        ],
      },
      'spec.rules[0].when[0].key: Required value',
      'spec.rules[0].when[0]: Required value: at least one of `values` and `notValues` must be set',
      'spec.rules[0].when[1].key: Unsupported value: "source.colour": supported values: "request.headers[name]", "request.auth.claims[name]", "experimental.envoy.filte...',
      'spec.rules[0].when[2]: Required value: at least one of `values` and `notValues` must be set',
      'spec.rules[0].when[3].values: Required value: must not be an empty list',
      'spec.rules[0].when[4].values[0]: Invalid value: "host": must be an IP address or a CIDR block, (e.g. 10.9.8.7 or 10.9.8.0/24)',
      'spec.rules[0].when[5].notValues[0]: Invalid value: "x": must be between 1 and 65535, inclusive',
      'spec.rules[0].when[6].values[0]: Invalid value: "a/b/c": must be `name` or `namespace/name`',
      'spec.rules[0].when[7].key: Unsupported value: "request.headers": supported values: "request.headers[name]", "request.auth.claims[name]", "experimental.envoy.fil...',
    ],
    'writes identities with their scheme': [
      {
        rules: [
          {
            from: [{ source: { principals: ['spiffe://cluster.local/ns/a/sa/b'] } }],
          },
        ],
      },
      'W spec.rules[0].from[0].source.principals[0]: matches nobody: write the identity without spiffe://',
    ],
    'selects and targets': [
      { rules: [{}], selector: { matchLabels: { app: 'x' } }, targetRefs: [{ kind: 'Service', name: 'x' }] },
      'spec.targetRefs: Forbidden: may not be set together with `selector`',
    ],
    'targets what cannot be a target': [
      {
        rules: [{}],
        targetRefs: [
          { kind: 'Pod', name: 'x' },
          { kind: 'Service', name: '' },
          { kind: 'Service', name: 'x', namespace: 'other' },
        ],
      },
      'spec.targetRefs[0].kind: Unsupported value: "Pod": supported values: "Service", "gateway.networking.k8s.io/Gateway", "gateway.networking.k8s.io/GatewayClass", "...',
      'spec.targetRefs[1].name: Required value',
      'spec.targetRefs[2].namespace: Forbidden: references to other namespaces are not supported',
    ],
    'selects by a wildcard': [
      { rules: [{}], selector: { matchLabels: { app: 'x*', '': 'y' } } },
      'spec.selector.matchLabels[app]: Invalid value: "x*": wildcard is not supported in selector',
      'spec.selector.matchLabels: Invalid value: "": key may not be empty',
    ],
    'selects by what is no label': [
      { rules: [{}], selector: { matchLabels: { app: 'a b' } } },
      `spec.selector.matchLabels: Invalid value: "a b": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start an...`,
    ],
  },
});
