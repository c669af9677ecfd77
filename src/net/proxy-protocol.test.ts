import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeProxyHeader, encodeProxyHeaderV1, proxyTlv } from './proxy-protocol.ts';

const prefix = '0d0a0d0a000d0a515549540a';
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('IPv4 ends take twelve bytes, then the TLVs', () => {
  const header = encodeProxyHeader({
    source: { address: '10.1.2.3', port: 0x1234 },
    destination: { address: '10.96.0.1', port: 80 },
    tlvs: [{ type: proxyTlv.sourceIdentity, value: 'spiffe://a' }],
  });
  assert.equal(
    hex(header),
    `${prefix}21110019${'0a010203'}${'0a600001'}12340050d0000a${hex(Buffer.from('spiffe://a'))}`,
  );
});

test('IPv6 ends take thirty-six bytes', () => {
  const header = encodeProxyHeader({
    source: { address: 'fd00::1', port: 1 },
    destination: { address: 'fd00::2', port: 2 },
  });
  assert.equal(
    hex(header),
    `${prefix}21210024fd000000000000000000000000000001fd00000000000000000000000000000200010002`,
  );
});

test('ends of two families are both told as IPv6', () => {
  const header = encodeProxyHeader({
    source: { address: '10.1.2.3', port: 1 },
    destination: { address: 'fd00::2', port: 2 },
  });
  assert.match(hex(header), /2121002400000000000000000000ffff0a010203fd/);
});

test('version 1 is one line of text, in one family', () => {
  const line = (source: string, destination: string): string =>
    Buffer.from(
      encodeProxyHeaderV1({
        source: { address: source, port: 40_000 },
        destination: { address: destination, port: 80 },
      }),
    ).toString();
  assert.equal(line('10.0.0.1', '10.96.0.1'), 'PROXY TCP4 10.0.0.1 10.96.0.1 40000 80\r\n');
  assert.equal(line('fd00::1', 'fd00::2'), 'PROXY TCP6 fd00:0:0:0:0:0:0:1 fd00:0:0:0:0:0:0:2 40000 80\r\n');
  assert.equal(line('10.0.0.1', 'fd00::2'), 'PROXY TCP6 0:0:0:0:0:ffff:a00:1 fd00:0:0:0:0:0:0:2 40000 80\r\n');
});
