import { sidecar } from '../../custom/istio/sidecar.ts';
import { validateSidecar } from './sidecar.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(sidecar, validateSidecar, {
  fine: {
    'limits what is reached': {
      egress: [{ hosts: ['./*', 'istio-system/*', '~/*'] }],
      outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
    },
    listens: {
      workloadSelector: { labels: { app: 'ratings' } },
      ingress: [
        { port: { number: 9080, protocol: 'HTTP', name: 'a' }, defaultEndpoint: 'unix:///var/run/x.sock' },
        {
          port: { number: 9443, protocol: 'HTTPS', name: 'b' },
          defaultEndpoint: '[::1]:8080',
          tls: { mode: 'SIMPLE', serverCertificate: '/a', privateKey: '/b' },
          connectionPool: { tcp: { maxConnections: 1 } },
        },
      ],
      egress: [
        {
          port: { number: 3306, protocol: 'MYSQL', name: 'egress' },
          captureMode: 'NONE',
          bind: '127.0.0.1',
          hosts: ['*/mysql.foo.com'],
        },
        { hosts: ['*/*'] },
      ],
    },
    'goes through a proxy': {
      outboundTrafficPolicy: { mode: 'ALLOW_ANY', egressProxy: { host: 'egress', port: { number: 80 } } },
    },
  },
  judged: {
    'says nothing': [
      {},
      'spec: Required value: set at least one of ingress, egress, inboundConnectionPool, outboundTrafficPolicy',
    ],
    'listens where one cannot': [
      {
        ingress: [
          {},
          { port: { number: 0 } },
          { port: { number: 80 }, defaultEndpoint: '10.0.0.1:80' },
          { port: { number: 80 }, defaultEndpoint: '127.0.0.1:0', bind: 'x' },
        ],
      },
      'spec.ingress[0].port: Required value',
      'spec.ingress[1].port.number: Invalid value: 0: must be between 1 and 65535, inclusive',
      'spec.ingress[2].defaultEndpoint: Invalid value: "10.0.0.1:80": must be 127.0.0.1, 0.0.0.0, [::1] or [::] with a port, or unix:// and a path',
      'spec.ingress[3].bind: Invalid value: "x": must be an IP address, or unix:// and a path',
      'spec.ingress[3].port.number: Duplicate value: 80',
      'spec.ingress[3].defaultEndpoint: Invalid value: "127.0.0.1:0": must be 127.0.0.1, 0.0.0.0, [::1] or [::] with a port, or unix:// and a path',
    ],
    'has TLS that it cannot have': [
      {
        ingress: [{ port: { number: 80, protocol: 'HTTP' }, tls: { mode: 'PASSTHROUGH', credentialName: 'x' } }],
      },
      'spec.ingress[0].tls: Forbidden: may only be set when the protocol of the port is HTTPS or TLS',
      'spec.ingress[0].tls.mode: Unsupported value: "PASSTHROUGH": supported values: "SIMPLE", "MUTUAL"',
      'spec.ingress[0].tls.credentialName: Forbidden: is not supported by a Sidecar: use files',
      'W spec.ingress[0].tls.credentialName: is ignored: PASSTHROUGH does not end TLS',
    ],
    'has listeners after the last': [
      {
        egress: [{ hosts: ['./*'], bind: '1.2.3.4' }, { hosts: ['./*'] }],
      },
      'spec.egress[0].port: Required value: only the last egress listener may be without a port: it takes what the others leave',
      'spec.egress[0].bind: Forbidden: may not be set without `port`',
    ],
    'reaches what is none': [
      { egress: [{ hosts: [] }] },
      'spec.egress[0].hosts: Required value: name at least one host, as ./*',
    ],
    'reaches hosts that are none': [
      {
        egress: [{ hosts: ['a', '/x', 'a/b/c', './*', './*'] }],
      },
      'spec.egress[0].hosts[0]: Invalid value: "a": must be namespace/host, as ./* or istio-system/*',
      'spec.egress[0].hosts[1]: Invalid value: "/x": neither the namespace nor the host may be empty',
      `spec.egress[0].hosts[2]: Invalid value: "a/b/c": must be a DNS name, in which only the first label may have a '*', at its front`,
      'W spec.egress[0].hosts[4]: is named twice',
    ],
    'reaches all and more': [
      {
        egress: [{ hosts: ['*/*', './*'] }],
      },
      'W spec.egress[0].hosts: */* is every host: the others have no effect',
    ],
    'captures a socket': [
      {
        egress: [
          { port: { number: 0 }, bind: 'unix:///x', captureMode: 'IPTABLES', hosts: ['./*'] },
          { port: { number: 5 }, bind: 'unix:///y', hosts: ['./*'] },
        ],
      },
      'spec.egress[0].captureMode: Invalid value: "IPTABLES": must be DEFAULT or NONE when `bind` is a unix socket',
      'spec.egress[1].port.number: Invalid value: 5: must be 0 when `bind` is a unix socket',
    ],
    'has a proxy for nothing': [
      { outboundTrafficPolicy: { egressProxy: { host: '*' } } },
      'spec.outboundTrafficPolicy.egressProxy: Forbidden: may only be set when mode is ALLOW_ANY',
      'spec.outboundTrafficPolicy.egressProxy.host: Invalid value: "*": must name a host: * is none',
    ],
    'selects all': [
      { workloadSelector: {}, inboundConnectionPool: {} },
      'spec.inboundConnectionPool: Required value: set tcp, http, or both',
      'W spec.workloadSelector: selects every workload of the namespace: name labels, or leave it out',
    ],
  },
});
