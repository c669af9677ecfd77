import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MeshAddress } from '../../api/workload.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../mesh/fixtures.ts';
import { MeshState } from '../../mesh/index.ts';
import { requestedHost, undialledAddress } from './requested-host.ts';

const names = { pattern: '*.example.com', port: 80 };

describe('a host that a client names', () => {
  const found = (asked: string | undefined, servicePort = 80): string => {
    const host = requestedHost(names, asked, servicePort);
    return host.kind === 'host' ? host.hostname : host.why;
  };

  it('is resolved when it is under the wildcard, at any depth and in any case', () => {
    assert.equal(found('a.example.com'), 'a.example.com');
    assert.equal(found('A.b.EXAMPLE.com'), 'a.b.example.com');
    assert.equal(found('a-1._x.example.com'), 'a-1._x.example.com');
    assert.equal(found('a.example.com:8080', 8080), 'a.example.com');
  });

  it('is refused when it is another, or none', () => {
    for (const asked of ['example.com', 'aexample.com', 'a.example.com.evil.test', 'evil.test', 'localhost'])
      assert.equal(found(asked), 'outside', asked);
    for (const asked of [undefined, '', ':80']) assert.equal(found(asked), 'no-host');
  });

  it('is refused under any name but the one that policies would know it by', () => {
    for (const asked of ['a.example.com.', '.example.com', 'a..example.com', '-a.example.com', 'a%2e.example.com'])
      assert.equal(found(asked), 'not-a-host', asked);
    for (const asked of [
      '127.0.0.1',
      '[::1]',
      '::1',
      'a.example.com\0',
      'a b.example.com',
      'u@a.example.com',
      'ä.example.com',
    ])
      assert.equal(found(asked), 'not-a-host', asked);
    assert.equal(found(`${'a'.repeat(64)}.example.com`), 'not-a-host');
    assert.equal(found(`${'a.'.repeat(125)}example.com`), 'not-a-host');
    assert.equal(found('a.example.com:80'), 'other-port', 'which goes without saying');
    assert.equal(found('a.example.com:22'), 'other-port');
    assert.equal(found('a.example.com:443', 8080), 'other-port');
  });

  it('is none at all under a pattern that is no wildcard of a domain', () => {
    assert.equal(requestedHost({ pattern: '*', port: 80 }, 'a.example.com', 80).kind, 'refused');
    assert.equal(requestedHost({ pattern: 'a.example.com', port: 80 }, 'b.a.example.com', 80).kind, 'refused');
  });
});

describe('an address that DNS gave', () => {
  const mesh = new MeshState();
  const own = meshWorkload({ name: 'waypoint', namespace: 'shop', addresses: ['10.244.0.5', 'fd00:10:244::5'] });
  const pod = meshWorkload({ name: 'db', namespace: 'shop', addresses: ['10.244.0.9'] });
  const hidden = meshService({
    namespace: 'other',
    visibility: 'namespace',
    addresses: [
      { network: defaultNetwork, ip: '10.96.0.10' },
      { network: defaultNetwork, ip: '172.16.0.0', prefixLength: 12 },
    ],
  });
  const updated: MeshAddress[] = [
    { kind: 'workload', workload: own },
    { kind: 'workload', workload: pod },
    { kind: 'service', service: hidden },
  ];
  mesh.applyAddresses({ updated, removed: [] });
  const refusal = (ip: string): string | undefined =>
    undialledAddress(ip, { mesh, own, ownAddress: '10.244.0.5', network: defaultNetwork });

  it('is dialled when it is outside of the mesh, private or not', () => {
    for (const ip of [
      '93.184.215.14',
      '198.51.100.1',
      '10.1.2.3',
      '192.168.0.1',
      '2606:2800::1',
      'fd12::1',
      '172.16.9.9',
    ])
      assert.equal(refusal(ip), undefined, ip);
  });

  it('is not when it is the proxy, its machine, or its platform', () => {
    const cases: readonly (readonly [RegExp, readonly string[]])[] = [
      [/the proxy itself/, ['10.244.0.5', 'fd00:10:244::5']],
      [/loopback/, ['127.0.0.1', '127.9.9.9', '::1', '64:ff9b::127.0.0.1', '::127.0.0.1', '2002:7f00:1::']],
      [/link-local/, ['169.254.169.254', '169.254.170.2', 'fe80::1', '64:ff9b::169.254.169.254', '2002:a9fe:a9fe::1']],
      [/of the platform/, ['100.100.100.200', '168.63.129.16', 'fd00:ec2::254', 'fd20:ce::254']],
      [/unspecified/, ['0.0.0.0', '0.1.2.3', '::']],
      [/multicast/, ['224.0.0.1', 'ff02::1']],
      [/reserved/, ['240.240.0.7', '255.255.255.255', '2001:2::7', '64:ff9b:1::7f00:1']],
      [/no IP/, ['nonsense', 'fe80::1%eth0']],
    ];
    for (const [reason, ips] of cases) for (const ip of ips) assert.match(refusal(ip) ?? 'dialled', reason, ip);
  });

  it('is not when it is of the mesh, seen from our namespace or not: that would go past its waypoint', () => {
    assert.match(refusal('10.244.0.9') ?? '', /shop\/db of the mesh/);
    assert.match(refusal('64:ff9b::10.244.0.9') ?? '', /shop\/db of the mesh/);
    assert.match(refusal('10.96.0.10') ?? '', /a Service of the mesh/);
  });
});
