import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { policyKey } from '../api/names.ts';
import { gatewayClass, namespace, openWorld, pod, service, waypoint, type World } from './fixtures.ts';

const requires = (value = 'true'): Record<string, string> => ({ 'ambit.io/require-waypoint': value });
const uses = (name: string, more: Record<string, string> = {}): { labels: Record<string, string> } => ({
  labels: { 'istio.io/use-waypoint': name, ...more },
});

/** Who may connect to the pod `web` at all; undefined: everybody may. */
function admitted(world: World): string[] | undefined {
  const names = world.workload('web')?.authorizationPolicies.filter((name) => name.includes('require_waypoint')) ?? [];
  const [name] = names;
  if (name === undefined) return undefined;
  assert.equal(names.length, 1);
  const policy = world.authorizations.get(name);
  assert.equal(policy?.action, 'deny');
  return policy.rules.flatMap(({ clauses }) =>
    clauses.flatMap(({ matches }) =>
      matches.flatMap(({ notPrincipals }) => notPrincipals.map((one) => ('value' in one ? one.value : one.kind))),
    ),
  );
}

function open(): World {
  const world = openWorld();
  const { gateways, services, pods, namespaces } = world.sources;
  world.put(namespaces, namespace('shop'));
  world.put(gateways, waypoint('wp'));
  world.put(services, service('web', {}, uses('wp')));
  world.put(pods, pod('web'), pod('other'));
  return world;
}
const wp = 'cluster.local/ns/shop/sa/wp';

describe('a required waypoint', () => {
  it('is one where the Service, its namespace or the waypoint says so, and the Service has the last word', () => {
    const world = open();
    const { gateways, services, namespaces } = world.sources;
    assert.equal(admitted(world), undefined);
    world.put(services, service('web', {}, uses('wp', requires())));
    assert.deepEqual(admitted(world), [wp]);
    assert.deepEqual(world.workload('other')?.authorizationPolicies, []);
    world.put(services, service('web', {}, uses('wp')));
    assert.equal(admitted(world), undefined);
    world.put(namespaces, namespace('shop', requires()));
    assert.deepEqual(admitted(world), [wp]);
    world.put(services, service('web', {}, uses('wp', requires('false'))));
    assert.equal(admitted(world), undefined);
    world.put(namespaces, namespace('shop'));
    world.put(services, service('web', {}, uses('wp')));
    world.put(gateways, waypoint('wp', { labels: requires('strictly') }));
    assert.deepEqual(admitted(world), [wp], 'whatever is not false asks for it');
  });

  it('binds nobody that no waypoint stands for', () => {
    const world = open();
    world.put(world.sources.namespaces, namespace('shop', requires()));
    world.put(world.sources.services, service('web'));
    assert.equal(admitted(world), undefined);
    assert.equal(world.authorizations.get(policyKey('shop', 'ambit_require_waypoint')), undefined);
  });

  it('binds pods that are addressed themselves', () => {
    const world = open();
    world.put(world.sources.services, service('web'));
    world.put(world.sources.gateways, waypoint('wp', { labels: { 'istio.io/waypoint-for': 'workload' } }));
    world.put(world.sources.pods, pod('web', { labels: { app: 'web', ...uses('wp', requires()).labels } }));
    assert.deepEqual(admitted(world), [wp]);
  });

  it('lets all waypoints of its namespace in, so that a change from one to the next cuts nothing, and no edge gateway', () => {
    const world = open();
    const { gateways, gatewayClasses, services } = world.sources;
    world.put(gatewayClasses, gatewayClass('istio', 'istio.io/gateway-controller'));
    world.put(
      gateways,
      waypoint('next', { annotations: { 'gateway.istio.io/service-account': 'runner' } }),
      waypoint('edge', { className: 'istio' }),
      waypoint('far', { namespace: 'elsewhere' }),
    );
    world.put(services, service('web', {}, uses('wp', requires())));
    assert.deepEqual(admitted(world), ['cluster.local/ns/shop/sa/runner', wp]);
  });

  it('that is absent lets nobody in', () => {
    const world = open();
    world.put(world.sources.services, service('web', {}, uses('gone', requires())));
    assert.deepEqual(admitted(world), ['nobody']);
  });

  it('may be one of several for a pod: each of them may connect', () => {
    const world = open();
    const { gateways, services } = world.sources;
    world.put(gateways, waypoint('far', { namespace: 'elsewhere', from: 'All' }));
    const elsewhere = { 'istio.io/use-waypoint-namespace': 'elsewhere', ...requires() };
    world.put(
      services,
      service('web', {}, uses('wp', requires())),
      service('web-2', { selector: { app: 'web' } }, uses('far', elsewhere)),
    );
    assert.deepEqual(admitted(world), ['cluster.local/ns/elsewhere/sa/far', wp]);
  });
});
