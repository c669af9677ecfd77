import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { loadAll } from 'js-yaml';
import type { Secret } from '../../api/core.ts';
import type { KubeObject } from '../../api/meta.ts';
import { defaultClusterId } from '../../api/names.ts';
import type { Source } from '../../collection/index.ts';
import { createTestAuthority } from '../../../test/support/certificates.ts';
import { keyOfObject } from '../object-key.ts';
import { openGatewayWorld, type GatewayWorld } from './gateway-api-fixtures.ts';

const root = join(import.meta.dirname, '../../..');
const documents = (text: string): KubeObject[] =>
  (loadAll(text) as (KubeObject | null)[]).filter((one) => one !== null);

function load(world: GatewayWorld, objects: readonly KubeObject[]): KubeObject[] {
  const sources: Record<string, Source<never>> = {
    Service: world.sources.services as Source<never>,
    Gateway: world.sources.gateways as Source<never>,
    HTTPRoute: world.sources.httpRoutes as Source<never>,
    ReferenceGrant: world.sources.referenceGrants as Source<never>,
    BackendTLSPolicy: world.sources.backendTlsPolicies as Source<never>,
    Namespace: world.sources.namespaces as Source<never>,
    Secret: world.sources.secrets as Source<never>,
  };
  const used = objects.filter(({ kind = '' }) => sources[kind]);
  for (const object of used) {
    const namespace = object.kind === 'Namespace' ? {} : { namespace: object.metadata.namespace ?? 'default' };
    world.put(sources[object.kind ?? ''] as Source<KubeObject>, {
      ...object,
      metadata: { ...namespace, ...object.metadata },
    });
  }
  return used;
}

describe('the examples of docs/routing.md', () => {
  let secret: Secret;
  before(async () => {
    const authority = await createTestAuthority();
    const { chainPem, keyPem } = await authority.signServer({ dnsNames: ['bookinfo.example.com'], ips: [] });
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    secret = {
      kind: 'Secret',
      metadata: { name: 'bookinfo-certificate', namespace: 'default' },
      data: { 'tls.crt': base64(chainPem), 'tls.key': base64(keyPem) },
    };
  });

  it('are accepted, with all that they refer to', () => {
    const world = openGatewayWorld();
    load(world, documents(readFileSync(join(root, 'samples/bookinfo/bookinfo.yaml'), 'utf8')));
    const text = readFileSync(join(root, 'docs/routing.md'), 'utf8');
    const examples = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].flatMap(([, yaml = '']) => documents(yaml));
    const labels = { 'istio.io/use-waypoint': 'waypoint' };
    const used = load(world, [...examples, { kind: 'Namespace', metadata: { name: 'default', labels } }, secret]);
    assert.ok(used.length >= 10, `${used.length} examples`);
    const { routes, gateways, backendTlsPolicies } = world.api.verdicts;
    const key = (name: string): string => keyOfObject(defaultClusterId, { metadata: { name, namespace: 'default' } });
    for (const { kind, metadata } of examples) {
      const at = key(metadata.name ?? '');
      const conditions =
        kind === 'HTTPRoute'
          ? routes.HTTPRoute.get(at)?.parents.map((parent) => parent.conditions)
          : kind === 'Gateway'
            ? [gateways.get(at)?.conditions ?? {}]
            : kind === 'BackendTLSPolicy'
              ? backendTlsPolicies.get(at)?.ancestors.map((ancestor) => ancestor.conditions)
              : undefined;
      const bad = (conditions ?? []).flatMap((all) =>
        Object.entries(all).filter(([, { status }]) => status !== 'True'),
      );
      assert.deepEqual(bad, [], `${kind} ${metadata.name}`);
      if (kind === 'HTTPRoute') assert.ok(conditions && conditions.length > 0, `${metadata.name} has a parent`);
      if (kind === 'Gateway') {
        for (const listener of gateways.get(at)?.listeners ?? []) {
          assert.equal(listener.conditions['Programmed']?.status, 'True', `${metadata.name} ${listener.name}`);
        }
      }
    }
  });
});
