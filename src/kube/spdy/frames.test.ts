import { deepEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { controlFrame, dataHead, FrameReader, frameType, words } from './frames.ts';

function readAll(chunks: readonly Buffer[]): unknown[] {
  const seen: unknown[] = [];
  let text = '';
  const reader = new FrameReader({
    data(streamId, bytes, isLast) {
      text += bytes.toString();
      if (isLast) seen.push(['data', streamId, text]);
    },
    control: (type, flags, payload) => seen.push([type, flags, payload.toString('hex')]),
  });
  for (const chunk of chunks) reader.read(chunk);
  return seen;
}

const bytes = Buffer.concat([
  controlFrame(frameType.ping, 0, words(7)),
  dataHead(1, 5, 0),
  Buffer.from('hello'),
  controlFrame(frameType.rstStream, 0, words(3, 5)),
  dataHead(1, 6, 1),
  Buffer.from(' world'),
  dataHead(5, 0, 1),
]);

test('frames are the same however their bytes are cut', () => {
  const whole = readAll([bytes]);
  deepEqual(whole, [
    [frameType.ping, 0, '00000007'],
    [frameType.rstStream, 0, '0000000300000005'],
    ['data', 1, 'hello world'],
    ['data', 5, 'hello world'],
  ]);
  for (const size of [1, 2, 3, 7, 11]) {
    const chunks = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
    deepEqual(readAll(chunks), whole);
  }
});

test('a frame that is wrong ends the reading', () => {
  const wrong = [
    // HTTP instead of SPDY: a data frame of stream 0x47455420 may be that, a control frame of version 2 not.
    Buffer.from('8002000100000000', 'hex'),
    Buffer.from('80030001ffffffff', 'hex').fill(0xff, 5),
    Buffer.from('0000000000000001', 'hex'),
  ];
  for (const frame of wrong) throws(() => readAll([frame]), { code: 'kube.spdy' });
});
