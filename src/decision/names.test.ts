import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { serviceKey, type NetworkId } from '../api/names.ts';
import type { MeshAddress, MeshService, MeshWorkload } from '../api/workload.ts';
import { defaultNetwork, meshService, meshWorkload } from '../mesh/fixtures.ts';
import { MeshState } from '../mesh/index.ts';
import { planName, type SearchRules } from './names.ts';

const client = meshWorkload({ name: 'app', namespace: 'front' });
const vip = (...ips: string[]): MeshService['addresses'] => ips.map((ip) => ({ network: defaultNetwork, ip }));

function meshOf(...parts: (MeshWorkload | MeshService)[]): MeshState {
  const mesh = new MeshState();
  const updated = parts.map((part): MeshAddress =>
    'uid' in part ? { kind: 'workload', workload: part } : { kind: 'service', service: part },
  );
  mesh.applyAddresses({ updated, removed: [] });
  return mesh;
}

const headless = meshService({ name: 'db' });
const dbKey = serviceKey(headless.namespace, headless.hostname);
const endpoint = (more: Partial<MeshWorkload>): MeshWorkload =>
  meshWorkload({ workloadName: 'db', workloadType: 'pod', services: new Map([[dbKey, []]]), ...more });
const external = meshService({
  name: 'api',
  hostname: 'api.example.com',
  addresses: vip('240.240.0.1', '2001:2::1'),
  canonical: false,
});
const mesh = meshOf(
  client,
  meshService({ addresses: vip('10.96.0.1', 'fd00::1') }),
  headless,
  endpoint({ name: 'db-0', addresses: ['10.0.0.1', 'fd00:1::1'] }),
  endpoint({ name: 'db-1', addresses: ['10.0.0.2'] }),
  endpoint({ name: 'db-2', addresses: ['10.0.0.3'], status: 'unhealthy' }),
  endpoint({ name: 'far-0', addresses: ['10.9.0.1'], network: 'other' as NetworkId }),
  endpoint({ name: 'odd-abc', addresses: ['10.0.0.4'], workloadName: 'odd' }),
  external,
  meshService({ name: 'any', hostname: '*.example.org', addresses: vip('240.240.0.2'), canonical: false }),
  meshService({ name: 'plain', hostname: 'plain.example.net', canonical: false }),
);

/** Addresses (after the alias, where there is one), or 'forward'. */
function ask(
  name: string,
  more: { family?: 'ipv6'; rules?: SearchRules; mesh?: MeshState; client?: MeshWorkload } = {},
): string {
  const plan = planName({ mesh, client, clusterDomain: 'cluster.local', family: 'ipv4', name, ...more });
  if (plan.kind === 'forward') return 'forward';
  return [...(plan.alias === undefined ? [] : [`${plan.alias}:`]), ...plan.addresses].join(' ');
}

describe('names of Services', () => {
  test('are virtual addresses of the family asked for', () => {
    assert.equal(ask('web.shop.svc.cluster.local'), '10.96.0.1');
    assert.equal(ask('web.shop.svc.cluster.local', { family: 'ipv6' }), 'fd00::1');
    assert.equal(ask('api.example.com'), '240.240.0.1');
  });

  test('are known, with nothing behind them, in the family that is missing', () => {
    assert.equal(ask('*.example.org', { family: 'ipv6' }), '');
    assert.equal(ask('db-1.db.shop.svc.cluster.local', { family: 'ipv6' }), '');
  });

  test('lead to healthy endpoints of the own network where there is no virtual address', () => {
    assert.equal(ask('db.shop.svc.cluster.local'), '10.0.0.1 10.0.0.2 10.0.0.4');
    assert.equal(ask('db.shop.svc.cluster.local', { family: 'ipv6' }), 'fd00:1::1');
  });

  test('lead to addresses of a family that the Service offers alone', () => {
    const single = meshOf(
      client,
      { ...headless, ipFamilies: 'ipv4' },
      endpoint({ name: 'db-0', addresses: ['10.0.0.1', 'fd00:1::1'] }),
    );
    for (const name of ['db.shop.svc.cluster.local', 'db-0.db.shop.svc.cluster.local']) {
      assert.equal(ask(name, { mesh: single }), '10.0.0.1');
      assert.equal(ask(name, { mesh: single, family: 'ipv6' }), '', 'known, without an address of that family');
    }
  });

  test('lead to unhealthy endpoints too where the Service says so', () => {
    const loadBalancing = { routingPreference: [], mode: 'unspecified', healthPolicy: 'allow-all' } as const;
    const open = meshOf(
      client,
      { ...headless, loadBalancing },
      endpoint({ name: 'db-2', addresses: ['10.0.0.3'], status: 'unhealthy' }),
    );
    assert.equal(ask('db.shop.svc.cluster.local', { mesh: open }), '10.0.0.3');
    assert.equal(ask('db-2.db.shop.svc.cluster.local', { mesh: open }), '10.0.0.3');
  });

  test('of hosts outside without an address of the mesh are asked outside', () => {
    assert.equal(ask('plain.example.net'), 'forward');
    const elsewhere = { ...external, addresses: [{ network: 'other' as NetworkId, ip: '240.240.0.1' }] };
    assert.equal(ask('api.example.com', { mesh: meshOf(client, elsewhere) }), 'forward');
  });

  test('match by the nearest pattern, at any depth, and the pattern itself is not below it', () => {
    const two = meshOf(
      client,
      meshService({ name: 'wide', hostname: '*.org', addresses: vip('240.240.0.3') }),
      meshService({ name: 'near', hostname: '*.example.org', addresses: vip('240.240.0.2') }),
    );
    assert.equal(ask('a.b.example.org', { mesh: two }), '240.240.0.2');
    assert.equal(ask('example.org', { mesh: two }), '240.240.0.3');
    assert.equal(ask('example.org'), 'forward');
  });

  test('blocks of addresses are no answer', () => {
    const block = { ...external, addresses: [{ network: defaultNetwork, ip: '192.0.2.0', prefixLength: 24 }] };
    assert.equal(ask('api.example.com', { mesh: meshOf(client, block) }), 'forward');
  });

  test('are chosen by visibility, then by the own namespace, then canonical, then the preferred namespace', () => {
    const of = (namespace: string, ip: string, more: Partial<MeshService> = {}): MeshService =>
      meshService({ namespace, hostname: 'x.example', addresses: vip(ip), canonical: false, ...more });
    const hidden = of('a', '10.0.0.1', { visibility: 'namespace', canonical: true });
    const some = of('b', '10.0.0.2');
    const preferred = of('c', '10.0.0.3');
    const canonical = of('d', '10.0.0.4', { canonical: true });
    const own = of('front', '10.0.0.5');
    const chosen = (...services: MeshService[]): string => {
      const plan = planName({
        mesh: meshOf(client, ...services),
        client,
        clusterDomain: 'cluster.local',
        family: 'ipv4',
        name: 'x.example',
        preferredNamespace: 'c',
      });
      return plan.kind === 'addresses' ? (plan.addresses[0] ?? '') : plan.kind;
    };
    assert.equal(chosen(hidden), 'forward');
    assert.equal(chosen(hidden, some), '10.0.0.2');
    assert.equal(chosen(hidden, some, preferred), '10.0.0.3');
    assert.equal(chosen(hidden, some, preferred, canonical), '10.0.0.4');
    assert.equal(chosen(hidden, some, preferred, canonical, own), '10.0.0.5');
  });
});

describe('names of pods of a headless Service', () => {
  test('are those of StatefulSets', () => {
    assert.equal(ask('db-0.db.shop.svc.cluster.local'), '10.0.0.1');
    assert.equal(ask('db-0.db.shop.svc.cluster.local', { family: 'ipv6' }), 'fd00:1::1');
  });

  test('are forwarded where only the cluster knows: no such pod, no StatefulSet, not healthy, far away, or no headless Service', () => {
    for (const pod of ['db-9', 'odd-abc', 'db-2', 'far-0', '10-0-0-1'])
      assert.equal(ask(`${pod}.db.shop.svc.cluster.local`), 'forward', pod);
    assert.equal(ask('web-0.web.shop.svc.cluster.local'), 'forward');
    assert.equal(ask('_sql._tcp.db.shop.svc.cluster.local'), 'forward');
  });
});

describe('short names', () => {
  test('are looked up in the search domains', () => {
    const inside = meshWorkload({ name: 'app' });
    assert.equal(ask('web', { client: inside }), '10.96.0.1');
    assert.equal(ask('web'), 'forward');
    for (const name of ['web.shop', 'web.shop.svc']) assert.equal(ask(name), '10.96.0.1', name);
    assert.equal(ask('db-0.db', { client: inside }), '10.0.0.1');
  });

  test('are not completed once they have as many dots as ndots says', () => {
    const search = ['front.svc.cluster.local', 'svc.cluster.local', 'cluster.local'];
    assert.equal(ask('web.shop', { rules: { search, ndots: 1 } }), 'forward');
    assert.equal(ask('web.shop', { rules: { search, ndots: 2 } }), '10.96.0.1');
  });

  test('follow the search list of the pod, and that alone', () => {
    const rules = { search: ['example.com', 'shop.svc.cluster.local'], ndots: 5 };
    assert.equal(ask('api', { rules }), '240.240.0.1');
    assert.equal(ask('web', { rules }), '10.96.0.1');
    assert.equal(ask('web.shop', { rules }), 'forward');
  });

  test('never become names that a pattern means', () => {
    assert.equal(ask('github', { rules: { search: ['example.org'], ndots: 5 } }), 'forward');
  });
});

describe('names with a search domain at their end', () => {
  test('are aliases of what they mean', () => {
    assert.equal(ask('api.example.com.front.svc.cluster.local'), 'api.example.com: 240.240.0.1');
    assert.equal(ask('api.example.com.svc.cluster.local'), 'api.example.com: 240.240.0.1');
    assert.equal(ask('api.example.com.cluster.local', { family: 'ipv6' }), 'api.example.com: 2001:2::1');
    assert.equal(ask('web.shop.front.svc.cluster.local'), 'web.shop.svc.cluster.local: 10.96.0.1');
    assert.equal(ask('web.shop.svc.cluster.local.front.svc.cluster.local'), 'web.shop.svc.cluster.local: 10.96.0.1');
  });

  test('that a pattern means have no name of their own', () => {
    assert.equal(ask('a.example.org.front.svc.cluster.local'), '240.240.0.2');
  });

  test('are never cut where the cluster may know them: Services that we do not see, their pods and ports', () => {
    const rules = { search: ['front.svc.cluster.local', 'shop.svc.cluster.local'], ndots: 5 };
    assert.equal(ask('web.front.svc.cluster.local', { rules }), 'forward');
    const trap = meshOf(
      client,
      headless,
      ...['pod.db', '_sql._tcp.db', 'ghost', 'a.shop.pod'].map((hostname) =>
        meshService({ name: 'trap', hostname, addresses: vip('240.240.0.9') }),
      ),
    );
    const inShop = { search: ['shop.svc.cluster.local', 'cluster.local'], ndots: 5 };
    for (const name of ['pod.db.shop.svc', '_sql._tcp.db.shop.svc', 'ghost.shop.svc', 'a.shop.pod'])
      assert.equal(ask(`${name}.cluster.local`, { mesh: trap, rules: inShop }), 'forward', name);
  });

  test('are never cut in domains of others, where anything may exist', () => {
    const rules = { search: ['corp.example'], ndots: 5 };
    assert.equal(ask('api.example.com.corp.example', { rules }), 'forward');
  });

  test('are not cut where a resolver would not have made them', () => {
    const rules = { search: ['front.svc.cluster.local'], ndots: 2 };
    assert.equal(ask('api.example.com.front.svc.cluster.local', { rules }), 'forward');
    assert.equal(
      ask('api.example.com.front.svc.cluster.local', { rules: { ...rules, ndots: 3 } }),
      'api.example.com: 240.240.0.1',
    );
  });
});

test('names that are no host names are forwarded', () => {
  for (const name of ['', 'web\\.shop.svc.cluster.local', '.', '..', 'svc.cluster.local', 'cluster.local'])
    assert.equal(ask(name), 'forward', name);
});

test('no name makes it throw, and every answer is of the family that was asked for', () => {
  const label = fc.constantFrom(
    'web',
    'db',
    'db-0',
    'shop',
    'front',
    'svc',
    'cluster',
    'local',
    'example',
    'com',
    'org',
    'api',
    '*',
    '',
    '_tcp',
  );
  fc.assert(
    fc.property(fc.array(label, { maxLength: 9 }), fc.nat(6), fc.boolean(), (labels, ndots, isV6) => {
      const rules = { search: ['front.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'example.com'], ndots };
      const family = isV6 ? 'ipv6' : 'ipv4';
      const plan = planName({ mesh, client, clusterDomain: 'cluster.local', family, name: labels.join('.'), rules });
      if (plan.kind === 'forward') return;
      for (const ip of plan.addresses) assert.equal(ip.includes(':'), isV6);
    }),
    { seed: 5, numRuns: 2000 },
  );
});
