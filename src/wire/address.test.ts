import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  defaultClusterId,
  serviceKey,
  type ClusterId,
  type NetworkId,
  type PolicyKey,
  type WorkloadUid,
} from '../api/names.ts';
import type { GatewayAddress, MeshAddress, MeshService, MeshWorkload, ServicePort } from '../api/workload.ts';
import { addressAliases, addressName, decodeAddress, encodeAddress } from './address.ts';
import { resourceVersion } from './resource.ts';

const workload: MeshWorkload = {
  uid: 'Kubernetes//Pod/shop/web-1' as WorkloadUid,
  name: 'web-1',
  namespace: 'shop',
  addresses: ['10.244.1.2'],
  hostname: '',
  network: '' as NetworkId,
  tunnelProtocol: 'hbone',
  nativeTunnel: false,
  trustDomain: 'cluster.local',
  serviceAccount: 'web',
  node: '',
  canonicalName: '',
  canonicalRevision: '',
  workloadType: 'deployment',
  workloadName: '',
  services: new Map([
    [serviceKey('shop', 'web.shop.svc.cluster.local'), [{ servicePort: 80, targetPort: 8080, appProtocol: 'unknown' }]],
  ]),
  authorizationPolicies: [],
  status: 'healthy',
  clusterId: defaultClusterId,
  locality: { region: '', zone: '', subzone: '' },
  networkMode: 'standard',
  capacity: 1,
};

describe('istio.workload.Address', () => {
  test('a workload has the field numbers of the protocol', () => {
    const inner = [
      field(1, 'web-1'),
      field(2, 'shop'),
      field(3, Uint8Array.of(10, 244, 1, 2)),
      Uint8Array.of((5 << 3) | 0, 1),
      field(7, 'web'),
      field(20, 'Kubernetes//Pod/shop/web-1'),
      field(
        22,
        Buffer.concat([
          field(1, 'shop/web.shop.svc.cluster.local'),
          field(2, field(1, Uint8Array.of((1 << 3) | 0, 80, (2 << 3) | 0, 0x90, 0x3f))),
        ]),
      ),
    ];
    const bytes = encodeAddress({ kind: 'workload', workload });
    const golden = field(1, Buffer.concat(inner));
    // Fields may come in any order on the wire: compare them as a set.
    assert.equal(bytes.length, golden.length);
    for (const part of inner) assert.ok(Buffer.from(bytes).includes(part), part.toString('hex'));
    assert.deepEqual(decodeAddress(golden), { kind: 'workload', workload });
  });

  test('a service has the field numbers of the protocol', () => {
    const gateway = Buffer.concat([
      field(1, Buffer.concat([field(1, 'shop'), field(2, 'wp')])),
      Uint8Array.of((3 << 3) | 0, 0xa0, 0x75),
    ]);
    const golden = field(
      2,
      Buffer.concat([
        field(1, 'web'),
        field(2, 'shop'),
        field(3, 'web.shop'),
        field(4, Buffer.concat([field(2, Uint8Array.of(10, 96, 0, 9)), Uint8Array.of((3 << 3) | 0, 24)])),
        field(6, 'spiffe://td/ns/a/sa/b'),
        field(7, gateway),
        field(8, Buffer.concat([field(1, Uint8Array.of(6, 1)), Uint8Array.of(16, 2, 24, 1)])),
        Uint8Array.of((9 << 3) | 0, 3, (11 << 3) | 0, 1, (12 << 3) | 0, 1),
        field(13, Buffer.concat([field(1, gateway), Uint8Array.of(16, 7)])),
        Uint8Array.of((14 << 3) | 0, 1),
      ]),
    );
    const waypoint: GatewayAddress = {
      destination: { kind: 'hostname', namespace: 'shop', hostname: 'wp' },
      hboneMtlsPort: 15008,
    };
    const address: MeshAddress = {
      kind: 'service',
      service: {
        name: 'web',
        namespace: 'shop',
        hostname: 'web.shop',
        addresses: [{ network: '' as NetworkId, ip: '10.96.0.9', prefixLength: 24 }],
        ports: [],
        subjectAltNames: ['spiffe://td/ns/a/sa/b'],
        waypoint,
        weightedWaypoints: [{ destination: waypoint, weight: 7 }],
        loadBalancing: { routingPreference: ['network', 'region'], mode: 'failover', healthPolicy: 'allow-all' },
        ipFamilies: 'dual',
        canonical: true,
        ingressUseWaypoint: true,
        visibility: 'namespace',
      },
    };
    assert.deepEqual(decodeAddress(golden), address);
    assert.deepEqual(Buffer.from(encodeAddress(address)), golden);
  });

  test('every value comes back, and equal values give equal bytes', () => {
    fc.assert(
      fc.property(addresses, (address) => {
        const bytes = encodeAddress(address);
        assert.deepEqual(decodeAddress(bytes), address);
        assert.equal(resourceVersion(encodeAddress(decodeAddress(bytes))), resourceVersion(bytes));
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  test('the order of services does not change the bytes', () => {
    const ports: ServicePort[] = [];
    const keys = ['b/x', 'a/y', 'c/z'].map((key) => serviceKey(key.slice(0, 1), key.slice(2)));
    const one = encodeAddress({
      kind: 'workload',
      workload: { ...workload, services: new Map(keys.map((key) => [key, ports])) },
    });
    const two = encodeAddress({
      kind: 'workload',
      workload: { ...workload, services: new Map(keys.toReversed().map((key) => [key, ports])) },
    });
    assert.deepEqual(one, two);
  });

  test('what it may reach travels as an extension, and extensions of others are passed over', () => {
    const any = (type: string, value: Uint8Array): Buffer =>
      Buffer.concat([field(1, `type.googleapis.com/${type}`), field(2, value)]);
    const withExtension = (name: string, config: Buffer): Buffer =>
      field(1, Buffer.concat([field(20, 'u'), field(26, Buffer.concat([field(1, name), field(2, config)]))]));
    const own = 'ambit.io/outbound-traffic-policy';
    const type = 'ambit.workload.OutboundTrafficPolicy';
    const modeOf = (bytes: Buffer): string | undefined => {
      const address = decodeAddress(bytes);
      return address.kind === 'workload' ? address.workload.outboundMode : undefined;
    };
    assert.equal(modeOf(withExtension(own, any(type, Uint8Array.of(8, 1)))), 'registry-only');
    assert.equal(modeOf(withExtension(own, any(type, Uint8Array.of(8, 0)))), undefined);
    assert.equal(modeOf(withExtension('example.com/other', any('example.Other', Uint8Array.of(8, 1)))), undefined);
    // A restriction that cannot be read must not become none.
    assert.throws(() => modeOf(withExtension(own, any(type, Uint8Array.of(8, 9)))), { code: 'wire.unknown-enum' });
    assert.throws(() => modeOf(withExtension(own, any('example.Other', Uint8Array.of(8, 1)))), {
      code: 'wire.unknown-field',
    });
    const encoded = encodeAddress({ kind: 'workload', workload: { ...workload, outboundMode: 'registry-only' } });
    assert.ok(
      Buffer.from(encoded).includes(
        field(26, Buffer.concat([field(1, own), field(2, any(type, Uint8Array.of(8, 1)))])),
      ),
    );
  });

  test('a block of one address is that address, in either family', () => {
    const blockOf = (address: readonly number[], length: number): unknown => {
      const block = Buffer.concat([field(2, Uint8Array.from(address)), Uint8Array.of(24), varint(length)]);
      const found = decodeAddress(field(2, Buffer.concat([field(2, 'n'), field(3, 'h'), field(4, block)])));
      return found.kind === 'service' ? found.service.addresses[0] : undefined;
    };
    const v6 = [0xfd, 1, ...Array.from({ length: 13 }, () => 0), 1];
    const mapped = [...Array.from({ length: 10 }, () => 0), 0xff, 0xff, 10, 1, 1, 1];
    assert.deepEqual(blockOf([10, 1, 1, 1], 32), { network: '', ip: '10.1.1.1' });
    assert.deepEqual(blockOf(v6, 128), { network: '', ip: 'fd01::1' });
    assert.deepEqual(blockOf(mapped, 128), { network: '', ip: '10.1.1.1' });
    assert.deepEqual(blockOf([10, 1, 1, 0], 31), { network: '', ip: '10.1.1.0', prefixLength: 31 });
    assert.deepEqual(blockOf(v6, 32), { network: '', ip: 'fd01::1', prefixLength: 32 });
  });

  test('what is not understood is refused with the name of the field', () => {
    const uid = field(20, 'u');
    const refused: [string, Uint8Array, string, RegExp][] = [
      ['no type', new Uint8Array(), 'wire.missing-field', /Address/],
      ['no uid', field(1, field(1, 'x')), 'wire.missing-field', /workload\.uid/],
      ['legacy mTLS', field(1, Buffer.concat([uid, Uint8Array.of(40, 2)])), 'wire.unknown-enum', /tunnel_protocol/],
      ['unknown status', field(1, Buffer.concat([uid, Uint8Array.of(0x88, 1, 9)])), 'wire.unknown-enum', /status/],
      [
        '5 byte address',
        field(1, Buffer.concat([uid, field(3, new Uint8Array(5))])),
        'wire.invalid-address',
        /addresses\[0\]/,
      ],
      ['service key', field(1, Buffer.concat([uid, field(22, field(1, 'a/b/c'))])), 'wire.invalid-name', /a\/b\/c/],
      [
        'gateway without destination',
        field(1, Buffer.concat([uid, field(8, new Uint8Array())])),
        'wire.missing-field',
        /waypoint\.destination/,
      ],
      [
        'port',
        field(2, Buffer.concat([field(2, 'n'), field(3, 'h'), field(5, Uint8Array.of(8, 0x80, 0x80, 4))])),
        'wire.invalid-port',
        /ports\[0\]\.service_port: 65536/,
      ],
      [
        'prefix',
        field(
          2,
          Buffer.concat([
            field(2, 'n'),
            field(3, 'h'),
            field(4, Buffer.concat([field(2, new Uint8Array(4)), Uint8Array.of(24, 33)])),
          ]),
        ),
        'wire.invalid-cidr',
        /addresses\[0\]\.length/,
      ],
      ['garbage', Uint8Array.of(10, 200, 1), 'wire.malformed', /not a valid message/],
    ];
    for (const [what, bytes, code, message] of refused) {
      assert.throws(() => decodeAddress(bytes), { code, message }, what);
    }
  });

  test('random bytes are refused or read, and nothing else is thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          decodeAddress(bytes);
        } catch (error) {
          assert.match((error as { code: string }).code, /^wire\./);
        }
      }),
      { seed: 7, numRuns: 2000 },
    );
  });

  test('names and aliases are those of WDS', () => {
    assert.equal(addressName({ kind: 'workload', workload }), 'Kubernetes//Pod/shop/web-1');
    assert.deepEqual(addressAliases({ kind: 'workload', workload }), ['/10.244.1.2']);
    assert.deepEqual(addressAliases({ kind: 'workload', workload: { ...workload, networkMode: 'host-network' } }), []);
  });
});

/** A length-delimited field, by hand. */
function field(number: number, content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

/** Records as the decoder makes them: with a prototype. */
function plainRecord<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const text = fc.stringMatching(/^[a-z0-9.-]{1,12}$/);
const maybeText = fc.option(text, { nil: '' });
const port = fc.integer({ min: 0, max: 65535 });
const ipv4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)).map((parts) => parts.join('.'));
const ip = fc.oneof(ipv4, fc.constantFrom('fd00::1', '2001:db8::42', '::1'));
const network = maybeText.map((name) => name as NetworkId);
const networkAddress = fc.oneof(
  plainRecord({ network, ip }),
  plainRecord({ network, ip: ipv4, prefixLength: fc.nat(31) }),
);
const gateway: fc.Arbitrary<GatewayAddress> = plainRecord({
  destination: fc.oneof(
    plainRecord({ kind: fc.constant('hostname' as const), namespace: text, hostname: text }),
    plainRecord({ kind: fc.constant('address' as const), address: networkAddress }),
  ),
  hboneMtlsPort: port,
});
const ports = fc.array(
  plainRecord({
    servicePort: port,
    targetPort: port,
    appProtocol: fc.constantFrom('unknown', 'http11', 'http2', 'grpc', 'tcp', 'tls'),
  }),
  { maxLength: 3 },
);
const services: fc.Arbitrary<MeshService> = fc.record(
  {
    name: maybeText,
    namespace: text,
    hostname: text,
    addresses: fc.array(networkAddress, { maxLength: 3 }),
    ports,
    subjectAltNames: fc.array(text, { maxLength: 2 }),
    waypoint: gateway,
    weightedWaypoints: fc.array(plainRecord({ destination: gateway, weight: fc.nat(1000) }), { maxLength: 2 }),
    loadBalancing: plainRecord({
      routingPreference: fc.array(fc.constantFrom('region', 'zone', 'subzone', 'node', 'cluster', 'network')),
      mode: fc.constantFrom('unspecified', 'strict', 'failover', 'passthrough'),
      healthPolicy: fc.constantFrom('only-healthy', 'allow-all'),
    }),
    ipFamilies: fc.constantFrom('automatic', 'ipv4', 'ipv6', 'dual'),
    canonical: fc.boolean(),
    ingressUseWaypoint: fc.boolean(),
    visibility: fc.constantFrom('public', 'namespace'),
    exportTo: fc.array(text, { maxLength: 2 }),
  },
  {
    noNullPrototype: true,
    requiredKeys: [
      'name',
      'namespace',
      'hostname',
      'addresses',
      'ports',
      'subjectAltNames',
      'weightedWaypoints',
      'ipFamilies',
      'canonical',
      'ingressUseWaypoint',
      'visibility',
    ],
  },
);
const restricted = fc.constantFrom<Pick<MeshWorkload, 'outboundMode'>[]>({}, { outboundMode: 'registry-only' });
const workloads: fc.Arbitrary<MeshWorkload> = fc
  .tuple(
    restricted,
    plainRecord({
      uid: text.map((uid) => uid as WorkloadUid),
      name: maybeText,
      namespace: maybeText,
      addresses: fc.array(ip, { maxLength: 2 }),
      hostname: maybeText,
      network,
      tunnelProtocol: fc.constantFrom('none', 'hbone'),
      nativeTunnel: fc.boolean(),
      trustDomain: fc.constantFrom('cluster.local', 'other.example'),
      serviceAccount: fc.constantFrom('default', 'web'),
      waypoint: gateway,
      networkGateway: gateway,
      node: maybeText,
      canonicalName: maybeText,
      canonicalRevision: maybeText,
      workloadType: fc.constantFrom('deployment', 'cronjob', 'pod', 'job'),
      workloadName: maybeText,
      applicationTunnel: plainRecord({ protocol: fc.constantFrom('none', 'proxy'), port }),
      services: fc
        .array(fc.tuple(text, text, ports), { maxLength: 3 })
        .map((entries) => new Map(entries.map(([namespace, host, list]) => [serviceKey(namespace, host), list]))),
      authorizationPolicies: fc.array(
        fc.tuple(text, text).map((parts) => parts.join('/') as PolicyKey),
        { maxLength: 2 },
      ),
      status: fc.constantFrom('healthy', 'unhealthy'),
      clusterId: fc.constantFrom('Kubernetes', 'west').map((id) => id as ClusterId),
      locality: plainRecord({ region: maybeText, zone: maybeText, subzone: maybeText }),
      networkMode: fc.constantFrom('standard', 'host-network'),
      capacity: fc.nat(1000),
    }),
  )
  .map(([more, plain]) => ({ ...plain, ...more }));
const addresses: fc.Arbitrary<MeshAddress> = fc.oneof(
  workloads.map((value): MeshAddress => ({ kind: 'workload', workload: value })),
  services.map((value): MeshAddress => ({ kind: 'service', service: value })),
);
