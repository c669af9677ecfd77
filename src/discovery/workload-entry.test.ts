import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { namespace, openWorld, service, workloadEntry } from './fixtures.ts';

const uid = 'Kubernetes/networking.istio.io/WorkloadEntry/shop/vm';

describe('a WorkloadEntry', () => {
  it('is a workload with its place, names, tunnel and policies', () => {
    const world = openWorld();
    world.put(world.sources.namespaces, namespace('istio-system', { 'topology.istio.io/network': 'near' }));
    world.put(world.sources.authorizationPolicies, {
      metadata: { name: 'p', namespace: 'shop' },
      spec: { selector: { matchLabels: { app: 'db' } } },
    });
    world.put(
      world.sources.workloadEntries,
      workloadEntry(
        'vm',
        {
          address: '10.7.7.7',
          labels: { app: 'no', version: 'v2' },
          weight: 3,
          locality: 'eu/a',
          serviceAccount: 'db',
        },
        { labels: { app: 'db', 'networking.istio.io/tunnel': 'http' } },
      ),
    );
    assert.deepEqual(
      { ...world.workload(uid), services: undefined },
      {
        uid,
        name: 'vm',
        namespace: 'shop',
        addresses: ['10.7.7.7'],
        hostname: '',
        network: 'near',
        tunnelProtocol: 'hbone',
        nativeTunnel: true,
        trustDomain: 'cluster.local',
        serviceAccount: 'db',
        node: '',
        canonicalName: 'db',
        canonicalRevision: 'v2',
        workloadType: 'pod',
        workloadName: 'vm',
        services: undefined,
        authorizationPolicies: ['shop/p'],
        status: 'healthy',
        clusterId: 'Kubernetes',
        locality: { region: 'eu', zone: 'a', subzone: '' },
        networkMode: 'standard',
        capacity: 3,
      },
    );
  });

  it('may have a name for an address, and another network', () => {
    const world = openWorld();
    world.put(world.sources.workloadEntries, workloadEntry('vm', { address: 'vm.example.com', network: 'far' }));
    const workload = world.workload(uid);
    assert.deepEqual([workload?.hostname, workload?.addresses, workload?.network], ['vm.example.com', [], 'far']);
    world.put(
      world.sources.workloadEntries,
      workloadEntry('vm', { address: '10.0.0.1', labels: { 'topology.istio.io/network': 'label' } }),
    );
    assert.equal(world.workload(uid)?.network, 'label');
  });

  it('answers for Services by number, by name and by the name of their target', () => {
    const world = openWorld();
    world.put(
      world.sources.services,
      service('vm', {
        ports: [
          { name: 'http', port: 80, targetPort: 'web' },
          { name: 'grpc', port: 81, targetPort: 8081 },
          { name: 'tcp', port: 82, targetPort: 8082 },
          { name: 'lost', port: 83, targetPort: 'lost-port' },
          { name: 'dns', port: 53, protocol: 'UDP' },
        ],
      }),
    );
    const spec = { address: '10.7.7.7', labels: { app: 'vm' }, ports: { web: 9080, tcp: 9082 } };
    world.put(world.sources.workloadEntries, workloadEntry('vm', spec));
    const [ports = []] = [...(world.workload(uid)?.services.values() ?? [])];
    assert.deepEqual(
      ports.map(({ servicePort, targetPort }) => [servicePort, targetPort]),
      [
        [80, 9080],
        [81, 8081],
        [82, 9082],
      ],
    );
  });

  it('is sick when somebody says so in its status', () => {
    const world = openWorld();
    const entry = workloadEntry('vm', { address: '10.7.7.7' });
    const healthy = (status: 'True' | 'False'): void => {
      const condition = { type: 'Healthy', status, reason: '', message: '', lastTransitionTime: '' };
      world.put(world.sources.workloadEntries, { ...entry, status: { conditions: [condition] } });
    };
    healthy('False');
    assert.equal(world.workload(uid)?.status, 'unhealthy');
    healthy('True');
    assert.equal(world.workload(uid)?.status, 'healthy');
  });

  it('that nobody can reach is not sent, or says so', () => {
    const world = openWorld();
    world.put(world.sources.workloadEntries, workloadEntry('vm', { address: 'unix:///run/x' }));
    const verdict = (): string | undefined => world.statuses.workloadEntries.get('Kubernetes/shop/vm')?.message;
    assert.equal(world.workload(uid), undefined);
    assert.match(verdict() ?? '', /a unix socket cannot be reached/);
    world.put(world.sources.workloadEntries, workloadEntry('vm', { network: 'far' }));
    assert.match(verdict() ?? '', /no gateway leads to network "far"/);
    world.put(world.sources.workloadEntries, workloadEntry('vm', { address: '10.0.0.1' }));
    assert.equal(verdict(), 'known to ztunnels');
  });
});
