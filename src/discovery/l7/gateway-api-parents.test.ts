import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gatewayClass, namespace, service, serviceEntry, waypoint } from '../fixtures.ts';
import {
  edgeGateway,
  httpRoute,
  openGatewayWorld,
  toGateway,
  toWeb,
  type GatewayWorld,
} from './gateway-api-fixtures.ts';

const key = 'shop/web.shop.svc.cluster.local';
const http = { name: 'http', port: 80, protocol: 'HTTP' };

function openWithWeb(): GatewayWorld {
  const world = openGatewayWorld();
  world.put(world.sources.services, service('web'));
  return world;
}

const places = (world: GatewayWorld): unknown[] =>
  world
    .bound('r')
    .map(({ parent, hostnames }) => [parent.kind === 'service' ? parent.port : parent.listener, ...hostnames]);

describe('a route at a Service', () => {
  it("is its producer's in the same namespace, and a consumer's elsewhere", () => {
    const world = openWithWeb();
    world.put(world.sources.httpRoutes, httpRoute('r', { hostnames: ['ignored.example.com'] }));
    assert.deepEqual(world.bound('r')[0]?.parent, { kind: 'service', service: key });
    assert.equal(world.bound('r')[0]?.consumerNamespace, undefined);
    assert.deepEqual(world.bound('r')[0]?.hostnames, ['*']);
    const elsewhere = { ...toWeb, namespace: 'shop' };
    world.put(world.sources.httpRoutes, httpRoute('c', { parents: [elsewhere] }, { namespace: 'client' }));
    assert.deepEqual(world.bound('c')[0]?.parent, { kind: 'service', service: key });
    assert.equal(world.bound('c')[0]?.consumerNamespace, 'client');
  });

  it('is for a port by number or by name, if it says so', () => {
    const world = openWithWeb();
    const at = (more: object): unknown[] => {
      world.put(world.sources.httpRoutes, httpRoute('r', { parents: [{ ...toWeb, ...more }] }));
      return places(world);
    };
    assert.deepEqual(at({}), [[undefined, '*']]);
    assert.deepEqual(at({ port: 80 }), [[80, '*']]);
    assert.deepEqual(at({ sectionName: 'http' }), [[80, '*']]);
    assert.deepEqual(at({ sectionName: 'http', port: 81 }), []);
    assert.deepEqual(at({ port: 81 }), []);
    assert.ok(world.faults('HTTPRoute', 'r').includes('Accepted=NoMatchingParent'));
  });

  it('that does not exist is told, and bound once it does', () => {
    const world = openGatewayWorld();
    world.put(world.sources.httpRoutes, httpRoute('r'));
    assert.deepEqual(world.faults('HTTPRoute', 'r'), ['Accepted=NoMatchingParent', 'ResolvedRefs=BackendNotFound']);
    assert.deepEqual(world.bound('r'), []);
    const [told] = world.parents('HTTPRoute', 'r');
    assert.deepEqual([told?.controllerName, told?.parentRef], ['istio.io/mesh-controller', toWeb]);
    world.put(world.sources.services, service('web'));
    assert.deepEqual(world.faults('HTTPRoute', 'r'), ['ResolvedWaypoints=MissingUseWaypointLabel']);
    assert.equal(world.bound('r').length, 1);
  });

  it('that goes through a waypoint says so', () => {
    const world = openWithWeb();
    world.put(world.sources.httpRoutes, httpRoute('r'));
    const resolved = () => world.parents('HTTPRoute', 'r')[0]?.conditions['ResolvedWaypoints']?.status;
    assert.equal(resolved(), 'False');
    world.put(world.sources.gateways, waypoint('wp'));
    world.put(world.sources.namespaces, namespace('shop', { 'istio.io/use-waypoint': 'wp' }));
    assert.equal(resolved(), 'True');
  });

  it('is left to another controller whose waypoint the Service goes through', () => {
    const world = openWithWeb();
    world.put(world.sources.namespaces, namespace('shop', { 'istio.io/use-waypoint': 'wp' }));
    world.put(world.sources.httpRoutes, httpRoute('r'));
    assert.equal(world.parents('HTTPRoute', 'r').length, 1, 'nobody knows whose it will be');
    world.put(world.sources.gateways, waypoint('wp', { className: 'other' }));
    world.put(world.sources.gatewayClasses, gatewayClass('other', 'example.com/waypoint'));
    assert.deepEqual([world.parents('HTTPRoute', 'r'), world.bound('r')], [[], []]);
  });

  it('may be at a ServiceEntry, for each of its hosts', () => {
    const world = openWithWeb();
    world.put(world.sources.serviceEntries, serviceEntry('api', { hosts: ['a.example.com', 'b.example.com'] }));
    const parent = { group: 'networking.istio.io', kind: 'ServiceEntry', name: 'api', port: 443 };
    world.put(world.sources.httpRoutes, httpRoute('r', { parents: [parent] }));
    assert.deepEqual(
      world.bound('r').map((one) => one.parent),
      ['a', 'b'].map((host) => ({ kind: 'service', service: `shop/${host}.example.com`, port: 443 })),
    );
  });

  it('of a kind that is not ours is passed over', () => {
    const world = openWithWeb();
    world.put(world.sources.httpRoutes, httpRoute('r', { parents: [{ group: 'x', kind: 'Y', name: 'z' }] }));
    assert.deepEqual(world.parents('HTTPRoute', 'r'), []);
  });
});

describe('a route at a Gateway', () => {
  it('attaches to all listeners that take it, or to the one that it names', () => {
    const world = openWithWeb();
    const listeners = [http, { name: 'alt', port: 8080, protocol: 'HTTP' }, { name: 'tcp', port: 9, protocol: 'TCP' }];
    world.put(world.sources.gateways, edgeGateway(listeners));
    const at = (more: object): unknown[] => {
      world.put(world.sources.httpRoutes, httpRoute('r', { parents: [{ ...toGateway, ...more }] }));
      return places(world);
    };
    assert.deepEqual(at({}), [
      ['http', '*'],
      ['alt', '*'],
    ]);
    assert.equal(world.parents('HTTPRoute', 'r').length, 1, 'one entry for one reference');
    assert.match(world.parents('HTTPRoute', 'r')[0]?.conditions['Accepted']?.message ?? '', /2 places/);
    assert.deepEqual(at({ sectionName: 'alt' }), [['alt', '*']]);
    assert.deepEqual(at({ port: 80 }), [['http', '*']]);
    assert.deepEqual(at({ sectionName: 'alt', port: 80 }), []);
    assert.deepEqual(world.faults('HTTPRoute', 'r'), ['Accepted=NoMatchingParent']);
    at({ sectionName: 'tcp' });
    assert.deepEqual(world.faults('HTTPRoute', 'r'), ['Accepted=NotAllowedByListeners']);
  });

  it('has the host names that it has in common with the listener', () => {
    const world = openWithWeb();
    const at = (hostname: string | undefined, hostnames?: string[]): unknown => {
      world.put(world.sources.gateways, edgeGateway([{ ...http, ...(hostname ? { hostname } : {}) }]));
      world.put(
        world.sources.httpRoutes,
        httpRoute('r', { parents: [toGateway], ...(hostnames ? { hostnames } : {}) }),
      );
      return world.bound('r')[0]?.hostnames ?? world.faults('HTTPRoute', 'r');
    };
    assert.deepEqual(at(undefined), ['*']);
    assert.deepEqual(at('*.example.com'), ['*.example.com']);
    assert.deepEqual(at(undefined, ['A.example.com', 'b.example.com']), ['a.example.com', 'b.example.com']);
    assert.deepEqual(at('*.example.com', ['a.example.com', 'a.b.example.com', 'example.com', 'a.example.org']), [
      'a.example.com',
      'a.b.example.com',
    ]);
    assert.deepEqual(at('a.example.com', ['*.example.com', '*.com']), ['a.example.com']);
    assert.deepEqual(at('*.example.com', ['*.a.example.com', '*.com']), ['*.a.example.com', '*.example.com']);
    assert.deepEqual(at('a.example.com', ['b.example.com']), ['Accepted=NoMatchingListenerHostname']);
    assert.deepEqual(at('*.example.com', ['badexample.com']), ['Accepted=NoMatchingListenerHostname']);
  });

  it('comes from namespaces that the listener allows', () => {
    const world = openWithWeb();
    const parents = [{ ...toGateway, namespace: 'shop' }];
    world.put(world.sources.httpRoutes, httpRoute('r', { parents }, { namespace: 'team' }));
    world.put(world.sources.httpRoutes, httpRoute('own', { parents: [toGateway] }));
    const with_ = (namespaces: object): [foreign: boolean, own: boolean] => {
      world.put(world.sources.gateways, edgeGateway([{ ...http, allowedRoutes: { namespaces } }]));
      return [world.bound('r').length > 0, world.bound('own').length > 0];
    };
    assert.deepEqual(with_({}), [false, true]);
    assert.deepEqual(with_({ from: 'Same' }), [false, true]);
    assert.deepEqual(with_({ from: 'All' }), [true, true]);
    const selector = { matchLabels: { team: 'yes' } };
    assert.deepEqual(with_({ from: 'Selector', selector }), [false, false]);
    world.put(world.sources.namespaces, namespace('team', { team: 'yes' }));
    assert.deepEqual(with_({ from: 'Selector', selector }), [true, false]);
  });

  it('is of a kind that the listener allows', () => {
    const world = openWithWeb();
    world.put(world.sources.httpRoutes, httpRoute('r', { parents: [toGateway] }));
    const allows = (kind: string): boolean => {
      world.put(world.sources.gateways, edgeGateway([{ ...http, allowedRoutes: { kinds: [{ kind }] } }]));
      return world.bound('r').length > 0;
    };
    assert.ok(allows('HTTPRoute'));
    assert.ok(!allows('GRPCRoute'));
  });

  it('of others, or of one that is not there, says nothing', () => {
    const world = openWithWeb();
    world.put(world.sources.httpRoutes, httpRoute('r', { parents: [toGateway] }));
    assert.deepEqual(world.parents('HTTPRoute', 'r'), []);
    world.put(world.sources.gateways, edgeGateway([http], { className: 'nginx' }));
    assert.deepEqual(world.parents('HTTPRoute', 'r'), []);
    world.put(world.sources.gatewayClasses, gatewayClass('nginx', 'istio.io/gateway-controller'));
    assert.deepEqual(world.parents('HTTPRoute', 'r')[0]?.controllerName, 'istio.io/gateway-controller');
    world.put(world.sources.gateways, edgeGateway([http], { className: 'ambit' }));
    assert.deepEqual(world.parents('HTTPRoute', 'r')[0]?.controllerName, 'ambit.dev/gateway-controller');
  });

  it('cannot attach to a waypoint', () => {
    const world = openWithWeb();
    world.put(world.sources.gateways, waypoint('wp'));
    world.put(world.sources.httpRoutes, httpRoute('r', { parents: [{ name: 'wp' }] }));
    assert.deepEqual(world.faults('HTTPRoute', 'r'), ['Accepted=NotAllowedByListeners']);
  });

  it('has a verdict for each of its parents', () => {
    const world = openWithWeb();
    world.put(world.sources.gateways, edgeGateway([http]));
    world.put(
      world.sources.httpRoutes,
      httpRoute('r', { parents: [toWeb, toGateway, { ...toGateway, sectionName: 'x' }] }),
    );
    assert.deepEqual(
      world
        .parents('HTTPRoute', 'r')
        .map(({ controllerName, conditions }) => [controllerName, conditions['Accepted']?.reason]),
      [
        ['istio.io/mesh-controller', 'Accepted'],
        ['istio.io/gateway-controller', 'Accepted'],
        ['istio.io/gateway-controller', 'NoMatchingParent'],
      ],
    );
  });

  it("beside an istiod is told under Ambit's names alone", () => {
    const world = openGatewayWorld({ hasIstioClasses: false });
    world.put(world.sources.services, service('web'));
    world.put(world.sources.httpRoutes, httpRoute('r', { parents: [toWeb, toGateway] }));
    const controllers = (className: string): string[] => {
      world.put(world.sources.gateways, edgeGateway([http], { className }));
      return world.parents('HTTPRoute', 'r').map(({ controllerName }) => controllerName);
    };
    assert.deepEqual(controllers('istio'), ['ambit.dev/mesh-controller']);
    assert.deepEqual([world.gateway('edge'), world.edge('edge')], [undefined, []]);
    assert.deepEqual(controllers('ambit'), ['ambit.dev/mesh-controller', 'ambit.dev/gateway-controller']);
    const { isOwn } = world.api.verdicts;
    assert.deepEqual(['istio.io/mesh-controller', 'ambit.dev/mesh-controller', 'x/y'].map(isOwn), [false, true, false]);
  });

  it('is computed again for what it reads alone', () => {
    const world = openWithWeb();
    world.put(world.sources.httpRoutes, httpRoute('r'), httpRoute('s', { parents: [toGateway] }));
    const changed: string[] = [];
    world.api.boundRoutes.subscribe((changes) => changed.push(...changes.keys()));
    world.api.verdicts.routes.HTTPRoute.subscribe((changes) => changed.push(...changes.keys()));
    world.put(world.sources.gateways, edgeGateway([http]));
    assert.deepEqual(changed.toSorted(), ['HTTPRoute/Kubernetes/shop/s/0', 'Kubernetes/shop/s']);
    changed.length = 0;
    world.put(world.sources.gateways, { ...edgeGateway([http]), status: { conditions: [] } });
    world.put(world.sources.services, service('unrelated'));
    assert.deepEqual(changed, []);
  });
});
