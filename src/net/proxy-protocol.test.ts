import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeProxyHeader, proxyTlv } from './proxy-protocol.ts';

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
