import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  decodeZdsAck,
  decodeZdsHello,
  decodeZdsRequest,
  encodeZdsAck,
  encodeZdsHello,
  encodeZdsRequest,
  zdsPacketBytes,
  type ZdsRequest,
} from './zds.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('ZDS packets', () => {
  test('the bytes are those of the protocol', () => {
    assert.equal(hex(encodeZdsHello()), '0801');
    assert.equal(hex(encodeZdsRequest({ kind: 'snapshot-sent' })), '1a00');
    assert.equal(hex(encodeZdsRequest({ kind: 'del', uid: 'u' })), '1203' + '120175');
    assert.equal(hex(encodeZdsRequest({ kind: 'keep', uid: 'u' })), '2a03' + '0a0175');
    const add: ZdsRequest = { kind: 'add', uid: 'u', pod: { name: 'a', namespace: 'b', serviceAccount: 'c' } };
    assert.equal(hex(encodeZdsRequest(add)), '0a0e' + '0a0175' + '1209' + '0a0161' + '120162' + '1a0163');
    assert.equal(hex(encodeZdsAck()), '0a00');
    assert.equal(hex(encodeZdsAck('e')), '0a03' + '0a0165');
  });

  test('every request comes back', () => {
    const requests: ZdsRequest[] = [
      { kind: 'add', uid: 'u', pod: { name: 'a', namespace: 'b', serviceAccount: 'c' } },
      {
        kind: 'add',
        uid: 'u',
        pod: {
          name: 'a',
          namespace: 'b',
          serviceAccount: 'c',
          resolver: { nameservers: ['10.96.0.10', 'fd00::a'], search: ['b.svc.cluster.local'], ndots: 5 },
        },
      },
      { kind: 'keep', uid: 'u' },
      { kind: 'del', uid: 'u' },
      { kind: 'snapshot-sent' },
    ];
    for (const request of requests) assert.deepEqual(decodeZdsRequest(encodeZdsRequest(request)), request);
    assert.deepEqual([...decodeZdsHello(encodeZdsHello())], []);
    assert.deepEqual([...decodeZdsHello(encodeZdsHello(['resolver']))], ['resolver']);
    assert.equal(decodeZdsAck(encodeZdsAck()), undefined);
    assert.equal(decodeZdsAck(encodeZdsAck('no')), 'no');
  });

  test('a packet that cannot be right is refused', () => {
    assert.throws(() => decodeZdsHello(new Uint8Array()), { code: 'wire.unknown-enum' });
    assert.throws(() => decodeZdsRequest(new Uint8Array()), { code: 'wire.missing-field' });
    assert.throws(() => decodeZdsRequest(Buffer.from('0a030a0175', 'hex')), {
      code: 'wire.missing-field',
      message: /workload_info/,
    });
    assert.throws(() => decodeZdsRequest(Buffer.from('1200', 'hex')), {
      code: 'wire.missing-field',
      message: /del\.uid/,
    });
    assert.throws(() => decodeZdsRequest(Buffer.from('12', 'hex')), { code: 'wire.malformed' });
    assert.throws(() => decodeZdsAck(new Uint8Array()), { code: 'wire.missing-field' });
  });

  test('no packet is longer than the other end reads', () => {
    assert.throws(() => encodeZdsRequest({ kind: 'del', uid: 'u'.repeat(2000) }), { code: 'wire.too-long' });
    assert.ok(encodeZdsAck('é'.repeat(2000)).length <= zdsPacketBytes);
  });
});
