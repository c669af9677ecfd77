import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProxyConfig } from '../../api/istio.ts';
import { proxyConcurrency } from './proxy-concurrency.ts';

const config = (
  namespace: string,
  concurrency: number | null,
  { matchLabels, day = 1 }: { readonly matchLabels?: Record<string, string>; readonly day?: number } = {},
): ProxyConfig => ({
  metadata: { name: `c${concurrency}`, namespace, creationTimestamp: `2026-01-0${day}T00:00:00Z` },
  spec: { concurrency, ...(matchLabels ? { selector: { matchLabels } } : {}) },
});

function concurrency(
  proxyConfigs: readonly ProxyConfig[],
  annotation?: string,
  meshDefault?: number,
): number | undefined {
  return proxyConcurrency({
    namespace: 'shop',
    labels: { app: 'wp', tier: 'edge' },
    annotations: annotation === undefined ? {} : { 'proxy.istio.io/config': annotation },
    proxyConfigs,
    rootNamespace: 'istio-system',
    meshDefault,
  });
}

const mesh = config('istio-system', 1);
const namespaced = config('shop', 2);
const selecting = config('shop', 4, { matchLabels: { app: 'wp' } });

test('the narrowest that says something decides', () => {
  assert.equal(concurrency([]), undefined);
  assert.equal(concurrency([mesh]), 1);
  assert.equal(concurrency([mesh, namespaced]), 2);
  assert.equal(concurrency([mesh, namespaced], 'concurrency: 3'), 3);
  assert.equal(concurrency([mesh, namespaced, selecting], 'concurrency: 3'), 4);
  assert.equal(concurrency([mesh, namespaced, config('shop', null, { matchLabels: { app: 'wp' } })]), 2);
  assert.equal(concurrency([config('shop', 0)], ''), 0);
  assert.equal(concurrency([], undefined, 6), 6);
  assert.equal(concurrency([mesh], undefined, 6), 1);
  assert.equal(concurrency([], 'concurrency: 3', 6), 3);
});

test('what is for others says nothing', () => {
  assert.equal(concurrency([config('other', 5)]), undefined);
  assert.equal(concurrency([config('shop', 5, { matchLabels: { app: 'web' } })]), undefined);
  assert.equal(concurrency([config('shop', 5, { matchLabels: { app: 'wp', tier: 'inner' } })]), undefined);
  assert.equal(concurrency([config('istio-system', 5, { matchLabels: { app: 'wp' } })]), undefined);
  assert.equal(concurrency([], 'holdApplicationUntilProxyStarts: true'), undefined);
});

test('of several the oldest decides', () => {
  assert.equal(concurrency([config('shop', 7, { day: 3 }), config('shop', 6, { day: 2 })]), 6);
});

test('an annotation that cannot be read is an error with its name', () => {
  for (const text of ['concurrency: many', 'concurrency: -1', 'concurrency: 1.5', '[', 'text']) {
    assert.throws(() => concurrency([], text), {
      code: 'control.overlay',
      message: /^Cannot read the annotation proxy/,
    });
  }
  assert.equal(concurrency([], '{"concurrency":2}'), 2);
});
