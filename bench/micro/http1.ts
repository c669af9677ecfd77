/** `node bench/micro/http1.ts`: nanoseconds of the HTTP/1.1 codec's inner operations, and of whole exchanges without a kernel; medians of several rounds. */
import { createHttp1Client, serveHttp1 } from '../../src/http/h1/index.ts';
import { ChunkedDecoder } from '../../src/http/h1/chunked-decoder.ts';
import { fieldLines } from '../../src/http/h1/head-writer.ts';
import { defaultHttp1Limits } from '../../src/http/h1/limits.ts';
import { parseRequest } from '../../src/http/h1/request-head.ts';
import { parseResponse } from '../../src/http/h1/response-head.ts';
import { HeaderList } from '../../src/http/header-list.ts';
import type { ClientExchangeReader } from '../../src/http/message.ts';
import { normalizePath } from '../../src/http/path-normalization.ts';
import { writeResult, type ByteChannel, type ChannelReader } from '../../src/net/channel.ts';

const rounds = 15;

/** Runs `operation` in rounds of about 20 ms and prints the median. */
function measure(name: string, operation: () => void): void {
  for (let i = 0; i < 20_000; i++) operation();
  const timed = process.hrtime.bigint();
  for (let i = 0; i < 1000; i++) operation();
  const perOperation = Number(process.hrtime.bigint() - timed) / 1000;
  const count = Math.max(1000, Math.round(20e6 / perOperation));
  const samples = Array.from({ length: rounds }, () => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) operation();
    return Number(process.hrtime.bigint() - start) / count;
  }).toSorted((a, b) => a - b);
  process.stdout.write(`${name.padEnd(52)} ${(samples[rounds >> 1] ?? Number.NaN).toFixed(0).padStart(7)} ns\n`);
}

const requestText = [
  'GET /api/v1/products/42?verbose=true HTTP/1.1',
  'Host: productpage.default.svc.cluster.local:9080',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
  'Accept: application/json, text/plain, */*',
  'Accept-Encoding: gzip, deflate, br',
  'X-Request-Id: 6d9b0c3e-6a55-4c70-9b1c-3a1f5a2e8b11',
  'Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  'Cookie: session=abcdef0123456789; theme=dark',
  'Cache-Control: no-cache',
].join('\r\n');
const request = Buffer.from(`${requestText}\r\n\r\n`);
const response = Buffer.from(
  `HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 23 Nov 2026 07:00:00 GMT\r\nContent-Type: application/json\r\nCache-Control: no-cache\r\nContent-Length: 256\r\n\r\n${'x'.repeat(256)}`,
);
const options = { scheme: 'http', allowHttp10: false, maxHeadBytes: 61_440, maxFields: 100 } as const;

measure(
  `parse a request head of ${request.length} B, 8 fields`,
  () => void parseRequest(request, 0, request.length, options),
);
measure('parse a response head, 5 fields', () => void parseResponse(response, 0, response.length, 'GET', options));
const parsed = parseRequest(request, 0, request.length, options);
const headers = parsed?.head.headers ?? new HeaderList();
measure('write the fields of that request', () => void fieldLines(headers, false));
measure('normalise its path', () => void normalizePath('/api/v1/products/42?verbose=true', 'base'));
measure(
  'normalise a path with escapes and dots',
  () => void normalizePath('/api/%76%31/./products/../42?verbose=true', 'base'),
);

const chunked = Buffer.from('80\r\n'.concat('x'.repeat(128), '\r\n').repeat(64).concat('0\r\n\r\n'));
const decoder = new ChunkedDecoder(defaultHttp1Limits);
const sink = { onChunkData() {} };
measure('decode 64 chunks of 128 B', () => {
  decoder.start();
  decoder.decode(chunked, 0, sink);
});

/** A channel without anything behind it: what is written is dropped, what arrives is given by hand. */
function idleChannel(): { channel: ByteChannel; give: (bytes: Uint8Array) => void } {
  let reader: ChannelReader | undefined;
  return {
    channel: {
      neverKeeps: true,
      read: (given) => void (reader = given),
      write: () => writeResult.done,
      pause() {},
      resume() {},
      credit() {},
      end() {},
      reset() {},
    },
    give: (bytes) => void reader?.onData(bytes),
  };
}

const answer = new HeaderList(['content-type', 'application/json', 'server', 'istio-envoy', 'content-length', '256']);
const body = Buffer.alloc(256, 'x');
const down = idleChannel();
serveHttp1(down.channel, {
  scheme: 'http',
  listener: {
    onRequest(exchange) {
      exchange.respond({ status: 200, headers: answer }, false);
      exchange.write(body);
      exchange.end();
    },
  },
});
measure('serve a request: parse, answer with 256 B', () => down.give(request));

const up = idleChannel();
const client = createHttp1Client(up.channel, { listener: { onChange() {}, onClose() {} } });
const reader: ClientExchangeReader = {
  onInformational() {},
  onResponse() {},
  onData() {},
  onEnd() {},
  onDrain() {},
  onClose() {},
};
measure('send a request and read its answer', () => {
  if (parsed) client.request(parsed.head, true, reader);
  up.give(response);
});
