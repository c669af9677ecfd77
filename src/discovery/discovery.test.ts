import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod, Service } from '../api/core.ts';
import type { EndpointSlice } from '../api/discovery.ts';
import type { PeerAuthentication, PeerAuthenticationSpec } from '../api/istio.ts';
import { spiffeId, type PolicyKey } from '../api/names.ts';
import { decideAuthorization } from '../policy/index.ts';
import { openWorld, type World } from './fixtures.ts';

function pod(
  name: string,
  more: { labels?: Record<string, string>; annotations?: Record<string, string>; ip?: string; ready?: boolean } = {},
): Pod {
  const { labels = { app: 'web' }, annotations = {}, ip = '10.244.1.2', ready = true } = more;
  return {
    metadata: { name, namespace: 'shop', labels, annotations },
    spec: {
      nodeName: 'node-1',
      serviceAccountName: 'web',
      containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080 }] }],
    },
    status: {
      phase: 'Running',
      podIPs: [{ ip }],
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  };
}

function service(name: string, spec: Service['spec'] = {}): Service {
  return {
    metadata: { name, namespace: 'shop' },
    spec: {
      clusterIP: '10.96.0.9',
      selector: { app: 'web' },
      ports: [
        { name: 'http', port: 80, targetPort: 'http' },
        { name: 'dns', port: 53, protocol: 'UDP' },
      ],
      ...spec,
    },
  };
}

function peer(
  name: string,
  namespace: string,
  spec: PeerAuthenticationSpec,
  created = '2026-01-01T00:00:00Z',
): PeerAuthentication {
  return { metadata: { name, namespace, creationTimestamp: created }, spec };
}

/** Whether a caller without identity gets through to this port of the workload. */
function letsPlaintextIn(world: World, name: string, port: number): boolean {
  const named = world.workload(name)?.authorizationPolicies ?? [];
  const policies = named.flatMap((key) => world.authorizations.get(key) ?? []);
  assert.equal(policies.length, named.length, 'every policy that is named exists');
  const facts = { sourceIp: '10.0.0.1', source: undefined, destinationIp: '10.244.1.2', destinationPort: port };
  assert.equal(
    decideAuthorization(
      { policies, missing: [] },
      { ...facts, source: { id: spiffeId('td', 'a', 'b'), namespace: 'a', serviceAccount: 'b' } },
    ).kind,
    'allow',
  );
  return decideAuthorization({ policies, missing: [] }, facts).kind === 'allow';
}

describe('discovery', () => {
  it('tells a pod with its services, names and place', () => {
    const world = openWorld();
    world.put(world.sources.nodes, { metadata: { name: 'node-1', labels: { 'topology.kubernetes.io/zone': 'z1' } } });
    world.put(world.sources.services, service('web'));
    const labels = { app: 'web', version: 'v2', 'pod-template-hash': 'abc' };
    const one = pod('web-abc-1', { labels, annotations: { 'ambient.istio.io/redirection': 'enabled' } });
    one.metadata.ownerReferences = [
      { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-abc', uid: 'u', controller: true },
    ];
    world.put(world.sources.pods, one);
    const workload = world.workload('web-abc-1');
    assert.deepEqual(
      { ...workload, services: [...(workload?.services ?? [])] },
      {
        uid: 'Kubernetes//Pod/shop/web-abc-1',
        name: 'web-abc-1',
        namespace: 'shop',
        addresses: ['10.244.1.2'],
        hostname: '',
        network: '',
        tunnelProtocol: 'hbone',
        nativeTunnel: false,
        trustDomain: 'cluster.local',
        serviceAccount: 'web',
        node: 'node-1',
        canonicalName: 'web',
        canonicalRevision: 'v2',
        workloadType: 'pod',
        workloadName: 'web',
        services: [['shop/web.shop.svc.cluster.local', [{ servicePort: 80, targetPort: 8080, appProtocol: 'http11' }]]],
        authorizationPolicies: [],
        status: 'healthy',
        clusterId: 'Kubernetes',
        locality: { region: '', zone: 'z1', subzone: '' },
        networkMode: 'standard',
        capacity: 1,
      },
    );
    assert.deepEqual(world.service('shop/web.shop.svc.cluster.local')?.ports, [
      { servicePort: 80, targetPort: 0, appProtocol: 'http11' },
    ]);
    assert.deepEqual(world.service('shop/web.shop.svc.cluster.local')?.addresses, [{ network: '', ip: '10.96.0.9' }]);
  });

  it('follows labels, selectors, readiness and ends', () => {
    const world = openWorld();
    world.put(world.sources.pods, pod('web'));
    assert.equal(world.workload('web')?.services.size, 0);
    world.put(world.sources.services, service('web'), service('other', { selector: { app: 'web', tier: 'x' } }));
    assert.equal(world.workload('web')?.services.size, 1);
    world.put(world.sources.pods, pod('web', { labels: { app: 'web', tier: 'x' }, ready: false }));
    assert.equal(world.workload('web')?.services.size, 2);
    assert.equal(world.workload('web')?.status, 'unhealthy');
    world.remove(world.sources.services, service('web'));
    assert.deepEqual([...(world.workload('web')?.services.keys() ?? [])], ['shop/other.shop.svc.cluster.local']);
    world.put(world.sources.pods, { ...pod('web'), status: { phase: 'Succeeded', podIP: '10.244.1.2' } });
    assert.equal(world.workload('web'), undefined);
  });

  it('takes endpoints without a pod from slices, out of reach of lookups by address', () => {
    const world = openWorld();
    const slice: EndpointSlice = {
      metadata: { name: 'api-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'api' } },
      addressType: 'IPv4',
      endpoints: [
        { addresses: ['172.30.0.1'] },
        { addresses: ['10.244.1.2'], targetRef: { kind: 'Pod', name: 'web' } },
      ],
      ports: [{ name: 'https', port: 6443 }],
    };
    const { selector: _, ...spec } = service('api').spec ?? {};
    world.put(world.sources.services, { ...service('api'), spec: { ...spec, ports: [{ name: 'https', port: 443 }] } });
    world.put(world.sources.pods, pod('web'));
    world.put(world.sources.endpointSlices, slice);
    const address = world.addresses.get('Kubernetes/discovery.k8s.io/EndpointSlice/shop/api-1/172.30.0.1');
    assert.ok(address?.kind === 'workload');
    assert.equal(address.workload.networkMode, 'host-network');
    const ports = [{ servicePort: 443, targetPort: 6443, appProtocol: 'tls' }];
    assert.deepEqual([...address.workload.services.values()], [ports]);
    assert.deepEqual([...(world.workload('web')?.services.values() ?? [])], [ports]);
    assert.equal(world.addresses.size, 3);
  });

  it('names selector policies on the pods that they bind, from the own and the root namespace', () => {
    const world = openWorld();
    world.put(world.sources.pods, pod('web'));
    const selector = { matchLabels: { app: 'web' } };
    world.put(
      world.sources.authorizationPolicies,
      { metadata: { name: 'own', namespace: 'shop', generation: 3 }, spec: { selector } },
      { metadata: { name: 'root', namespace: 'istio-system' }, spec: { selector } },
      { metadata: { name: 'foreign', namespace: 'other' }, spec: { selector } },
      { metadata: { name: 'wide', namespace: 'shop' }, spec: {} },
    );
    assert.deepEqual(world.workload('web')?.authorizationPolicies, ['istio-system/root', 'shop/own']);
    assert.equal(world.authorizations.size, 4);
    assert.deepEqual(world.verdicts.get('Kubernetes/shop/own'), {
      verdict: { status: 'True', reason: 'Accepted', message: 'attached to ztunnel' },
      generation: 3,
    });
  });

  it('makes STRICT of the mesh, a namespace or a selector a policy of the workload', () => {
    const world = openWorld();
    const { peerAuthentications } = world.sources;
    world.put(world.sources.pods, pod('web'));
    assert.ok(letsPlaintextIn(world, 'web', 80));
    world.put(peerAuthentications, peer('mesh', 'istio-system', { mtls: { mode: 'STRICT' } }));
    assert.deepEqual(world.workload('web')?.authorizationPolicies, [
      'istio-system/istio_converted_static_strict',
    ] as PolicyKey[]);
    assert.ok(!letsPlaintextIn(world, 'web', 80));
    world.put(peerAuthentications, peer('ns', 'shop', { mtls: { mode: 'PERMISSIVE' } }));
    assert.ok(letsPlaintextIn(world, 'web', 80));
    const selector = { matchLabels: { app: 'web' } };
    world.put(
      peerAuthentications,
      peer('app', 'shop', { selector, mtls: { mode: 'STRICT' }, portLevelMtls: { '8080': { mode: 'DISABLE' } } }),
    );
    assert.ok(!letsPlaintextIn(world, 'web', 80));
    assert.ok(letsPlaintextIn(world, 'web', 8080));
    world.put(
      peerAuthentications,
      peer('app', 'shop', { selector, portLevelMtls: { '8080': { mode: 'STRICT' }, '9090': { mode: 'UNSET' } } }),
    );
    assert.ok(letsPlaintextIn(world, 'web', 9090));
    assert.ok(!letsPlaintextIn(world, 'web', 8080));
    world.remove(peerAuthentications, peer('ns', 'shop', {}));
    assert.ok(!letsPlaintextIn(world, 'web', 9090));
    assert.deepEqual(world.workload('web')?.authorizationPolicies, [
      'istio-system/istio_converted_static_strict',
    ] as PolicyKey[]);
  });

  it('lets the oldest of two PeerAuthentications speak', () => {
    const world = openWorld();
    world.put(world.sources.pods, pod('web'));
    world.put(
      world.sources.peerAuthentications,
      peer('young', 'shop', { mtls: { mode: 'PERMISSIVE' } }, '2026-02-01T00:00:00Z'),
      peer('old', 'shop', { mtls: { mode: 'STRICT' } }, '2026-01-01T00:00:00Z'),
    );
    assert.ok(!letsPlaintextIn(world, 'web', 80));
  });
});
