import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import type { Namespace, Pod } from '../api/index.ts';
import { bypassesInbound, defaultExcludedNamespaces, isTerminal, podIpsOf, wantsMesh } from './enrolment.ts';

interface Case {
  readonly pod?: Record<string, string>;
  readonly namespace?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly hostNetwork?: boolean;
  readonly in?: string;
}

function wants({ pod = {}, namespace = {}, annotations = {}, hostNetwork = false, in: name = 'demo' }: Case): boolean {
  return wantsMesh(
    {
      metadata: { name: 'p', namespace: name, labels: pod, annotations },
      spec: { containers: [], hostNetwork },
    } as Pod,
    { metadata: { name, labels: namespace } } as Namespace,
    defaultExcludedNamespaces,
  );
}

const ambient = { 'istio.io/dataplane-mode': 'ambient' };
const none = { 'istio.io/dataplane-mode': 'none' };

test("the label of the namespace or of the pod takes a pod in, and the pod's wins", () => {
  equal(wants({}), false);
  equal(wants({ namespace: ambient }), true);
  equal(wants({ pod: ambient }), true);
  equal(wants({ pod: none, namespace: ambient }), false);
  equal(wants({ pod: ambient, namespace: none }), true);
  // Any value but "none" leaves the decision to the namespace, as upstream's selector does.
  equal(wants({ pod: { 'istio.io/dataplane-mode': 'other' }, namespace: ambient }), true);
  equal(wants({ pod: { 'istio.io/dataplane-mode': 'other' } }), false);
});

test('pods of the host network, with a sidecar, of excluded namespaces, and ztunnel itself stay out', () => {
  equal(wants({ pod: ambient, hostNetwork: true }), false);
  equal(wants({ pod: ambient, annotations: { 'sidecar.istio.io/status': '{}' } }), false);
  equal(wants({ pod: ambient, in: 'kube-system' }), false);
  equal(wants({ pod: { ...ambient, app: 'ztunnel' }, in: 'istio-system' }), false);
  equal(wants({ pod: { ...ambient, app: 'other' }, in: 'istio-system' }), true);
});

test('a pod whose namespace is unknown follows its own label', () => {
  const pod = { metadata: { namespace: 'x', labels: ambient }, spec: { containers: [] } } as Pod;
  equal(wantsMesh(pod, undefined, []), true);
});

test('addresses, end of life and ingress mode are read from the pod', () => {
  const pod = {
    metadata: { annotations: { 'ambient.istio.io/bypass-inbound-capture': 'true' } },
    spec: { containers: [] },
    status: { phase: 'Failed', podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] },
  } as Pod;
  deepEqual(podIpsOf(pod), ['10.0.0.1', 'fd00::1']);
  equal(isTerminal(pod), true);
  equal(bypassesInbound(pod), true);
  deepEqual(podIpsOf({ metadata: {}, spec: { containers: [] } } as Pod), []);
});
