import { destinationRule } from '../../custom/istio/destination-rule.ts';
import { validateDestinationRule } from './destination-rule.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(destinationRule, validateDestinationRule, {
  fine: {
    'names versions': {
      host: 'reviews',
      trafficPolicy: { loadBalancer: { simple: 'RANDOM' } },
      subsets: [
        { name: 'v1', labels: { version: 'v1' } },
        {
          name: 'v2',
          labels: { version: 'v2' },
          trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN', warmup: { duration: '30s', aggression: 1.5 } } },
        },
        { name: 'all', trafficPolicy: { tls: { mode: 'DISABLE' } } },
      ],
    },
    'breaks the circuit': {
      host: '*.shop.svc.cluster.local',
      trafficPolicy: {
        connectionPool: {
          tcp: {
            maxConnections: 100,
            connectTimeout: '30ms',
            tcpKeepalive: { time: '7200s', interval: '75s' },
            idleTimeout: '0s',
          },
          http: {
            http1MaxPendingRequests: 1,
            maxRequestsPerConnection: 1,
            http2KeepAlive: { interval: '10s', timeout: '2s' },
          },
        },
        outlierDetection: { consecutive5xxErrors: 1, interval: '1s', baseEjectionTime: '3m', maxEjectionPercent: 100 },
        retryBudget: { percent: 20 },
      },
    },
    'keeps clients at their endpoint': {
      host: 'reviews',
      trafficPolicy: {
        loadBalancer: { consistentHash: { httpCookie: { name: 'user', ttl: '0s' }, maglev: { tableSize: 65537 } } },
      },
    },
    'prefers what is near': {
      host: 'reviews',
      trafficPolicy: {
        loadBalancer: {
          localityLbSetting: {
            distribute: [{ from: 'us-west/zone1/*', to: { 'us-west/zone1/*': 80, 'us-west/zone2/*': 20 } }],
          },
        },
        outlierDetection: {},
      },
    },
    'fails over': {
      host: 'reviews',
      trafficPolicy: {
        loadBalancer: {
          localityLbSetting: {
            failover: [
              { from: 'us-east', to: 'eu-west' },
              { from: 'us-west', to: 'us-east' },
            ],
          },
        },
        outlierDetection: {},
      },
    },
    'fails over by labels': {
      host: 'reviews',
      trafficPolicy: {
        loadBalancer: { localityLbSetting: { failoverPriority: ['topology.kubernetes.io/region', 'version=v1'] } },
        outlierDetection: {},
      },
    },
    'talks TLS': {
      host: 'reviews',
      trafficPolicy: {
        portLevelSettings: [
          { port: { number: 443 }, tls: { mode: 'MUTUAL', credentialName: 'client' } },
          {
            port: { number: 444 },
            tls: { mode: 'SIMPLE', caCertificates: 'system', sni: 'a.example.com', subjectAltNames: ['a.example.com'] },
          },
        ],
      },
    },
    'goes through a proxy': {
      host: 'reviews',
      trafficPolicy: { tunnel: { protocol: 'POST', targetHost: 'a.example.com', targetPort: 443 } },
    },
    'is for some clients': {
      host: 'reviews',
      workloadSelector: { matchLabels: { app: 'ratings' } },
      trafficPolicy: { proxyProtocol: { version: 'V2' } },
      exportTo: ['.'],
    },
  },
  judged: {
    'has no host': [{ host: '' }, 'spec.host: Required value'],
    'has a host that is none': [
      { host: 'a.*.b' },
      `spec.host: Invalid value: "a.*.b": must be a DNS name: labels of letters, digits and '-', with dots between`,
    ],
    'has subsets that cannot be told apart': [
      {
        host: 'a',
        subsets: [
          { name: 'v1', labels: { v: '1' } },
          { name: 'v1', labels: { v: '2' } },
          { name: 'a_b', labels: { v: '3' } },
          { labels: { v: '4' } },
          { name: 'v5' },
          { name: 'v6', labels: { v: 'a b' } },
        ],
      },
      'spec.subsets[1].name: Duplicate value: "v1"',
      `spec.subsets[2].name: Invalid value: "a_b": must be 1 to 63 letters, digits and '-', with a letter or digit at both ends`,
      'spec.subsets[3].name: Required value',
      'spec.subsets[4].labels: Required value: a subset without labels is the whole host: give it labels, or a trafficPolicy',
      `spec.subsets[5].labels: Invalid value: "a b": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and e...`,
    ],
    'says nothing': [
      { host: 'reviews', trafficPolicy: {} },
      'spec.trafficPolicy: Required value: set at least one of loadBalancer, connectionPool, outlierDetection, tls, portLevelSettings, tunnel, proxyProtocol, retryBudg...',
    ],
    'has pools of nothing': [
      { host: 'reviews', trafficPolicy: { connectionPool: {} } },
      'spec.trafficPolicy.connectionPool: Required value: set tcp, http, or both',
    ],
    'has pools of less than nothing': [
      {
        host: 'reviews',
        trafficPolicy: {
          connectionPool: {
            tcp: {
              maxConnections: -1,
              connectTimeout: '0s',
              maxConnectionDuration: '1us',
              idleTimeout: 'x',
              tcpKeepalive: { time: '-1s' },
            },
            http: {
              http1MaxPendingRequests: -1,
              http2MaxRequests: -1,
              maxRequestsPerConnection: -1,
              maxRetries: -1,
              maxConcurrentStreams: -1,
              idleTimeout: 'x',
              h2UpgradePolicy: 'UPGRADE',
              useClientProtocol: true,
              http2KeepAlive: { interval: '1s' },
            },
          },
        },
      },
      'spec.trafficPolicy.connectionPool.tcp.maxConnections: Invalid value: -1: must be greater than or equal to 0',
      'spec.trafficPolicy.connectionPool.tcp.connectTimeout: Invalid value: "0s": must be a duration of at least 1ms',
      'spec.trafficPolicy.connectionPool.tcp.maxConnectionDuration: Invalid value: "1us": must be a duration of at least 1ms',
      'spec.trafficPolicy.connectionPool.tcp.idleTimeout: Invalid value: "x": must be a duration, like 5s, 250ms or 1h30m',
      'spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.time: Invalid value: "-1s": must be a duration of at least 1ms',
      'spec.trafficPolicy.connectionPool.http.http1MaxPendingRequests: Invalid value: -1: must be greater than or equal to 0',
      'spec.trafficPolicy.connectionPool.http.http2MaxRequests: Invalid value: -1: must be greater than or equal to 0',
      'spec.trafficPolicy.connectionPool.http.maxRequestsPerConnection: Invalid value: -1: must be greater than or equal to 0',
      'spec.trafficPolicy.connectionPool.http.maxRetries: Invalid value: -1: must be greater than or equal to 0',
      'spec.trafficPolicy.connectionPool.http.maxConcurrentStreams: Invalid value: -1: must be greater than or equal to 0',
      'spec.trafficPolicy.connectionPool.http.idleTimeout: Invalid value: "x": must be a duration, like 5s, 250ms or 1h30m',
      'spec.trafficPolicy.connectionPool.http.useClientProtocol: Forbidden: may not be set while h2UpgradePolicy is UPGRADE: they say opposite things',
      'spec.trafficPolicy.connectionPool.http.http2KeepAlive.timeout: Required value: interval and timeout must both be set',
    ],
    'ejects by what does not count': [
      {
        host: 'reviews',
        trafficPolicy: {
          outlierDetection: {
            consecutiveLocalOriginFailures: 5,
            consecutiveErrors: 3,
            interval: '1us',
            baseEjectionTime: 'x',
            maxEjectionPercent: 101,
            minHealthPercent: -1,
          },
        },
      },
      'spec.trafficPolicy.outlierDetection.interval: Invalid value: "1us": must be a duration of at least 1ms',
      'spec.trafficPolicy.outlierDetection.baseEjectionTime: Invalid value: "x": must be a duration, like 5s, 250ms or 1h30m',
      'spec.trafficPolicy.outlierDetection.maxEjectionPercent: Invalid value: 101: must be between 0 and 100',
      'spec.trafficPolicy.outlierDetection.minHealthPercent: Invalid value: -1: must be between 0 and 100',
      'spec.trafficPolicy.outlierDetection.consecutiveLocalOriginFailures: Forbidden: may only be set when splitExternalLocalOriginErrors is true',
      'W spec.trafficPolicy.outlierDetection.consecutiveErrors: is deprecated: use consecutiveGatewayErrors or consecutive5xxErrors',
    ],
    'has ports without a number': [
      {
        host: 'reviews',
        trafficPolicy: {
          portLevelSettings: [{ tls: {} }, { port: { number: 70000 }, tls: {} }, { port: { number: 80 } }],
        },
      },
      'spec.trafficPolicy.portLevelSettings[0].port.number: Required value: say which port the settings are for',
      'spec.trafficPolicy.portLevelSettings[1].port.number: Invalid value: 70000: must be between 1 and 65535, inclusive',
      'spec.trafficPolicy.portLevelSettings[2]: Required value: set at least one of loadBalancer, connectionPool, outlierDetection, tls',
    ],
    'has a tunnel that is none': [
      {
        host: 'reviews',
        trafficPolicy: { proxyProtocol: {}, tunnel: { protocol: 'UDP', targetHost: '*.x', targetPort: 0 } },
      },
      'spec.trafficPolicy.proxyProtocol: Forbidden: may not be set together with `tunnel`',
      'spec.trafficPolicy.tunnel.protocol: Unsupported value: "UDP": supported values: "CONNECT", "POST"',
      `spec.trafficPolicy.tunnel.targetHost: Invalid value: "*.x": must be a DNS name: labels of letters, digits and '-', with dots between`,
      'spec.trafficPolicy.tunnel.targetPort: Invalid value: 0: must be between 1 and 65535, inclusive',
    ],
    'has a budget that is none': [
      { host: 'reviews', trafficPolicy: { retryBudget: { percent: 101, budgetInterval: 'x' } } },
      'spec.trafficPolicy.retryBudget.percent: Invalid value: 101: must be between 0 and 100',
      'spec.trafficPolicy.retryBudget.budgetInterval: Invalid value: "x": must be a duration, like 5s, 250ms or 1h30m',
    ],
    'hashes what is none': [
      {
        host: 'reviews',
        trafficPolicy: {
          loadBalancer: {
            consistentHash: {
              httpHeaderName: 'a b',
              httpCookie: { name: '', ttl: '-1s', attributes: [{ name: 'a' }, { name: 'a' }, {}] },
              maglev: { tableSize: 100 },
              minimumRingSize: 5,
            },
          },
        },
      },
      `spec.trafficPolicy.loadBalancer.consistentHash.httpHeaderName: Invalid value: "a b": a header name has letters, digits, '-' and '_'`,
      'spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.name: Required value',
      'spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.ttl: Invalid value: "-1s": must be a duration of at least 1ms',
      'spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[1].name: Duplicate value: "a"',
      'spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[2].name: Required value',
      'spec.trafficPolicy.loadBalancer.consistentHash.minimumRingSize: Forbidden: may not be set together with `maglev`',
      'spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize: Invalid value: 100: must be a prime of at most 5000011, like 65537',
    ],
    'has a ring in the older way': [
      {
        host: 'reviews',
        trafficPolicy: { loadBalancer: { consistentHash: { useSourceIp: true, minimumRingSize: 5 } } },
      },
      'W spec.trafficPolicy.loadBalancer.consistentHash.minimumRingSize: is deprecated: use ringHash.minimumRingSize',
    ],
    'has a table that is too large': [
      {
        host: 'reviews',
        trafficPolicy: {
          loadBalancer: { consistentHash: { maglev: { tableSize: 5000017 } } },
        },
      },
      'spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize: Invalid value: 5000017: must be a prime of at most 5000011, like 65537',
    ],
    'warms up in vain': [
      {
        host: 'reviews',
        trafficPolicy: {
          loadBalancer: {
            simple: 'RANDOM',
            warmup: { minimumPercent: 101, aggression: 0.5 },
            warmupDurationSecs: '1s',
          },
        },
      },
      'spec.trafficPolicy.loadBalancer.warmup.duration: Required value',
      'spec.trafficPolicy.loadBalancer.warmup.minimumPercent: Invalid value: 101: must be between 0 and 100',
      'spec.trafficPolicy.loadBalancer.warmup.aggression: Invalid value: 0.5: must be greater than or equal to 1',
      'W spec.trafficPolicy.loadBalancer.warmupDurationSecs: is deprecated: use warmup.duration',
      'W spec.trafficPolicy.loadBalancer.warmup: has no effect: slow start works with ROUND_ROBIN and LEAST_REQUEST alone',
    ],
    'shares and fails over': [
      {
        host: 'reviews',
        trafficPolicy: {
          loadBalancer: {
            localityLbSetting: {
              distribute: [{ from: 'a', to: { b: 100 } }],
              failover: [{ from: 'a', to: 'b' }],
              failoverPriority: ['x'],
            },
          },
          outlierDetection: {},
        },
      },
      'spec.trafficPolicy.loadBalancer.localityLbSetting.failover: Forbidden: may not be set together with `distribute`',
      'spec.trafficPolicy.loadBalancer.localityLbSetting.failoverPriority: Forbidden: may not be set together with `distribute`',
    ],
    'shares what is no share': [
      {
        host: 'reviews',
        trafficPolicy: {
          loadBalancer: {
            localityLbSetting: {
              distribute: [
                { from: 'a/*', to: { b: 50, c: 40 } },
                { from: 'a/b', to: { d: 0, e: 100 } },
                { from: 'x//y', to: { 'f/*': 50, 'f/g': 50 } },
                { from: 'a*/b', to: { 'a/b/c/d': 100 } },
              ],
            },
          },
          outlierDetection: {},
        },
      },
      'spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[1].from: Invalid value: "a/b": overlaps with "a/*"',
      'spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[2].from: Invalid value: "x//y": must be region, region/zone or region/zone/subzone, with no part em...',
      `spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[3].from: Invalid value: "a*/b": may have a '*' as its last part alone`,
      'spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to: Invalid value: 90: the shares must sum up to 100',
      'spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[1].to[d]: Invalid value: 0: must be between 1 and 100',
      'spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[2].to[f/g]: Invalid value: "f/g": overlaps with "f/*"',
      'spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[3].to[a/b/c/d]: Invalid value: "a/b/c/d": must have at most three parts: region/zone/subzone',
    ],
    'fails over to where it was': [
      {
        host: 'reviews',
        trafficPolicy: {
          loadBalancer: {
            localityLbSetting: {
              failover: [{ from: 'a', to: 'a' }, { from: 'b/c', to: '*' }, { from: 'a', to: 'c' }, { to: 'x' }],
              failoverPriority: ['topology.kubernetes.io/zone', '=x'],
            },
          },
          outlierDetection: {},
        },
      },
      'spec.trafficPolicy.loadBalancer.localityLbSetting.failoverPriority[0]: Forbidden: decides what `failover` decides, too: keep one of them',
      'spec.trafficPolicy.loadBalancer.localityLbSetting.failoverPriority[1]: Invalid value: "=x": must be a label, as key or key=value',
      'spec.trafficPolicy.loadBalancer.localityLbSetting.failover[0].to: Invalid value: "a": must be another region than `from`',
      `spec.trafficPolicy.loadBalancer.localityLbSetting.failover[1].from: Invalid value: "b/c": must be the name of a region, without '/' and '*'`,
      `spec.trafficPolicy.loadBalancer.localityLbSetting.failover[1].to: Invalid value: "*": must be the name of a region, without '/' and '*'`,
      'spec.trafficPolicy.loadBalancer.localityLbSetting.failover[2].from: Duplicate value: "a"',
      'spec.trafficPolicy.loadBalancer.localityLbSetting.failover[3].from: Required value: name a region',
    ],
    'fails over without noticing failures': [
      {
        host: 'reviews',
        trafficPolicy: {
          loadBalancer: {
            localityLbSetting: { failover: [{ from: 'a', to: 'b' }] },
          },
        },
      },
      'W spec.trafficPolicy.loadBalancer.localityLbSetting: fails over only where outlierDetection is set, too: without it, no endpoint counts as failed',
    ],
    'prefers what is near in two ways': [
      {
        host: 'reviews',
        trafficPolicy: {
          outlierDetection: {},
          loadBalancer: { localityLbSetting: { enabled: true }, zoneAwareLbSetting: { enabled: true } },
        },
      },
      'spec.trafficPolicy.loadBalancer.zoneAwareLbSetting: Forbidden: may not be set together with `localityLbSetting`',
    ],
    'talks TLS without a certificate': [
      { host: 'reviews', trafficPolicy: { tls: { mode: 'MUTUAL' } } },
      'spec.trafficPolicy.tls.clientCertificate: Required value: MUTUAL needs clientCertificate and privateKey, or credentialName',
      'spec.trafficPolicy.tls.privateKey: Required value: MUTUAL needs clientCertificate and privateKey, or credentialName',
    ],
    'has certificates at two places': [
      {
        host: 'reviews',
        trafficPolicy: { tls: { mode: 'SIMPLE', credentialName: 'x', caCertificates: '/ca.pem', caCrl: '/crl' } },
      },
      'spec.trafficPolicy.tls.caCertificates: Forbidden: may not be set together with `credentialName`: the Secret has it all',
      'spec.trafficPolicy.tls.caCrl: Forbidden: may not be set together with `credentialName`: the Secret has it all',
    ],
    'checks and does not check': [
      {
        host: 'reviews',
        trafficPolicy: {
          tls: { mode: 'SIMPLE', insecureSkipVerify: true, caCertificates: '/ca.pem', subjectAltNames: ['a'] },
        },
      },
      'spec.trafficPolicy.tls.caCertificates: Forbidden: may not be set while insecureSkipVerify is true, which checks nothing',
      'spec.trafficPolicy.tls.subjectAltNames: Forbidden: may not be set while insecureSkipVerify is true, which checks nothing',
    ],
    'brings certificates for nothing': [
      { host: 'reviews', trafficPolicy: { tls: { mode: 'ISTIO_MUTUAL', credentialName: 'x' } } },
      "W spec.trafficPolicy.tls.credentialName: is ignored: ISTIO_MUTUAL uses the workload's own certificate",
    ],
    'is for some clients of others': [
      { host: 'a', workloadSelector: { matchLabels: { app: 'x' } }, exportTo: ['*'] },
      `spec.exportTo[0]: Invalid value: "*": must be ., since workloadSelector chooses clients of the object's own namespace`,
    ],
    'selects all clients': [
      { host: 'a', workloadSelector: {} },
      'W spec.workloadSelector: selects every workload of the namespace: name labels, or leave it out',
    ],
    'selects by a wildcard': [
      { host: 'a', workloadSelector: { matchLabels: { app: '*' } } },
      'spec.workloadSelector.matchLabels[app]: Invalid value: "*": wildcard is not supported in selector',
    ],
  },
});
