import { equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import type { PodSpec } from '../../api/index.ts';
import { planPodFiles } from './pod-files.ts';

const file = (path: string, spec: Partial<PodSpec> = {}): string =>
  planPodFiles({
    pod: { metadata: { name: 'p', namespace: 'shop' }, spec: { containers: [], ...spec } },
    podIp: '10.244.1.2',
    hostName: 'p',
    clusterDnsIp: '10.244.1.1',
    nodeResolvConf: 'nameserver 9.9.9.9\n',
  }).get(path) ?? '';

test("names are looked up in the pod's own namespace first", () => {
  equal(
    file('/etc/resolv.conf'),
    'nameserver 10.244.1.1\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n',
  );
});

test('dnsPolicy and dnsConfig are honoured', () => {
  equal(file('/etc/resolv.conf', { dnsPolicy: 'Default' }), 'nameserver 9.9.9.9\n');
  const dnsConfig = {
    nameservers: ['1.1.1.1'],
    searches: ['a.b'],
    options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }],
  };
  equal(
    file('/etc/resolv.conf', { dnsPolicy: 'None', dnsConfig }),
    'nameserver 1.1.1.1\nsearch a.b\noptions ndots:2 edns0\n',
  );
  match(
    file('/etc/resolv.conf', { dnsConfig }),
    /^nameserver 10\.244\.1\.1\nnameserver 1\.1\.1\.1\n.* a\.b\noptions ndots:2 edns0\n$/s,
  );
});

test('the pod knows its own name, its aliases and localhost', () => {
  const hosts = file('/etc/hosts', {
    subdomain: 'db',
    hostAliases: [{ ip: '172.30.0.1', hostnames: ['istiod', 'istiod.x'] }],
  });
  match(hosts, /^127\.0\.0\.1\tlocalhost$/m);
  match(hosts, /^10\.244\.1\.2\tp\.db\.shop\.svc\.cluster\.local\tp$/m);
  match(hosts, /^172\.30\.0\.1\tistiod\tistiod\.x$/m);
  equal(file('/etc/hostname'), 'p\n');
});
