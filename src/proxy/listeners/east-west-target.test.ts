import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serviceKey } from '../../api/names.ts';
import { meshService } from '../../mesh/fixtures.ts';
import { MeshState } from '../../mesh/index.ts';
import { eastWestTarget, type EastWestTarget } from './east-west-target.ts';

const shared = meshService({ name: 'web' });
const own = meshService({ name: 'db' });
const key = serviceKey('shop', shared.hostname);

function ask(authority: string): EastWestTarget {
  const mesh = new MeshState();
  mesh.applyAddresses({ updated: [shared, own].map((service) => ({ kind: 'service', service })), removed: [] });
  return eastWestTarget(authority, { mesh, isShared: (service) => service === key, clientNamespace: 'front' });
}

const refusal = (authority: string): string => {
  const target = ask(authority);
  return target.kind === 'refused' ? `${target.status} ${target.reason}` : 'found';
};

test('a tunnel is for a Service that is shared, by its name and port', () => {
  assert.deepEqual(ask('web.shop.svc.cluster.local:80'), { kind: 'found', service: key, port: 80 });
  assert.deepEqual(ask('WEB.shop.svc.cluster.local:8080'), { kind: 'found', service: key, port: 8080 });
});

test('addresses, what is not shared and what is nothing are refused; nobody learns which names there are', () => {
  assert.match(refusal('10.96.0.10:80'), /^400 10\.96\.0\.10:80 is an address/);
  assert.match(refusal('[fd00::1]:80'), /^400 /);
  assert.match(refusal('web.shop.svc.cluster.local'), /^400 cannot parse authority/);
  assert.equal(
    refusal('db.shop.svc.cluster.local:80').replace('db', 'none'),
    refusal('none.shop.svc.cluster.local:80'),
  );
  assert.match(refusal('none.shop.svc.cluster.local:80'), /^404 no Service called .* is shared with other networks/);
});
