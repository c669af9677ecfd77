import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSlice, Service, ServiceSpec } from '../../api/index.ts';
import { nodeScope } from './service-endpoints.ts';
import { planService, type ServicePlan } from './service-plan.ts';
import { changeScript, emptyTableScript } from './service-rules.ts';

const scope = nodeScope(1, ['IPv4', 'IPv6']);
const service = (spec: ServiceSpec, status?: Service['status']): Service => ({
  metadata: { name: 'web', namespace: 'shop' },
  spec: { clusterIP: '10.96.0.5', ports: [{ port: 80 }], ...spec },
  ...(status && { status }),
});
type Address = string | { ip: string; ready?: boolean; serving?: boolean; terminating?: boolean; node?: string };
const slice = (addresses: readonly Address[], more: Partial<EndpointSlice> = {}): EndpointSlice => ({
  metadata: { name: 'web-1', namespace: 'shop' },
  addressType: 'IPv4',
  endpoints: addresses.map((each) => {
    if (typeof each === 'string') return { addresses: [each] };
    const { ip, node, ...conditions } = each;
    return { addresses: [ip], conditions, ...(node !== undefined && { nodeName: node }) };
  }),
  ports: [{ name: '', port: 8080, protocol: 'TCP' }],
  ...more,
});
const plan = (spec: ServiceSpec, slices: EndpointSlice[], status?: Service['status']): ServicePlan =>
  planService({ service: service(spec, status), slices, scope });
/** The rules behind an element of a map. */
const behind = (of: ServicePlan, element: string): readonly string[] | undefined =>
  of.chains.get(of.elements.get(element) ?? '');

test('a port goes to one of its ready endpoints at random, each once', () => {
  const found = plan({}, [
    slice(['10.244.1.2', { ip: '10.244.1.3', ready: false }]),
    slice(['10.244.2.4', '10.244.1.2']),
  ]);
  deepEqual(behind(found, 'ports4 10.96.0.5 . tcp . 80'), [
    'meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.244.1.2 . 8080, 1 : 10.244.2.4 . 8080 }',
  ]);
});

test('endpoints that end serve when no other is left', () => {
  const ending = { ip: '10.244.1.3', ready: false, serving: true, terminating: true };
  const only = plan({}, [slice([ending, { ip: '10.244.1.4', ready: false, serving: false, terminating: true }])]);
  deepEqual(behind(only, 'ports4 10.96.0.5 . tcp . 80'), ['meta l4proto tcp dnat ip to 10.244.1.3:8080']);
  const both = plan({}, [slice([ending, '10.244.1.2'])]);
  deepEqual(behind(both, 'ports4 10.96.0.5 . tcp . 80'), ['meta l4proto tcp dnat ip to 10.244.1.2:8080']);
});

test('ports are matched by name and protocol, and each family by its own slices', () => {
  const spec: ServiceSpec = {
    clusterIPs: ['10.96.0.5', 'fd00:10:96::5'],
    ports: [
      { name: 'a', port: 53, protocol: 'UDP' },
      { name: 'b', port: 53 },
    ],
  };
  const ports: EndpointSlice['ports'] = [
    { name: 'b', port: 1053, protocol: 'TCP' },
    { name: 'a', port: 2053, protocol: 'UDP' },
  ];
  const found = plan(spec, [
    slice(['10.244.2.9'], { ports }),
    slice(['fd00:244:2::9'], { ports, addressType: 'IPv6' }),
  ]);
  deepEqual(behind(found, 'ports4 10.96.0.5 . udp . 53'), ['meta l4proto udp dnat ip to 10.244.2.9:2053']);
  deepEqual(behind(found, 'ports6 fd00:10:96::5 . tcp . 53'), ['meta l4proto tcp dnat ip6 to [fd00:244:2::9]:1053']);
  deepEqual([...found.udpTargets], ['10.244.2.9 2053', 'fd00:244:2::9 2053']);
});

test('without endpoints, without an address and for external names there is nothing', () => {
  equal(plan({}, [slice([{ ip: '10.244.1.3', ready: false }])]).elements.size, 0);
  equal(plan({ clusterIP: 'None' }, [slice(['10.244.1.2'])]).elements.size, 0);
  equal(plan({ type: 'ExternalName', externalName: 'example.com' }, [slice(['10.244.1.2'])]).elements.size, 0);
});

test('session affinity has a set of clients for each endpoint', () => {
  const found = plan({ sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 7 } } }, [
    slice(['10.244.1.2', '10.244.2.2']),
  ]);
  equal(found.sets.size, 2);
  for (const definition of found.sets.values()) match(definition, /flags dynamic,timeout; timeout 7s;/);
  const rules = behind(found, 'ports4 10.96.0.5 . tcp . 80') ?? [];
  equal(rules.filter((rule) => /^ip saddr @aff-[0-9a-f]+ goto ep-/.test(rule)).length, 2);
  match(rules.at(-1) ?? '', /^numgen random mod 2 vmap/);
});

test('Local policies know the endpoints of the node', () => {
  const slices = [slice(['10.244.1.2', { ip: '10.244.2.2', node: 'node-2' }, { ip: '10.9.9.9', node: 'node-1' }])];
  const inside = plan({ internalTrafficPolicy: 'Local' }, slices);
  match(behind(inside, 'ports4 10.96.0.5 . tcp . 80')?.[0] ?? '', /10\.244\.1\.2 . 8080, 1 : 10\.9\.9\.9 . 8080/);
  const outside = plan(
    { type: 'NodePort', externalTrafficPolicy: 'Local', ports: [{ port: 80, nodePort: 30_080 }] },
    slices,
  );
  const [own, others] = behind(outside, 'node-ports4 tcp . 30080') ?? [];
  match(own ?? '', /^ip saddr \{ 10\.244\.1\.0\/24, 172\.30\.1\.1 \} goto all-/);
  match(others ?? '', /mod 2 map/);
});

test('callers from elsewhere come from the node, so that answers find back', () => {
  const found = plan({ type: 'NodePort', ports: [{ port: 80, nodePort: 30_080 }] }, [slice(['10.244.2.2'])]);
  match(behind(found, 'node-ports4 tcp . 30080')?.[0] ?? '', /^ip saddr != \{ .* \} meta mark set meta mark \| 0x4000/);
  match(emptyTableScript(scope), /mark & 0x4000 == 0x4000 snat ip to 172\.30\.1\.1/);
});

test('load balancers let in only whom they are told to', () => {
  const status = { loadBalancer: { ingress: [{ ip: '172.30.2.1' }] } };
  const spec: ServiceSpec = { type: 'LoadBalancer', loadBalancerSourceRanges: ['192.0.2.0/24', '2001:db8::/32'] };
  const rules = behind(plan(spec, [slice(['10.244.2.2'])], status), 'ports4 172.30.2.1 . tcp . 80') ?? [];
  match(rules[0] ?? '', /^ip saddr 192\.0\.2\.0\/24 goto ext-/);
  deepEqual(rules.slice(1), ['drop']);
});

test('a change speaks of what changed alone, and removes nothing that something still leads to', () => {
  const before = plan({}, [slice(['10.244.1.2', '10.244.1.3'])]);
  const after = plan({}, [slice(['10.244.1.2'])]);
  equal(changeScript([{ before, after: before }]), '');
  const lines = changeScript([{ before, after }]).trim().split('\n');
  deepEqual(
    lines.map((line) => line.split(' ').slice(0, 2).join(' ')),
    ['flush chain', 'add rule'],
  );
  const gone = changeScript([{ before }]).trim().split('\n');
  deepEqual(
    gone.map((line) => line.split(' ').slice(0, 2).join(' ')),
    ['flush chain', 'delete element', 'delete chain'],
  );
  const sticky = plan({ sessionAffinity: 'ClientIP' }, [slice(['10.244.1.2', '10.244.1.3'])]);
  const oneLess = plan({ sessionAffinity: 'ClientIP' }, [slice(['10.244.1.2'])]);
  const script = changeScript([{ before: sticky, after: oneLess }]);
  ok(script.indexOf('flush chain') < script.indexOf('delete set'), script);
  equal(script.match(/delete set/g)?.length, 1);
});

test('a mesh without IPv6 has no word about it', () => {
  ok(!emptyTableScript(nodeScope(1, ['IPv4'])).includes('ip6'));
  match(emptyTableScript(scope), /ip6 daddr \{ fd00:10:96::\/112/);
});
