import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MeshService } from '../api/workload.ts';
import {
  gatewayClass,
  namespace,
  openWorld,
  pod,
  service,
  serviceEntry,
  waypoint,
  workloadEntry,
  type World,
} from './fixtures.ts';

const key = 'shop/web.shop.svc.cluster.local';
const uses = (name: string, more: Record<string, string> = {}): { labels: Record<string, string> } => ({
  labels: { 'istio.io/use-waypoint': name, ...more },
});
const hostOf = (of: Pick<MeshService, 'waypoint'> | undefined): string | undefined => {
  const destination = of?.waypoint?.destination;
  if (!destination) return undefined;
  return destination.kind === 'hostname'
    ? `${destination.namespace}/${destination.hostname}`
    : `${destination.address.network}/${destination.address.ip}`;
};
const condition = (world: World): string | undefined => {
  const verdict = world.statuses.serviceBindings.get('Kubernetes/shop/web')?.verdict;
  return verdict && `${verdict.status} ${verdict.reason}`;
};
const wp = 'shop/wp.shop.svc.cluster.local';

describe('a waypoint', () => {
  it('is used where a Service or its namespace asks for it, and the Service has the last word', () => {
    const world = openWorld();
    world.put(world.sources.gateways, waypoint('wp'), waypoint('own'));
    world.put(world.sources.services, service('web'));
    assert.equal(hostOf(world.service(key)), undefined);
    assert.equal(condition(world), undefined);
    world.put(world.sources.namespaces, namespace('shop', uses('wp').labels));
    assert.equal(hostOf(world.service(key)), wp);
    assert.equal(world.service(key)?.waypoint?.hboneMtlsPort, 15008);
    assert.equal(condition(world), 'True WaypointAccepted');
    world.put(world.sources.services, service('web', {}, uses('own')));
    assert.equal(hostOf(world.service(key)), 'shop/own.shop.svc.cluster.local');
    world.put(world.sources.services, service('web', {}, uses('none')));
    assert.equal(hostOf(world.service(key)), undefined);
    assert.equal(condition(world), undefined);
  });

  it('says that connections to the pods of a headless Service go past it', () => {
    const world = openWorld();
    world.put(world.sources.gateways, waypoint('wp'));
    const message = (): string => world.statuses.serviceBindings.get('Kubernetes/shop/web')?.verdict.message ?? '';
    world.put(world.sources.services, service('web', {}, uses('wp')));
    assert.equal(message(), 'Successfully attached to waypoint shop/wp');
    world.put(world.sources.services, service('web', { clusterIP: 'None' }, uses('wp')));
    assert.match(message(), /shop\/wp; it is headless: connections to the addresses of its pods go past it, unless/);
  });

  it('that is absent or not ready stays on the wire, and is told', () => {
    const world = openWorld();
    world.put(world.sources.services, service('web', {}, uses('wp')));
    assert.equal(hostOf(world.service(key)), wp);
    assert.equal(condition(world), 'False WaypointIsNotReady');
    world.put(world.sources.gateways, waypoint('wp', { addresses: [] }));
    assert.equal(hostOf(world.service(key)), wp);
    assert.equal(condition(world), 'False WaypointIsNotReady');
    world.put(world.sources.gateways, waypoint('wp', { className: 'nginx' }));
    assert.equal(hostOf(world.service(key)), wp);
    assert.equal(condition(world), 'False WaypointIsNotReady');
    world.put(world.sources.gateways, waypoint('wp'));
    assert.equal(hostOf(world.service(key)), wp);
    assert.equal(condition(world), 'True WaypointAccepted');
    world.remove(world.sources.gateways, waypoint('wp'));
    assert.equal(hostOf(world.service(key)), wp);
    assert.equal(condition(world), 'False WaypointIsNotReady');
  });

  it("is one by its class's controller, and by the class's name only where nobody made the class", () => {
    const world = openWorld();
    const { gateways, gatewayClasses, services } = world.sources;
    const ready = (className: string): boolean => {
      world.put(gateways, waypoint('wp', { className }));
      return condition(world) === 'True WaypointAccepted';
    };
    world.put(services, service('web', {}, uses('wp')));
    assert.ok(ready('istio-waypoint') && ready('ambit-waypoint'));
    assert.ok(!ready('istio') && !ready('special') && !ready('istio-east-west'));
    world.put(gatewayClasses, gatewayClass('special', 'istio.io/mesh-controller'));
    assert.ok(ready('special'));
    world.put(gatewayClasses, gatewayClass('istio-waypoint', 'example.com/other'));
    assert.ok(ready('istio-waypoint'), "another controller's Gateway that takes HBONE");
    world.put(gatewayClasses, gatewayClass('ambit-waypoint', 'istio.io/gateway-controller'));
    assert.ok(!ready('ambit-waypoint'));
  });

  it('is addressed by its host name, else by its IP', () => {
    const world = openWorld();
    world.put(world.sources.namespaces, namespace('istio-system', { 'topology.istio.io/network': 'near' }));
    world.put(world.sources.services, service('web', {}, uses('wp')));
    const ip = { type: 'IPAddress', value: '10.96.0.7' };
    world.put(world.sources.gateways, waypoint('wp', { addresses: [ip, { type: 'Hostname', value: 'x.example' }] }));
    assert.equal(hostOf(world.service(key)), 'shop/x.example');
    world.put(world.sources.gateways, waypoint('wp', { addresses: [{ type: 'Other', value: 'y' }, ip] }));
    assert.equal(hostOf(world.service(key)), 'near/10.96.0.7');
  });

  it('takes the traffic that it is for: a namespace means no other, an object that does is told', () => {
    const world = openWorld();
    const { gateways, namespaces, services, pods, workloadEntries } = world.sources;
    world.put(services, service('web'));
    world.put(pods, pod('web'));
    world.put(workloadEntries, workloadEntry('vm', { address: '10.7.7.7' }));
    world.put(namespaces, namespace('shop', uses('wp').labels));
    const users = (): string[] => [
      ...(hostOf(world.service(key)) ? ['service'] : []),
      ...(hostOf(world.workload('web')) ? ['pod'] : []),
      ...(hostOf(world.workload('Kubernetes/networking.istio.io/WorkloadEntry/shop/vm')) ? ['entry'] : []),
    ];
    const forTraffic = (type: string): string[] => {
      world.put(gateways, waypoint('wp', { labels: { 'istio.io/waypoint-for': type } }));
      return users();
    };
    assert.deepEqual(users(), ['service'], 'absent, it is taken for what waypoints are by default');
    assert.deepEqual(forTraffic('service'), ['service']);
    assert.deepEqual(forTraffic('workload'), ['pod', 'entry']);
    assert.deepEqual(forTraffic('all'), ['service', 'pod', 'entry']);
    assert.deepEqual(forTraffic('none'), []);
    assert.equal(condition(world), undefined);
    world.put(services, service('web', {}, uses('wp')));
    assert.equal(condition(world), 'False UnsupportedTrafficType');
    world.put(gateways, waypoint('wp', { className: 'classy' }));
    const labels = { 'istio.io/waypoint-for': 'all' };
    world.put(world.sources.gatewayClasses, gatewayClass('classy', 'istio.io/mesh-controller', { labels }));
    assert.deepEqual(users(), ['service', 'pod', 'entry'], 'the class says it for all its Gateways');
  });

  it('is lent to other namespaces as its listener allows; where it is not, connections are refused', () => {
    const world = openWorld();
    const { gateways, namespaces, services } = world.sources;
    const own = { namespace: 'infra' };
    world.put(namespaces, namespace('shop', { team: 'a' }), namespace('infra'));
    world.put(services, service('web', {}, uses('wp', { 'istio.io/use-waypoint-namespace': 'infra' })));
    const denied = 'infra/wp.infra.attachment-denied.invalid';
    const granted = 'infra/wp.infra.svc.cluster.local';
    world.put(gateways, waypoint('wp', own));
    assert.deepEqual([hostOf(world.service(key)), condition(world)], [denied, 'False AttachmentDenied']);
    world.put(gateways, waypoint('wp', { ...own, from: 'All' }));
    assert.deepEqual([hostOf(world.service(key)), condition(world)], [granted, 'True WaypointAccepted']);
    world.put(gateways, waypoint('wp', { ...own, from: 'Selector', matchLabels: { team: 'b' } }));
    assert.equal(hostOf(world.service(key)), denied);
    world.put(namespaces, namespace('shop', { team: 'b' }));
    assert.equal(hostOf(world.service(key)), granted);
    world.put(gateways, waypoint('wp', { ...own, from: 'All' }));
    world.put(
      world.sources.serviceEntries,
      serviceEntry('ext', { exportTo: ['.'] }, uses('wp', { 'istio.io/use-waypoint-namespace': 'infra' })),
    );
    assert.equal(hostOf(world.service('shop/api.example.com')), denied);
    assert.equal(
      world.statuses.entryBindings.get('Kubernetes/shop/ext')?.verdict.reason,
      'CrossNamespaceWaypointForbidden',
    );
  });

  it('shares with a canary, which comes from where the waypoint does', () => {
    const world = openWorld();
    const { gateways, namespaces, services } = world.sources;
    const labels = uses('wp', { 'istio.io/use-waypoint-canary': 'next' }).labels;
    const withWeight = (weight: string): void => {
      const annotations = { 'istio.io/use-waypoint-canary-weight': weight };
      world.put(services, service('web', {}, { labels, annotations }));
    };
    const shares = (): [string | undefined, number][] =>
      (world.service(key)?.weightedWaypoints ?? []).map(({ destination, weight }) => [
        hostOf({ waypoint: destination }),
        weight,
      ]);
    const next = 'shop/next.shop.svc.cluster.local';
    world.put(gateways, waypoint('wp'), waypoint('next'));
    withWeight('20');
    assert.deepEqual(shares(), [
      [wp, 80],
      [next, 20],
    ]);
    assert.equal(hostOf(world.service(key)), wp);
    assert.equal(condition(world), 'True WaypointAccepted');
    withWeight('0');
    assert.deepEqual(shares(), []);
    for (const wrong of ['101', '-1', 'x', '']) {
      withWeight(wrong);
      assert.deepEqual([shares(), condition(world)], [[], 'False CanaryInvalidWeight'], wrong);
    }
    withWeight('20');
    world.remove(gateways, waypoint('next'));
    assert.deepEqual([shares(), hostOf(world.service(key)), condition(world)], [[], wp, 'False WaypointIsNotReady']);
    world.put(services, service('web', {}, uses('wp', { 'istio.io/use-waypoint-canary': 'wp' })));
    assert.equal(condition(world), 'False CanarySameAsPrimary');
    world.put(gateways, waypoint('next'));
    const annotations = { 'istio.io/use-waypoint-canary-weight': '20' };
    world.put(namespaces, namespace('shop', labels, { annotations }));
    world.put(services, service('web', {}, uses('wp')));
    assert.deepEqual(shares(), [], "the namespace's canary belongs to the namespace's waypoint");
    world.put(services, service('web'));
    assert.equal(shares().length, 2);
  });

  it('goes through no waypoint itself, and tells how it is handed traffic', () => {
    const world = openWorld();
    const { gateways, namespaces, services, pods } = world.sources;
    world.put(namespaces, namespace('shop', uses('wp').labels));
    const annotations = { 'ambient.istio.io/waypoint-inbound-binding': 'PROXY/15088' };
    world.put(gateways, waypoint('wp', { labels: { 'istio.io/waypoint-for': 'all' }, annotations }));
    const labels = {
      'gateway.istio.io/managed': 'istio.io-mesh-controller',
      'gateway.networking.k8s.io/gateway-name': 'wp',
    };
    world.put(pods, pod('wp-1', { labels }));
    world.put(services, service('wp', {}, { labels }));
    assert.equal(hostOf(world.workload('wp-1')), undefined);
    assert.equal(hostOf(world.service(wp)), undefined);
    assert.deepEqual(world.workload('wp-1')?.applicationTunnel, { protocol: 'proxy', port: 15088 });
    world.put(gateways, waypoint('wp', { className: 'classy' }));
    const more = { annotations: { 'ambient.istio.io/waypoint-inbound-binding': 'NONE' } };
    world.put(world.sources.gatewayClasses, gatewayClass('classy', 'istio.io/mesh-controller', more));
    assert.deepEqual(world.workload('wp-1')?.applicationTunnel, { protocol: 'none', port: 0 });
  });

  it('is used by ingress gateways where the Service, else the namespace, says so', () => {
    const world = openWorld();
    const says = (value: string): Record<string, string> => ({ 'istio.io/ingress-use-waypoint': value });
    world.put(world.sources.services, service('web'));
    assert.equal(world.service(key)?.ingressUseWaypoint, false);
    world.put(world.sources.namespaces, namespace('shop', says('true')));
    assert.equal(world.service(key)?.ingressUseWaypoint, true);
    world.put(world.sources.services, service('web', {}, { labels: says('false') }));
    assert.equal(world.service(key)?.ingressUseWaypoint, false);
  });

  it('that changes in nothing that matters changes nobody', () => {
    const world = openWorld();
    world.put(world.sources.services, service('web', {}, uses('wp')));
    world.put(world.sources.pods, pod('web'));
    world.put(world.sources.gateways, waypoint('wp'));
    world.changes();
    const again = waypoint('wp', { annotations: { x: 'y' } });
    world.put(world.sources.gateways, again);
    world.put(world.sources.namespaces, namespace('shop', { x: 'y' }));
    assert.deepEqual(world.changes(), []);
  });
});
