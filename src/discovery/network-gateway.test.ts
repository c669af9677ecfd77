import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Gateway } from '../api/gateway.ts';
import { gatewayClass, namespace, openWorld, pod, service, serviceEntry, workloadEntry } from './fixtures.ts';

function gateway(
  name: string,
  className: string,
  more: {
    network?: string;
    spec?: Gateway['spec']['addresses'];
    status?: string;
    annotations?: Record<string, string>;
  },
): Gateway {
  const { network, spec, status, annotations } = more;
  return {
    metadata: {
      name,
      namespace: 'gw',
      ...(network ? { labels: { 'topology.istio.io/network': network } } : {}),
      ...(annotations ? { annotations } : {}),
    },
    spec: {
      gatewayClassName: className,
      listeners: [
        { name: 'tls', port: 15443, protocol: 'TLS' },
        { name: 'hbone', port: 15009, protocol: 'HBONE' },
      ],
      ...(spec ? { addresses: spec } : {}),
    },
    ...(status ? { status: { addresses: [{ type: 'IPAddress', value: status }] } } : {}),
  };
}

const far = gateway('far', 'istio-remote', {
  network: 'far',
  spec: [{ value: '192.0.2.9' }],
  annotations: { 'gateway.istio.io/service-account': 'east-west' },
});
const toFar = {
  destination: { kind: 'address', address: { network: 'far', ip: '192.0.2.9' } },
  hboneMtlsPort: 15009,
};

describe('a network gateway', () => {
  it('elsewhere is a workload of its network, with its identity, and workloads there name it', () => {
    const world = openWorld();
    world.put(world.sources.namespaces, namespace('istio-system', { 'topology.istio.io/network': 'near' }));
    world.put(world.sources.pods, pod('web'));
    world.put(
      world.sources.workloadEntries,
      workloadEntry('vm', { address: '10.7.7.7', network: 'far' }),
      workloadEntry('close', { address: '10.7.7.8' }),
    );
    const endpoints = [{ network: 'far' }];
    world.put(world.sources.serviceEntries, serviceEntry('ext', { resolution: 'STATIC', endpoints }));
    world.put(world.sources.gateways, far);
    const workload = world.workload('NetworkGateway/far/192.0.2.9/15009');
    assert.deepEqual(
      [workload?.network, workload?.addresses, workload?.serviceAccount, workload?.namespace, workload?.tunnelProtocol],
      ['far', ['192.0.2.9'], 'east-west', 'gw', 'hbone'],
    );
    const entry = 'Kubernetes/networking.istio.io/WorkloadEntry/shop';
    assert.deepEqual(world.workload(`${entry}/vm`)?.networkGateway, toFar);
    assert.deepEqual(
      world.workload('Kubernetes/networking.istio.io/ServiceEntry/shop/ext/far')?.networkGateway,
      toFar,
      'an endpoint may be no more than its network',
    );
    assert.equal(world.workload(`${entry}/close`)?.networkGateway, undefined);
    assert.equal(world.workload('web')?.networkGateway, undefined);
    world.remove(world.sources.gateways, far);
    assert.equal(world.workload(`${entry}/vm`)?.networkGateway, undefined);
    assert.equal(world.workload('NetworkGateway/far/192.0.2.9/15009'), undefined);
  });

  it('of our own is where others enter our network', () => {
    const world = openWorld();
    world.put(world.sources.namespaces, namespace('istio-system', { 'topology.istio.io/network': 'near' }));
    world.put(world.sources.pods, pod('web'));
    for (const className of ['istio-east-west', 'ambit-east-west']) {
      world.put(world.sources.gateways, gateway('own', className, { status: '192.0.2.1' }));
      assert.equal(world.workload('NetworkGateway/near/192.0.2.1/15009')?.serviceAccount, 'own');
      assert.deepEqual(world.workload('web')?.networkGateway?.destination, {
        kind: 'address',
        address: { network: 'near', ip: '192.0.2.1' },
      });
    }
    world.put(world.sources.gateways, gateway('own', 'istio-east-west', {}));
    assert.equal(world.workload('web')?.networkGateway, undefined, 'it has no address yet');
  });

  it('of our own that is reached by the name of its Service leaves that Service as it is', () => {
    const world = openWorld();
    world.put(world.sources.namespaces, namespace('istio-system', { 'topology.istio.io/network': 'near' }));
    world.put(world.sources.services, service('own', {}, { namespace: 'gw' }));
    const before = world.service('gw/own.gw.svc.cluster.local');
    assert.ok(before);
    const named = gateway('own', 'istio-east-west', {});
    const addresses = [{ type: 'Hostname', value: 'own.gw.svc.cluster.local' }];
    world.put(world.sources.gateways, { ...named, status: { addresses } });
    assert.deepEqual(world.service('gw/own.gw.svc.cluster.local'), before);
    assert.equal(world.workload('NetworkGateway/near/own.gw.svc.cluster.local/15009'), undefined);
  });

  it('that has a name is found as a Service of its namespace', () => {
    const world = openWorld();
    world.put(
      world.sources.gateways,
      gateway('far', 'classy', { network: 'far', spec: [{ type: 'Hostname', value: 'gw.example.com' }] }),
    );
    assert.equal(world.addresses.size, 0, 'nobody knows what its class is for');
    world.put(world.sources.gatewayClasses, gatewayClass('classy', 'istio.io/unmanaged-gateway'));
    assert.equal(world.workload('NetworkGateway/far/gw.example.com/15009')?.hostname, 'gw.example.com');
    assert.deepEqual(world.service('gw/gw.example.com')?.ports, [
      { servicePort: 15009, targetPort: 15009, appProtocol: 'unknown' },
    ]);
    world.put(world.sources.workloadEntries, workloadEntry('vm', { network: 'far' }));
    assert.deepEqual(
      world.workload('Kubernetes/networking.istio.io/WorkloadEntry/shop/vm')?.networkGateway?.destination,
      { kind: 'hostname', namespace: 'gw', hostname: 'gw.example.com' },
    );
  });

  it('needs a network: one elsewhere is never of ours', () => {
    const world = openWorld();
    world.put(world.sources.namespaces, namespace('istio-system', { 'topology.istio.io/network': 'near' }));
    world.put(world.sources.gateways, gateway('far', 'istio-remote', { spec: [{ value: '192.0.2.9' }] }));
    assert.equal(world.addresses.size, 0);
  });

  it('leads to endpoints whose identities their Services vouch for', () => {
    const world = openWorld();
    world.put(world.sources.namespaces, namespace('istio-system', { 'topology.istio.io/network': 'near' }));
    world.put(world.sources.services, service('vm'));
    const names = (): unknown => world.service('shop/vm.shop.svc.cluster.local')?.subjectAltNames;
    const vm = { address: '10.7.7.7', labels: { app: 'vm' }, serviceAccount: 'machine' };
    world.put(world.sources.workloadEntries, workloadEntry('vm', vm));
    assert.deepEqual(names(), [], 'in our own network each proves itself');
    world.put(
      world.sources.workloadEntries,
      workloadEntry('vm', { ...vm, network: 'far' }),
      workloadEntry('unknown', { address: '10.7.7.8', labels: { app: 'vm' }, network: 'far' }),
    );
    assert.deepEqual(names(), ['spiffe://cluster.local/ns/shop/sa/machine']);
    world.remove(world.sources.workloadEntries, workloadEntry('vm', vm));
    assert.deepEqual(names(), []);
  });
});
