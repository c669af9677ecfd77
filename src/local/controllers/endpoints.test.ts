import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod, Service } from '../../api/index.ts';
import { planSlices } from './endpoints.ts';

const service = (spec: Service['spec']): Service => ({
  metadata: { name: 'web', namespace: 'shop', uid: 'u', labels: { team: 'x' } },
  spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }], ...spec },
});

function pod(
  name: string,
  options: { ready?: boolean; port?: number; metadata?: object; status?: object; spec?: object } = {},
): Pod {
  const { ready = true, port = 8080 } = options;
  return {
    metadata: { name, namespace: 'shop', uid: name, labels: { app: 'web' }, ...options.metadata },
    spec: {
      nodeName: 'node-1',
      containers: [{ name: 'c', ports: [{ name: 'http', containerPort: port }] }],
      ...options.spec,
    },
    status: {
      phase: 'Running',
      podIP: '10.244.1.2',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      ...options.status,
    },
  };
}

const conditionsOf = (spec: Service['spec'], ...pods: Pod[]): unknown[] =>
  [...planSlices(service(spec), pods).values()].flatMap(({ endpoints }) =>
    endpoints.map(({ conditions }) => conditions),
  );

describe('endpoint slices', () => {
  it('say ready, serving and terminating', () => {
    const going = { deletionTimestamp: '2026-01-01T00:00:00Z' };
    assert.deepEqual(conditionsOf({}, pod('a'), pod('b', { ready: false }), pod('c', { metadata: going })), [
      { ready: true, serving: true, terminating: false },
      { ready: false, serving: false, terminating: false },
      { ready: false, serving: true, terminating: true },
    ]);
    assert.deepEqual(conditionsOf({ publishNotReadyAddresses: true }, pod('b', { ready: false })), [
      { ready: true, serving: false, terminating: false },
    ]);
  });

  it('leave out pods without address, ended ones, and those of others', () => {
    const others = [
      pod('a', { status: { podIP: '' } }),
      pod('b', { status: { phase: 'Succeeded' } }),
      pod('c', { metadata: { namespace: 'other' } }),
      pod('d', { metadata: { labels: { app: 'else' } } }),
      pod('e', { spec: { containers: [{ name: 'c' }] } }),
    ];
    assert.deepEqual(conditionsOf({}, ...others), []);
    assert.equal(planSlices(service({}), others).size, 1, 'an empty slice still names the Service');
  });

  it('split by the ports that pods really have, under names that do not change', () => {
    const plan = planSlices(service({}), [pod('a'), pod('b', { port: 9090 }), pod('c')]);
    assert.deepEqual(
      [...plan.values()].map(({ ports, endpoints }) => [ports?.[0]?.port, endpoints.length]),
      [
        [8080, 2],
        [9090, 1],
      ],
    );
    assert.deepEqual(
      [...planSlices(service({}), [pod('b', { port: 9090 }), pod('a')]).keys()].toSorted(byText),
      [...plan.keys()].toSorted(byText),
    );
    const [slice] = plan.values();
    assert.deepEqual(slice?.metadata.labels, {
      team: 'x',
      'kubernetes.io/service-name': 'web',
      'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
    });
    assert.equal(slice.metadata.ownerReferences?.[0]?.uid, 'u');
  });

  it('are of each family that the Service has, with the addresses of that family', () => {
    const dual = pod('a', { status: { podIPs: [{ ip: '10.244.1.2' }, { ip: 'fd00:244:1::2' }] } });
    // An iterator, as stores give it: it can be walked once.
    const plan = planSlices(service({ ipFamilies: ['IPv6', 'IPv4'] }), [dual, pod('b')].values());
    assert.deepEqual(
      [...plan.values()].map(({ addressType, endpoints }) => [addressType, endpoints.map((each) => each.addresses)]),
      [
        ['IPv6', [['fd00:244:1::2']]],
        ['IPv4', [['10.244.1.2'], ['10.244.1.2']]],
      ],
    );
  });

  it('hold 100 endpoints each', () => {
    const pods = Array.from({ length: 250 }, (_, i) => pod(`p-${String(i).padStart(3, '0')}`));
    assert.deepEqual(
      [...planSlices(service({}), pods).values()].map(({ endpoints }) => endpoints.length),
      [100, 100, 50],
    );
  });

  it('are none without a selector, and for external names', () => {
    const { selector: _, ...rest } = service({}).spec ?? {};
    assert.equal(planSlices({ ...service({}), spec: rest }, [pod('a')]).size, 0);
    assert.equal(planSlices(service({ type: 'ExternalName' }), [pod('a')]).size, 0);
  });

  it('carry host names of headless Services', () => {
    const ports = [{ name: 'http', containerPort: 8080 }];
    const named = pod('a', { spec: { hostname: 'a-0', subdomain: 'web', containers: [{ name: 'c', ports }] } });
    const [slice] = planSlices(service({ clusterIP: 'None' }), [named]).values();
    assert.equal(slice?.metadata.labels?.['service.kubernetes.io/headless'], '');
    assert.equal(slice.endpoints[0]?.hostname, 'a-0');
  });
});

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}
