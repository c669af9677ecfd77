import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSlice, Service } from '../../api/index.ts';
import { ClusterNames } from './cluster-names.ts';

const services: Service[] = [
  {
    metadata: { name: 'web', namespace: 'shop' },
    spec: { clusterIP: '10.96.0.5', ports: [{ name: 'http', port: 80 }] },
  },
  { metadata: { name: 'db', namespace: 'shop' }, spec: { clusterIP: 'None', ports: [{ name: 'sql', port: 5432 }] } },
  { metadata: { name: 'away', namespace: 'shop' }, spec: { type: 'ExternalName', externalName: 'example.com' } },
];
const slices: EndpointSlice[] = [
  {
    metadata: { name: 'db-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'db' } },
    addressType: 'IPv4',
    endpoints: [
      { addresses: ['10.244.1.2'], hostname: 'db-0' },
      { addresses: ['10.244.2.2'], conditions: { ready: false } },
      { addresses: ['10.244.2.3'] },
    ],
    ports: [{ name: 'sql', port: 15432 }],
  },
];
const names = new ClusterNames({
  clusterDomain: 'cluster.local',
  services: new Map(services.map((each) => [`${each.metadata.namespace}/${each.metadata.name}`, each])),
  slicesOf: (key) => slices.filter(({ metadata }) => key === `shop/${metadata.labels?.['kubernetes.io/service-name']}`),
});
const addresses = (name: string): unknown => {
  const found = names.lookup(name);
  return found.kind === 'found' ? found.addresses : found.kind;
};

test('a Service is its ClusterIP, in any case', () => {
  deepEqual(addresses('web.shop.svc.cluster.local'), ['10.96.0.5']);
  deepEqual(addresses('WEB.Shop.svc.CLUSTER.local'), ['10.96.0.5']);
});

test('a headless Service is its ready endpoints, and each of them has a name', () => {
  deepEqual(addresses('db.shop.svc.cluster.local'), ['10.244.1.2', '10.244.2.3']);
  deepEqual(addresses('db-0.db.shop.svc.cluster.local'), ['10.244.1.2']);
  deepEqual(addresses('10-244-2-3.db.shop.svc.cluster.local'), ['10.244.2.3']);
  equal(addresses('db-9.db.shop.svc.cluster.local'), 'absent');
});

test('named ports have SRV records', () => {
  const cluster = names.lookup('_http._tcp.web.shop.svc.cluster.local');
  deepEqual(cluster.kind === 'found' && cluster.services, [{ host: 'web.shop.svc.cluster.local', port: 80 }]);
  const headless = names.lookup('_sql._tcp.db.shop.svc.cluster.local');
  deepEqual(headless.kind === 'found' && headless.services, [
    { host: 'db-0.db.shop.svc.cluster.local', port: 15432 },
    { host: '10-244-2-3.db.shop.svc.cluster.local', port: 15432 },
  ]);
  equal(names.lookup('_http._udp.web.shop.svc.cluster.local').kind, 'absent');
});

test('an ExternalName is an alias', () => {
  const found = names.lookup('away.shop.svc.cluster.local');
  equal(found.kind === 'found' && found.alias, 'example.com');
});

test('pods have names by address', () => {
  deepEqual(addresses('10-244-1-2.shop.pod.cluster.local'), ['10.244.1.2']);
  equal(addresses('10-244-1-999.shop.pod.cluster.local'), 'absent');
});

test('unknown cluster names are absent, other names are not ours', () => {
  for (const name of [
    'no.shop.svc.cluster.local',
    'web.none.svc.cluster.local',
    'x.web.shop.svc.cluster.local',
    'web.cluster.local',
  ]) {
    equal(addresses(name), 'absent', name);
  }
  for (const name of ['example.com', 'notcluster.local', 'local', '']) equal(addresses(name), 'foreign', name);
});

test('a name on the way to others exists without addresses', () => {
  deepEqual(addresses('cluster.local'), []);
  deepEqual(addresses('svc.cluster.local'), []);
  deepEqual(addresses('shop.svc.cluster.local'), []);
});

test('addresses point back to names', () => {
  deepEqual(names.lookup('5.0.96.10.in-addr.arpa'), { kind: 'pointer', host: 'web.shop.svc.cluster.local' });
  deepEqual(names.lookup('2.1.244.10.in-addr.arpa'), { kind: 'pointer', host: 'db-0.db.shop.svc.cluster.local' });
  equal(names.lookup('9.9.244.10.in-addr.arpa').kind, 'absent');
  equal(names.lookup('8.8.8.8.in-addr.arpa').kind, 'foreign');
});
