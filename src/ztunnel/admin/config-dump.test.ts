import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { defaultNetwork, meshService, meshWorkload } from '../../mesh/fixtures.ts';
import type { ServiceKey } from '../../api/names.ts';
import type { Authorization } from '../../policy/index.ts';
import type { ConnectionReport } from '../messages.ts';
import { configDump, type ConfigDumpInput } from './config-dump.ts';
import { writePieces } from '../../telemetry/admin/http-server.ts';

const pod = { uid: 'u', name: 'web', namespace: 'shop', serviceAccount: 'default' };

function connection(id: number, direction: ConnectionReport['direction']): ConnectionReport {
  return {
    id,
    direction,
    src: '10.0.0.9:1',
    originalDst: '10.96.0.1:80',
    actualDst: '10.0.0.1:15008',
    protocol: 'HBONE',
    hboneAddr: '10.0.0.1:80',
    startedMs: 1000,
    bytesSent: 5,
    bytesReceived: 7,
    policy: 'shop/allow',
  };
}

async function dump(changes: Partial<ConfigDumpInput>): Promise<Record<string, unknown>> {
  const input: ConfigDumpInput = {
    addresses: [],
    policies: [],
    certificates: [],
    pods: [],
    // eslint-disable-next-line require-yield
    async *connections() {},
    nowMs: () => 3000,
    version: '1',
    config: { localNode: 'node-1' },
    ...changes,
  };
  return JSON.parse((await Array.fromAsync(configDump(input))).join('')) as Record<string, unknown>;
}

test('an empty proxy has every key', async () => {
  assert.deepEqual(await dump({}), {
    workloads: [],
    services: [],
    policies: [],
    stagedServices: {},
    staticConfig: { workloads: [], policies: [], services: [] },
    certificates: [],
    workloadState: {},
    version: { version: '1', istioVersion: '1' },
    config: { localNode: 'node-1' },
  });
});

test('workloads, services with their endpoints and policies have the keys that istioctl reads', async () => {
  const service = meshService({ addresses: [{ network: defaultNetwork, ip: '10.96.0.1' }] });
  const key = 'shop/web.shop.svc.cluster.local' as ServiceKey;
  const port = { servicePort: 80, targetPort: 8080, appProtocol: 'unknown' as const };
  const web = meshWorkload({
    addresses: ['10.0.0.1'],
    services: new Map([
      [key, [port]],
      ['shop/late.shop.svc.cluster.local' as ServiceKey, []],
    ]),
  });
  const policy: Authorization = {
    name: 'p',
    namespace: 'shop',
    scope: 'namespace',
    action: 'allow',
    rules: [],
    dryRun: false,
  };
  const found = await dump({
    addresses: [
      { kind: 'service', service },
      { kind: 'workload', workload: web },
    ],
    policies: [policy],
  });
  assert.partialDeepStrictEqual(found, {
    workloads: [
      { uid: web.uid, workloadIps: ['10.0.0.1'], protocol: 'HBONE', status: 'Healthy', workloadType: 'deployment' },
    ],
    services: [
      {
        vips: ['/10.96.0.1'],
        ports: { '80': 8080 },
        endpoints: { [web.uid]: { workloadUid: web.uid, service: key, address: '/10.0.0.1', port: { '80': 8080 } } },
      },
    ],
    policies: [{ scope: 'Namespace', action: 'Allow', rules: [] }],
    stagedServices: { 'shop/late.shop.svc.cluster.local': { [web.uid]: { workloadUid: web.uid } } },
  });
});

test('connections have the four keys of istioctl, and beside them their bytes, age and policy', async () => {
  const pages = {
    inbound: [[connection(1, 'inbound')], [connection(2, 'inbound')]],
    outbound: [[connection(3, 'outbound')]],
  };
  const { workloadState } = await dump({
    pods: [{ pod, state: 'Up' }],
    async *connections(uid, direction) {
      assert.equal(uid, 'u');
      yield* pages[direction];
    },
  });
  const { u } = workloadState as Record<
    string,
    { connections: Record<'inbound' | 'outbound', object[]>; info: object }
  >;
  assert.deepEqual(u?.info, { name: 'web', namespace: 'shop', serviceAccount: 'default' });
  assert.equal(u?.connections.inbound.length, 2);
  assert.deepEqual(u?.connections.outbound, [
    {
      src: '10.0.0.9:1',
      originalDst: '10.96.0.1:80',
      actualDst: '10.0.0.1:15008',
      protocol: 'HBONE',
      ambit: {
        hboneAddr: '10.0.0.1:80',
        bytesSent: 5,
        bytesReceived: 7,
        since: '1970-01-01T00:00:01.000Z',
        ageMs: 2000,
        policy: 'shop/allow',
      },
    },
  ]);
});

test('others have their turn while 10,000 connections are written', async () => {
  const to = new PassThrough();
  let turns = 0;
  let isDone = false;
  const count = (): void => {
    turns++;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  let length = 0;
  to.on('data', (chunk: Buffer) => (length += chunk.length));
  const pieces = configDump({
    addresses: [],
    policies: [],
    certificates: [],
    pods: [{ pod, state: 'Up' }],
    async *connections(_uid, direction) {
      for (let page = 0; page < 50; page++)
        yield Array.from({ length: 100 }, (_, i) => connection(page * 100 + i, direction));
    },
    nowMs: () => 0,
    version: '1',
    config: {},
  });
  await writePieces(pieces, to);
  isDone = true;
  assert.ok(length > 2_000_000);
  // At least one for each 64 KiB.
  assert.ok(turns > 30, `only ${turns} turns`);
});
