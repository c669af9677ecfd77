import { serviceEntry } from '../../custom/istio/service-entry.ts';
import { validateServiceEntry } from './service-entry.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(serviceEntry, validateServiceEntry, {
  fine: {
    'names an external service': {
      hosts: ['api.example.com'],
      ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
      resolution: 'DNS',
      location: 'MESH_EXTERNAL',
    },
    'has endpoints': {
      hosts: ['mongo.shop.internal'],
      addresses: ['192.192.192.192/24'],
      ports: [{ number: 27018, name: 'mongodb', protocol: 'MONGO' }],
      location: 'MESH_INTERNAL',
      resolution: 'STATIC',
      endpoints: [
        { address: '2.2.2.2', locality: 'eu/a/b', weight: 1 },
        { address: '3.3.3.3', ports: { mongodb: 8080 } },
      ],
    },
    'has a wildcard': {
      hosts: ['*.example.com'],
      ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
      location: 'MESH_EXTERNAL',
    },
    'selects pods': {
      hosts: ['api.example.com'],
      ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
      resolution: 'STATIC',
      location: 'MESH_EXTERNAL',
      workloadSelector: { labels: { app: 'details' } },
    },
    'is resolved by request': {
      hosts: ['*.example.com'],
      ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
      resolution: 'DYNAMIC_DNS',
      location: 'MESH_EXTERNAL',
    },
    'is a socket': {
      hosts: ['api.example.com'],
      ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
      resolution: 'STATIC',
      location: 'MESH_EXTERNAL',
      endpoints: [{ address: 'unix:///var/run/x.sock' }],
    },
    'is resolved by other names': {
      hosts: ['*.example.com'],
      ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
      resolution: 'DNS',
      location: 'MESH_EXTERNAL',
      endpoints: [{ address: 'a.example.com' }],
      exportTo: ['~'],
    },
  },
  judged: {
    'has no host': [
      {
        hosts: [],
        ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
        resolution: 'DNS',
        location: 'MESH_EXTERNAL',
      },
      'spec.hosts: Required value: name at least one host',
    ],
    'has hosts that are none': [
      {
        hosts: ['*', 'a b', '*x.example.com'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        resolution: 'NONE',
        location: 'MESH_EXTERNAL',
      },
      'spec.hosts[0]: Invalid value: "*": must name a host: * would be every host there is',
      `spec.hosts[1]: Invalid value: "a b": must be a DNS name, in which only the first label may have a '*', at its front`,
      "W spec.hosts[2]: a '*' that is only a part of a label is not matched by every proxy: use *. and a name",
    ],
    'has addresses that are none': [
      {
        hosts: ['api.example.com'],
        ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
        resolution: 'DNS',
        location: 'MESH_EXTERNAL',
        addresses: ['10.0.0.0/8', 'x'],
      },
      'spec.addresses[0]: Invalid value: "10.0.0.0/8": must be a single address: blocks are for the resolution NONE or STATIC alone',
      'spec.addresses[1]: Invalid value: "x": must be an IP address or a CIDR block, (e.g. 10.9.8.7 or 10.9.8.0/24)',
    ],
    'has ports that are none': [
      {
        hosts: ['api.example.com'],
        ports: [
          { number: 80, name: 'a' },
          { number: 80, name: 'a', protocol: 'X' },
          { number: 0, name: 'b', targetPort: 70000 },
          {},
        ],
        resolution: 'DNS',
        location: 'MESH_EXTERNAL',
        addresses: ['1.2.3.4'],
      },
      'spec.ports[1].name: Duplicate value: "a"',
      'spec.ports[1].number: Duplicate value: 80',
      'spec.ports[1].protocol: Unsupported value: "X": supported values: "HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "MONGO", "REDIS", "MYSQL", "TCP", "TLS"',
      'spec.ports[2].number: Invalid value: 0: must be between 1 and 65535, inclusive',
      'spec.ports[2].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
      'spec.ports[3].name: Required value',
      'spec.ports[3].number: Required value',
    ],
    'cannot tell hosts apart': [
      {
        hosts: ['a.example.com', 'b.example.com'],
        ports: [{ number: 5432, name: 'tcp', protocol: 'TCP' }],
        resolution: 'DNS',
        location: 'MESH_EXTERNAL',
      },
      'spec.ports[0]: Invalid value: {"number":5432,"name":"tcp","protocol":"TCP"}: several hosts can only share a port of HTTP or TLS, which name the host: give addre...',
    ],
    'carries TCP without an address': [
      {
        hosts: ['api.example.com'],
        ports: [{ number: 5432, name: 'tcp', protocol: 'TCP' }],
        resolution: 'DNS',
        location: 'MESH_EXTERNAL',
      },
      'W spec.ports[0]: carries TCP, by which hosts cannot be told apart: give the ServiceEntry addresses (IST0134)',
    ],
    'selects and lists': [
      {
        hosts: ['api.example.com'],
        ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
        resolution: 'DNS',
        location: 'MESH_EXTERNAL',
        workloadSelector: { labels: { app: 'x' } },
        endpoints: [{ address: '1.2.3.4' }],
      },
      'spec.endpoints: Forbidden: may not be set together with `workloadSelector`',
    ],
    'selects all': [
      {
        hosts: ['api.example.com'],
        ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
        resolution: 'DNS',
        location: 'MESH_EXTERNAL',
        workloadSelector: {},
      },
      'W spec.workloadSelector: selects every workload of the namespace: name labels, or leave it out',
    ],
    'has endpoints without resolution': [
      {
        hosts: ['api.example.com'],
        ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
        resolution: 'NONE',
        location: 'MESH_EXTERNAL',
        endpoints: [{ address: '1.2.3.4' }],
      },
      'spec.endpoints: Forbidden: may not be set with resolution NONE, which goes where the client connected to: use STATIC or DNS',
    ],
    'has names where addresses must be': [
      {
        hosts: ['api.example.com'],
        ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
        resolution: 'STATIC',
        location: 'MESH_EXTERNAL',
        endpoints: [{ address: 'a.example.com' }],
      },
      'spec.endpoints[0].address: Invalid value: "a.example.com": must be an IP address, or unix:// and a path, with this resolution',
    ],
    'has a socket and several ports': [
      {
        hosts: ['api.example.com'],
        ports: [
          { number: 80, name: 'http', protocol: 'HTTP' },
          { number: 443, name: 'tls', protocol: 'TLS' },
        ],
        resolution: 'STATIC',
        location: 'MESH_EXTERNAL',
        endpoints: [{ address: 'unix://x', ports: { tls: 1 } }],
      },
      'spec.endpoints[0].address: Invalid value: "unix://x": must be unix:// and an absolute path of a socket, or unix://@ and a name',
      'spec.endpoints[0].ports: Forbidden: a unix socket has no ports',
      'spec.ports: Invalid value: 2: must be exactly one port when an endpoint is a unix socket',
    ],
    'resolves a wildcard': [
      {
        hosts: ['*.example.com'],
        ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
        resolution: 'DNS',
        location: 'MESH_EXTERNAL',
      },
      'spec.hosts[0]: Invalid value: "*.example.com": must be a whole DNS name with resolution DNS, or endpoints must be set',
    ],
    'resolves a socket': [
      {
        hosts: ['api.example.com'],
        ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
        resolution: 'DNS',
        location: 'MESH_EXTERNAL',
        endpoints: [{ address: 'unix:///x' }],
      },
      'spec.endpoints[0].address: Invalid value: "unix:///x": must be a DNS name or an IP address with resolution DNS',
    ],
    'resolves one of several': [
      {
        hosts: ['a.example.com', 'b.example.com'],
        ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
        resolution: 'DNS_ROUND_ROBIN',
        location: 'MESH_EXTERNAL',
        endpoints: [{ address: 'a' }, { address: 'b' }],
      },
      'spec.endpoints: Forbidden: may have at most one item with resolution DNS_ROUND_ROBIN',
      'W spec.hosts: only the first host is resolved with DNS_ROUND_ROBIN: make a ServiceEntry for each',
    ],
    'resolves by request what it knows': [
      {
        hosts: ['api.example.com'],
        ports: [{ number: 1, name: 'tcp', protocol: 'TCP' }],
        resolution: 'DYNAMIC_DNS',
        location: 'MESH_INTERNAL',
        addresses: ['1.2.3.4'],
        endpoints: [{ address: '1.2.3.4' }],
      },
      'spec.hosts[0]: Invalid value: "api.example.com": must begin with *. when resolution is DYNAMIC_DNS: use DNS for a whole name',
      'spec.addresses: Forbidden: may not be set with resolution DYNAMIC_DNS, which resolves the host of each request',
      'spec.endpoints: Forbidden: may not be set with resolution DYNAMIC_DNS, which resolves the host of each request',
      'spec.ports[0].protocol: Invalid value: "TCP": must be HTTP, HTTP2, GRPC or TLS with resolution DYNAMIC_DNS, which needs the host of each request',
      'W spec.location: hosts of the mesh are not reached by DYNAMIC_DNS, whose waypoint refuses their addresses: MESH_EXTERNAL says so',
    ],
    'has endpoints that are none': [
      {
        hosts: ['api.example.com'],
        ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
        resolution: 'DNS',
        location: 'MESH_EXTERNAL',
        endpoints: [
          {},
          { network: 'n' },
          { address: 'a b' },
          {
            address: 'a',
            ports: { other: 1, a_b: 0 },
            labels: { 'a b': 'c' },
            locality: 'a//b',
            serviceAccount: 'A b',
          },
        ],
      },
      'spec.endpoints[0].address: Required value: set address, or network if a gateway of that network leads to it',
      'spec.endpoints[2].address: Invalid value: "a b": must be an IP address, a DNS name, or unix:// and a path',
      `spec.endpoints[3].ports[a_b]: Invalid value: "a_b": must be the name of a port: letters, digits and '-'`,
      'spec.endpoints[3].ports[a_b]: Invalid value: 0: must be between 1 and 65535, inclusive',
      `spec.endpoints[3].labels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric ...`,
      `spec.endpoints[3].locality: Invalid value: "a//b": must be region, region/zone or region/zone/subzone, without '*'`,
      `spec.endpoints[3].serviceAccount: Invalid value: "A b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must ...`,
      'spec.endpoints[3].ports[other]: Invalid value: "other": must be the name of a port of the ServiceEntry',
      'spec.endpoints[3].ports[a_b]: Invalid value: "a_b": must be the name of a port of the ServiceEntry',
      'W spec.endpoints[1]: has no address: it can only be reached through a gateway of its network',
    ],
    'exports to what is no namespace': [
      {
        hosts: ['api.example.com'],
        ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
        resolution: 'DNS',
        location: 'MESH_EXTERNAL',
        exportTo: ['~', '.', '.'],
        subjectAltNames: [''],
      },
      'spec.exportTo[2]: Duplicate value: "."',
      'spec.exportTo[0]: Invalid value: "~": cannot stand beside others: ~ already says nobody',
      'spec.subjectAltNames[0]: Invalid value: "": must not be empty',
    ],
  },
});
