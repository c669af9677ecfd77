import { deepEqual, equal, notEqual, ok, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { cidrContains, parseIp } from '../../lib/ip.ts';
import { admitService, serviceCidr } from './cluster-ip.ts';
import type { ApiObject } from './object-fields.ts';

const service = (uid: string, spec: Record<string, string>): ApiObject => ({
  metadata: { name: uid, uid },
  spec: { ...spec },
});

test('a service without an address gets a free one in the range', () => {
  const services: ApiObject[] = [];
  for (let i = 0; i < 300; i++) {
    const added = service(String(i), {});
    admitService({ service: added, services });
    services.push(added);
  }
  const addresses = services.map((one) => one.spec?.['clusterIP'] as string);
  equal(new Set(addresses).size, 300);
  for (const address of addresses) equal(cidrContains(serviceCidr, parseIp(address)), true, address);
});

test('headless services and external names have no address', () => {
  const headless = service('a', { clusterIP: 'None' });
  admitService({ service: headless, services: [headless] });
  equal(headless.spec?.['clusterIP'], 'None');
  const external = service('b', { type: 'ExternalName' });
  admitService({ service: external, services: [] });
  equal(external.spec?.['clusterIP'], undefined);
});

test('an address asked for is given when it is free and in the range', () => {
  const first = service('a', { clusterIP: '10.96.0.10' });
  admitService({ service: first, services: [] });
  equal(first.spec?.['clusterIP'], '10.96.0.10');
  throws(
    () => admitService({ service: service('b', { clusterIP: '10.96.0.10' }), services: [first] }),
    /provided IP is already allocated/,
  );
  throws(
    () => admitService({ service: service('c', { clusterIP: '10.97.0.1' }), services: [] }),
    /does not match the current range/,
  );
});

test('an update that leaves the address out keeps it', () => {
  const before = service('a', { clusterIP: '10.96.7.7' });
  const after = service('a', {});
  admitService({ service: after, before, services: [before] });
  equal(after.spec?.['clusterIP'], '10.96.7.7');
});

test('turning an external name into a service gives it an address', () => {
  const before = service('a', { type: 'ExternalName' });
  const after = service('a', { type: 'ClusterIP' });
  admitService({ service: after, before, services: [before] });
  notEqual(after.spec?.['clusterIP'], undefined);
});

const typed = (uid: string, spec: object): ApiObject => ({ metadata: { name: uid, uid }, spec: { ...spec } });

test('a Service has the families that it asks for, IPv4 alone unless it does', () => {
  const families = (spec: Record<string, unknown>): unknown[] => {
    const one = typed('a', spec);
    admitService({ service: one, services: [] });
    const ips = (one.spec?.['clusterIPs'] ?? []) as string[];
    return [one.spec?.['ipFamilies'], one.spec?.['ipFamilyPolicy'], ips.map((ip) => (ip.includes(':') ? 6 : 4))];
  };
  deepEqual(families({}), [['IPv4'], 'SingleStack', [4]]);
  deepEqual(families({ ipFamilies: ['IPv6'] }), [['IPv6'], 'SingleStack', [6]]);
  deepEqual(families({ ipFamilyPolicy: 'PreferDualStack' }), [['IPv4', 'IPv6'], 'PreferDualStack', [4, 6]]);
  deepEqual(families({ ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv6'] }), [
    ['IPv6', 'IPv4'],
    'RequireDualStack',
    [6, 4],
  ]);
  deepEqual(families({ clusterIP: 'fd00:10:96::77' }), [['IPv6'], 'SingleStack', [6]]);
  throws(
    () => families({ ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4', 'IPv6'] }),
    /when multiple IP families are specified/,
  );
  throws(() => families({ clusterIP: '10.96.3.3', ipFamilies: ['IPv6'] }), /expected an IPv6 value/);
});

test('a cluster of one family refuses those who need two, and gives one to those who would like two', () => {
  const admit = (spec: Record<string, unknown>): ApiObject => {
    const one = typed('a', spec);
    admitService({ service: one, services: [], families: ['IPv4'] });
    return one;
  };
  deepEqual(admit({ ipFamilyPolicy: 'PreferDualStack' }).spec?.['ipFamilies'], ['IPv4']);
  throws(() => admit({ ipFamilyPolicy: 'RequireDualStack' }), /not configured for dual-stack services/);
  throws(() => admit({ ipFamilies: ['IPv6'] }), /not configured on this cluster/);
});

test('a second family comes and goes with the policy, the first address stays', () => {
  const single = typed('a', {});
  admitService({ service: single, services: [] });
  const first = single.spec?.['clusterIP'];
  const dual = typed('a', { ...single.spec, ipFamilyPolicy: 'PreferDualStack' });
  admitService({ service: dual, before: single, services: [single] });
  const [kept, second] = (dual.spec?.['clusterIPs'] ?? []) as string[];
  equal(kept, first);
  const update = typed('a', { clusterIP: first });
  admitService({ service: update, before: dual, services: [dual] });
  deepEqual(update.spec?.['clusterIPs'], [first, second]);
  const back = typed('a', { ...dual.spec, ipFamilyPolicy: 'SingleStack' });
  admitService({ service: back, before: dual, services: [dual] });
  deepEqual(back.spec?.['clusterIPs'], [first]);
  deepEqual(back.spec?.['ipFamilies'], ['IPv4']);
});

test('node ports are unique a protocol, kept, and given back', () => {
  const first = typed('a', { type: 'NodePort', ports: [{ port: 80, nodePort: 30_080 }, { port: 81 }] });
  admitService({ service: first, services: [] });
  const ports = (one: ApiObject): { nodePort?: number; port?: number }[] => one.spec?.['ports'] as [];
  const given = ports(first)[1]?.nodePort ?? 0;
  ok(given >= 30_000 && given <= 32_767 && given !== 30_080);
  throws(
    () =>
      admitService({
        service: typed('b', { type: 'NodePort', ports: [{ port: 1, nodePort: 30_080 }] }),
        services: [first],
      }),
    /spec.ports\[0\].nodePort|provided port is already allocated/,
  );
  throws(
    () => admitService({ service: typed('b', { type: 'NodePort', ports: [{ port: 1, nodePort: 80 }] }), services: [] }),
    /The range of valid ports is 30000-32767/,
  );
  const udp = typed('b', { type: 'NodePort', ports: [{ port: 1, protocol: 'UDP', nodePort: 30_080 }] });
  admitService({ service: udp, services: [first] });
  const update = typed('a', { type: 'NodePort', ports: [{ port: 81 }, { port: 80 }] });
  admitService({ service: update, before: first, services: [first] });
  deepEqual(
    ports(update).map(({ nodePort }) => nodePort),
    [given, 30_080],
  );
  const back = typed('a', { type: 'ClusterIP', ports: ports(first).map((port) => ({ ...port })) });
  admitService({ service: back, before: first, services: [first] });
  deepEqual(ports(back), [{ port: 80 }, { port: 81 }]);
  const without = typed('c', { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }] });
  admitService({ service: without, services: [] });
  deepEqual(ports(without), [{ port: 80 }]);
});
