import { deepEqual, equal, throws } from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { createDeflate, createInflate, deflateSync } from 'node:zlib';
import { flushed } from './fake-spdy-client.ts';
import { headerDictionary, HeaderReader, HeaderWriter } from './headers.ts';

/** Blocks that kubectl 1.35 sent one after another on one connection. */
const kubectlBlocks = [
  '78f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff',
  'c22ac5565c92925f5a02000000ffff',
];

test('the dictionary is the one that streams name e3c6a7c2', () => {
  let a = 1;
  let b = 0;
  for (const byte of headerDictionary) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  equal(headerDictionary.length, 1423);
  equal(((b * 65_536 + a) >>> 0).toString(16), 'e3c6a7c2');
});

test('blocks of kubectl are read in their order', () => {
  const reader = new HeaderReader();
  const read = kubectlBlocks.map((block) => [...reader.read(Buffer.from(block, 'hex'))]);
  deepEqual(read, [[['streamtype', 'error']], [['streamtype', 'stdout']]]);
});

test('a block refers to what came 32 KiB before, and no further back', async () => {
  const deflate = createDeflate({ dictionary: headerDictionary, level: 9 });
  const reader = new HeaderReader();
  for (let i = 0; i < 200; i++) {
    const value = `${'abcdefghij'.repeat(50)}${i}`;
    const block = Buffer.alloc(12 + 4 + value.length);
    block.writeUInt32BE(1, 0);
    block.writeUInt32BE(4, 4);
    block.write('port', 8);
    block.writeUInt32BE(value.length, 12);
    block.write(value, 16);
    deflate.write(block);
    equal(reader.read(await flushed(deflate)).get('port'), value);
  }
});

test('what is written can be read by zlib at once, block by block', async () => {
  const writer = new HeaderWriter();
  const inflate = createInflate();
  for (const headers of [new Map([['a', 'b']]), new Map<string, string>(), new Map([['name', 'value']])]) {
    inflate.write(writer.write(headers));
    await once(inflate, 'readable');
    const block = inflate.read() as Buffer;
    equal(block.readUInt32BE(0), headers.size);
    for (const text of [...headers].flat()) equal(block.includes(text), true);
  }
});

test('hostile blocks are refused', () => {
  const bad = {
    'no zlib': Buffer.from('0102030405', 'hex'),
    'another dictionary': Buffer.from('78f900000001', 'hex'),
    'a bomb': deflateSync(Buffer.alloc(10_000_000), { level: 9 }),
    'more pairs than it holds': deflateSync(Buffer.from('0000000500000001', 'hex')),
    'too many pairs': deflateSync(Buffer.from('ffffffff', 'hex')),
    'a text longer than the block': deflateSync(Buffer.from('00000001ffffffff', 'hex')),
    nothing: Buffer.alloc(0),
  };
  for (const [name, block] of Object.entries(bad))
    throws(() => new HeaderReader().read(block), { code: 'kube.spdy' }, name);
});
