import { equal, notEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { cidrContains, parseIp } from '../../lib/ip.ts';
import { assignClusterIp, serviceCidr } from './cluster-ip.ts';
import type { ApiObject } from './object-fields.ts';

const service = (uid: string, spec: Record<string, string>): ApiObject => ({
  metadata: { name: uid, uid },
  spec: { ...spec },
});

test('a service without an address gets a free one in the range', () => {
  const services: ApiObject[] = [];
  for (let i = 0; i < 300; i++) {
    const added = service(String(i), {});
    assignClusterIp({ service: added, services });
    services.push(added);
  }
  const addresses = services.map((one) => one.spec?.['clusterIP'] as string);
  equal(new Set(addresses).size, 300);
  for (const address of addresses) equal(cidrContains(serviceCidr, parseIp(address)), true, address);
});

test('headless services and external names have no address', () => {
  const headless = service('a', { clusterIP: 'None' });
  assignClusterIp({ service: headless, services: [headless] });
  equal(headless.spec?.['clusterIP'], 'None');
  const external = service('b', { type: 'ExternalName' });
  assignClusterIp({ service: external, services: [] });
  equal(external.spec?.['clusterIP'], undefined);
});

test('an address asked for is given when it is free and in the range', () => {
  const first = service('a', { clusterIP: '10.96.0.10' });
  assignClusterIp({ service: first, services: [] });
  equal(first.spec?.['clusterIP'], '10.96.0.10');
  throws(
    () => assignClusterIp({ service: service('b', { clusterIP: '10.96.0.10' }), services: [first] }),
    /provided IP is already allocated/,
  );
  throws(
    () => assignClusterIp({ service: service('c', { clusterIP: '10.97.0.1' }), services: [] }),
    /not in the valid range/,
  );
});

test('an update that leaves the address out keeps it', () => {
  const before = service('a', { clusterIP: '10.96.7.7' });
  const after = service('a', {});
  assignClusterIp({ service: after, before, services: [before] });
  equal(after.spec?.['clusterIP'], '10.96.7.7');
});

test('turning an external name into a service gives it an address', () => {
  const before = service('a', { type: 'ExternalName' });
  const after = service('a', { type: 'ClusterIP' });
  assignClusterIp({ service: after, before, services: [before] });
  notEqual(after.spec?.['clusterIP'], undefined);
});
