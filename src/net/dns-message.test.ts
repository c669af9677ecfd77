import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decode, encode, type Answer, type DecodedPacket, type Packet, type RecordType } from 'dns-packet';
import fc from 'fast-check';
import {
  answersQuery,
  cutAnswer,
  dnsCode,
  dnsId,
  dnsTypeName,
  isTruncatedAnswer,
  maxUdpAnswerBytes,
  parseDnsMessage,
  withDnsId,
  writeAddressAnswer,
  writeErrorAnswer,
  type DnsQuery,
} from './dns-message.ts';
import { DnsStreamReader, frameDnsMessage } from './dns-stream.ts';

const opt = (udpPayloadSize: number, more: object = {}): Answer =>
  ({ type: 'OPT', name: '.', udpPayloadSize, flags: 0, options: [], ...more }) as unknown as Answer;
const queryOf = (name: string, type: RecordType = 'A', more: Partial<Packet> = {}): Buffer =>
  encode({ type: 'query', id: 0x1234, flags: 0x100, questions: [{ name, type }], ...more });
const rcodeOf = (packet: object): unknown => ('rcode' in packet ? packet.rcode : undefined);

function parsed(message: Uint8Array): DnsQuery {
  const result = parseDnsMessage(message);
  if (result.kind !== 'query') throw new Error(result.kind);
  return result.query;
}

function answer(
  message: Uint8Array,
  addresses: string[],
  more: { alias?: string; maxBytes?: number } = {},
): DecodedPacket {
  const bytes = writeAddressAnswer(message, parsed(message), { addresses, ttlSeconds: 30, maxBytes: 65_535, ...more });
  return decode(Buffer.from(bytes));
}

describe('a query', () => {
  test('is read with its name in lower case, type, class and EDNS', () => {
    const query = parsed(queryOf('Web.Shop.svc', 'AAAA', { additionals: [opt(1400, { flags: 0x8000 })] }));
    assert.deepEqual(
      { name: query.name, type: query.type, class: query.class, edns: query.edns, isSigned: query.isSigned },
      {
        name: 'web.shop.svc',
        type: 28,
        class: 1,
        edns: { payloadBytes: 1400, version: 0, dnssecOk: true },
        isSigned: false,
      },
    );
    assert.equal(parsed(queryOf('.')).name, '');
  });

  test('has bytes that are no letters of a host name written out, so that no name of ours equals it', () => {
    const message = queryOf('a.b');
    message[13] = 0x2e;
    assert.equal(parsed(message).name, '\\046.b');
  });

  test('that is signed is known as such', () => {
    const message = Buffer.concat([queryOf('a'), Buffer.from('0000fa00ff00000000000100', 'hex')]);
    message.writeUInt16BE(1, 10);
    assert.equal(parsed(message).isSigned, true);
    assert.equal(parseDnsMessage(message.subarray(0, -1)).kind, 'malformed');
  });

  test('is told from noise, from other opcodes and from what cannot be read', () => {
    assert.equal(parseDnsMessage(new Uint8Array(11)).kind, 'noise');
    assert.equal(
      parseDnsMessage(encode({ type: 'response', id: 1, questions: [{ name: 'a', type: 'A' }] })).kind,
      'noise',
    );
    const update = queryOf('a');
    update.writeUInt8(5 << 3, 2);
    assert.deepEqual(parseDnsMessage(update), { kind: 'other-opcode', opcode: 5 });
    const two = encode({
      type: 'query',
      id: 1,
      questions: [
        { name: 'a', type: 'A' },
        { name: 'b', type: 'A' },
      ],
    });
    assert.deepEqual(parseDnsMessage(two), { kind: 'malformed', problem: '2 questions' });
    assert.equal(parseDnsMessage(encode({ type: 'query', id: 1, questions: [] })).kind, 'malformed');
    assert.equal(parseDnsMessage(queryOf('abc').subarray(0, 15)).kind, 'malformed');
    const pointer = queryOf('abc');
    pointer.writeUInt16BE(0xc00c, 12);
    assert.equal(parseDnsMessage(pointer).kind, 'malformed', 'a name that points to itself');
    assert.equal(parseDnsMessage(queryOf('a', 'A', { additionals: [opt(512), opt(512)] })).kind, 'malformed');
    const label = 'x'.repeat(63);
    const long = `${label}.${label}.${label}.${label}.`;
    const header = queryOf('.').subarray(0, 12);
    const parts = long.split('.').flatMap((part) => [Buffer.from([part.length]), Buffer.from(part)]);
    assert.equal(
      parseDnsMessage(Buffer.concat([header, ...parts, Buffer.alloc(4)])).kind,
      'malformed',
      'over 255 bytes',
    );
  });
});

describe('an answer', () => {
  test('has authority, the id, the question letter by letter, RD and CD as they were', () => {
    const query = queryOf('WeB.shop', 'A', { flags: 0x110 });
    const reply = answer(query, ['10.0.0.1', '10.0.0.2']);
    assert.ok(reply.flag_aa && reply.flag_ra && reply.flag_rd && reply.flag_cd && !reply.flag_tc);
    assert.equal(reply.id, 0x1234);
    assert.equal(reply.questions?.[0]?.name, 'WeB.shop');
    assert.deepEqual(
      reply.answers?.map((each) => ({ ...each, flush: undefined, class: undefined })),
      ['10.0.0.1', '10.0.0.2'].map((data) => ({
        name: 'WeB.shop',
        type: 'A',
        ttl: 30,
        data,
        flush: undefined,
        class: undefined,
      })),
    );
    assert.deepEqual(reply.additionals, []);
  });

  test('says an alias first, whose addresses follow', () => {
    const reply = answer(queryOf('a.b.search', 'AAAA'), ['fd00::1'], { alias: 'a.b' });
    assert.deepEqual(
      reply.answers?.map((each) => [each.name, each.type, 'data' in each ? each.data : undefined]),
      [
        ['a.b.search', 'CNAME', 'a.b'],
        ['a.b', 'AAAA', 'fd00::1'],
      ],
    );
    const odd = answer(queryOf('a'), ['10.0.0.1'], { alias: `${'x'.repeat(64)}.b` });
    assert.deepEqual(
      odd.answers?.map(({ name, type }) => [name, type]),
      [['a', 'A']],
      'what is no host name is no alias',
    );
  });

  test('has EDNS where the query had it, and none of its options', () => {
    const edns = opt(1232, { flags: 0x8000, options: [{ code: 10, data: Buffer.from('0102030405060708', 'hex') }] });
    const [own] = answer(queryOf('a', 'A', { additionals: [edns] }), []).additionals ?? [];
    assert.equal(own?.type, 'OPT');
    assert.deepEqual(own && 'options' in own ? [own.options, Number(own.flags)] : undefined, [[], 0x8000]);
  });

  test('keeps what fits and says that there is more', () => {
    const many = Array.from({ length: 100 }, (_, i) => `10.0.1.${i}`);
    const message = queryOf('many.shop');
    const bytes = writeAddressAnswer(message, parsed(message), { addresses: many, ttlSeconds: 30, maxBytes: 512 });
    assert.ok(bytes.length <= 512 && bytes.length > 480);
    assert.ok(isTruncatedAnswer(bytes));
    const whole = answer(message, many);
    assert.equal(whole.answers?.length, 100);
    assert.ok(!whole.flag_tc);
  });

  test('over UDP is as long as the client says, within bounds', () => {
    const bytesFor = (size?: number): number =>
      maxUdpAnswerBytes(parsed(queryOf('a', 'A', size === undefined ? {} : { additionals: [opt(size)] })));
    assert.deepEqual([bytesFor(), bytesFor(100), bytesFor(1400), bytesFor(65_535)], [512, 512, 1400, 4096]);
    assert.equal(maxUdpAnswerBytes(undefined), 512);
  });

  test('of an error repeats the question where there is one', () => {
    const failed = decode(
      Buffer.from(writeErrorAnswer(queryOf('a', 'A', { additionals: [opt(1232)] }), dnsCode.serverFailure)),
    );
    assert.equal(rcodeOf(failed), 'SERVFAIL');
    assert.equal(failed.questions?.[0]?.name, 'a');
    assert.equal(failed.additionals?.length, 1);
    const odd = decode(Buffer.from(writeErrorAnswer(queryOf('abc').subarray(0, 14), dnsCode.formatError)));
    assert.equal(rcodeOf(odd), 'FORMERR');
    assert.deepEqual(odd.questions, []);
    const update = queryOf('a');
    update.writeUInt8(5 << 3, 2);
    assert.equal(
      Buffer.from(writeErrorAnswer(update, dnsCode.serverFailure)).readUInt16BE(2),
      0x8000 | 0x80 | (5 << 11) | 2,
    );
  });

  test('is cut to its question', () => {
    const message = queryOf('many.shop');
    const addresses = Array.from({ length: 100 }, (_, i) => `10.0.1.${i}`);
    const bytes = writeAddressAnswer(message, parsed(message), { addresses, ttlSeconds: 30, maxBytes: 65_535 });
    const cut = decode(Buffer.from(cutAnswer(bytes)));
    assert.ok(cut.flag_tc);
    assert.deepEqual([cut.questions?.length, cut.answers?.length], [1, 0]);
    assert.equal(cutAnswer(bytes.subarray(0, 12)).length, 12);
  });
});

describe('an answer from elsewhere', () => {
  const query = queryOf('web.shop', 'AAAA');
  const reply = (more: Partial<Packet> = {}): Buffer =>
    encode({ type: 'response', id: 0x1234, questions: [{ name: 'web.shop', type: 'AAAA' }], ...more });

  test('is one to the query with its id and question, in any case', () => {
    assert.ok(answersQuery(query, reply()));
    assert.ok(answersQuery(query, reply({ questions: [{ name: 'WEB.Shop', type: 'AAAA' }] })));
    assert.ok(answersQuery(withDnsId(query, 7), reply({ id: 7 })));
    assert.equal(dnsId(withDnsId(query, 7)), 7);
  });

  test('is none with another id, name, type, class or opcode, without a question, or when it is a query', () => {
    for (const other of [
      reply({ id: 1 }),
      reply({ questions: [{ name: 'web.shoq', type: 'AAAA' }] }),
      reply({ questions: [{ name: 'web.shop', type: 'A' }] }),
      reply({ questions: [{ name: 'web.shop', type: 'AAAA', class: 'CH' }] }),
      reply({ questions: [{ name: 'web', type: 'AAAA' }] }),
      reply({ questions: [] }),
      query,
      reply().subarray(0, 11),
      reply().subarray(0, 20),
    ])
      assert.equal(answersQuery(query, other), false);
    const notify = reply();
    notify.writeUInt8(0x80 | (4 << 3), 2);
    assert.equal(answersQuery(query, notify), false);
  });

  test('may come without its question when it is an error', () => {
    assert.ok(answersQuery(query, reply({ questions: [], flags: dnsCode.formatError })));
  });
});

test('types have names, and what has none is all one', () => {
  assert.deepEqual([1, 28, 65, 0, 12_345].map(dnsTypeName), ['A', 'AAAA', 'HTTPS', 'OTHER', 'OTHER']);
});

describe('hostile bytes', () => {
  test('never throw, and every error answer to them can be read', () => {
    const header = fc.tuple(fc.nat(65_535), fc.nat(0x7fff), fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(3)).map((words) => {
      const bytes = Buffer.alloc(12);
      words.forEach((word, i) => bytes.writeUInt16BE(word, 2 * i));
      return bytes;
    });
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc
        .array(fc.constantFrom('00', '01', '61', '3f', 'c00c', 'c0ff', 'ff', '0029', '00fa', '000100'), {
          maxLength: 30,
        })
        .map((parts) => Buffer.from(parts.join(''), 'hex')),
    );
    fc.assert(
      fc.property(header, body, (head, rest) => {
        const message = Buffer.concat([head, rest]);
        const result = parseDnsMessage(message);
        if (result.kind === 'noise') return;
        decode(Buffer.from(writeErrorAnswer(message, dnsCode.serverFailure)));
        answersQuery(message, message);
        cutAnswer(message);
        if (result.kind !== 'query') return;
        const { query } = result;
        assert.ok(query.questionEnd <= message.length);
        const written = writeAddressAnswer(message, query, {
          addresses: ['10.0.0.1'],
          alias: 'a.b',
          ttlSeconds: 1,
          maxBytes: 512,
        });
        assert.ok(answersQuery(message, written));
        assert.equal(written.length <= 512, true);
      }),
      { seed: 3, numRuns: 5000 },
    );
  });

  test('are cut into the same messages however they arrive', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }),
        fc.array(fc.nat(60), { minLength: 1, maxLength: 40 }),
        (messages, steps) => {
          const stream = Buffer.concat(messages.map(frameDnsMessage));
          const reader = new DnsStreamReader();
          const got: Uint8Array[] = [];
          let at = 0;
          for (let i = 0; at < stream.length; i++) {
            const end = at + (steps[i % steps.length] ?? 0) + 1;
            got.push(...reader.push(stream.subarray(at, end)));
            at = end;
          }
          assert.deepEqual(
            got.map((m) => Buffer.from(m)),
            messages.map((m) => Buffer.from(m)),
          );
          assert.equal(reader.isWithinMessage, false);
        },
      ),
      { seed: 4 },
    );
  });

  test('agree with another reader of names where both can read them', () => {
    const name = fc.array(fc.stringMatching(/^[a-z0-9-]{1,12}$/), { maxLength: 6 }).map((labels) => labels.join('.'));
    fc.assert(
      fc.property(name, fc.constantFrom<RecordType>('A', 'AAAA', 'SRV', 'TXT'), (text, type) => {
        const query = parsed(queryOf(text || '.', type));
        assert.equal(query.name, text);
        assert.equal(dnsTypeName(query.type), type);
      }),
      { seed: 6 },
    );
  });
});
