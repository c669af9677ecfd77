import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseMeshConfig } from './mesh-config.ts';

describe('the mesh configuration', () => {
  it('says which namespaces are in, and what workloads may reach', () => {
    const { config, ignored } = parseMeshConfig(
      'discoverySelectors: [{ matchLabels: { mesh: "yes" } }]\noutboundTrafficPolicy: { mode: REGISTRY_ONLY }\n',
    );
    assert.deepEqual(config, {
      discoverySelectors: [{ matchLabels: { mesh: 'yes' } }],
      outboundTrafficPolicy: 'registry-only',
    });
    assert.deepEqual(ignored, []);
    for (const empty of ['', '\n', '# nothing yet\n', '{}']) {
      assert.deepEqual(parseMeshConfig(empty).config, { discoverySelectors: [] });
    }
    assert.equal(parseMeshConfig('outboundTrafficPolicy: {mode: ALLOW_ANY}').config.outboundTrafficPolicy, 'allow-any');
  });

  it('has further names of the trust domain', () => {
    const { config } = parseMeshConfig('trustDomainAliases: [old.example, older.example]');
    assert.deepEqual(config.trustDomainAliases, ['old.example', 'older.example']);
    for (const text of ['trustDomainAliases: old.example', 'trustDomainAliases: ["spiffe://old.example"]']) {
      assert.throws(() => parseMeshConfig(text), { code: 'control.mesh-config', message: /trustDomainAliases/ });
    }
  });

  it('says which Services other networks may reach', () => {
    const { config, ignored } = parseMeshConfig(
      'serviceScopeConfigs:\n- { servicesSelector: { matchLabels: { a: b } }, scope: GLOBAL }\n- { namespaceSelector: { matchLabels: { c: d } } }\n',
    );
    assert.deepEqual(config.serviceScopes, [
      { services: { matchLabels: { a: 'b' } }, namespaces: {}, scope: 'global' },
      { services: {}, namespaces: { matchLabels: { c: 'd' } }, scope: 'local' },
    ]);
    assert.deepEqual(ignored, []);
    assert.deepEqual(parseMeshConfig('serviceScopeConfigs: []').config.serviceScopes, []);
    for (const text of [
      'serviceScopeConfigs: GLOBAL',
      'serviceScopeConfigs: [{ scope: EVERYWHERE }]',
      'serviceScopeConfigs: [{ servicesSelector: { matchExpressions: [{ key: a, operator: Near }] } }]',
    ]) {
      assert.throws(() => parseMeshConfig(text), { code: 'control.mesh-config', message: /serviceScopeConfigs/ });
    }
  });

  it('is refused where a restriction in it cannot be read', () => {
    for (const text of [
      'outboundTrafficPolicy: REGISTRY_ONLY',
      'outboundTrafficPolicy: { mode: registry_only }',
      'outboundTrafficPolicy: { mode: 1 }',
      'outboundTrafficPolicy: [REGISTRY_ONLY]',
      'discoverySelectors: { a: b }',
      '- a',
    ]) {
      assert.throws(() => parseMeshConfig(text), { code: 'control.mesh-config' }, text);
    }
  });

  it('has what proxies go by', () => {
    const { config, ignored } = parseMeshConfig(`
defaultHttpRetryPolicy: { attempts: 3, retryOn: 5xx }
localityLbSetting: { enabled: false }
connectTimeout: 3s
tcpKeepalive: { time: 60s, probes: 3 }
pathNormalization: { normalization: DECODE_AND_MERGE_SLASHES }
protocolDetectionTimeout: 500ms
accessLogFile: /dev/stdout
accessLogEncoding: JSON
enableTracing: true
defaultProviders: { metrics: [prometheus] }
defaultConfig:
  tracing: { sampling: 10 }
  gatewayTopology: { numTrustedProxies: 2 }
  terminationDrainDuration: 20s
  concurrency: 2
  drainDuration: 1s
extensionProviders:
  - name: authz
    envoyExtAuthzHttp:
      service: ext-authz.foo.svc.cluster.local
      port: "8000"
      timeout: 2s
      includeRequestHeadersInCheck: [X-Ext-Authz]
  - { name: traces, opentelemetry: { service: otel.obs.svc.cluster.local, port: 4318, http: { path: /v1/traces } } }
  - { name: sky, skywalking: { service: sky.obs, port: 1 } }
`);
    assert.deepEqual(config, {
      discoverySelectors: [],
      defaultHttpRetryPolicy: { attempts: 3, retryOn: '5xx' },
      localityLbSetting: { enabled: false },
      connectTimeoutMs: 3000,
      tcpKeepalive: { probes: 3, timeMs: 60_000 },
      pathNormalization: 'decode-and-merge-slashes',
      protocolDetectionTimeoutMs: 500,
      accessLog: { file: '/dev/stdout', format: '', encoding: 'json' },
      enableTracing: true,
      extensionProviders: [
        {
          name: 'authz',
          kind: 'envoyExtAuthzHttp',
          service: 'ext-authz.foo.svc.cluster.local',
          port: 8000,
          timeoutMs: 2000,
          failOpen: false,
          pathPrefix: '',
          includeRequestHeadersInCheck: ['x-ext-authz'],
          includeAdditionalHeadersInCheck: {},
          headersToUpstreamOnAllow: [],
          headersToDownstreamOnDeny: [],
          headersToDownstreamOnAllow: [],
        },
        {
          name: 'traces',
          kind: 'opentelemetry',
          service: 'otel.obs.svc.cluster.local',
          port: 4318,
          http: { path: '/v1/traces', headers: [] },
        },
        { name: 'sky', kind: 'unsupported', type: 'skywalking' },
      ],
      defaultProviders: { tracing: [], metrics: ['prometheus'], accessLogging: [] },
      proxies: { tracingSamplingPercent: 10, numTrustedProxies: 2, terminationDrainMs: 20_000, concurrency: 2 },
    });
    assert.deepEqual(ignored, ['defaultConfig.drainDuration']);
  });

  it('is refused with the paths of all that is wrong', () => {
    const text = `
defaultHttpRetryPolicy: { attempts: -1 }
connectTimeout: soon
pathNormalization: { normalization: SOME }
defaultConfig: { gatewayTopology: { numTrustedProxies: -1 }, concurrency: -1 }
extensionProviders:
  - { name: a, zipkin: { service: z.obs, port: 0 } }
  - { name: a, envoyExtAuthzHttp: { service: "", port: 1, headersToUpstreamOnAllow: ["*"] } }
  - { name: b }
`;
    assert.throws(
      () => parseMeshConfig(text),
      (error: Error) => {
        const paths = error.message
          .replace('Cannot read the mesh configuration: ', '')
          .split('; ')
          .map((problem) => problem.split(':')[0]);
        assert.deepEqual(
          new Set(paths),
          new Set([
            'connectTimeout',
            'defaultConfig.concurrency',
            'defaultConfig.gatewayTopology.numTrustedProxies',
            'defaultHttpRetryPolicy.attempts',
            'extensionProviders[0].zipkin.port',
            'extensionProviders[1].envoyExtAuthzHttp.headersToUpstreamOnAllow[0]',
            'extensionProviders[1].envoyExtAuthzHttp.service',
            'extensionProviders[1].name',
            'extensionProviders[2]',
            'pathNormalization.normalization',
          ]),
        );
        return true;
      },
    );
  });

  it('names what it does not read', () => {
    const { ignored } = parseMeshConfig('outboundTrafficPolicy: { mod: REGISTRY_ONLY }\nserviceSettings: []');
    assert.deepEqual(ignored, ['outboundTrafficPolicy.mod', 'serviceSettings']);
  });
});
