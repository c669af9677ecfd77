import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Gateway } from '../../api/gateway.ts';
import { gatewayObjects } from '../../discovery/gateway-objects.ts';
import type { GatewayReach } from '../../discovery/index.ts';
import { deployedGateway } from './deployed-gateway.ts';
import type { DeployProblem } from './deployer.ts';

const gateway: Gateway = {
  metadata: { name: 'wp', namespace: 'shop', uid: 'u1' },
  spec: { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
};
const addresses = [{ type: 'IPAddress', value: '10.96.0.9' }] as const;

function programmed(reach: Partial<GatewayReach> | undefined, problem?: DeployProblem, of: Gateway = gateway): string {
  const objects = gatewayObjects(of, undefined);
  assert.ok(objects);
  const full = reach && ({ hasReadyProxy: true, addresses: [], ports: ['wp.shop:15008'], ...reach } as GatewayReach);
  const { conditions } = deployedGateway(of, { objects, reach: full, problem, refusal: undefined }) ?? {};
  return `${conditions?.['Programmed']?.reason}: ${conditions?.['Programmed']?.message}`;
}

describe('what a Gateway says of its proxies', () => {
  it('is whether one can be reached', () => {
    assert.equal(programmed({ addresses }), 'Programmed: proxies are ready at wp.shop:15008');
    assert.equal(programmed({}), 'Pending: Service wp has no address yet');
    assert.equal(programmed(undefined), 'Pending: no proxy of Deployment wp is ready yet');
    const told: Gateway = { ...gateway, status: { addresses: [...addresses] } };
    assert.equal(programmed(undefined, undefined, told), 'Pending: no proxy of Deployment wp is ready');
  });

  it('is what becomes of those that were deployed before where it cannot be deployed as it is written', () => {
    const problem = { reason: 'InvalidParameters', message: 'ConfigMap shop/o: service is no object' } as const;
    const why = `InvalidParameters: ${problem.message};`;
    assert.equal(programmed({ addresses }, problem), `${why} what was deployed before serves on`);
    assert.equal(programmed({ addresses, hasReadyProxy: false }, problem), `${why} no proxy of Deployment wp is ready`);
    assert.equal(programmed(undefined, problem), `${why} no proxy of Deployment wp is ready`);
    assert.equal(programmed({}, problem), `${why} Service wp has no address yet`);
  });
});
