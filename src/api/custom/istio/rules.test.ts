import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KubeObject } from '../../meta.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import { checkCustomObject } from '../check-object.ts';
import { istioKinds } from './index.ts';

/** Specs that a schema refuses, and what a real kube-apiserver 1.35.4 says of them with our definitions. */
const refused: Readonly<Record<string, Readonly<Record<string, readonly [spec: unknown, ...lines: string[]]>>>> = {
  AuthorizationPolicy: {
    'a selector beside targets': [
      {
        selector: { matchLabels: { a: 'b' } },
        targetRef: { kind: 'Service', name: 'x' },
        targetRefs: [{ kind: 'Service', name: 'x' }],
      },
      'spec: Invalid value: only one of selector, targetRef, targetRefs can be set',
    ],
    'wildcards in a selector': [
      { selector: { matchLabels: { 'a*': 'b', c: '*' } } },
      'spec.selector.matchLabels: Invalid value: wildcard not allowed in label key match',
      'spec.selector.matchLabels[c]: Invalid value: "*": wildcard not allowed in label value match',
    ],
    'an empty key in a selector': [
      { selector: { matchLabels: { '': 'b' } } },
      'spec.selector.matchLabels: Invalid value: key must not be empty',
    ],
    'a target in another namespace': [
      { targetRefs: [{ kind: 'Service', name: 'x', namespace: 'y' }] },
      'spec.targetRefs[0].namespace: Invalid value: "y": a target in another namespace is not supported',
    ],
    'service accounts beside namespaces': [
      {
        rules: [
          {
            from: [{ source: { serviceAccounts: ['a'], notNamespaces: ['b'] } }],
          },
        ],
      },
      'spec.rules[0].from[0].source: Invalid value: serviceAccounts cannot be set together with principals or namespaces',
    ],
    'service accounts beside principals': [
      {
        rules: [
          {
            from: [{ source: { notServiceAccounts: ['a'], principals: ['b'] } }],
          },
        ],
      },
      'spec.rules[0].from[0].source: Invalid value: serviceAccounts cannot be set together with principals or namespaces',
    ],
    'a kind that is none': [
      { targetRef: { kind: '-', name: '', group: 'A' } },
      `spec.targetRef.kind: Invalid value: "-": spec.targetRef.kind in body should match '^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$'`,
      'spec.targetRef.name: Invalid value: "": spec.targetRef.name in body should be at least 1 chars long',
      `spec.targetRef.group: Invalid value: "A": spec.targetRef.group in body should match '^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'`,
    ],
    'a condition without a key': [
      {
        rules: [
          {
            when: [{ values: ['x'] }],
          },
        ],
      },
      'spec.rules[0].when[0].key: Required value',
    ],
    'an action that is none': [
      { action: 'PERMIT' },
      'spec.action: Unsupported value: "PERMIT": supported values: "ALLOW", "DENY", "AUDIT", "CUSTOM"',
    ],
  },
  PeerAuthentication: {
    'ports without a selector': [
      { portLevelMtls: { '80': { mode: 'STRICT' } } },
      'spec: Invalid value: portLevelMtls requires a selector with labels',
    ],
    'ports with a selector of nothing': [
      { selector: { matchLabels: {} }, portLevelMtls: { '80': { mode: 'STRICT' } } },
      'spec: Invalid value: portLevelMtls requires a selector with labels',
    ],
    'a port out of range': [
      { selector: { matchLabels: { a: 'b' } }, portLevelMtls: { '70000': { mode: 'STRICT' } } },
      'spec.portLevelMtls: Invalid value: port must be between 1-65535',
    ],
    'no ports': [
      { selector: { matchLabels: { a: 'b' } }, portLevelMtls: {} },
      'spec.portLevelMtls: Invalid value: 0: spec.portLevelMtls in body should have at least 1 properties',
    ],
    'a mode that is none': [
      { mtls: { mode: 'strict' } },
      'spec.mtls.mode: Unsupported value: "strict": supported values: "UNSET", "DISABLE", "PERMISSIVE", "STRICT"',
    ],
  },
  RequestAuthentication: {
    'two places for keys': [
      { jwtRules: [{ issuer: 'a', jwksUri: 'https://a', jwks: '{}' }] },
      'spec.jwtRules[0]: Invalid value: only one of jwksUri, jwks_uri, jwks can be set',
    ],
    'a place for keys that is none': [
      { jwtRules: [{ issuer: 'a', jwksUri: 'ftp://a' }, { jwks_uri: 'a' }] },
      'spec.jwtRules[0].jwksUri: Invalid value: "ftp://a": must be a URL with the scheme http or https',
      'spec.jwtRules[1].jwks_uri: Invalid value: "a": must be a URL with the scheme http or https',
    ],
    'a short timeout': [
      { jwtRules: [{ issuer: 'a', timeout: '1us' }] },
      'spec.jwtRules[0].timeout: Invalid value: "1us": must be a duration of at least 1ms, like 5s or 250ms',
    ],
    'empty texts': [
      {
        jwtRules: [
          { issuer: '', audiences: [''], fromParams: [''], outputClaimToHeaders: [{ header: 'a b', claim: '' }] },
        ],
      },
      'spec.jwtRules[0].issuer: Invalid value: "": spec.jwtRules[0].issuer in body should be at least 1 chars long',
      'spec.jwtRules[0].audiences[0]: Invalid value: "": spec.jwtRules[0].audiences[0] in body should be at least 1 chars long',
      'spec.jwtRules[0].fromParams[0]: Invalid value: "": spec.jwtRules[0].fromParams[0] in body should be at least 1 chars long',
      `spec.jwtRules[0].outputClaimToHeaders[0].header: Invalid value: "a b": spec.jwtRules[0].outputClaimToHeaders[0].header in body should match '^[-_A-Za-z0-9]+$'`,
      'spec.jwtRules[0].outputClaimToHeaders[0].claim: Invalid value: "": spec.jwtRules[0].outputClaimToHeaders[0].claim in body should be at least 1 chars long',
    ],
  },
  VirtualService: {
    'a match of two kinds': [
      {
        hosts: ['a'],
        http: [
          {
            match: [{ uri: { exact: 'a', prefix: 'b' } }],
          },
        ],
      },
      '<nil>: Invalid value: "": "spec.http[0].match[0].uri" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
    'a timeout of nothing': [
      {
        hosts: ['a'],
        http: [
          {
            timeout: '0s',
            retries: { perTryTimeout: '1us', backoff: '0s' },
            fault: { delay: { fixedDelay: '0s' } },
            corsPolicy: { maxAge: '0s' },
          },
        ],
      },
      'spec.http[0].timeout: Invalid value: "0s": must be a duration of at least 1ms, like 5s or 250ms',
      'spec.http[0].retries.perTryTimeout: Invalid value: "1us": must be a duration of at least 1ms, like 5s or 250ms',
      'spec.http[0].retries.backoff: Invalid value: "0s": must be a duration of at least 1ms, like 5s or 250ms',
      'spec.http[0].fault.delay.fixedDelay: Invalid value: "0s": must be a duration of at least 1ms, like 5s or 250ms',
      'spec.http[0].corsPolicy.maxAge: Invalid value: "0s": must be a duration of at least 1ms, like 5s or 250ms',
    ],
    'a redirect to two ports': [
      {
        hosts: ['a'],
        http: [{ redirect: { port: 80, derivePort: 'FROM_REQUEST_PORT' } }],
      },
      '<nil>: Invalid value: "": "spec.http[0].redirect" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
    'two bodies': [
      {
        hosts: ['a'],
        http: [{ directResponse: { status: 200, body: { string: 'a', bytes: 'YQ==' } } }],
      },
      '<nil>: Invalid value: "": "spec.http[0].directResponse.body" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
    'two delays, and two aborts': [
      {
        hosts: ['a'],
        http: [
          {
            fault: {
              delay: { fixedDelay: '1s', exponentialDelay: '1s' },
              abort: { httpStatus: 500, grpcStatus: 'OK' },
            },
          },
        ],
      },
      '<nil>: Invalid value: "": "spec.http[0].fault.delay" must validate one and only one schema (oneOf). Found 2 valid alternatives',
      '<nil>: Invalid value: "": "spec.http[0].fault.abort" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
    'a destination without a host': [
      {
        hosts: ['a'],
        http: [
          {
            route: [{ destination: { subset: 'a' } }, {}],
          },
        ],
      },
      'spec.http[0].route[0].destination.host: Required value',
      'spec.http[0].route[1].destination: Required value',
    ],
  },
  DestinationRule: {
    'two algorithms': [
      {
        host: 'a',
        trafficPolicy: { loadBalancer: { simple: 'RANDOM', consistentHash: { useSourceIp: true } } },
      },
      '<nil>: Invalid value: "": "spec.trafficPolicy.loadBalancer" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
    'two hashes': [
      {
        host: 'a',
        trafficPolicy: { loadBalancer: { consistentHash: { useSourceIp: true, httpHeaderName: 'x' } } },
      },
      '<nil>: Invalid value: "": "spec.trafficPolicy.loadBalancer.consistentHash" must validate one and only one schema (oneOf). Found 2 valid alternatives',
      '<nil>: Invalid value: "": "spec.trafficPolicy.loadBalancer.consistentHash" must validate all the schemas (allOf)',
    ],
    'two rings': [
      {
        host: 'a',
        trafficPolicy: { loadBalancer: { consistentHash: { ringHash: {}, maglev: {} } } },
      },
      '<nil>: Invalid value: "": "spec.trafficPolicy.loadBalancer.consistentHash" must validate one and only one schema (oneOf). Found 2 valid alternatives',
      '<nil>: Invalid value: "": "spec.trafficPolicy.loadBalancer.consistentHash" must validate all the schemas (allOf)',
    ],
    'times of nothing': [
      {
        host: 'a',
        trafficPolicy: {
          connectionPool: { tcp: { connectTimeout: '0s' }, http: { idleTimeout: '0s' } },
          outlierDetection: { interval: '0s' },
        },
      },
      'spec.trafficPolicy.connectionPool.tcp.connectTimeout: Invalid value: "0s": must be a duration of at least 1ms, like 5s or 250ms',
      'spec.trafficPolicy.connectionPool.http.idleTimeout: Invalid value: "0s": must be a duration of at least 1ms, like 5s or 250ms',
      'spec.trafficPolicy.outlierDetection.interval: Invalid value: "0s": must be a duration of at least 1ms, like 5s or 250ms',
    ],
    'wildcards in a selector': [
      { host: 'a', workloadSelector: { matchLabels: { a: '*' } } },
      'spec.workloadSelector.matchLabels[a]: Invalid value: "*": wildcard not allowed in label value match',
    ],
  },
  Gateway: {
    'two sources of certificates': [
      {
        servers: [
          {
            hosts: ['a'],
            port: { name: 'a', number: 1, protocol: 'TLS' },
            tls: { credentialName: 'a', credentialNames: ['b'], tlsCertificates: [{}] },
          },
        ],
      },
      'spec.servers[0].tls: Invalid value: only one of tlsCertificates, credentialNames can be set',
      'spec.servers[0].tls: Invalid value: only one of credentialName, credentialNames can be set',
      'spec.servers[0].tls: Invalid value: only one of credentialName, tlsCertificates can be set',
    ],
    'three certificates': [
      {
        servers: [
          { hosts: ['a'], port: { name: 'a', number: 1, protocol: 'TLS' }, tls: { credentialNames: ['a', 'b', 'c'] } },
        ],
      },
      'spec.servers[0].tls.credentialNames: Too many: 3: must have at most 2 items',
    ],
    'half a port': [
      {
        servers: [{ hosts: ['a'], port: { number: 1 } }],
      },
      'spec.servers[0].port.protocol: Required value',
      'spec.servers[0].port.name: Required value',
    ],
  },
  ServiceEntry: {
    'every host': [{ hosts: ['*'] }, 'spec.hosts[0]: Invalid value: "*": hostname cannot be wildcard'],
    'a selector beside endpoints': [
      { hosts: ['a'], resolution: 'STATIC', workloadSelector: {}, endpoints: [] },
      'spec: Invalid value: only one of workloadSelector or endpoints can be set',
    ],
    'blocks that are to be resolved': [
      { hosts: ['a'], resolution: 'DNS', addresses: ['10.0.0.0/8'] },
      'spec: Invalid value: CIDR addresses are only allowed with the resolution NONE or STATIC',
    ],
    'endpoints without resolution': [
      { hosts: ['a'], endpoints: [{ address: 'x' }] },
      'spec: Invalid value: resolution NONE cannot have endpoints',
    ],
    'several endpoints of one': [
      { hosts: ['a'], resolution: 'DNS_ROUND_ROBIN', endpoints: [{ address: 'x' }, { address: 'y' }] },
      'spec: Invalid value: resolution DNS_ROUND_ROBIN cannot have several endpoints',
    ],
    'ports with the same number': [
      {
        hosts: ['a'],
        ports: [
          { name: 'a', number: 1 },
          { name: 'b', number: 1 },
        ],
      },
      'spec.ports: Invalid value: port number cannot be duplicated',
    ],
    'ports with the same name': [
      {
        hosts: ['a'],
        ports: [
          { name: 'a', number: 1 },
          { name: 'a', number: 2 },
        ],
      },
      'spec.ports[1]: Duplicate value: {"name":"a"}',
    ],
    'ports out of range': [
      {
        hosts: ['a'],
        ports: [
          { name: 'a', number: 0 },
          { name: 'b', number: 1, targetPort: 70000 },
        ],
      },
      'spec.ports[0].number: Invalid value: 0: port must be between 1-65535',
      'spec.ports[1].targetPort: Invalid value: 70000: port must be between 1-65535',
    ],
    'endpoints that are none': [
      {
        hosts: ['a'],
        resolution: 'STATIC',
        endpoints: [
          {},
          { address: 'unix://x' },
          { address: 'unix:///x/' },
          { address: 'unix:///x', ports: { a: 1 } },
          { address: 'x', ports: { 'a b': 0 } },
        ],
      },
      'spec.endpoints[0]: Invalid value: address is required, unless network is set',
      'spec.endpoints[1].address: Invalid value: "unix://x": the path of a unix socket must be absolute or abstract',
      'spec.endpoints[2].address: Invalid value: "unix:///x/": a unix socket may not be a folder',
      'spec.endpoints[3]: Invalid value: a unix socket has no ports',
      'spec.endpoints[4].ports: Invalid value: port name must be valid',
      'spec.endpoints[4].ports[a b]: Invalid value: 0: port must be between 1-65535',
    ],
    'wildcards in a selector': [
      { hosts: ['a'], workloadSelector: { labels: { a: '*' } } },
      'spec.workloadSelector.labels[a]: Invalid value: "*": wildcard is not supported in selector',
    ],
  },
  WorkloadEntry: {
    'no address': [{}, 'spec: Invalid value: address is required, unless network is set'],
    'ports of a socket': [{ address: 'unix://@x', ports: { a: 1 } }, 'spec: Invalid value: a unix socket has no ports'],
    'a socket that is none': [
      { address: 'unix://x' },
      'spec.address: Invalid value: "unix://x": the path of a unix socket must be absolute or abstract',
    ],
  },
  WorkloadGroup: {
    'a template that is none': [
      { template: { address: 'unix:///x', ports: { a: 1 } } },
      'spec.template: Invalid value: a unix socket has no ports',
    ],
    'two probes': [
      {
        template: {},
        probe: { exec: { command: ['x'] }, grpc: {} },
      },
      '<nil>: Invalid value: "": "spec.probe" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
    'a probe that is none': [
      { template: {}, probe: { httpGet: { port: 0, scheme: 'FTP' } } },
      'spec.probe.httpGet.port: Invalid value: 0: port must be between 1-65535',
      'spec.probe.httpGet.scheme: Invalid value: "FTP": scheme must be HTTP or HTTPS',
    ],
    'no template': [{}, 'spec.template: Required value'],
  },
  EnvoyFilter: {
    'a waypoint of another context': [
      {
        configPatches: [
          { match: { waypoint: {}, context: 'GATEWAY' } },
          { match: { context: 'WAYPOINT' } },
          { match: { waypoint: { portNumber: 0 }, context: 'WAYPOINT' } },
        ],
      },
      'spec.configPatches[0].match: Invalid value: waypoint must be set when context is WAYPOINT, and only then',
      'spec.configPatches[1].match: Invalid value: waypoint must be set when context is WAYPOINT, and only then',
      'spec.configPatches[2].match.waypoint.portNumber: Invalid value: 0: port must be between 1-65535',
    ],
    'two matches': [
      {
        configPatches: [{ match: { listener: {}, cluster: {} } }],
      },
      '<nil>: Invalid value: "": "spec.configPatches[0].match" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
    'a selector beside targets': [
      { workloadSelector: {}, targetRefs: [] },
      'spec: Invalid value: only one of workloadSelector, targetRefs can be set',
    ],
  },
  ProxyConfig: {
    'less than no threads': [
      { concurrency: -1 },
      'spec.concurrency: Invalid value: -1: spec.concurrency in body should be greater than or equal to 0',
    ],
  },
  Telemetry: {
    'tags without a value': [
      {
        metrics: [
          {
            overrides: [
              {
                tagOverrides: {
                  a: { operation: 'UPSERT' },
                  b: { operation: 'UPSERT', value: '' },
                  c: { operation: 'REMOVE', value: 'x' },
                },
              },
            ],
          },
        ],
      },
      'spec.metrics[0].overrides[0].tagOverrides[a]: Invalid value: value must be set when operation is UPSERT',
      'spec.metrics[0].overrides[0].tagOverrides[b]: Invalid value: value must be set when operation is UPSERT',
      'spec.metrics[0].overrides[0].tagOverrides[c]: Invalid value: value must not be set when operation is REMOVE',
    ],
    'tags of two sources': [
      {
        tracing: [
          {
            customTags: { a: { literal: { value: 'x' }, header: { name: 'y' } } },
          },
        ],
      },
      '<nil>: Invalid value: "": "spec.tracing[0].customTags.a" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
    'metrics by two names': [
      {
        metrics: [
          {
            overrides: [{ match: { metric: 'REQUEST_COUNT', customMetric: 'x' } }],
            reportingInterval: '0s',
          },
        ],
      },
      '<nil>: Invalid value: "": "spec.metrics[0].overrides[0].match" must validate one and only one schema (oneOf). Found 2 valid alternatives',
      'spec.metrics[0].reportingInterval: Invalid value: "0s": must be a duration of at least 1ms, like 5s or 250ms',
    ],
  },
  WasmPlugin: {
    'a scheme that is none': [
      { url: 's3://x' },
      'spec.url: Invalid value: "s3://x": url must have one of the schemes http, https, file, oci',
    ],
    'values of the host': [
      {
        url: 'x',
        vmConfig: { env: [{ name: 'A', valueFrom: 'HOST', value: 'x' }] },
      },
      'spec.vmConfig.env[0]: Invalid value: value may only be set when valueFrom is INLINE',
    ],
    'variables with the same name': [
      {
        url: 'x',
        vmConfig: { env: [{ name: 'A' }, { name: 'A' }] },
      },
      'spec.vmConfig.env[1]: Duplicate value: {"name":"A"}',
    ],
    'a selector beside targets': [
      { url: 'x', selector: {}, targetRefs: [] },
      'spec: Invalid value: only one of selector, targetRef, targetRefs can be set',
    ],
    'a sum that is none': [
      { url: 'x', sha256: 'ABC' },
      `spec.sha256: Invalid value: "ABC": spec.sha256 in body should match '(^$|^[a-f0-9]{64}$)'`,
    ],
  },
  TrafficExtension: {
    'nothing to run': [{}, 'spec: Invalid value: exactly one of wasm and lua must be set'],
    'two things to run': [
      { wasm: { url: 'x' }, lua: { inlineCode: 'x' } },
      '<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives',
      'spec: Invalid value: exactly one of wasm and lua must be set',
    ],
    'a selector beside targets': [
      { lua: { inlineCode: 'x' }, selector: {}, targetRefs: [] },
      'spec: Invalid value: only one of selector, targetRefs can be set',
    ],
  },
  Sidecar: {
    'wildcards in a selector': [
      { workloadSelector: { labels: { a: '*' } } },
      'spec.workloadSelector.labels[a]: Invalid value: "*": wildcard is not supported in selector',
    ],
    'two sources of certificates': [
      {
        ingress: [{ port: {}, tls: { credentialName: 'a', credentialNames: ['b'] } }],
      },
      'spec.ingress[0].tls: Invalid value: only one of credentialName, credentialNames can be set',
    ],
  },
};

/** Lists of what is allowed make some messages long; what is wrong comes first. */
const maxLine = 160;

for (const kind of istioKinds) {
  describe(`the schema of ${kind.ref.kind} refuses`, () => {
    for (const [what, [spec, ...lines]] of Object.entries(refused[kind.ref.kind] ?? {})) {
      it(what, () => {
        const object = { apiVersion: `${kind.ref.group}/${kind.ref.version}`, kind: kind.ref.kind, metadata: {}, spec };
        const { errors } = checkCustomObject(kind, object as KubeObject);
        const said = errors
          .map(({ path, message }) => `${path}: ${message}`)
          .filter((line) => !line.includes('some validation rules were not checked'));
        assert.deepEqual(
          said.map((line) => (line.length > maxLine ? `${line.slice(0, maxLine)}...` : line)),
          lines,
        );
      });
    }
  });
}

/** Every CEL rule of a schema, by its message. */
function messagesOf(schema: JsonSchema): string[] {
  const inner = [...Object.values(schema.properties ?? {}), schema.items, schema.additionalProperties];
  return [
    ...(schema['x-kubernetes-validations'] ?? []).map(({ message = '' }) => message),
    ...inner.flatMap((each) => (each ? messagesOf(each) : [])),
  ];
}

it('every rule of every schema has an example', () => {
  const lines = Object.values(refused).flatMap((each) => Object.values(each).flatMap(([, ...said]) => said));
  const messages = new Set(istioKinds.flatMap(({ versions }) => versions.flatMap(({ schema }) => messagesOf(schema))));
  assert.ok(messages.size > 20);
  assert.deepEqual(
    [...messages].filter((message) => !lines.some((line) => line.endsWith(message))),
    [],
  );
});
