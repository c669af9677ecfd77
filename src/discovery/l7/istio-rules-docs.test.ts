import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadAll } from 'js-yaml';
import type { KubeObject } from '../../api/meta.ts';
import type { Source } from '../../collection/index.ts';
import { namespace, waypoint } from '../fixtures.ts';
import { openProxyWorld } from './fixtures.ts';

const root = join(import.meta.dirname, '../../..');
const documents = (text: string): KubeObject[] =>
  loadAll(text).flatMap((document) => (document as KubeObject | null | undefined) ?? []);

describe('the examples of docs/istio-rules.md', () => {
  it('are accepted, but for the Secret that is left to the reader', () => {
    const world = openProxyWorld();
    const { sources } = world;
    world.put(sources.gateways, waypoint('waypoint', { namespace: 'default' }));
    world.put(sources.namespaces, namespace('default', { 'istio.io/use-waypoint': 'waypoint' }));
    const byKind: Readonly<Record<string, Source<never>>> = {
      Service: sources.services as Source<never>,
      ServiceEntry: sources.serviceEntries as Source<never>,
      VirtualService: sources.virtualServices as Source<never>,
      DestinationRule: sources.destinationRules as Source<never>,
    };
    const text = readFileSync(join(root, 'docs/istio-rules.md'), 'utf8');
    const examples = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].flatMap(([, yaml = '']) => documents(yaml));
    const bookinfo = documents(readFileSync(join(root, 'samples/bookinfo/bookinfo.yaml'), 'utf8'));
    for (const object of [...bookinfo, ...examples]) {
      const source = byKind[object.kind ?? ''] as Source<KubeObject> | undefined;
      if (source) world.put(source, { ...object, metadata: { namespace: 'default', ...object.metadata } });
    }
    const { virtualServices, destinationRules } = world.statuses.rules;
    const told = examples.flatMap(({ kind, metadata }) => {
      const key = `Kubernetes/default/${metadata.name}`;
      const verdict = (kind === 'VirtualService' ? virtualServices : destinationRules).get(key)?.accepted;
      return kind === 'ServiceEntry' || !verdict
        ? []
        : [`${kind} ${metadata.name} ${verdict.status} ${verdict.reason}`];
    });
    assert.deepEqual(told, [
      'DestinationRule reviews True Accepted',
      'VirtualService reviews True Accepted',
      'DestinationRule ratings True Accepted',
      'DestinationRule api False SecretNotFound',
      'DestinationRule partners True Accepted',
      'VirtualService productpage True Accepted',
      'VirtualService productpage-api True Accepted',
    ]);
    const name = 'inbound-vip|80|http|api.example.com';
    assert.equal(world.resource('default/waypoint', 'backend', name).tls?.sni, 'api.example.com');
    const pattern = '*.partners.example.com';
    for (const [port, tls] of [
      ['80|http', 'simple'],
      ['443|tcp', undefined],
    ] as const) {
      const partners = world.resource('default/waypoint', 'backend', `inbound-vip|${port}|${pattern}`);
      assert.deepEqual([partners.requestedHosts, partners.tls?.mode], [{ pattern, port: 443 }, tls]);
      assert.equal(partners.tls?.sni, undefined, 'it is the name that was asked for');
    }
    assert.equal(world.statuses.entries.get('Kubernetes/default/partners')?.reason, 'Accepted');
  });
});
