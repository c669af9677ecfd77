import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFakeClock, type FakeClock } from '../../lib/fake-clock.ts';
import { memoryChannelPair } from '../../net/memory-channel.ts';
import type { Call } from '../call.ts';
import { createHttp2Client, serveHttp2 } from '../h2/index.ts';
import { turns } from '../h2/raw-peer.ts';
import { HeaderList } from '../header-list.ts';
import type { ClientConnection, ServerExchange } from '../message.ts';
import { callUnary, encodeGrpcMessage, GrpcError, grpcStatusOfHttp, parseGrpcTimeout } from './index.ts';
import { decodeGrpcMessage } from './status.ts';
import { formatGrpcTimeout } from './timeout.ts';

interface Service {
  readonly client: ClientConnection;
  readonly clock: FakeClock;
  readonly requests: { readonly exchange: ServerExchange; readonly body: Buffer }[];
  call(maxMessageBytes?: number): Call<Uint8Array>;
}

async function openService(answer: (exchange: ServerExchange) => void): Promise<Service> {
  const [near, far] = memoryChannelPair({ highWaterBytes: 1 << 20 });
  const clock = createFakeClock();
  const requests: { exchange: ServerExchange; body: Buffer }[] = [];
  serveHttp2(near, {
    clock,
    listener: {
      onRequest(exchange) {
        const chunks: Buffer[] = [];
        exchange.read({
          onData: (bytes) => void chunks.push(Buffer.from(bytes)),
          onEnd() {
            requests.push({ exchange, body: Buffer.concat(chunks) });
            answer(exchange);
          },
          onDrain() {},
          onClose() {},
        });
      },
    },
  });
  const client = createHttp2Client(far, { clock, listener: { onChange() {}, onClose() {} } });
  await turns();
  return {
    client,
    clock,
    requests,
    call: (maxMessageBytes) =>
      callUnary({
        open: (head, ends, reader) => client.request(head, ends, reader),
        authority: 'authz:9000',
        path: '/a.B/C',
        message: Buffer.from('question'),
        metadata: new HeaderList(['x-a', '1']),
        clock,
        timeoutMs: 2_000,
        ...(maxMessageBytes === undefined ? {} : { maxMessageBytes }),
      }),
  };
}

const head = (status: number, ...fields: string[]): { status: number; headers: HeaderList } => ({
  status,
  headers: new HeaderList(fields),
});

const framed = (text: string, flag = 0): Buffer => {
  const body = Buffer.from(text);
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
};

const answerWith =
  (body: Uint8Array, ...trailers: string[]) =>
  (exchange: ServerExchange): void => {
    exchange.respond(head(200, 'content-type', 'application/grpc'), false);
    exchange.write(body);
    exchange.end(new HeaderList(trailers));
  };

describe('unary gRPC call', () => {
  it('sends one message and gives the one that comes back', async () => {
    const service = await openService(answerWith(framed('answer'), 'grpc-status', '0'));
    assert.equal(Buffer.from(await service.call().answer).toString(), 'answer');
    const [request] = service.requests;
    assert.deepEqual(request?.body, framed('question'));
    assert.equal(request.exchange.request.method, 'POST');
    assert.equal(request.exchange.request.path, '/a.B/C');
    assert.equal(request.exchange.request.authority, 'authz:9000');
    assert.equal(
      request.exchange.request.headers.fields.join(' '),
      'content-type application/grpc te trailers grpc-timeout 2000m x-a 1',
    );
    service.client.close();
    await turns();
    assert.equal(service.clock.pending, 0);
  });

  it('is answered by an empty message', async () => {
    const service = await openService(answerWith(framed(''), 'grpc-status', '0'));
    assert.equal((await service.call().answer).length, 0);
  });

  const failures: [string, string, (exchange: ServerExchange) => void][] = [
    [
      'a status in trailers',
      'grpc.not-found: no ü',
      answerWith(Buffer.alloc(0), 'grpc-status', '5', 'grpc-message', 'no %C3%BC'),
    ],
    [
      'trailers only',
      'grpc.permission-denied: no',
      (exchange) => exchange.respond(head(200, 'grpc-status', '7', 'grpc-message', 'no'), true),
    ],
    [
      'HTTP 503 of something between',
      'grpc.unavailable: Answer has HTTP status 503 and no grpc-status',
      (exchange) => exchange.respond(head(503), true),
    ],
    [
      'HTTP 404',
      'grpc.unimplemented: Answer has HTTP status 404 and no grpc-status',
      (exchange) => exchange.respond(head(404), true),
    ],
    ['no status', 'grpc.unknown: Answer has no grpc-status', answerWith(framed('x'))],
    [
      'a status that is no number',
      'grpc.unknown: Answer has no grpc-status',
      answerWith(framed('x'), 'grpc-status', 'OK'),
    ],
    [
      'no message',
      'grpc.internal: Answer of 0 bytes is not one message',
      answerWith(Buffer.alloc(0), 'grpc-status', '0'),
    ],
    [
      'two messages',
      'grpc.internal: Answer of 12 bytes is not one message',
      answerWith(Buffer.concat([framed('x'), framed('y')]), 'grpc-status', '0'),
    ],
    [
      'a compressed message',
      'grpc.internal: Answer is compressed, which nobody asked for',
      answerWith(framed('x', 1), 'grpc-status', '0'),
    ],
    [
      'too large a message',
      'grpc.resource-exhausted: Call failed: its answer has more than 105 bytes',
      answerWith(framed('x'.repeat(101)), 'grpc-status', '0'),
    ],
    ['a reset', 'grpc.unavailable: Peer reset the stream: internal-error', (exchange) => exchange.reset()],
  ];
  for (const [name, expected, answer] of failures) {
    it(`fails with what is wrong: ${name}`, async () => {
      const service = await openService(answer);
      await assert.rejects(service.call(100).answer, (error) => {
        assert.ok(error instanceof GrpcError);
        assert.equal(`${error.code}: ${error.message}`, expected);
        return true;
      });
    });
  }

  it('gives up after its time, and when it is cancelled', async () => {
    const service = await openService(() => {});
    const late = service.call();
    const cancelled = service.call();
    await turns();
    cancelled.cancel();
    await assert.rejects(cancelled.answer, { code: 'grpc.cancelled' });
    service.clock.advance(1_999);
    await turns();
    assert.equal(service.client.activeRequests, 1);
    service.clock.advance(1);
    await assert.rejects(late.answer, { code: 'grpc.deadline-exceeded' });
    assert.equal(service.client.activeRequests, 0);
  });
});

describe('gRPC fields', () => {
  it('reads timeouts of every unit and nothing else', () => {
    const texts = ['1H', '2M', '3S', '4m', '5u', '6n', '99999999S', '123456789S', '1', 'S', '-1S', '1s', '1.5S', ''];
    assert.deepEqual(
      texts.map((text) => parseGrpcTimeout(text)),
      [3_600_000, 120_000, 3_000, 4, 5e-3, 6e-6, 99_999_999_000, ...Array.from({ length: 7 })],
    );
  });

  it('writes timeouts in eight digits, never shorter than they are', () => {
    const texts = [0, 1, 1.2, 99_999_999, 100_000_000, 1e13].map((ms) => formatGrpcTimeout(ms));
    assert.equal(texts.join(' '), '0m 1m 2m 99999999m 100000S 99999999H');
  });

  it('encodes messages and bears what is not encoded', () => {
    for (const text of ['', 'plain text', '100 % of it', 'Ünïcödé\n', '\u{1f600}']) {
      const encoded = encodeGrpcMessage(text);
      assert.match(encoded, /^[\x20-\x7e]*$/);
      assert.equal(decodeGrpcMessage(encoded), text);
    }
    assert.equal(decodeGrpcMessage('50% and %zz and %41'), '50% and %zz and A');
  });

  it('maps HTTP statuses as proxies answer gRPC clients', () => {
    assert.deepEqual(
      [400, 401, 403, 404, 429, 500, 502, 503, 504].map(grpcStatusOfHttp),
      [13, 16, 7, 12, 14, 2, 14, 14, 14],
    );
  });
});
