import { virtualService } from '../../custom/istio/virtual-service.ts';
import { validateVirtualService } from './virtual-service.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(virtualService, validateVirtualService, {
  fine: {
    'splits by version': {
      hosts: ['reviews'],
      http: [
        {
          match: [{ headers: { 'end-user': { exact: 'jason' } } }],
          route: [{ destination: { host: 'reviews', subset: 'v2' } }],
        },
        {
          route: [
            { destination: { host: 'reviews', subset: 'v1' }, weight: 75 },
            { destination: { host: 'reviews.shop.svc.cluster.local', port: { number: 9080 } }, weight: 25 },
          ],
        },
      ],
    },
    'matches claims of a token, which waypoints know as well': {
      hosts: ['reviews'],
      http: [
        {
          match: [{ headers: { '@request.auth.claims.group': { exact: 'dev' } } }],
          route: [{ destination: { host: 'reviews' } }],
        },
      ],
    },
    'serves a gateway': {
      hosts: ['*'],
      gateways: ['bookinfo-gateway', 'infra/edge'],
      http: [
        {
          match: [
            { uri: { exact: '/productpage' } },
            { uri: { prefix: '/static' } },
            { uri: { regex: '/api/v[0-9]+/.*' } },
            {
              headers: { '@request.auth.claims.group': { exact: 'dev' } },
              withoutHeaders: { 'x-off': {} },
              queryParams: { test: { regex: '*' } },
            },
          ],
          route: [{ destination: { host: 'productpage', port: { number: 9080 } } }],
        },
      ],
    },
    delegates: {
      hosts: ['shop.example.com'],
      gateways: ['edge'],
      http: [{ match: [{ uri: { prefix: '/cart' } }], delegate: { name: 'cart', namespace: 'cart' } }],
    },
    'is a delegate': {
      http: [
        {
          route: [{ destination: { host: 'reviews' } }],
        },
      ],
    },
    'passes TLS on': {
      hosts: ['*.example.com'],
      gateways: ['edge'],
      tls: [
        {
          match: [{ port: 443, sniHosts: ['login.example.com', '*.a.example.com'] }],
          route: [{ destination: { host: 'login' } }],
        },
      ],
      tcp: [
        {
          match: [{ port: 27017, destinationSubnets: ['10.0.0.0/8'] }],
          route: [{ destination: { host: 'mongo' }, weight: 1 }],
        },
      ],
      exportTo: ['.', 'other'],
    },
    'is for an address at a gateway': {
      hosts: ['10.1.2.3'],
      gateways: ['edge'],
      http: [
        {
          route: [{ destination: { host: 'reviews' } }],
        },
      ],
    },
  },
  judged: {
    'has no route': [{ hosts: ['reviews'] }, 'spec: Required value: one of `http`, `tls` and `tcp` must have a route'],
    'serves every host inside of the mesh': [
      {
        hosts: ['*'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
          },
        ],
      },
      'spec.hosts[0]: Invalid value: "*": must name a host: * is for gateways alone, not for clients inside of the mesh',
    ],
    'has hosts that are none': [
      {
        hosts: ['a b', '-x', 'a.*.b', '1.2.3'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
          },
        ],
      },
      `spec.hosts[0]: Invalid value: "a b": must be a DNS name, in which only the first label may have a '*', at its front`,
      `spec.hosts[1]: Invalid value: "-x": must be a DNS name, in which only the first label may have a '*', at its front`,
      `spec.hosts[2]: Invalid value: "a.*.b": must be a DNS name: labels of letters, digits and '-', with dots between`,
      'spec.hosts[3]: Invalid value: "1.2.3": must be a DNS name: its last label cannot be a number',
    ],
    'has hosts that overlap': [
      {
        hosts: ['a.example.com', '*.example.com', 'A.example.com', '*.com'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
          },
        ],
      },
      'spec.hosts[1]: Invalid value: "*.example.com": overlaps with spec.hosts[0] "a.example.com": name each host once',
      'spec.hosts[2]: Invalid value: "A.example.com": overlaps with spec.hosts[0] "a.example.com": name each host once',
      'spec.hosts[3]: Invalid value: "*.com": overlaps with spec.hosts[0] "a.example.com": name each host once',
    ],
    'is a delegate with more': [
      {
        gateways: ['g'],
        http: [{ delegate: { name: 'x' } }],
        tcp: [
          {
            route: [{ destination: { host: 'reviews' } }],
          },
        ],
        tls: [
          {
            match: [{ sniHosts: ['x'] }],
            route: [{ destination: { host: 'reviews' } }],
          },
        ],
      },
      'spec.gateways: Forbidden: may not be set without `hosts`: the VirtualService is a delegate, which has http routes alone',
      'spec.tls: Forbidden: may not be set without `hosts`: the VirtualService is a delegate, which has http routes alone',
      'spec.tcp: Forbidden: may not be set without `hosts`: the VirtualService is a delegate, which has http routes alone',
      'spec.http[0].delegate: Forbidden: delegates go one step: this VirtualService is a delegate itself',
    ],
    'has gateways that are none': [
      {
        hosts: ['a'],
        gateways: ['', 'a/b/c', '/x', 'istio-ingress.istio-system.svc'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
          },
        ],
      },
      'spec.gateways[0]: Invalid value: "": must not be empty',
      'spec.gateways[1]: Invalid value: "a/b/c": must be name, namespace/name or mesh',
      'spec.gateways[2]: Invalid value: "/x": must be name, namespace/name or mesh',
      'W spec.gateways[3]: write the gateway as namespace/name: dots are of an older form',
    ],
    'matches by what is no claim': [
      {
        hosts: ['a'],
        gateways: ['edge'],
        http: [
          {
            match: [{ headers: { '@request.auth.claims': { exact: 'a' } } }],
            route: [{ destination: { host: 'reviews' } }],
          },
        ],
      },
      'spec.http[0].match[0].headers[@request.auth.claims]: Invalid value: "@request.auth.claims": must name a claim, as @request.auth.claims.group or @request.auth.cl...',
    ],
    'passes TLS on without names': [
      {
        hosts: ['a'],
        tls: [
          { match: [] },
          {
            match: [{ sniHosts: [] }],
            route: [{ destination: { host: 'reviews' } }],
          },
        ],
      },
      'spec.tls[0].match: Required value: a tls route needs a match with sniHosts',
      'spec.tls[0].route: Required value: say where connections go',
      'spec.tls[1].match[0].sniHosts: Required value: name the server names that the route is for',
    ],
    'passes names on that are of others': [
      {
        hosts: ['a.example.com', '10.1.2.3'],
        tls: [
          {
            match: [{ sniHosts: ['b.example.com', '10.1.2.3', '*.example.com'] }],
            route: [{ destination: { host: 'reviews' } }],
          },
        ],
      },
      'spec.tls[0].match[0].sniHosts[0]: Invalid value: "b.example.com": must be one of the hosts of the VirtualService, or within one of its wildcards',
      'spec.tls[0].match[0].sniHosts[2]: Invalid value: "*.example.com": must be one of the hosts of the VirtualService, or within one of its wildcards',
      'W spec.tls[0].match[0].sniHosts[1]: is an IP address, which most clients do not send as server name',
    ],
    'has TCP routes that lead nowhere': [
      {
        hosts: ['a'],
        tcp: [
          {
            match: [{ destinationSubnets: ['10.0.0.0/33'], sourceSubnet: '10.0.0.0/8' }],
          },
          {
            route: [{ destination: { host: 'a' } }, { destination: { host: 'b' } }],
          },
        ],
      },
      'spec.tcp[0].match[0].destinationSubnets[0]: Invalid value: "10.0.0.0/33": must be an IP address or a CIDR block, (e.g. 10.9.8.7 or 10.9.8.0/24)',
      'spec.tcp[0].route: Required value: say where connections go',
      'spec.tcp[1].route: Invalid value: 0: the weights of several destinations may not sum up to 0',
      'W spec.tcp[0].match[0].sourceSubnet: is no longer in use and has no effect',
    ],
    'exports to what is no namespace': [
      {
        hosts: ['a'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
          },
        ],
        exportTo: ['*', '.', 'shop', 'a/b', '~'],
      },
      'spec.exportTo[2]: Duplicate value: "shop"',
      'spec.exportTo[3]: Invalid value: "a/b": must be ., *, or the name of a namespace',
      'spec.exportTo[4]: Invalid value: "~": must be ., *, or the name of a namespace',
      'spec.exportTo[0]: Invalid value: "*": cannot stand beside others: * already says all',
    ],
    'has routes after one that takes all': [
      {
        hosts: ['a'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
          },
          {
            match: [{ uri: { exact: '/a' } }],
            route: [{ destination: { host: 'reviews' } }],
          },
          {
            route: [{ destination: { host: 'reviews' } }],
          },
        ],
      },
      'W spec.http[1]: is never used: http[0] takes all that it matches (IST0130)',
      'W spec.http[2]: is never used: http[0] takes all that it matches (IST0130)',
    ],
    'has routes whose matches are taken': [
      {
        hosts: ['a'],
        http: [
          {
            match: [{ uri: { prefix: '/a' } }, { headers: { x: { exact: '1' } } }],
            route: [{ destination: { host: 'reviews' } }],
          },
          {
            match: [{ uri: { exact: '/a/b' } }, { uri: { prefix: '/c' } }],
            route: [{ destination: { host: 'reviews' } }],
          },
          {
            match: [{ uri: { prefix: '/z' }, headers: { x: { exact: '1' }, y: { exact: '2' } } }],
            route: [{ destination: { host: 'reviews' } }],
          },
          {
            match: [{ uri: { prefix: '/' } }],
            route: [{ destination: { host: 'reviews' } }],
          },
          {
            match: [{ method: { exact: 'GET' } }],
            route: [{ destination: { host: 'reviews' } }],
          },
        ],
      },
      'W spec.http[1].match[0]: has no effect: http[0] takes all that it matches (IST0131)',
      'W spec.http[2]: is never used: http[0] takes all that it matches (IST0130)',
      'W spec.http[4]: is never used: http[3] takes all that it matches (IST0130)',
    ],
  },
});
