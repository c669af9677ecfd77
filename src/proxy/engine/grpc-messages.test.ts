import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GrpcMessages } from './grpc-messages.ts';

function bodyOf(lengths: readonly number[]): Buffer {
  return Buffer.concat(
    lengths.map((length) => {
      const message = Buffer.alloc(5 + length, 0xff);
      message[0] = 0;
      message.writeUInt32BE(length, 1);
      return message;
    }),
  );
}

test('messages are counted however their bytes come', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }),
      (lengths, steps) => {
        const body = bodyOf(lengths);
        const messages = new GrpcMessages();
        for (let at = 0, i = 0; at < body.length; i++) {
          const end = at + (steps[i % steps.length] ?? 1);
          messages.push(body.subarray(at, end));
          at = end;
        }
        assert.equal(messages.count, lengths.length);
      },
    ),
    { seed: 8, numRuns: 300 },
  );
});

test('a message counts as soon as its length is there', () => {
  const messages = new GrpcMessages();
  messages.push(bodyOf([100]).subarray(0, 4));
  assert.equal(messages.count, 0);
  messages.push(bodyOf([100]).subarray(4, 10));
  assert.equal(messages.count, 1);
});
