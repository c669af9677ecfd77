import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Deployment } from '../../api/apps.ts';
import type { Service } from '../../api/core.ts';
import type { Gateway } from '../../api/gateway.ts';
import type { ProxyConfig } from '../../api/istio.ts';
import { gatewayObjects } from '../../discovery/gateway-objects.ts';
import { readOverlay } from './overlay.ts';
import type { Overlay } from './parts.ts';
import type { ProxyMesh } from './proxy-deployment.ts';
import type { ProxyValues } from './proxy-values.ts';
import { renderGateway } from './render.ts';

const mesh: ProxyMesh = {
  namespace: 'istio-system',
  revision: 'default',
  discoveryAddress: 'istiod.istio-system.svc:15012',
  clusterDomain: 'cluster.local',
  clusterId: 'Kubernetes',
  trustDomain: 'cluster.local',
  network: '',
};
const gateway = (more: { metadata?: Partial<Gateway['metadata']>; spec?: Partial<Gateway['spec']> } = {}): Gateway => ({
  metadata: { name: 'wp', namespace: 'shop', uid: 'u1', ...more.metadata },
  spec: {
    gatewayClassName: 'istio-waypoint',
    listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
    ...more.spec,
  },
});

interface Parts {
  readonly kinds: readonly string[];
  readonly deployment: Deployment;
  readonly service: Service;
}

function render(
  of: Gateway,
  {
    values = { image: 'ambit' },
    overlays = [],
    network = '',
    proxyConfigs = [],
  }: { values?: ProxyValues; overlays?: Overlay[]; network?: string; proxyConfigs?: ProxyConfig[] } = {},
): Parts {
  const objects = gatewayObjects(of, undefined);
  assert.ok(objects);
  const all = renderGateway(of, objects, { values, mesh: { ...mesh, network }, overlays, proxyConfigs });
  const find = (kind: string): unknown => all.find((one) => one.kind.kind === kind)?.object;
  return {
    kinds: all.map(({ kind }) => kind.kind),
    deployment: find('Deployment') as Deployment,
    service: find('Service') as Service,
  };
}

const podOf = ({ deployment }: Parts): Deployment['spec']['template'] => deployment.spec.template;
const envOf = (parts: Parts, name: string): string | undefined =>
  podOf(parts).spec.containers[0]?.env?.find((one) => one.name === name)?.value;

describe('what a Gateway is deployed as', () => {
  it('belongs to it, and carries what the user wants on it', () => {
    const labels = { team: 'a', 'gateway.networking.k8s.io/x': 'y' };
    const annotations = {
      note: 'n',
      'kubectl.kubernetes.io/last-applied-configuration': '{}',
      'gateway.istio.io/controller-version': '5',
    };
    const { deployment } = render(gateway({ metadata: { labels, annotations } }));
    assert.deepEqual(deployment.metadata.ownerReferences, [
      { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway', name: 'wp', uid: 'u1' },
    ]);
    assert.equal(deployment.metadata.labels?.['team'], 'a');
    assert.equal(deployment.metadata.labels?.['gateway.networking.k8s.io/x'], undefined);
    assert.deepEqual(deployment.metadata.annotations, { note: 'n' });
    const infrastructure = { labels: { own: 'yes' } };
    const said = render(gateway({ metadata: { labels, annotations }, spec: { infrastructure } }));
    assert.equal(said.deployment.metadata.labels?.['own'], 'yes');
    assert.equal(said.deployment.metadata.labels?.['team'], undefined, 'infrastructure has the last word');
    assert.equal(said.deployment.metadata.annotations, undefined);
  });

  it('is never in the mesh itself where it is a waypoint, whatever its labels say', () => {
    const labels = { 'istio.io/dataplane-mode': 'ambient' };
    const mode = (of: Gateway): string | undefined => podOf(render(of)).metadata?.labels?.['istio.io/dataplane-mode'];
    assert.equal(mode(gateway({ metadata: { labels } })), 'none');
    assert.equal(mode(gateway({ metadata: { labels }, spec: { gatewayClassName: 'istio' } })), 'ambient');
    assert.equal(mode(gateway({ spec: { gatewayClassName: 'istio' } })), 'none');
  });

  it('knows its network by its label, else by that of the cluster', () => {
    const near = render(gateway(), { network: 'near' });
    assert.equal(envOf(near, 'ISTIO_META_NETWORK'), 'near');
    assert.equal(podOf(near).metadata?.labels?.['topology.istio.io/network'], 'near');
    const far = render(gateway({ metadata: { labels: { 'topology.istio.io/network': 'far' } } }), { network: 'near' });
    assert.equal(envOf(far, 'ISTIO_META_NETWORK'), 'far');
    assert.equal(podOf(far).metadata?.labels?.['topology.istio.io/network'], 'far');
    assert.equal(podOf(render(gateway())).metadata?.labels?.['topology.istio.io/network'], undefined);
  });

  it('has as many workers as a ProxyConfig of its pods or an annotation says, and a word of its own where nobody does', () => {
    const discoveryAddress = mesh.discoveryAddress;
    const told = (parts: Parts): unknown => JSON.parse(envOf(parts, 'PROXY_CONFIG') ?? '');
    const configs: ProxyConfig[] = [
      {
        metadata: { name: 'two', namespace: 'shop' },
        spec: { concurrency: 2, selector: { matchLabels: { 'gateway.networking.k8s.io/gateway-name': 'wp' } } },
      },
    ];
    const annotations = { 'proxy.istio.io/config': 'concurrency: 0' };
    assert.deepEqual(told(render(gateway())), { discoveryAddress });
    assert.deepEqual(told(render(gateway(), { proxyConfigs: configs })), { discoveryAddress, concurrency: 2 });
    assert.deepEqual(told(render(gateway({ metadata: { annotations } }))), { discoveryAddress, concurrency: 0 });
    const infrastructure = { labels: { own: 'yes' } };
    assert.deepEqual(told(render(gateway({ metadata: { annotations }, spec: { infrastructure } }))), {
      discoveryAddress,
      concurrency: 0,
    });
    assert.deepEqual(told(render(gateway({ metadata: { annotations } }), { proxyConfigs: configs })), {
      discoveryAddress,
      concurrency: 2,
    });
  });

  it('is placed as the installation says', () => {
    const placement = { nodeSelector: { pool: 'mesh' }, terminationGracePeriodSeconds: 300 };
    const parts = render(gateway(), { values: { image: 'x:1', imagePullSecrets: ['r'], waypoint: placement } });
    const { spec } = podOf(parts);
    assert.deepEqual([spec.nodeSelector, spec.terminationGracePeriodSeconds], [{ pool: 'mesh' }, 300]);
    assert.deepEqual(spec.imagePullSecrets, [{ name: 'r' }]);
    assert.equal(envOf(parts, 'TERMINATION_GRACE_PERIOD_SECONDS'), '300');
    const edge = render(gateway({ spec: { gatewayClassName: 'istio' } }), {
      values: { image: 'x:1', waypoint: placement },
    });
    assert.equal(podOf(edge).spec.nodeSelector, undefined);
  });

  it('has a Service with an address that was asked for, and names of ports that differ', () => {
    const addresses = [{ type: 'IPAddress', value: '10.96.0.77' }];
    assert.equal(render(gateway({ spec: { addresses } })).service.spec?.clusterIP, '10.96.0.77');
    const long = 'a'.repeat(70);
    const listeners = [
      { name: `${long}.x`, port: 80, protocol: 'HTTP' },
      { name: `${long}.y`, port: 81, protocol: 'HTTP' },
      { name: 'status-port', port: 82, protocol: 'TCP' },
      { name: 'quic', port: 443, protocol: 'UDP' },
    ];
    const { service } = render(gateway({ spec: { gatewayClassName: 'istio', listeners, addresses } }));
    assert.equal(service.spec?.loadBalancerIP, '10.96.0.77');
    assert.deepEqual(
      service.spec?.ports?.map(({ name }) => name),
      ['status-port', 'a'.repeat(63), `${'a'.repeat(61)}-2`, 'status-port-2'],
    );
    const annotations = { 'networking.istio.io/service-type': 'NodePort' };
    assert.equal(render(gateway({ metadata: { annotations } })).service.spec?.type, 'NodePort');
  });

  it('is changed by overlays, but for what it is known again by', () => {
    const overlay = (data: Record<string, string>): Overlay =>
      readOverlay({ metadata: { name: 'o', namespace: 'shop' }, data });
    const patch = [
      'metadata: { labels: { tier: x, gateway.istio.io/managed: mine }, ownerReferences: [] }',
      'spec: { replicas: 3, template: { spec: { containers: [{ name: istio-proxy, resources: { requests: { cpu: 1 } } }, { name: side, image: s }] } } }',
    ];
    const { deployment, kinds } = render(gateway(), {
      overlays: [overlay({ deployment: patch.join('\n'), podDisruptionBudget: '' })],
    });
    assert.equal(deployment.spec.replicas, 3);
    assert.deepEqual(
      deployment.spec.template.spec.containers.map(({ name, args }) => [name, args?.[1]]),
      [
        ['istio-proxy', 'waypoint'],
        ['side', undefined],
      ],
    );
    assert.equal(deployment.metadata.labels?.['tier'], 'x');
    assert.equal(deployment.metadata.labels?.['gateway.istio.io/managed'], 'istio.io-mesh-controller');
    assert.equal(deployment.metadata.ownerReferences?.length, 1);
    assert.deepEqual(kinds, ['ServiceAccount', 'Service', 'Deployment', 'PodDisruptionBudget']);
    const wrong: [data: Record<string, string>, message: RegExp][] = [
      [{ service: 'kind: Pod' }, /ConfigMap shop\/o: service may not change kind to "Pod"/],
      [{ service: 'metadata: { namespace: other }' }, /service may not change metadata.namespace to "other"/],
      [{ deployment: 'spec: { template: { spec: { containers: [{ image: x }] } } }' }, /declared merge key: name/],
      [{ deployment: '$patch: explode' }, /unknown patch type/],
      [{ deployment: '[]' }, /deployment is no object/],
      [{ deployment: 'spec:\n  replicas: [1' }, /^ConfigMap shop\/o: deployment, line 2, is no YAML: [^\n(|^]+$/],
    ];
    for (const [data, message] of wrong) {
      assert.throws(() => render(gateway(), { overlays: [overlay(data)] }), { message });
    }
  });

  it('is, between networks, a proxy of the mesh behind a load balancer, named as its Gateway', () => {
    const between = { spec: { gatewayClassName: 'istio-east-west' } };
    const parts = render(gateway(between), { network: 'near' });
    const { deployment, service } = parts;
    assert.deepEqual([deployment.metadata.name, service.metadata.name], ['wp', 'wp']);
    assert.equal(service.spec?.type, 'LoadBalancer');
    assert.deepEqual(
      service.spec?.ports?.map(({ port }) => port),
      [15021, 15008],
    );
    const { metadata, spec } = podOf(parts);
    assert.equal(metadata?.labels?.['gateway.istio.io/managed'], 'istio.io-eastwest-controller');
    assert.equal(metadata?.labels?.['istio.io/dataplane-mode'], 'none');
    assert.equal(spec.containers[0]?.args?.[1], 'waypoint');
    assert.equal(spec.securityContext?.sysctls, undefined, 'its port is above 1024');
    assert.equal(envOf(parts, 'ISTIO_META_NETWORK'), 'near');
    assert.equal(envOf(parts, 'ISTIO_META_REQUESTED_NETWORK_VIEW'), 'near');
    assert.equal(envOf(render(gateway(), { network: 'near' }), 'ISTIO_META_REQUESTED_NETWORK_VIEW'), undefined);
  });
});
