import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { namespace, openWorld, pod, service, serviceEntry, workloadEntry } from './fixtures.ts';

const uid = 'Kubernetes/networking.istio.io/ServiceEntry/shop/ext';
const port443 = { servicePort: 443, targetPort: 443, appProtocol: 'tls' };

describe('a ServiceEntry', () => {
  it('is one Service for each host, with its addresses and blocks', () => {
    const world = openWorld();
    world.put(
      world.sources.serviceEntries,
      serviceEntry('ext', {
        hosts: ['a.example.com', 'A.example.com', '*.b.example.com'],
        addresses: ['10.0.0.1', '10.1.2.3/16', 'fd00::1/128', 'nonsense'],
        subjectAltNames: ['spiffe://td/ns/x/sa/y'],
      }),
    );
    const first = world.service('shop/a.example.com');
    assert.deepEqual(first?.addresses, [
      { network: '', ip: '10.0.0.1' },
      { network: '', ip: '10.1.0.0', prefixLength: 16 },
      { network: '', ip: 'fd00::1' },
    ]);
    assert.deepEqual(first.ports, [port443]);
    assert.deepEqual(first.subjectAltNames, ['spiffe://td/ns/x/sa/y']);
    assert.ok(first.canonical);
    assert.equal(world.service('shop/*.b.example.com')?.hostname, '*.b.example.com');
    assert.equal(world.addresses.size, 2);
    const verdict = world.statuses.entries.get('Kubernetes/shop/ext');
    assert.match(verdict?.message ?? '', /address "nonsense" is no IP or CIDR/);
  });

  it('without resolution is passed through, whatever is asked of its balance', () => {
    const world = openWorld();
    const annotations = { 'networking.istio.io/traffic-distribution': 'PreferClose' };
    world.put(world.sources.serviceEntries, serviceEntry('ext', {}, { annotations }));
    assert.deepEqual(world.service('shop/api.example.com')?.loadBalancing, {
      routingPreference: [],
      mode: 'passthrough',
      healthPolicy: 'allow-all',
    });
    assert.equal(world.addresses.size, 1);
  });

  it('that resolves on request has addresses by which clients come to its waypoint, and no endpoints', () => {
    const world = openWorld();
    const labels = { 'istio.io/use-waypoint': 'wp' };
    const spec: Parameters<typeof serviceEntry>[1] = {
      hosts: ['*.example.com', '*', 'api.example.org'],
      resolution: 'DYNAMIC_DNS',
      endpoints: [{ address: '10.5.0.1' }],
      ports: [
        { number: 443, name: 'tls', protocol: 'TLS' },
        { number: 9000, name: 'raw', protocol: 'TCP' },
      ],
    };
    const status = { addresses: [{ value: '240.240.7.7', host: '*.example.com' }] };
    const entry = { ...serviceEntry('ext', spec, { labels }), status } as ReturnType<typeof serviceEntry>;
    world.put(world.sources.serviceEntries, entry);
    assert.deepEqual(world.service('shop/*.example.com')?.addresses, [{ network: '', ip: '240.240.7.7' }]);
    // A waypoint that is asked for is not done without because it is not there.
    assert.ok(world.service('shop/*.example.com')?.waypoint);
    assert.deepEqual(
      ['shop/*', 'shop/api.example.org'].map((key) => world.service(key)?.addresses),
      [[], []],
    );
    assert.equal(world.workload(`${uid}/10.5.0.1`), undefined);
    const { status: accepted, message = '' } = world.statuses.entries.get('Kubernetes/shop/ext') ?? {};
    assert.equal(accepted, 'False');
    for (const problem of [
      /host \* does not begin with/,
      /host api\.example\.org does not/,
      /port 9000 is neither HTTP nor TLS/,
      /endpoints are not used/,
    ])
      assert.match(message, problem);
    const optedOut = { ...labels, 'networking.istio.io/enable-autoallocate-ip': 'false' };
    const only = { hosts: ['*.example.com'], resolution: 'DYNAMIC_DNS' as const };
    world.put(world.sources.serviceEntries, serviceEntry('ext', only, { labels: optedOut }));
    assert.match(world.statuses.entries.get('Kubernetes/shop/ext')?.message ?? '', /get no address, by its label/);
  });

  it('that resolves on request does nothing where no waypoint is asked for', () => {
    const world = openWorld();
    const status = { addresses: [{ value: '240.240.7.7', host: '*.example.com' }] };
    const entry = serviceEntry('ext', { hosts: ['*.example.com'], resolution: 'DYNAMIC_DNS' });
    world.put(world.sources.serviceEntries, { ...entry, status } as ReturnType<typeof serviceEntry>);
    assert.deepEqual(world.service('shop/*.example.com')?.addresses, []);
  });

  it('lists endpoints with ports, place, weight, network and identity', () => {
    const world = openWorld();
    world.put(
      world.sources.serviceEntries,
      serviceEntry('ext', {
        resolution: 'STATIC',
        endpoints: [
          { address: '10.5.0.1', ports: { tls: 8443 }, locality: 'eu/a/b', weight: 7, serviceAccount: 'db' },
          { address: '10.5.0.1', labels: { 'networking.istio.io/tunnel': 'http' }, network: 'far' },
          { address: 'unix:///run/x' },
          { address: 'not-an-ip.example.com' },
        ],
      }),
    );
    const [first, second] = [world.workload(`${uid}/10.5.0.1`), world.workload(`${uid}/10.5.0.1/1`)];
    assert.deepEqual([...(first?.services ?? [])], [['shop/api.example.com', [{ ...port443, targetPort: 8443 }]]]);
    assert.deepEqual(first?.locality, { region: 'eu', zone: 'a', subzone: 'b' });
    assert.equal(first.capacity, 7);
    assert.equal(first.serviceAccount, 'db');
    assert.equal(first.tunnelProtocol, 'none');
    assert.equal(second?.tunnelProtocol, 'hbone');
    assert.equal(second.network, 'far');
    assert.equal(world.addresses.size, 3);
    const verdict = world.statuses.entries.get('Kubernetes/shop/ext');
    assert.equal(verdict?.status, 'False');
    assert.match(verdict.message, /unix:\/\/\/run\/x.*not-an-ip\.example\.com/);
  });

  it('that DNS resolves has its endpoints by name, or is its own', () => {
    const world = openWorld();
    const endpoints = [{ address: 'eu.example.com' }, { address: '10.5.0.1' }];
    world.put(
      world.sources.serviceEntries,
      serviceEntry('ext', { hosts: ['a.example.com'], resolution: 'DNS', endpoints }),
      serviceEntry('own', { resolution: 'DNS' }),
      serviceEntry('many', { hosts: ['*.many.example.com'], resolution: 'DNS' }),
    );
    assert.equal(world.workload(`${uid}/eu.example.com`)?.hostname, 'eu.example.com');
    assert.deepEqual(world.workload(`${uid}/10.5.0.1`)?.addresses, ['10.5.0.1']);
    const own = world.workload('Kubernetes/networking.istio.io/ServiceEntry/shop/own/api.example.com');
    assert.equal(own?.hostname, 'api.example.com');
    assert.deepEqual(own.addresses, []);
    assert.deepEqual([...own.services.keys()], ['shop/api.example.com']);
    assert.equal(world.addresses.size, 6, 'three services, three workloads: a wildcard resolves to nothing');
  });

  it('selects pods and WorkloadEntries of its namespace, beside what Services select', () => {
    const world = openWorld();
    world.put(world.sources.pods, pod('web'), pod('web', { namespace: 'other', ip: '10.244.1.3' }));
    world.put(
      world.sources.workloadEntries,
      workloadEntry('vm', { address: '10.7.7.7', labels: { app: 'web' }, ports: { tls: 9443, http: 9080 } }),
    );
    world.put(world.sources.services, service('web'));
    const entry = serviceEntry('ext', {
      resolution: 'STATIC',
      workloadSelector: { labels: { app: 'web' } },
      ports: [{ number: 443, name: 'tls', targetPort: 8443 }],
    });
    world.put(world.sources.serviceEntries, entry);
    const vm = 'Kubernetes/networking.istio.io/WorkloadEntry/shop/vm';
    const portsOf = (name: string): unknown => Object.fromEntries(world.workload(name)?.services ?? []);
    const http = { servicePort: 80, targetPort: 8080, appProtocol: 'http11' };
    assert.deepEqual(portsOf('web'), {
      'shop/api.example.com': [{ ...port443, targetPort: 8443 }],
      'shop/web.shop.svc.cluster.local': [http],
    });
    assert.deepEqual(portsOf(vm), {
      'shop/api.example.com': [{ ...port443, targetPort: 9443 }],
      'shop/web.shop.svc.cluster.local': [{ ...http, targetPort: 9080 }],
    });
    assert.deepEqual(portsOf('Kubernetes//Pod/other/web'), {});
    world.put(world.sources.serviceEntries, { ...entry, spec: { ...entry.spec, workloadSelector: {} } });
    assert.ok(world.workload(vm)?.services.has('shop/api.example.com' as never), 'an empty selector selects all');
    world.remove(world.sources.serviceEntries, entry);
    assert.equal(world.workload(vm)?.services.size, 1);
  });

  it('is seen where it is exported to', () => {
    const world = openWorld();
    const seen = (exportTo: string[]): unknown => {
      world.put(world.sources.serviceEntries, serviceEntry('ext', { exportTo }));
      const found = world.service('shop/api.example.com');
      return found && [found.visibility, found.exportTo];
    };
    assert.deepEqual(seen([]), ['public', undefined]);
    assert.deepEqual(seen(['*']), ['public', undefined]);
    assert.deepEqual(seen(['.']), ['namespace', undefined]);
    assert.deepEqual(seen(['shop']), ['namespace', undefined]);
    assert.deepEqual(seen(['b', '.', 'a']), ['public', ['a', 'b', 'shop']]);
    assert.equal(seen(['~']), undefined);
  });

  it('gives a host to the Service of Kubernetes, else to the oldest entry, and says who has it', () => {
    const world = openWorld();
    const hosts = ['web.shop.svc.cluster.local'];
    const young = serviceEntry(
      'a-young',
      { hosts, resolution: 'STATIC', endpoints: [{ address: '10.5.0.1' }] },
      { creationTimestamp: '2026-02-01T00:00:00Z' },
    );
    const old = serviceEntry(
      'old',
      { hosts, resolution: 'STATIC', addresses: ['10.9.9.9'] },
      { creationTimestamp: '2026-01-01T00:00:00Z' },
    );
    const elsewhere = serviceEntry(
      'else',
      { hosts },
      { namespace: 'other', creationTimestamp: '2026-03-01T00:00:00Z' },
    );
    const key = 'shop/web.shop.svc.cluster.local';
    const nameOf = (): string | undefined => world.service(key)?.name;
    const verdict = (name: string): string | undefined =>
      world.statuses.entries.get(`Kubernetes/shop/${name}`)?.message;
    world.put(world.sources.serviceEntries, young, elsewhere);
    assert.equal(nameOf(), 'a-young');
    world.put(world.sources.serviceEntries, old);
    assert.equal(nameOf(), 'old');
    assert.ok(world.service(key)?.canonical);
    assert.ok(!world.service(`other/${hosts[0]}`)?.canonical, 'one canonical service a host');
    assert.match(verdict('a-young') ?? '', /described by ServiceEntry shop\/old; only endpoints are added/);
    const endpoint = 'Kubernetes/networking.istio.io/ServiceEntry/shop/a-young/10.5.0.1';
    assert.ok(world.workload(endpoint)?.services.has(key as never));
    world.put(world.sources.services, service('web'));
    assert.equal(nameOf(), 'web');
    assert.equal(world.service(key)?.addresses[0]?.ip, '10.96.0.9');
    assert.match(verdict('old') ?? '', /described by Service shop\/web/);
    world.remove(world.sources.services, service('web'));
    world.remove(world.sources.serviceEntries, old);
    assert.equal(nameOf(), 'a-young');
    assert.equal(verdict('a-young'), 'known to ztunnels');
  });

  it('does not become an endpoint of the Service that has its name', () => {
    const world = openWorld();
    world.put(world.sources.services, service('web'));
    world.put(
      world.sources.serviceEntries,
      serviceEntry('ext', { hosts: ['web.shop.svc.cluster.local'], resolution: 'DNS' }),
    );
    assert.equal(world.addresses.size, 1, 'an endpoint that is its own address would lead in a circle');
  });

  it('takes its distance from the namespace where it does not say', () => {
    const world = openWorld();
    const annotation = 'networking.istio.io/traffic-distribution';
    const of = (value: string): { annotations: Record<string, string> } => ({ annotations: { [annotation]: value } });
    world.put(world.sources.namespaces, namespace('shop', {}, of('PreferSameNode')));
    const spec = { resolution: 'STATIC', endpoints: [{ address: '10.5.0.1' }] } as const;
    const preference = (): unknown => world.service('shop/api.example.com')?.loadBalancing?.routingPreference;
    world.put(world.sources.serviceEntries, serviceEntry('ext', { ...spec, endpoints: [...spec.endpoints] }));
    assert.deepEqual(preference(), ['network', 'region', 'zone', 'subzone', 'node']);
    const own = serviceEntry('ext', { ...spec, endpoints: [...spec.endpoints] }, of('PreferClose'));
    world.put(world.sources.serviceEntries, own);
    assert.deepEqual(preference(), ['network', 'region', 'zone']);
  });
});
