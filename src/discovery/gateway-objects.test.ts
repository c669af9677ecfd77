import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Gateway } from '../api/gateway.ts';
import { gatewayClass } from './fixtures.ts';
import { gatewayObjects } from './gateway-objects.ts';

const gateway = (className: string, more: Partial<Gateway['spec']> = {}, annotations = {}): Gateway => ({
  metadata: { name: 'gw', namespace: 'shop', annotations },
  spec: { gatewayClassName: className, listeners: [], ...more },
});

describe('what is deployed for a Gateway', () => {
  it('is called as the Gateway, at the edge also after the class, or as its annotations say', () => {
    const names = (of: Gateway): (string | undefined)[] => {
      const { name, serviceAccount } = gatewayObjects(of, undefined) ?? {};
      return [name, serviceAccount];
    };
    assert.deepEqual(names(gateway('istio-waypoint')), ['gw', 'gw']);
    assert.deepEqual(names(gateway('ambit-waypoint')), ['gw', 'gw']);
    assert.deepEqual(names(gateway('istio')), ['gw-istio', 'gw-istio']);
    assert.deepEqual(names(gateway('ambit')), ['gw-ambit', 'gw-ambit']);
    const own = { 'gateway.istio.io/name-override': 'edge', 'gateway.istio.io/service-account': 'runner' };
    assert.deepEqual(names(gateway('istio', {}, own)), ['edge', 'runner']);
    assert.deepEqual(names(gateway('istio', {}, { 'gateway.istio.io/name-override': 'edge' })), ['edge', 'edge']);
  });

  it('is nothing where a host is named, or the class is not to be deployed', () => {
    const isDeployed = (of: Gateway): boolean | undefined => gatewayObjects(of, undefined)?.isDeployed;
    assert.equal(isDeployed(gateway('istio')), true);
    assert.equal(isDeployed(gateway('istio', { addresses: [{ type: 'IPAddress', value: '10.1.1.1' }] })), true);
    assert.equal(isDeployed(gateway('istio', { addresses: [{ value: '10.1.1.1' }] })), true);
    assert.equal(isDeployed(gateway('istio', { addresses: [{ type: 'Hostname', value: 'edge.shop' }] })), false);
    assert.equal(isDeployed(gateway('istio-remote')), false);
    assert.equal(isDeployed(gateway('nginx')), undefined);
  });

  it("goes by the controller of the class, not by the class's name", () => {
    const own = gatewayClass('special', 'istio.io/mesh-controller');
    assert.deepEqual(gatewayObjects(gateway('special'), own), {
      controller: 'istio.io/mesh-controller',
      role: 'waypoint',
      name: 'gw',
      serviceAccount: 'gw',
      isDeployed: true,
    });
    assert.equal(gatewayObjects(gateway('istio'), gatewayClass('istio', 'example.com/other')), undefined);
  });
});
