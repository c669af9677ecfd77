import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kinds } from '../api/kinds.ts';
import type { KindRef, KubeObject } from '../api/meta.ts';
import type { KubeClient } from '../kube/index.ts';
import { explain, readWorld, type Explanation } from './index.ts';

/** A cluster that has these objects. */
function clusterOf(objects: readonly (readonly [kind: KindRef<never>, ...of: object[]])[]): KubeClient {
  const list = (kind: KindRef<KubeObject>): Promise<unknown> =>
    Promise.resolve({ items: objects.flatMap(([of, ...all]) => (of === (kind as unknown) ? all : [])) });
  return { list } as unknown as KubeClient;
}

const namespace = (name: string, labels: Record<string, string> = {}): object => ({ metadata: { name, labels } });
const ambient = { 'istio.io/dataplane-mode': 'ambient' };
const pod = (name: string, ip: string, labels: Record<string, string> = {}): object => ({
  metadata: {
    name,
    namespace: 'shop',
    labels,
    annotations: labels['gateway.networking.k8s.io/gateway-name'] ? {} : { 'ambient.istio.io/redirection': 'enabled' },
  },
  spec: { nodeName: 'n1', containers: [{ name: 'main' }] },
  status: { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] },
});
const service = (
  name: string,
  ip: string,
  more: { port?: number; selector?: object; labels?: Record<string, string> },
): object => ({
  metadata: { name, namespace: 'shop', labels: more.labels ?? {} },
  spec: {
    clusterIP: ip,
    clusterIPs: [ip],
    selector: more.selector ?? {},
    ports: [{ name: 'p', port: more.port ?? 80, targetPort: more.port ?? 80 }],
  },
});
const slice = (name: string, ip: string, port: number): object => ({
  metadata: { name: `${name}-1`, namespace: 'shop', labels: { 'kubernetes.io/service-name': name } },
  addressType: 'IPv4',
  endpoints: [
    { addresses: [ip], conditions: { ready: true }, targetRef: { kind: 'Pod', name: `${name}-1`, namespace: 'shop' } },
  ],
  ports: [{ name: 'p', port }],
});

async function ask(objects: Parameters<typeof clusterOf>[0], to: string, port: number): Promise<Explanation> {
  const request = { method: 'GET', path: '/', headers: [] };
  const from = { namespace: 'shop', pod: 'client' };
  return explain(await readWorld(clusterOf(objects)), { from, to, port, request });
}

describe('an explanation of what comes to a Gateway', () => {
  const edgeLabels = { 'gateway.networking.k8s.io/gateway-name': 'edge' };
  const fault = {
    type: 'ResolvedRefs',
    status: 'False',
    reason: 'InvalidCertificateRef',
    message: 'Secret shop/cert does not exist',
  };
  const unserved = { type: 'Programmed', status: 'False', reason: 'Invalid', message: 'no certificate' };
  const told = (conditions: object[], listeners = [{ name: 'https', port: 443, protocol: 'HTTPS' }]) => [
    [kinds.Namespace, namespace('shop', ambient)] as const,
    [kinds.Pod, pod('client', '10.0.0.1'), pod('edge-1', '10.0.0.2', edgeLabels)] as const,
    [kinds.Service, service('edge', '10.96.0.1', { port: 443, selector: edgeLabels })] as const,
    [kinds.EndpointSlice, slice('edge', '10.0.0.2', 443)] as const,
    [
      kinds.Gateway,
      {
        metadata: { name: 'edge', namespace: 'shop' },
        spec: { gatewayClassName: 'istio', listeners },
        status: { listeners: [{ name: 'https', conditions }] },
      },
    ] as const,
  ];

  it('says that no listener is served, with the Secret that is missing', async () => {
    const { verdict, answer, steps } = await ask(told([unserved, fault]) as never, 'edge', 443);
    assert.deepEqual([verdict, answer], ['refused', 'the connection is refused'], JSON.stringify(steps));
    assert.deepEqual(steps.at(-1)?.details, [
      'listener https: Programmed is False, Invalid: no certificate',
      'listener https: ResolvedRefs is False, InvalidCertificateRef: Secret shop/cert does not exist',
    ]);
  });

  it('only mentions it where others are served, or the last good certificate is', async () => {
    const other = [
      { name: 'https', port: 443, protocol: 'HTTPS' },
      { name: 'other', port: 443, protocol: 'HTTPS' },
    ];
    for (const objects of [told([unserved, fault], other), told([fault])]) {
      const { verdict, steps } = await ask(objects as never, 'edge', 443);
      assert.equal(verdict, 'reached');
      assert.equal(steps.at(-1)?.stage, 'gateway');
      assert.match(steps.at(-1)?.details.join() ?? '', /Secret shop\/cert does not exist/);
    }
    const { verdict, steps } = await ask(told([{ ...fault, status: 'True' }]) as never, 'edge', 443);
    assert.equal(verdict, 'reached');
    assert.ok(steps.every(({ stage }) => stage !== 'gateway'));
  });
});

describe('an explanation of what a waypoint is asked for', () => {
  const ofWaypoint = { 'gateway.networking.k8s.io/gateway-name': 'wp' };
  const objects = [
    [kinds.Namespace, namespace('shop', ambient)],
    [
      kinds.Pod,
      pod('client', '10.0.0.1'),
      pod('app-1', '10.0.0.3', { app: 'app' }),
      pod('wp-1', '10.0.0.2', ofWaypoint),
    ],
    [
      kinds.Service,
      service('wp', '10.96.0.2', { port: 15008, selector: ofWaypoint }),
      service('app', '10.96.0.3', { selector: { app: 'app' }, labels: { 'istio.io/use-waypoint': 'wp' } }),
    ],
    [kinds.EndpointSlice, slice('wp', '10.0.0.2', 15008), slice('app', '10.0.0.3', 80)],
    [
      kinds.Gateway,
      {
        metadata: { name: 'wp', namespace: 'shop' },
        spec: { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
        status: { addresses: [{ type: 'IPAddress', value: '10.96.0.2' }] },
      },
    ],
  ] as never;

  it('tells of the wait before it refuses what it does not know', async () => {
    const known = await ask(objects, 'app', 80);
    assert.equal(known.verdict, 'reached', JSON.stringify(known.steps));
    assert.ok(known.steps.some(({ stage }) => stage === 'waypoint'));
    const { answer, steps } = await ask(objects, 'app', 81);
    assert.equal(answer, 'the connection is refused (503)', JSON.stringify(steps));
    assert.match(steps.at(-1)?.summary ?? '', /^waypoint shop\/wp is not told how to serve app.*port 81$/);
    assert.match(steps.at(-1)?.details.join() ?? '', /after up to 10 s/);
  });

  it('follows it to a workload by its own address', async () => {
    const pods = [pod('client', '10.0.0.1'), pod('app-1', '10.0.0.3', { 'istio.io/use-waypoint': 'wp' })];
    const forWorkloads = { 'istio.io/waypoint-for': 'all' };
    const changed = (objects as unknown as (readonly [unknown, ...object[]])[]).map(([kind, ...of]) => {
      if (kind === kinds.Pod) return [kind, ...pods, ...of.slice(2)];
      if (kind !== kinds.Gateway) return [kind, ...of];
      const gateway = of[0] as KubeObject;
      return [kind, { ...gateway, metadata: { ...gateway.metadata, labels: forWorkloads } }];
    });
    const { verdict, steps } = await ask(changed as never, '10.0.0.3', 8080);
    assert.equal(verdict, 'reached', JSON.stringify(steps));
    assert.ok(steps.some(({ summary }) => /takes it for workload shop\/app-1 port 8080/.test(summary)));
    assert.equal(steps.at(-1)?.stage, 'ztunnel (destination)');
  });

  it('says what is resolved on request, and what is not', async () => {
    const wide = {
      metadata: { name: 'out', namespace: 'shop', labels: { 'istio.io/use-waypoint': 'wp' } },
      spec: {
        hosts: ['*.example.com'],
        resolution: 'DYNAMIC_DNS',
        ports: [
          { number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 },
          { number: 443, name: 'tls', protocol: 'TLS' },
        ],
      },
      status: { addresses: [{ value: '240.240.7.7', host: '*.example.com' }] },
    };
    const world = [...(objects as unknown as object[]), [kinds.ServiceEntry, wide]] as never;
    for (const [port, reached] of [
      [80, 8080],
      [443, 443],
    ] as const) {
      const { verdict, steps } = await ask(world, 'api.example.com', port);
      assert.equal(verdict, 'reached', JSON.stringify(steps));
      const last = steps.at(-1);
      assert.equal(last?.summary, 'the waypoint resolves api.example.com and connects to what comes back');
      assert.match(last.details.join(), new RegExp(`port ${reached} of what DNS says of api\\.example\\.com`));
    }
    const other = await ask(world, '*.example.com', 80);
    assert.equal(other.verdict, 'refused', JSON.stringify(other.steps));
    assert.match(other.steps.at(-1)?.details.join() ?? '', /is no name of a host/);
  });
});
