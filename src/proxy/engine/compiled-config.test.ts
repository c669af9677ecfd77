import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EdgeListener } from '../../api/l7/index.ts';
import { authorizationFilter } from '../filters/authorization/filter.ts';
import { openBench } from '../telemetry/telemetry-fixtures.ts';
import { compileConfig } from './compiled-config.ts';

const origin = { kind: 'Gateway', namespace: 'shop', name: 'edge', generation: 1 };
const none = { authorization: [], authentication: [], rateLimits: [], telemetry: [], extensions: [] };
const listener: EdgeListener = {
  kind: 'listener',
  type: 'edge',
  name: 'http',
  port: 80,
  policies: { ...none, authorization: ['shop/deny'] },
  servers: [{ name: 'a', protocol: 'http', hostname: 'a.example', routes: 'a', policies: none, origin }],
  origin,
};

test('a request to a host that a gateway does not have is told of, and nothing else is done to it', () => {
  const bench = openBench();
  const { snapshot, services } = bench.place({ settings: { role: 'gateway' } });
  const deny = {
    kind: 'authorization',
    name: 'shop/deny',
    origin,
    action: 'deny',
    dryRun: false,
    rules: [{ from: [], to: [], when: [] }],
  } as const;
  const config = compileConfig(
    {
      ...snapshot,
      listeners: new Map([[listener.name, listener]]),
      policies: { ...snapshot.policies, authorization: new Map([[deny.name, deny]]) },
    },
    { services, filters: [bench.telemetry.filter, authorizationFilter] },
  );
  const names = (place: { readonly filters: readonly { readonly name: string }[] } | undefined): string[] =>
    place?.filters.map(({ name }) => name) ?? [];
  assert.deepEqual(names(config.serverPlaces('http')[0]), ['telemetry', 'authorization']);
  const unmatched = config.unmatchedPlace('http');
  assert.deepEqual(names(unmatched), ['telemetry']);
  assert.equal(unmatched?.table.hosts.length, 0);
  assert.equal(config.unmatchedPlace('other'), undefined);
});
