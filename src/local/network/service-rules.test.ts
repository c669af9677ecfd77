import { equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSlice, Service, ServicePortSpec } from '../../api/index.ts';
import { planServiceRules } from './service-rules.ts';

const service = (name: string, clusterIP: string, ports: ServicePortSpec[]): Service => ({
  metadata: { name, namespace: 'shop' },
  spec: { clusterIP, ports },
});
const slice = (
  of: string,
  addresses: readonly (string | { ip: string; ready: boolean })[],
  ports: EndpointSlice['ports'] = [{ name: '', port: 8080, protocol: 'TCP' }],
): EndpointSlice => ({
  metadata: { name: `${of}-1`, namespace: 'shop', labels: { 'kubernetes.io/service-name': of } },
  addressType: 'IPv4',
  endpoints: addresses.map((each) =>
    typeof each === 'string' ? { addresses: [each] } : { addresses: [each.ip], conditions: { ready: each.ready } },
  ),
  ports,
});
const plan = (services: Service[], slices: EndpointSlice[]): string =>
  planServiceRules({ nodeIndex: 1, services, slices });

test('a port goes to one of its ready endpoints at random', () => {
  const rules = plan(
    [service('web', '10.96.0.5', [{ port: 80 }])],
    [slice('web', ['10.244.1.2', { ip: '10.244.1.3', ready: false }]), slice('web', ['10.244.2.4', '10.244.1.2'])],
  );
  match(rules, /10\.96\.0\.5 \. tcp \. 80 : goto service-0/);
  match(
    rules,
    /meta l4proto tcp dnat ip to numgen random mod 2 map \{ 0 : 10\.244\.1\.2 \. 8080, 1 : 10\.244\.2\.4 \. 8080 \}/,
  );
});

test('ports are matched by name and protocol', () => {
  const rules = plan(
    [
      service('dns', '10.96.0.6', [
        { name: 'a', port: 53, protocol: 'UDP' },
        { name: 'b', port: 53, protocol: 'TCP' },
      ]),
    ],
    [
      slice(
        'dns',
        ['10.244.2.9'],
        [
          { name: 'b', port: 1053, protocol: 'TCP' },
          { name: 'a', port: 2053, protocol: 'UDP' },
        ],
      ),
    ],
  );
  match(rules, /meta l4proto udp dnat ip to 10\.244\.2\.9:2053/);
  match(rules, /meta l4proto tcp dnat ip to 10\.244\.2\.9:1053/);
});

test('without ready endpoints nothing is rewritten, and the connection is refused', () => {
  const rules = plan(
    [service('web', '10.96.0.5', [{ port: 80 }])],
    [slice('web', [{ ip: '10.244.1.3', ready: false }])],
  );
  ok(!rules.includes('dnat ip to'));
  match(rules, /ip daddr 10\.96\.0\.0\/16 meta l4proto tcp reject with tcp reset/);
});

test('headless Services, and those without an address yet, have no rules', () => {
  const rules = plan(
    [service('a', 'None', [{ port: 80 }]), { metadata: { name: 'b', namespace: 'shop' } }],
    [slice('a', ['10.244.1.2'])],
  );
  ok(!rules.includes('dnat ip to'));
});

test("only the node's own pods can reach themselves through a Service from it", () => {
  const rules = plan(
    [service('web', '10.96.0.5', [{ port: 80 }])],
    [slice('web', ['10.244.1.2', '10.244.11.2', '10.244.2.2'])],
  );
  match(rules, /elements = \{ 10\.244\.1\.2 \. 10\.244\.1\.2 \}/);
  match(rules, /@hairpins snat ip to 10\.244\.1\.1/);
});

test('the same cluster gives the same script', () => {
  const services = [
    service('a', '10.96.0.5', [{ port: 80 }, { name: 'x', port: 81 }]),
    service('b', '10.96.0.7', [{ port: 80 }]),
  ];
  const slices = [slice('a', ['10.244.1.2']), slice('b', ['10.244.1.3'])];
  equal(plan(services, slices), plan(services, slices));
});
