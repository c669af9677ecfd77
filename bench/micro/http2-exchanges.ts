/** `node bench/micro/http2-exchanges.ts`: CPU nanoseconds of an HTTP/2 request in our codecs, without sockets, medians of several rounds. */
import { createHttp2Client, serveHttp2 } from '../../src/http/h2/index.ts';
import { connectionPreface, frameFlag, frameType } from '../../src/http/h2/constants.ts';
import { HpackEncoder } from '../../src/http/h2/hpack-encoder.ts';
import { HeaderList } from '../../src/http/header-list.ts';
import type { ClientExchange, ClientExchangeReader, ServerExchangeReader } from '../../src/http/message.ts';
import { writeResult, type ByteChannel, type ChannelReader } from '../../src/net/channel.ts';

const rounds = 15;
const batch = 64;
const batchesPerRound = 150;

/** A channel whose peer is the bench. */
function benchChannel(): { readonly channel: ByteChannel; readonly reader: () => ChannelReader } {
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
    reader: () => reader as ChannelReader,
  };
}

async function measure(name: string, runBatch: () => void): Promise<void> {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < 300; i++) {
    runBatch();
    await turn();
  }
  const samples: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = process.cpuUsage();
    for (let i = 0; i < batchesPerRound; i++) {
      runBatch();
      await turn();
    }
    const { user, system } = process.cpuUsage(start);
    samples.push(((user + system) * 1000) / (batchesPerRound * batch));
  }
  const median = samples.toSorted((a, b) => a - b)[rounds >> 1] ?? Number.NaN;
  process.stdout.write(`${name.padEnd(52)} ${median.toFixed(0).padStart(7)} ns\n`);
}

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, 9);
  return bytes;
}

const fieldsOf = (...lines: string[]): string[] => lines.flatMap((line) => line.split(' = '));
const requestFields = fieldsOf(
  ':method = GET',
  ':scheme = https',
  ':authority = shop.example.com',
  ':path = /products/17?view=full',
  'user-agent = Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101',
  'accept = text/html,application/json;q=0.9',
  'accept-language = en-US,en;q=0.5',
  'accept-encoding = gzip, deflate, br',
  'cookie = session=0af7651916cd43dd8448eb21',
  'x-request-id = 8f2f0f5e-7c3a-4a4f-9a52-0d7f3c0f6b11',
  'cache-control = no-cache',
  'te = trailers',
);
const responseFields = fieldsOf(
  'content-type = application/json',
  'content-length = 256',
  'date = Mon, 23 Nov 2026 08:00:00 GMT',
  'cache-control = private, max-age=0',
  'x-envoy-upstream-service-time = 3',
  'server = istio-envoy',
);
const body = Buffer.alloc(256, 'x');

const ignore: ServerExchangeReader = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

{
  const { channel, reader } = benchChannel();
  serveHttp2(channel, {
    limits: { pingIntervalMs: 0 },
    listener: {
      onRequest(exchange) {
        exchange.read(ignore);
        exchange.respond({ status: 200, headers: new HeaderList([...responseFields]) }, false);
        exchange.write(body);
        exchange.end();
      },
    },
  });
  const encoder = new HpackEncoder();
  const settings = frame(frameType.settings, 0, 0, Buffer.alloc(0));
  const window = Buffer.alloc(4);
  window.writeUInt32BE(0x3fff_ffff);
  reader().onData(
    Buffer.concat([connectionPreface, settings, frame(frameType.settings, frameFlag.ack, 0, Buffer.alloc(0))]),
  );
  reader().onData(frame(frameType.windowUpdate, 0, 0, window));
  const flags = frameFlag.endHeaders | frameFlag.endStream;
  let streamId = 1;
  const head = (): Buffer => {
    const bytes = frame(frameType.headers, flags, streamId, encoder.encode(new HeaderList(requestFields)));
    streamId += 2;
    return bytes;
  };
  reader().onData(head());
  const requests = Buffer.concat(Array.from({ length: batch }, head));
  streamId -= 2 * batch;
  const size = requests.length / batch;
  const grant = Buffer.alloc(4);
  grant.writeUInt32BE(body.length * batch);
  const windowUpdate = frame(frameType.windowUpdate, 0, 0, grant);
  await measure('serve a GET: 12 fields, answer of 256 B', () => {
    for (let i = 0; i < batch; i++) {
      requests.writeUInt32BE(streamId, i * size + 5);
      streamId += 2;
    }
    reader().onData(requests);
    reader().onData(windowUpdate);
  });
}

{
  const { channel, reader } = benchChannel();
  const client = createHttp2Client(channel, {
    limits: { pingIntervalMs: 0 },
    listener: { onChange() {}, onClose() {} },
  });
  const encoder = new HpackEncoder();
  reader().onData(
    Buffer.concat([
      frame(frameType.settings, 0, 0, Buffer.alloc(0)),
      frame(frameType.settings, frameFlag.ack, 0, Buffer.alloc(0)),
    ]),
  );
  const exchanges: ClientExchange[] = [];
  const answered: ClientExchangeReader = {
    onInformational() {},
    onResponse() {},
    onData() {},
    onEnd() {},
    onDrain() {},
    onClose() {},
  };
  let streamId = 1;
  const fields = requestFields.slice(8);
  const request = (): void => {
    exchanges.push(
      client.request(
        {
          method: 'GET',
          scheme: 'https',
          authority: 'shop.example.com',
          path: '/products/17?view=full',
          headers: new HeaderList([...fields]),
          version: 'http/2',
        },
        true,
        answered,
      ),
    );
  };
  const answer = (): Buffer => {
    const head = encoder.encode(new HeaderList([':status', '200', ...responseFields]));
    const bytes = Buffer.concat([
      frame(frameType.headers, frameFlag.endHeaders, streamId, head),
      frame(frameType.data, frameFlag.endStream, streamId, body),
    ]);
    streamId += 2;
    return bytes;
  };
  request();
  reader().onData(answer());
  const answers = Buffer.concat(Array.from({ length: batch }, answer));
  streamId -= 2 * batch;
  const size = answers.length / batch;
  const headSize = size - 9 - body.length;
  await measure('send a GET: 12 fields, answer of 256 B', () => {
    exchanges.length = 0;
    for (let i = 0; i < batch; i++) {
      request();
      answers.writeUInt32BE(streamId, i * size + 5);
      answers.writeUInt32BE(streamId, i * size + headSize + 5);
      streamId += 2;
    }
    reader().onData(answers);
    for (const exchange of exchanges) exchange.credit(body.length);
  });
}
process.exit(0);
