import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod, Service } from '../../api/index.ts';
import { serviceEnvironment } from './service-environment.ts';

const pod = (spec: Partial<Pod['spec']> = {}): Pod => ({
  metadata: { name: 'p', namespace: 'shop' },
  spec: { containers: [], ...spec },
});
const service = (namespace: string, name: string, spec: NonNullable<Service['spec']>): Service => ({
  metadata: { namespace, name },
  spec,
});
const apiServer = service('default', 'kubernetes', { clusterIP: '10.96.0.1', ports: [{ name: 'https', port: 443 }] });
const ofApiServer = {
  KUBERNETES_SERVICE_HOST: '10.96.0.1',
  KUBERNETES_SERVICE_PORT: '443',
  KUBERNETES_SERVICE_PORT_HTTPS: '443',
  KUBERNETES_PORT: 'tcp://10.96.0.1:443',
  KUBERNETES_PORT_443_TCP: 'tcp://10.96.0.1:443',
  KUBERNETES_PORT_443_TCP_PROTO: 'tcp',
  KUBERNETES_PORT_443_TCP_PORT: '443',
  KUBERNETES_PORT_443_TCP_ADDR: '10.96.0.1',
};
const dns = service('shop', 'shop-dns', { clusterIP: 'fd00::a', ports: [{ port: 53, protocol: 'UDP' }] });

test('a container knows the API server, and the Services of its own namespace alone', () => {
  const elsewhere = service('other', 'web', { clusterIP: '10.96.0.9', ports: [{ port: 80 }] });
  deepEqual(serviceEnvironment(pod(), [elsewhere, dns, apiServer]), {
    ...ofApiServer,
    SHOP_DNS_SERVICE_HOST: 'fd00::a',
    SHOP_DNS_SERVICE_PORT: '53',
    SHOP_DNS_PORT: 'udp://[fd00::a]:53',
    SHOP_DNS_PORT_53_UDP: 'udp://[fd00::a]:53',
    SHOP_DNS_PORT_53_UDP_PROTO: 'udp',
    SHOP_DNS_PORT_53_UDP_PORT: '53',
    SHOP_DNS_PORT_53_UDP_ADDR: 'fd00::a',
  });
});

test('a pod without links has the API server alone', () => {
  deepEqual(serviceEnvironment(pod({ enableServiceLinks: false }), [dns, apiServer]), ofApiServer);
});

test('a headless Service has no variables', () => {
  const headless = service('shop', 'db', { clusterIP: 'None', ports: [{ port: 5432 }] });
  deepEqual(serviceEnvironment(pod(), [headless]), {});
});
