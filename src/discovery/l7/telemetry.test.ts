import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { load } from 'js-yaml';
import type { Telemetry } from '../../api/istio.ts';
import type { TelemetryPolicy } from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { ObjectMeta } from '../../api/meta.ts';
import { openShop, type ProxyWorld } from './fixtures.ts';

const meshConfig: Partial<MeshConfig> = {
  extensionProviders: [
    { name: 'file', kind: 'envoyFileAccessLog', path: '/dev/stdout' },
    { name: 'zipkin', kind: 'zipkin', service: 'reviews.shop.svc.cluster.local', port: 80, path: '/api/v2/spans' },
    { name: 'sky', kind: 'unsupported', type: 'skywalking' },
  ],
};

function telemetry(name: string, spec: string, more: Partial<ObjectMeta> = {}): Telemetry {
  return { metadata: { name, namespace: 'shop', generation: 1, ...more }, spec: load(spec) as object };
}

function put(world: ProxyWorld, ...telemetries: readonly Telemetry[]): void {
  world.put(world.sources.telemetries, ...telemetries);
}

const reviews = 'shop/reviews.shop.svc.cluster.local';

function ofService(world: ProxyWorld): readonly string[] {
  return world.resource('shop/wp', 'service', reviews).policies.telemetry;
}

function ofListener(world: ProxyWorld): readonly string[] {
  return world.resource('shop/wp', 'listener', 'mesh').policies.telemetry;
}

function verdict(world: ProxyWorld, name: string): string | undefined {
  const found = world.statuses.telemetryAttachments.get(`Kubernetes/${name}`)?.verdict;
  return found && `${found.status} ${found.reason}: ${found.message}`;
}

/** What one Telemetry of namespace `shop` becomes. */
function converted(spec: string): { readonly policy: TelemetryPolicy; readonly said: string | undefined } {
  const world = openShop();
  world.configureMesh(meshConfig);
  put(world, telemetry('t', spec));
  return { policy: world.resource('shop/wp', 'telemetry', 'shop/t'), said: verdict(world, 'shop/t') };
}

describe('Telemetry', () => {
  it('holds for the mesh, a namespace or a target, and says how it came there', () => {
    const world = openShop();
    const target = '{ targetRefs: [{ kind: Service, group: "", name: reviews }] }';
    put(
      world,
      telemetry('mesh', 'metrics: []', { namespace: 'istio-system' }),
      telemetry('all', 'metrics: []'),
      telemetry('one', target),
      telemetry('pods', '{ selector: { matchLabels: { app: reviews } } }'),
      telemetry('other', 'metrics: []', { namespace: 'elsewhere' }),
    );
    assert.deepEqual(ofListener(world), ['istio-system/mesh', 'shop/all']);
    assert.deepEqual(ofService(world), ['shop/all', 'shop/one']);
    const scopeOf = (name: string): string => world.resource('shop/wp', 'telemetry', name).scope;
    assert.deepEqual(['istio-system/mesh', 'shop/all', 'shop/one'].map(scopeOf), ['mesh', 'namespace', 'target']);
    assert.equal(verdict(world, 'shop/one'), 'True Accepted: bound to Service:shop/reviews');
    assert.equal(verdict(world, 'shop/all'), undefined);
  });

  it('goes when it does', () => {
    const world = openShop();
    const all = telemetry('all', 'metrics: []');
    put(world, all);
    world.remove(world.sources.telemetries, all);
    assert.deepEqual(ofService(world), []);
    assert.ok(!world.names('shop/wp').includes('telemetry/shop/all'));
  });

  it('changes metrics', () => {
    const { policy, said } = converted(`
      metrics:
        - providers: [{ name: prometheus }]
          overrides:
            - match: { metric: REQUEST_COUNT, mode: SERVER }
              disabled: false
              tagOverrides:
                source_app: { operation: REMOVE }
                host: { value: request.host }
            - disabled: true
    `);
    assert.deepEqual(policy.metrics, [
      {
        side: 'server',
        metric: 'REQUEST_COUNT',
        disabled: false,
        tags: [
          { name: 'source_app', change: { kind: 'remove' } },
          { name: 'host', change: { kind: 'set', expression: 'request.host' } },
        ],
      },
      { metric: 'ALL_METRICS', disabled: true, tags: [] },
    ]);
    assert.equal(said, undefined);
  });

  it('asks for access logs on standard output, in files, filtered or not at all', () => {
    const { policy } = converted(`
      accessLogging:
        - providers: [{ name: envoy }, { name: file }]
          filter: { expression: 'response.code >= 400' }
        - match: { mode: CLIENT }
          disabled: true
    `);
    assert.deepEqual(policy.accessLogs, [
      { disabled: false, filter: 'response.code >= 400' },
      { provider: 'file', disabled: false, filter: 'response.code >= 400' },
      { side: 'client', disabled: true },
    ]);
  });

  it('asks for traces', () => {
    const { policy } = converted(`
      tracing:
        - providers: [{ name: zipkin }]
          randomSamplingPercentage: 12.5
          disableSpanReporting: true
          disableContextPropagation: false
          useRequestIdForTraceSampling: false
          customTags:
            a: { literal: { value: b } }
            c: { header: { name: X-C, defaultValue: d } }
            e: { environment: { name: E } }
            f: { formatter: { value: '%PROTOCOL%' } }
    `);
    assert.deepEqual(policy.tracing, {
      providers: ['zipkin'],
      samplingPercent: 12.5,
      disabled: true,
      usesRequestId: false,
      propagates: true,
      customTags: [
        { name: 'a', value: { kind: 'literal', value: 'b' } },
        { name: 'c', value: { kind: 'header', name: 'X-C', default: 'd' } },
        { name: 'e', value: { kind: 'environment', name: 'E', default: '' } },
        { name: 'f', value: { kind: 'format', template: '%PROTOCOL%' } },
      ],
    });
  });

  it('says what is not done as it is written, and where', () => {
    const { policy, said } = converted(`
      metrics:
        - reportingInterval: 10s
          overrides:
            - match: { customMetric: mine }
            - tagOverrides:
                le: { value: '1' }
                bad: { value: 'request.' }
                alien: { value: 'metadata.x' }
      accessLogging:
        - providers: [{ name: nobody }, { name: sky }, { name: zipkin }]
        - filter: { expression: '1 +' }
      tracing:
        - providers: [{ name: file }]
    `);
    assert.deepEqual(policy.metrics, [{ metric: 'ALL_METRICS', tags: [] }]);
    assert.equal(policy.accessLogs, undefined);
    assert.deepEqual(policy.tracing?.providers, []);
    const [status, ...parts] = (said ?? '').split(/: |; /);
    assert.equal(status, 'False Invalid');
    for (const path of [
      'metrics[0].reportingInterval',
      'metrics[0].overrides[0].match.customMetric',
      'metrics[0].overrides[1].tagOverrides.le',
      'metrics[0].overrides[1].tagOverrides.bad',
      'metrics[0].overrides[1].tagOverrides.alien',
      'accessLogging[0].providers',
      'accessLogging[1].filter',
      'tracing[0].providers',
    ]) {
      assert.ok(parts.includes(path), `${path} in ${said}`);
    }
    assert.match(said ?? '', /provider "sky" is of a type that is not supported \(skywalking\)/);
    assert.match(said ?? '', /there is no "metadata" in this proxy/);
  });

  it('without providers goes by those of the mesh configuration', () => {
    const world = openShop();
    world.configureMesh({
      ...meshConfig,
      defaultProviders: { accessLogging: ['file'], tracing: ['zipkin'], metrics: [] },
    });
    put(world, telemetry('t', 'accessLogging: [{ disabled: false }]'));
    assert.deepEqual(world.resource('shop/wp', 'telemetry', 'shop/t').accessLogs, [
      { provider: 'file', disabled: false },
    ]);
    const defaults = world.resource('shop/wp', 'telemetry', '/default-providers');
    assert.deepEqual(defaults.accessLogs, [{ provider: 'file', disabled: false }]);
    assert.deepEqual(defaults.tracing, { providers: ['zipkin'] });
    assert.deepEqual(ofListener(world), ['/default-providers', 'shop/t']);
  });
});
