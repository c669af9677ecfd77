import { istioGateway } from '../../custom/istio/gateway.ts';
import { validateGateway } from './gateway.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(istioGateway, validateGateway, {
  fine: {
    'serves HTTP and HTTPS': {
      selector: { istio: 'ingressgateway' },
      servers: [
        {
          port: { number: 80, name: 'http', protocol: 'HTTP' },
          hosts: ['shop.example.com'],
          tls: { httpsRedirect: true },
        },
        {
          port: { number: 443, name: 'https', protocol: 'HTTPS' },
          hosts: ['./shop.example.com', '*/*.example.com', 'shop/a.example.com'],
          tls: { mode: 'SIMPLE', credentialName: 'shop' },
        },
      ],
    },
    'asks clients for certificates': {
      selector: { istio: 'ingressgateway' },
      servers: [
        {
          port: { number: 443, name: 'https', protocol: 'HTTPS' },
          hosts: ['shop.example.com'],
          tls: {
            mode: 'MUTUAL',
            serverCertificate: '/a',
            privateKey: '/b',
            caCertificates: '/c',
            caCrl: '/d',
            minProtocolVersion: 'TLSV1_2',
            maxProtocolVersion: 'TLSV1_3',
            cipherSuites: [
              'ECDHE-RSA-AES256-GCM-SHA384',
              '[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]',
            ],
          },
        },
      ],
    },
    'has two keys': {
      selector: { istio: 'ingressgateway' },
      servers: [
        {
          port: { number: 443, name: 'https', protocol: 'HTTPS' },
          hosts: ['shop.example.com'],
          tls: { mode: 'OPTIONAL_MUTUAL', credentialNames: ['rsa', 'ecdsa'] },
        },
      ],
    },
    'passes TLS on': {
      selector: { istio: 'ingressgateway' },
      servers: [{ port: { number: 443, name: 'tls', protocol: 'TLS' }, hosts: ['*'], tls: { mode: 'PASSTHROUGH' } }],
    },
    'is for the mesh': {
      selector: { istio: 'ingressgateway' },
      servers: [
        {
          port: { number: 443, name: 'https', protocol: 'HTTPS' },
          hosts: ['shop.example.com'],
          tls: { mode: 'ISTIO_MUTUAL' },
        },
      ],
    },
    'listens on a socket': {
      servers: [{ port: { number: 0, name: 'x', protocol: 'HTTP' }, bind: 'unix:///var/run/x.sock', hosts: ['*'] }],
    },
  },
  judged: {
    'has no server': [{ selector: {} }, 'spec.servers: Required value: name at least one server'],
    'serves no host': [
      {
        selector: { istio: 'ingressgateway' },
        servers: [{ port: { number: 443, name: 'https', protocol: 'HTTPS' }, hosts: [], tls: { mode: 'PASSTHROUGH' } }],
      },
      'spec.servers[0].hosts: Required value: name at least one host; "*" serves all',
    ],
    'serves hosts that are none': [
      {
        selector: { istio: 'ingressgateway' },
        servers: [
          {
            port: { number: 443, name: 'https', protocol: 'HTTPS' },
            hosts: ['/a', 'a/', '~/a', 'a b/c', 'x.*'],
            tls: { mode: 'PASSTHROUGH' },
          },
        ],
      },
      'spec.servers[0].hosts[0]: Invalid value: "/a": neither the namespace nor the host may be empty',
      'spec.servers[0].hosts[1]: Invalid value: "a/": neither the namespace nor the host may be empty',
      'spec.servers[0].hosts[2]: Invalid value: "~/a": must begin with the name of a namespace, or with * or .',
      'spec.servers[0].hosts[3]: Invalid value: "a b/c": must begin with the name of a namespace, or with * or .',
      `spec.servers[0].hosts[4]: Invalid value: "x.*": must be a DNS name: labels of letters, digits and '-', with dots between`,
    ],
    'has no port': [
      {
        servers: [{ hosts: ['*'] }, { hosts: ['*'], port: {} }],
      },
      'spec.servers[0].port: Required value',
      'spec.servers[1].port.name: Required value',
      'spec.servers[1].port.protocol: Required value',
      'spec.servers[1].port.number: Required value',
    ],
    'has ports that are none': [
      {
        servers: [
          { hosts: ['*'], port: { number: 0, name: 'a', protocol: 'HTTP' } },
          { hosts: ['*'], port: { number: 80, name: 'a', protocol: 'SMTP', targetPort: 1 } },
        ],
      },
      'spec.servers[0].port.number: Invalid value: 0: must be between 1 and 65535, inclusive',
      'spec.servers[1].port.protocol: Unsupported value: "SMTP": supported values: "HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "MONGO", "REDIS", "MYSQL", "TCP", "TLS...',
      'spec.servers[1].port.name: Duplicate value: "a"',
      'W spec.servers[1].port.targetPort: is deprecated and has no effect',
    ],
    'listens where one cannot': [
      {
        servers: [
          { hosts: ['*'], bind: 'localhost', port: { number: 80, name: 'a', protocol: 'HTTP' } },
          { hosts: ['*'], bind: 'unix://x', port: { number: 80, name: 'b', protocol: 'HTTP' } },
        ],
      },
      'spec.servers[0].bind: Invalid value: "localhost": must be an IP address, or unix:// and a path',
      'spec.servers[1].bind: Invalid value: "unix://x": must be unix:// and an absolute path of a socket, or unix://@ and a name',
      'spec.servers[1].port.number: Invalid value: 80: must be 0 when `bind` is a unix socket',
    ],
    'has no settings of TLS': [
      {
        selector: { istio: 'ingressgateway' },
        servers: [{ port: { number: 443, name: 'https', protocol: 'HTTPS' }, hosts: ['shop.example.com'] }],
      },
      'spec.servers[0].tls: Required value: HTTPS needs the settings of TLS',
    ],
    'has TLS on a plain port': [
      {
        selector: { istio: 'ingressgateway' },
        servers: [
          {
            port: { number: 80, name: 'http', protocol: 'HTTP' },
            hosts: ['shop.example.com'],
            tls: { mode: 'SIMPLE', credentialName: 'x' },
          },
        ],
      },
      'spec.servers[0].tls.mode: Forbidden: may not be set with protocol HTTP, which has no TLS: use HTTPS or TLS',
      'spec.servers[0].tls.credentialName: Forbidden: may not be set with protocol HTTP, which has no TLS: use HTTPS or TLS',
    ],
    'redirects what is no HTTP': [
      {
        selector: { istio: 'ingressgateway' },
        servers: [
          {
            port: { number: 80, name: 'tcp', protocol: 'TCP' },
            hosts: ['shop.example.com'],
            tls: { httpsRedirect: true },
          },
        ],
      },
      'W spec.servers[0].tls.httpsRedirect: has no effect: only HTTP servers can redirect',
    ],
    'has no certificate': [
      {
        selector: { istio: 'ingressgateway' },
        servers: [
          {
            port: { number: 443, name: 'https', protocol: 'HTTPS' },
            hosts: ['shop.example.com'],
            tls: { mode: 'SIMPLE' },
          },
        ],
      },
      'spec.servers[0].tls: Required value: SIMPLE needs a certificate: set credentialName, or serverCertificate and privateKey',
    ],
    'has half a certificate': [
      {
        selector: { istio: 'ingressgateway' },
        servers: [
          {
            port: { number: 443, name: 'https', protocol: 'HTTPS' },
            hosts: ['shop.example.com'],
            tls: { mode: 'SIMPLE', serverCertificate: '/a' },
          },
        ],
      },
      'spec.servers[0].tls.privateKey: Required value: serverCertificate and privateKey go together',
    ],
    'has certificates at two places': [
      {
        selector: { istio: 'ingressgateway' },
        servers: [
          {
            port: { number: 443, name: 'https', protocol: 'HTTPS' },
            hosts: ['shop.example.com'],
            tls: {
              mode: 'SIMPLE',
              serverCertificate: '/a',
              privateKey: '/b',
              credentialName: 'x',
              credentialNames: ['a', 'b', 'c'],
            },
          },
        ],
      },
      'spec.servers[0].tls.credentialNames: Forbidden: may not be set together with `credentialName`: name one source of certificates',
      'spec.servers[0].tls.serverCertificate: Forbidden: may not be set together with `credentialName`: name one source of certificates',
      'spec.servers[0].tls.credentialNames: Invalid value: 3: may have at most two items: one RSA, one ECDSA',
    ],
    'has pairs that are none': [
      {
        selector: { istio: 'ingressgateway' },
        servers: [
          {
            port: { number: 443, name: 'https', protocol: 'HTTPS' },
            hosts: ['shop.example.com'],
            tls: { mode: 'MUTUAL', tlsCertificates: [{ serverCertificate: '/a' }] },
          },
        ],
      },
      'spec.servers[0].tls.tlsCertificates[0].privateKey: Required value',
      'spec.servers[0].tls.caCertificates: Required value: MUTUAL with files needs the certificates to check clients by',
    ],
    'cannot check clients': [
      {
        selector: { istio: 'ingressgateway' },
        servers: [
          {
            port: { number: 443, name: 'https', protocol: 'HTTPS' },
            hosts: ['shop.example.com'],
            tls: { mode: 'MUTUAL', serverCertificate: '/a', privateKey: '/b' },
          },
        ],
      },
      'spec.servers[0].tls.caCertificates: Required value: MUTUAL with files needs the certificates to check clients by',
    ],
    'brings certificates for the mesh': [
      {
        selector: { istio: 'ingressgateway' },
        servers: [
          {
            port: { number: 443, name: 'https', protocol: 'HTTPS' },
            hosts: ['shop.example.com'],
            tls: { mode: 'ISTIO_MUTUAL', serverCertificate: '/a', credentialName: 'x' },
          },
        ],
      },
      "spec.servers[0].tls.serverCertificate: Forbidden: may not be set with mode ISTIO_MUTUAL, which uses the gateway's own certificate",
      "spec.servers[0].tls.credentialName: Forbidden: may not be set with mode ISTIO_MUTUAL, which uses the gateway's own certificate",
    ],
    'brings certificates for nothing': [
      {
        selector: { istio: 'ingressgateway' },
        servers: [
          {
            port: { number: 443, name: 'https', protocol: 'HTTPS' },
            hosts: ['shop.example.com'],
            tls: { mode: 'PASSTHROUGH', credentialName: 'x' },
          },
        ],
      },
      'W spec.servers[0].tls.credentialName: is ignored: PASSTHROUGH does not end TLS',
    ],
    'checks certificates that nobody shows': [
      {
        selector: { istio: 'ingressgateway' },
        servers: [
          {
            port: { number: 443, name: 'https', protocol: 'HTTPS' },
            hosts: ['shop.example.com'],
            tls: { mode: 'SIMPLE', credentialName: 'x', subjectAltNames: ['a'], caCrl: '/crl' },
          },
        ],
      },
      'spec.servers[0].tls.caCrl: Forbidden: may not be set together with `credentialName`: put the list into the Secret',
      'spec.servers[0].tls.caCrl: Forbidden: may not be set with mode SIMPLE, in which clients show no certificate',
      'W spec.servers[0].tls.subjectAltNames: is ignored: with SIMPLE, clients show no certificate',
    ],
    'has weak versions and ciphers': [
      {
        selector: { istio: 'ingressgateway' },
        servers: [
          {
            port: { number: 443, name: 'https', protocol: 'HTTPS' },
            hosts: ['shop.example.com'],
            tls: {
              mode: 'SIMPLE',
              credentialName: 'x',
              minProtocolVersion: 'TLSV1_1',
              maxProtocolVersion: 'TLSV1_0',
              cipherSuites: ['AES128-SHA', 'AES128-SHA', 'ROT13'],
            },
          },
        ],
      },
      'spec.servers[0].tls.maxProtocolVersion: Invalid value: "TLSV1_0": must not be older than minProtocolVersion',
      'W spec.servers[0].tls.cipherSuites[1]: is ignored: "AES128-SHA" is named twice',
      'W spec.servers[0].tls.cipherSuites[2]: is ignored: "ROT13" is no cipher suite',
      'W spec.servers[0].tls.minProtocolVersion: allows versions of TLS that are known to be weak, and needs cipherSuites of theirs',
    ],
  },
});
