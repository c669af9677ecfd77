import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createGraph } from '../collection/index.ts';
import { createDiscovery, keyOfObject } from '../discovery/index.ts';
import { defaultClusterId } from '../api/names.ts';
import type { AdmissionRequest } from '../api/admission.ts';
import type { Pod } from '../api/core.ts';
import { createPolicyAdmission } from './policy-admission.ts';

const graph = createGraph({ onError: (_collection, _key, error) => assert.fail(String(error)) });
const discovery = createDiscovery(graph);
const judge = createPolicyAdmission(discovery, 'istio-system');

function pod(namespace: string, name: string, labels: Record<string, string>, redirection?: string): Pod {
  const annotations = redirection === undefined ? {} : { 'ambient.istio.io/redirection': redirection };
  return { metadata: { namespace, name, labels, annotations }, spec: { containers: [] } };
}
for (const one of [
  pod('shop', 'web', { app: 'web' }, 'enabled'),
  pod('shop', 'cart', { app: 'cart' }, 'enabled'),
  pod('edge', 'gateway', { app: 'gateway' }),
]) {
  discovery.sources.pods.set(keyOfObject(defaultClusterId, one), one);
}
graph.flush();

const paths = { to: [{ operation: { paths: ['/admin*'] } }] };

function faults(namespace: string, spec: object, oldSpec?: object): string[] {
  const request = {
    kind: { group: 'security.istio.io', version: 'v1', kind: 'AuthorizationPolicy' },
    namespace,
    object: { metadata: { namespace, name: 'p' }, spec },
    oldObject: oldSpec === undefined ? null : { metadata: { namespace, name: 'p' }, spec: oldSpec },
  } as unknown as AdmissionRequest;
  return judge(request).map(({ path, message }) => `${path}: ${message}`);
}

describe('a DENY that only a waypoint can decide', () => {
  it('is refused where it would cut off pods, with the rule, what it asks for, and whom', () => {
    const [fault, ...others] = faults('shop', {
      action: 'DENY',
      rules: [{ from: [{ source: { namespaces: ['a'] } }] }, paths],
    });
    assert.deepEqual(others, []);
    assert.match(
      fault ?? '',
      /^spec\.rules\[1\]: Invalid value: "to\[0\]\.operation\.paths": .* 2 pods, such as shop\/(web|cart)/,
    );
    assert.equal(faults('istio-system', { action: 'DENY', rules: [paths] }).length, 1);
    assert.equal(faults('shop', { action: 'CUSTOM', rules: [paths] }).length, 1);
  });

  it('is stored where it cuts off nobody', () => {
    assert.deepEqual(faults('edge', { action: 'DENY', rules: [paths] }), []);
    const selector = { matchLabels: { app: 'other' } };
    assert.deepEqual(faults('shop', { action: 'DENY', selector, rules: [paths] }), []);
  });

  it('is stored where a waypoint enforces it, or L4 can tell a part of it', () => {
    const targetRefs = [{ kind: 'Service', group: '', name: 'web' }];
    assert.deepEqual(faults('shop', { action: 'DENY', targetRefs, rules: [paths] }), []);
    const narrow = { ...paths, from: [{ source: { namespaces: ['a'] } }] };
    assert.deepEqual(faults('shop', { action: 'DENY', rules: [narrow] }), []);
    assert.deepEqual(faults('shop', { action: 'ALLOW', rules: [paths] }), []);
    assert.deepEqual(faults('shop', { action: 'AUDIT', rules: [paths] }), []);
  });

  it('may keep its rules when something else of it changes', () => {
    const spec = { action: 'DENY', rules: [paths] };
    assert.deepEqual(faults('shop', spec, structuredClone(spec)), []);
    assert.equal(faults('shop', spec, { action: 'ALLOW', rules: [paths] }).length, 1);
  });
});
