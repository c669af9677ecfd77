import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AmbitError } from './errors.ts';
import {
  canonicalIp,
  cidrContains,
  formatCidr,
  formatHostPort,
  formatIp,
  isLoopback,
  parseCidr,
  parseIp,
  tryParseCidr,
  tryParseIp,
} from './ip.ts';

const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 });
/** Addresses with runs of zeros, where the text form is hard. */
const sparseIpv6 = fc
  .array(fc.oneof(fc.constant([0, 0]), fc.tuple(fc.nat(255), fc.nat(255))), { minLength: 8, maxLength: 8 })
  .map((groups) => Uint8Array.from(groups.flat()));

describe('IP text', () => {
  // RFC 5952, sections 4 and 5.
  const canonical: readonly (readonly [string, string])[] = [
    ['2001:0db8:0000:0000:0000:0000:0002:0001', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8::A', '2001:db8::a'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['10.0.0.1', '10.0.0.1'],
  ];
  for (const [text, expected] of canonical) {
    it(`writes ${text} as ${expected}`, () => assert.equal(canonicalIp(text), expected));
  }

  for (const text of [
    '',
    '10.0.0',
    '010.0.0.1',
    '10.0.0.256',
    ':::',
    '1::2::3',
    'fe80::1%eth0',
    '[::1]',
    'localhost',
  ]) {
    it(`takes "${text}" for no address`, () => {
      assert.equal(tryParseIp(text), undefined);
      assert.equal(canonicalIp(text), text);
      assert.throws(() => parseIp(text), { code: 'ip.invalid', message: `Cannot parse IP address "${text}"` });
    });
  }

  it('gives back the bytes it wrote', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6, sparseIpv6), (bytes) => {
        const read = parseIp(formatIp(bytes));
        const isMapped = bytes.length === 16 && read.length === 4;
        assert.deepEqual([...read], [...(isMapped ? bytes.slice(12) : bytes)]);
      }),
      { seed: 1 },
    );
  });

  it('writes IPv6 as the URL standard does', () => {
    fc.assert(
      fc.property(fc.oneof(ipv6, sparseIpv6), (bytes) => {
        const text = formatIp(bytes);
        if (text.includes(':')) assert.equal(`[${text}]`, new URL(`http://[${text}]/`).hostname);
      }),
      { seed: 2 },
    );
  });

  it('refuses byte arrays that are no address', () => {
    assert.throws(() => formatIp(new Uint8Array(5)), /4 or 16 bytes/);
  });

  it('knows loopback addresses', () => {
    const loopback = ['127.0.0.1', '127.255.0.3', '::1', '::ffff:127.0.0.1'];
    const other = ['128.0.0.1', '::', '::2', '1::1', '0.0.0.0'];
    assert.deepEqual(
      loopback.filter((text) => !isLoopback(parseIp(text))),
      [],
    );
    assert.deepEqual(
      other.filter((text) => isLoopback(parseIp(text))),
      [],
    );
  });

  it('puts brackets around IPv6 hosts', () => {
    assert.equal(formatHostPort('::1', 80), '[::1]:80');
    assert.equal(formatHostPort('10.0.0.1', 80), '10.0.0.1:80');
  });
});

describe('CIDR blocks', () => {
  it('contains what node:net says it contains', () => {
    const block = fc.oneof(
      fc.record({ network: ipv4, prefixLength: fc.nat(32) }),
      fc.record({ network: ipv6, prefixLength: fc.nat(128) }),
    );
    // Mostly near the block, so that both answers come up.
    const nearby = block.chain(({ network, prefixLength }) =>
      fc
        .nat(network.length * 8 - 1)
        .map((bit) => network.map((byte, i) => (i === bit >> 3 ? byte ^ (0x80 >> (bit & 7)) : byte)))
        .map((ip) => ({ network, prefixLength, ip })),
    );
    fc.assert(
      fc.property(nearby, ({ network, prefixLength, ip }) => {
        const family = network.length === 4 ? 'ipv4' : 'ipv6';
        const list = new BlockList();
        list.addSubnet(formatIp(network), prefixLength, family);
        const cidr = parseCidr(`${formatIp(network)}/${prefixLength}`);
        assert.equal(cidrContains(cidr, ip), list.check(formatIp(ip), family));
      }),
      { seed: 3 },
    );
  });

  it('clears host bits, and takes a bare address for a block of one', () => {
    assert.equal(formatCidr(parseCidr('10.1.2.3/8')), '10.0.0.0/8');
    assert.equal(formatCidr(parseCidr('2001:db8:ffff::/33')), '2001:db8:8000::/33');
    assert.equal(formatCidr(parseCidr('10.1.2.3')), '10.1.2.3/32');
    assert.equal(formatCidr(parseCidr('::1')), '::1/128');
  });

  it('folds IPv4-mapped blocks', () => {
    assert.equal(formatCidr(parseCidr('::ffff:10.1.2.3/104')), '10.0.0.0/8');
    assert.equal(tryParseCidr('::ffff:10.1.2.3/8'), undefined);
  });

  it('never mixes the families', () => {
    assert.equal(cidrContains(parseCidr('0.0.0.0/0'), parseIp('::1')), false);
    assert.equal(cidrContains(parseCidr('::/0'), parseIp('10.0.0.1')), false);
  });

  for (const text of [
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '10.0.0.0/08',
    '::/129',
    '/8',
    '10.0.0.0/8/8',
    'x/8',
  ]) {
    it(`takes "${text}" for no block`, () => {
      assert.equal(tryParseCidr(text), undefined);
      assert.throws(
        () => parseCidr(text),
        (error) => error instanceof AmbitError && error.code === 'ip.invalid-cidr' && error.message.includes(text),
      );
    });
  }
});
