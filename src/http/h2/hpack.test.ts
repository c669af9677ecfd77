import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HeaderList } from '../header-list.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { huffmanDecode, huffmanEncode, huffmanLength } from './hpack-huffman.ts';

const openDecoder = (maxTableSize = 4096, maxListSize = 65_536): HpackDecoder =>
  new HpackDecoder({ maxTableSize, maxListSize });
const decodeHex = (decoder: HpackDecoder, hex: string): string[] | undefined => {
  const block = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return decoder.decode(block, 0, block.length)?.fields;
};

describe('HPACK', () => {
  it('decodes the Huffman request examples of RFC 7541 C.4 in order', () => {
    const decoder = openDecoder();
    const base = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'];
    assert.deepEqual(decodeHex(decoder, '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'), base);
    assert.deepEqual(decodeHex(decoder, '8286 84be 5886 a8eb 1064 9cbf'), [...base, 'cache-control', 'no-cache']);
    assert.deepEqual(decodeHex(decoder, '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf'), [
      ':method',
      'GET',
      ':scheme',
      'https',
      ':path',
      '/index.html',
      ':authority',
      'www.example.com',
      'custom-key',
      'custom-value',
    ]);
  });

  it('decodes the response examples of RFC 7541 C.6 with eviction at 256 bytes', () => {
    const decoder = openDecoder(256);
    assert.equal(
      decodeHex(
        decoder,
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
      )?.[7],
      'https://www.example.com',
    );
    assert.deepEqual(decodeHex(decoder, '4883 640e ffc1 c0bf')?.slice(0, 4), [
      ':status',
      '307',
      'cache-control',
      'private',
    ]);
    assert.deepEqual(
      decodeHex(
        decoder,
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      )?.slice(-2),
      ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
    );
  });

  it('round-trips any bytes through the Huffman code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const text = Buffer.from(bytes).toString('latin1');
        const coded = Buffer.alloc(huffmanLength(text));
        assert.equal(huffmanEncode(text, coded, 0), coded.length);
        assert.equal(huffmanDecode(coded, 0, coded.length), text);
      }),
      { seed: 7 },
    );
  });

  it('keeps encoder and decoder in step over any lists and table sizes', () => {
    const name = fc.constantFrom(':authority', 'baggage', 'x-a', 'x-b', 'cookie', 'forwarded', 'accept', ':status');
    const value = fc.oneof(fc.constantFrom('200', 'v', ''), fc.string({ maxLength: 200, unit: 'binary-ascii' }));
    const list = fc.array(fc.tuple(name, value), { maxLength: 12 });
    const step = fc.oneof(list, fc.nat({ max: 5000 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const encoder = new HpackEncoder();
        const decoder = openDecoder(5000);
        for (const next of steps) {
          if (typeof next === 'number') encoder.setPeerTableSize(next);
          else {
            const block = encoder.encode(new HeaderList(next.flat()));
            assert.deepEqual(decoder.decode(block, 0, block.length)?.fields, next.flat());
          }
        }
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  it('sends a repeated CONNECT in a few bytes and unique fields plain', () => {
    const encoder = new HpackEncoder();
    const list = (): HeaderList =>
      HeaderList.from({ ':method': 'CONNECT', ':authority': '10.244.1.5:8080', baggage: 'a=b' });
    assert.ok(encoder.encode(list()).length > 20);
    assert.equal(encoder.encode(list()).length, 3);
    const unique = encoder.encode(HeaderList.from({ forwarded: 'for="10.0.0.1:1234"' }));
    assert.ok(unique.includes('for="10.0.0.1:1234"'));
  });

  it('never indexes secrets and passes the mark on', () => {
    const encoder = new HpackEncoder();
    const decoder = openDecoder();
    for (let i = 0; i < 2; i++) {
      const block = encoder.encode(HeaderList.from({ authorization: 'Bearer x' }));
      const list = decoder.decode(block, 0, block.length);
      assert.deepEqual([...(list?.neverIndexed ?? [])], ['authorization']);
      assert.ok(block.length > 8);
    }
  });

  it('reports a list over the limit without losing step', () => {
    const encoder = new HpackEncoder();
    const decoder = openDecoder(4096, 300);
    const long = encoder.encode(HeaderList.from({ 'x-a': 'kept', 'x-long': 'y'.repeat(400) }));
    assert.equal(decoder.decode(long, 0, long.length), undefined);
    const next = encoder.encode(HeaderList.from({ 'x-a': 'kept' }));
    assert.equal(next.length, 1);
    assert.deepEqual(decoder.decode(next, 0, 1)?.fields, ['x-a', 'kept']);
  });

  it('refuses what the RFC calls an error', () => {
    for (const bad of [
      '80',
      'ff80808080808080808001',
      'c0',
      '3fe21f',
      '8220',
      '00',
      '0085ffff',
      '0001618 1ff'.replace(' ', ''),
      '000161847fffffff',
      '0001 61',
    ]) {
      assert.throws(() => decodeHex(openDecoder(), bad), { code: 'h2.compression-error' }, bad);
    }
  });

  it('fails on hostile bytes only with compression errors', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          openDecoder().decode(Buffer.from(bytes), 0, bytes.length);
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'h2.compression-error');
        }
      }),
      { seed: 7, numRuns: 3000 },
    );
  });
});
