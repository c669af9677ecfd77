import { deepEqual, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSlice, Service } from '../../api/index.ts';
import { publishedService, targetOfPublished } from './mesh-services.ts';
import { parsePublishedPort } from './published-ports.ts';

test('a published port names the port of the host, the Service and its port', () => {
  deepEqual(parsePublishedPort('8080:shop/web:http'), {
    hostPort: 8080,
    namespace: 'shop',
    service: 'web',
    port: 'http',
  });
  for (const wrong of ['8080', '0:a/b:80', '70000:a/b:80', '80:web:80', '80:a/b', '80:A/b:80', '80:a/b:80 ']) {
    throws(() => parsePublishedPort(wrong), { code: 'local.publish' }, wrong);
  }
});

test('a published port leads to the address of the load balancer, else to the ClusterIP, else to an endpoint', () => {
  const published = parsePublishedPort('8080:shop/web:http');
  const service = (spec: Service['spec'], status?: Service['status']): Service => ({
    metadata: { name: 'web', namespace: 'shop' },
    spec: { ports: [{ name: 'http', port: 80 }], ...spec },
    ...(status && { status }),
  });
  const slice: EndpointSlice = {
    metadata: {},
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.244.1.9'], conditions: { ready: false } }, { addresses: ['10.244.1.2'] }],
    ports: [{ name: 'http', port: 8080 }],
  };
  const target = (of: Service | undefined): unknown => targetOfPublished(published, of, [slice]);
  const ingress = { loadBalancer: { ingress: [{ ip: '172.30.2.1' }] } };
  deepEqual(target(service({ clusterIP: '10.96.0.5' })), { host: '10.96.0.5', port: 80 });
  deepEqual(target(service({ type: 'LoadBalancer', clusterIP: '10.96.0.5' }, ingress)), {
    host: '172.30.2.1',
    port: 80,
  });
  deepEqual(target(service({ clusterIP: 'None' })), { host: '10.244.1.2', port: 8080 });
  equal(target(service({ clusterIP: '10.96.0.5', ports: [{ name: 'other', port: 80 }] })), undefined);
  equal(target(undefined), undefined);
});

test('a published name is a Service, else a Gateway, whose Service is called after its class too', () => {
  const labels = { 'gateway.networking.k8s.io/gateway-name': 'edge' };
  const services = new Map<string, Service>([
    ['other/edge-istio', { metadata: { name: 'edge-istio', namespace: 'other', labels } }],
    ['shop/edge-istio', { metadata: { name: 'edge-istio', namespace: 'shop', labels } }],
    ['shop/web', { metadata: { name: 'web', namespace: 'shop' } }],
  ]);
  const find = (service: string): string | undefined =>
    publishedService({ namespace: 'shop', service }, services)?.metadata.name;
  equal(find('edge'), 'edge-istio');
  equal(find('web'), 'web');
  equal(find('edge-istio'), 'edge-istio');
  equal(find('nothing'), undefined);
});
