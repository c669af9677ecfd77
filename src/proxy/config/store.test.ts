import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '../../lib/fake-clock.ts';
import type { Backend, DestinationService, Listener, ProxyResource, RouteTable } from '../../api/l7/index.ts';
import { serviceKey, type NetworkId } from '../../api/names.ts';
import { encodeProxyResource, proxyResourceName, resourceVersion } from '../../wire/index.ts';
import { createConfigStore, type ConfigStore } from './store.ts';
import type { ProxySnapshot } from './snapshot.ts';

const origin = { kind: 'Gateway', namespace: 'shop', name: 'waypoint', generation: 1 };
const policies = { authorization: [], authentication: [], rateLimits: [], telemetry: [], extensions: [] };

const settings: ProxyResource = {
  kind: 'settings',
  name: 'default',
  role: 'waypoint',
  gateway: 'shop/waypoint',
  trustDomain: 'cluster.local',
  trustDomainAliases: [],
  clusterDomain: 'cluster.local',
  network: '' as NetworkId,
  pathNormalization: 'base',
  numTrustedProxies: 0,
  accessLog: { kind: 'off' },
  tracingSamplingPercent: 1,
  protocolDetectionTimeoutMs: 5000,
  drainMs: 45_000,
};
const listener: Listener = {
  kind: 'listener',
  type: 'waypoint',
  name: 'connect',
  port: 15008,
  trafficType: 'service',
  policies,
  includesClientIdentity: false,
  origin,
};
const key = serviceKey('shop', 'a.shop.svc.cluster.local');
const service: DestinationService = {
  kind: 'service',
  name: key,
  namespace: 'shop',
  hostname: 'a.shop.svc.cluster.local',
  ports: [{ port: 80, protocol: 'http', routes: 'a-80' }],
  policies,
  origin,
};

function routes(name: string, backend: string): RouteTable {
  const rule = {
    name: 'default',
    origin,
    matches: [],
    action: {
      kind: 'forward',
      destinations: [{ weight: 1, target: { kind: 'backend', backend } }],
    },
  } as const;
  return { kind: 'routes', name, hosts: [{ domains: ['*'], rules: [rule] }], tls: [], tcp: [] };
}

function backend(name: string): Backend {
  return {
    kind: 'backend',
    name,
    service: key,
    hostname: 'a.shop.svc.cluster.local',
    port: 80,
    protocol: 'auto',
    throughWaypoint: false,
    loadBalancer: { kind: 'round-robin' },
    locality: { enabled: false, distribute: [], failover: [], forced: false },
    connectionPool: { connectTimeoutMs: 1, idleTimeoutMs: 1 },
  };
}

const whole = [settings, listener, service, routes('a-80', 'a'), backend('a')];

/** One response; undefined: it was accepted. */
function tell(
  store: ConfigStore,
  added: readonly ProxyResource[],
  removed: readonly string[] = [],
): string | undefined {
  const verdict = store.type.apply({
    added: added.map((resource) => {
      const body = encodeProxyResource(resource);
      return { name: proxyResourceName(resource), version: resourceVersion(body), body };
    }),
    removed,
  });
  assert.equal(verdict.refusal === undefined, verdict.rejected.length === 0 || added.length === 0);
  return verdict.refusal;
}

function open(check?: (next: ProxySnapshot) => void): ConfigStore {
  return createConfigStore({ clock: createFakeClock(), ...(check ? { check } : {}) });
}

test('nothing told is no configuration, and no fault', () => {
  const store = open();
  assert.equal(tell(store, []), undefined);
  assert.equal(store.snapshot, undefined);
});

test('a response whose references resolve is the configuration from then on, told once', () => {
  const store = open();
  const changes: ProxySnapshot[] = [];
  const stop = store.subscribe((next) => void changes.push(next));
  assert.equal(tell(store, whole), undefined);
  assert.equal(changes.length, 1);
  assert.equal(store.snapshot, changes[0]);
  assert.deepEqual([...(store.snapshot?.services.keys() ?? [])], [key]);
  stop();
  assert.equal(tell(store, [], ['backend/x']), undefined);
  assert.equal(changes.length, 1);
});

test('a reference that leads nowhere refuses the response with its path, and the last good one stays', () => {
  const store = open();
  tell(store, whole);
  const before = store.snapshot;
  assert.equal(
    tell(store, [routes('a-80', 'b')]),
    'routes/a-80: Cannot accept hosts[0].rules[0].action.destinations[0].target.backend: there is no backend "b"',
  );
  assert.equal(store.snapshot, before);
  assert.match(store.status().refusal ?? '', /there is no backend "b"/);
  assert.deepEqual(
    store
      .status()
      .resources.filter(({ inForce }) => !inForce)
      .map(({ name }) => name),
    ['routes/a-80'],
  );
});

test('what was refused counts once the rest of it has come', () => {
  const store = open();
  tell(store, whole);
  assert.ok(tell(store, [routes('a-80', 'b')]));
  assert.equal(tell(store, [backend('b')]), undefined);
  assert.equal(store.snapshot?.routes.get('a-80')?.hosts[0]?.rules[0]?.action.kind, 'forward');
  assert.ok(store.snapshot?.backends.has('b'));
  assert.equal(store.status().refusal, undefined);
});

test('what can be read no longer holds back all that comes, until it is put right', () => {
  const store = open();
  tell(store, whole);
  const before = store.snapshot;
  const verdict = store.type.apply({
    added: [{ name: 'backend/a', version: 'x', body: new Uint8Array([1, 2, 3]) }],
    removed: [],
  });
  assert.match(verdict.refusal ?? '', /^backend\/a: Cannot accept ambit.proxy.Resource/);
  assert.match(tell(store, [backend('c')]) ?? '', /^backend\/a: /);
  assert.equal(store.snapshot, before);
  assert.equal(tell(store, [backend('a')]), undefined);
  assert.ok(store.snapshot?.backends.has('c'));
});

test('a configuration without settings is refused', () => {
  assert.equal(tell(open(), [listener]), 'settings/default: it is not there');
});

test('two listeners on one port are refused', () => {
  const second = { ...listener, name: 'other' };
  assert.equal(
    tell(open(), [...whole, second]),
    'listener/other: Cannot accept port: port 15008 is taken by listener/connect',
  );
});

test('a listener moves to another name within one response', () => {
  const store = open();
  tell(store, whole);
  assert.equal(tell(store, [{ ...listener, name: 'other' }], ['listener/connect']), undefined);
  assert.deepEqual([...(store.snapshot?.listeners.keys() ?? [])], ['other']);
});

test('policies and secrets that are named must be there', () => {
  const gateway: Listener = {
    kind: 'listener',
    type: 'edge',
    name: 'https',
    port: 443,
    policies: { ...policies, authorization: ['shop/deny'] },
    servers: [
      {
        name: 'https',
        protocol: 'https',
        hostname: '*',
        tls: { mode: 'terminate', certificates: ['shop/cert'], minVersion: 'TLSv1.2', cipherSuites: [] },
        routes: 'a-80',
        policies,
        origin,
      },
    ],
    origin,
  };
  assert.deepEqual(tell(open(), [...whole, gateway])?.split('; '), [
    'listener/https: Cannot accept policies.authorization[0]: there is no authorization "shop/deny"',
    'listener/https: Cannot accept servers[0].tls.certificates[0]: there is no secret "shop/cert"',
  ]);
});

test('a custom policy without its provider is part of the configuration: it denies', () => {
  const policy: ProxyResource = {
    kind: 'authorization',
    name: 'shop/ask',
    origin,
    action: 'custom',
    dryRun: false,
    provider: 'nobody',
    rules: [],
  };
  assert.equal(tell(open(), [...whole, policy]), undefined);
});

test('what did not change is the same object in the next configuration', () => {
  const store = open();
  tell(store, whole);
  const before = store.snapshot;
  assert.ok(before);
  assert.equal(tell(store, [backend('a'), backend('b')]), undefined);
  const after = store.snapshot;
  assert.ok(after && after !== before);
  assert.equal(after.backends.get('a'), before.backends.get('a'));
  assert.equal(after.routes, before.routes);
  assert.equal(after.policies, before.policies);
  assert.equal(after.settings, before.settings);
  assert.notEqual(after.backends, before.backends);
});

test('the same resources again change nothing', () => {
  const store = open();
  tell(store, whole);
  let changes = 0;
  store.subscribe(() => void changes++);
  assert.equal(tell(store, whole), undefined);
  assert.equal(changes, 0);
});

test('what cannot be made of a configuration refuses it', () => {
  const store = open((next) => {
    if (next.backends.has('b')) throw new Error('backend/b: Cannot compile it');
  });
  assert.equal(tell(store, whole), undefined);
  assert.equal(tell(store, [backend('b')]), 'backend/b: Cannot compile it');
  assert.ok(!store.snapshot?.backends.has('b'));
});

test('a proxy that is told to hold nothing serves as before', () => {
  const store = open();
  tell(store, whole);
  const before = store.snapshot;
  assert.equal(tell(store, [], whole.map(proxyResourceName)), undefined);
  assert.equal(store.snapshot, before);
});
