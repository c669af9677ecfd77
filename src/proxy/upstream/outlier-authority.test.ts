import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock, type FakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { defaultNetwork } from '../../mesh/fixtures.ts';
import { MeshState } from '../../mesh/index.ts';
import { MetricsRegistry } from '../../telemetry/index.ts';
import { createOutlierAuthority, type OutlierAuthority } from './outlier-authority.ts';
import { applyMesh, backendOf, endpoint, web } from './upstream-fixtures.ts';

interface Scene {
  readonly authority: OutlierAuthority;
  readonly mesh: MeshState;
  readonly clock: FakeClock;
  readonly metrics: MetricsRegistry;
  /** `host:true` as it fails, `host:false` as it does no more. */
  readonly marks: string[];
  /** The hosts that are out, after each change. */
  readonly ejected: string[][];
  /** Keys of all. */
  readonly hosts: readonly string[];
}

function openScene(): Scene {
  const mesh = new MeshState();
  applyMesh(mesh, web, endpoint('a', '10.0.0.1'), endpoint('b', '10.0.0.2'));
  const clock = createFakeClock();
  const metrics = new MetricsRegistry({ clock, log: silentLog() });
  const marks: string[] = [];
  const ejected: string[][] = [];
  const authority = createOutlierAuthority({
    mesh,
    clock,
    log: silentLog(),
    metrics,
    own: () => undefined,
    address: '127.0.0.1',
    network: defaultNetwork,
    onEjections: (_, hosts) => ejected.push(hosts.map(({ host }) => host)),
    onFailing: (_, host, isFailing) => marks.push(`${host}:${isFailing}`),
  });
  authority.apply(new Map([['web', backendOf({ outlierDetection: afterTwo })]]));
  const hosts = authority
    .describe()
    .flatMap((backend) => backend.hosts.map(({ workload, address }) => `${workload}|${address.split(':')[1]}`));
  return { authority, mesh, clock, metrics, marks, ejected, hosts };
}

const afterTwo = {
  consecutive5xx: 2,
  consecutiveGatewayErrors: 0,
  consecutiveLocalOriginFailures: 0,
  splitsLocalOrigin: false,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionPercent: 100,
  minHealthPercent: 0,
};

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test('failures in a row take a host out, whoever saw them, and it comes back with time', () => {
  const { authority, clock, metrics, marks, ejected, hosts } = openScene();
  const [a = ''] = hosts;
  authority.note('web', a, 500);
  assert.deepEqual(marks, [`${a}:true`]);
  authority.note('web', a, 200);
  authority.note('web', a, undefined);
  authority.note('web', a, 500);
  assert.deepEqual(ejected, [[a]]);
  assert.match(metrics.write('text'), /^envoy_cluster_outlier_detection_ejections_active\{cluster_name="web"\} 1$/m);
  clock.advance(30_000);
  assert.deepEqual(ejected.at(-1), []);
  assert.equal(marks.at(-1), `${a}:false`);
  // Of whom nobody knows anything says nothing.
  authority.note('web', 'nobody', 500);
  authority.note('none', a, 500);
  authority.close();
});

test('a host that goes, and a backend, are failing no more', async () => {
  const { authority, mesh, marks, hosts } = openScene();
  const [a = '', b = ''] = hosts;
  authority.note('web', a, 500);
  authority.note('web', b, 500);
  mesh.applyAddresses({ updated: [], removed: [endpoint('a', '10.0.0.1').uid] });
  await turn();
  assert.deepEqual(marks, [`${a}:true`, `${b}:true`, `${a}:false`]);
  authority.apply(new Map());
  assert.equal(marks.at(-1), `${b}:false`);
  authority.close();
});
