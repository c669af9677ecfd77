import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decode, encode, type DecodedPacket, type Packet, type RecordType } from 'dns-packet';
import fc from 'fast-check';
import type { MeshWorkload } from '../../api/workload.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../mesh/fixtures.ts';
import { MeshState } from '../../mesh/index.ts';
import { MetricsRegistry, writeSnapshot } from '../../telemetry/index.ts';
import { shareDns } from './dns-shared.ts';
import { DnsResponder, type DnsShared, type ResponderOptions } from './responder.ts';

const own = meshWorkload({ name: 'app' });
const mesh = new MeshState();
mesh.applyAddresses({
  updated: [
    { kind: 'workload', workload: own },
    {
      kind: 'service',
      service: meshService({
        addresses: ['10.96.0.1', '10.96.0.2', '10.96.0.3'].map((ip) => ({ network: defaultNetwork, ip })),
      }),
    },
  ],
  removed: [],
});
const queryFor = (name: string, type: RecordType = 'A', more: Partial<Packet> = {}): Buffer =>
  encode({ type: 'query', id: 7, flags: 0x100, questions: [{ name, type }], ...more });
const rcodeOf = (packet: object): unknown => ('rcode' in packet ? packet.rcode : undefined);

function setup(more: Partial<ResponderOptions> = {}, shared: Partial<DnsShared> = {}) {
  const clock = createFakeClock();
  const log = silentLog();
  const registry = new MetricsRegistry({ clock, log });
  const warnings: unknown[] = [];
  const asked: { server: string; protocol: string }[] = [];
  const responder = new DnsResponder({
    shared: {
      ...shareDns({ clusterDomain: 'cluster.local' }, { metrics: registry, clock }),
      systemNameservers: () => ['10.9.9.9'],
      ...shared,
    },
    mesh,
    clock,
    log: { ...log, warn: (_message, fields) => void warnings.push(fields) },
    random: () => 0,
    own: () => own,
    resolver: () => ({ nameservers: ['10.0.0.1', '10.0.0.2'], search: ['shop.svc.cluster.local'], ndots: 5 }),
    exchange: ({ server, protocol, message }) => {
      asked.push({ server, protocol });
      const answer = Buffer.from(message);
      answer.writeUInt16BE(answer.readUInt16BE(2) | 0x8000, 2);
      return Promise.resolve(answer);
    },
    ended: new AbortController().signal,
    ...more,
  });
  const respond = async (message: Uint8Array, serverIndex = 0): Promise<DecodedPacket> => {
    const answer = await responder.respond(message, { protocol: 'udp', serverIndex });
    assert.ok(answer);
    return decode(Buffer.from(answer));
  };
  return {
    clock,
    respond,
    responder,
    asked,
    warnings,
    metrics: () => [...writeSnapshot(registry.snapshot(), 'text')].join(''),
  };
}

const dataOf = (packet: DecodedPacket): unknown[] =>
  (packet.answers ?? []).map((each) => ('data' in each ? each.data : undefined));

describe('the answer to a pod', () => {
  test('is at once, and in an order of its own, where the mesh knows the name', () => {
    const { responder } = setup();
    const answer = responder.respond(queryFor('web.shop.svc.cluster.local'), { protocol: 'udp', serverIndex: 0 });
    assert.ok(answer instanceof Uint8Array);
    assert.deepEqual(dataOf(decode(Buffer.from(answer))), ['10.96.0.2', '10.96.0.3', '10.96.0.1']);
  });

  test('comes from the server that was asked for other names, types, classes, opcodes and EDNS versions', async () => {
    const { respond, asked } = setup();
    const edns = {
      type: 'OPT',
      name: '.',
      udpPayloadSize: 1232,
      ednsVersion: 1,
      extendedRcode: 0,
      flags: 0,
      options: [],
    };
    const update = queryFor('web.shop.svc.cluster.local');
    update.writeUInt8(5 << 3, 2);
    for (const query of [
      queryFor('example.com'),
      queryFor('web.shop.svc.cluster.local', 'SRV'),
      encode({ type: 'query', id: 7, questions: [{ name: 'web.shop.svc.cluster.local', type: 'A', class: 'CH' }] }),
      queryFor('web.shop.svc.cluster.local', 'A', { additionals: [edns as never] }),
      update,
    ])
      assert.equal((await respond(query, 1)).id, 7);
    assert.deepEqual(
      asked.map(({ server }) => server),
      Array.from({ length: 5 }, () => '10.0.0.2'),
    );
  });

  test('comes from our own servers where nobody told us those of the pod', async () => {
    const { respond, asked } = setup({ resolver: () => undefined });
    await respond(queryFor('example.com'));
    assert.deepEqual(asked, [{ server: '10.9.9.9', protocol: 'udp' }]);
  });

  test('is SERVFAIL without a workload, with a warning now and then', async () => {
    const { respond, warnings, clock } = setup({ own: () => Promise.resolve<MeshWorkload | undefined>(undefined) });
    for (let i = 0; i < 3; i++)
      assert.equal(rcodeOf(await respond(queryFor('web.shop.svc.cluster.local'))), 'SERVFAIL');
    assert.equal(warnings.length, 1);
    clock.advance(10_000);
    await respond(queryFor('web.shop.svc.cluster.local'));
    assert.deepEqual(warnings[1], {
      query: 'web.shop.svc.cluster.local',
      type: 'A',
      protocol: 'udp',
      reason: 'own workload is not known to the mesh',
      unlogged: 2,
    });
  });

  test('that is longer than the client takes is cut', async () => {
    const long = Buffer.concat([queryFor('example.com'), Buffer.alloc(600)]);
    const { respond } = setup({
      exchange: ({ message }) => {
        const answer = Buffer.from(long);
        answer.writeUInt16BE(message[0] === undefined ? 0 : Buffer.from(message).readUInt16BE(0), 0);
        answer.writeUInt16BE(0x8180, 2);
        return Promise.resolve(answer);
      },
    });
    assert.ok((await respond(queryFor('example.com'))).flag_tc);
  });

  test('counts', async () => {
    const { respond, metrics } = setup();
    await respond(queryFor('web.shop.svc.cluster.local'));
    await respond(queryFor('example.com', 'MX'));
    await respond(queryFor('abc').subarray(0, 14));
    const text = metrics();
    assert.match(
      text,
      /istio_dns_requests_total\{request_query_type="A",request_protocol="udp",source_canonical_service="app",source_canonical_revision="latest"\} 1/,
    );
    assert.match(text, /istio_dns_upstream_requests_total\{request_query_type="MX",.*\} 1/);
    assert.match(
      text,
      /istio_dns_requests_total\{request_query_type="OTHER",request_protocol="udp",source_canonical_service="unknown",source_canonical_revision="unknown"\} 1/,
    );
    assert.match(text, /istio_dns_upstream_request_duration_seconds_bucket\{.*le="0.0005"\} 1/);
  });
});

test('pods whose servers are silent do not take the answers of others from them', async () => {
  const silent = (): Promise<Uint8Array> => new Promise(() => {});
  const shared = { waiting: { count: 0 } };
  const crowd = Array.from({ length: 8 }, () => setup({ exchange: silent }, shared));
  const codes: Promise<unknown>[] = [];
  for (const { respond } of crowd)
    for (let i = 0; i < 200; i++) codes.push(respond(queryFor(`n${i}.example.com`)).then(rcodeOf));
  assert.ok(shared.waiting.count >= 1024);
  const calm = setup({}, shared);
  assert.equal(rcodeOf(await calm.respond(queryFor('example.com'))), 'NOERROR');
  assert.equal(calm.asked.length, 1);
  for (const { clock } of crowd) clock.advance(5000);
  assert.deepEqual(new Set(await Promise.all(codes)), new Set(['SERVFAIL']));
  assert.equal(shared.waiting.count, 0);
});

test('whatever comes is answered or ignored, and never throws', async () => {
  const { responder } = setup();
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 90 }), fc.boolean(), async (bytes, isQuery) => {
      const message = isQuery ? Buffer.concat([Buffer.from('000701000001000000000000', 'hex'), bytes]) : bytes;
      const answer = await responder.respond(message, { protocol: 'udp', serverIndex: 0 });
      if (answer) assert.ok(answer.length >= 12);
    }),
    { seed: 8, numRuns: 3000 },
  );
});
