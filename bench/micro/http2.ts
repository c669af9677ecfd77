/** `node bench/micro/http2.ts`: nanoseconds of the HTTP/2 codec's inner operations, medians of several rounds. */
import { HeaderList } from '../../src/http/header-list.ts';
import { frameType } from '../../src/http/h2/constants.ts';
import { FrameParser } from '../../src/http/h2/frame-parser.ts';
import { HpackDecoder } from '../../src/http/h2/hpack-decoder.ts';
import { HpackEncoder } from '../../src/http/h2/hpack-encoder.ts';
import { huffmanDecode, huffmanEncode, huffmanLength } from '../../src/http/h2/hpack-huffman.ts';
import { Outbox } from '../../src/http/h2/outbox.ts';
import { writeResult, type ByteChannel } from '../../src/net/channel.ts';

const rounds = 15;

/** Runs `operation` in rounds of about 20 ms and prints the median. */
function measure(name: string, operation: (i: number) => void): void {
  for (let i = 0; i < 20_000; i++) operation(i);
  const timed = process.hrtime.bigint();
  for (let i = 0; i < 1000; i++) operation(i);
  const perOperation = Number(process.hrtime.bigint() - timed) / 1000;
  const count = Math.max(1000, Math.round(20e6 / perOperation));
  const samples = Array.from({ length: rounds }, () => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) operation(i);
    return Number(process.hrtime.bigint() - start) / count;
  }).toSorted((a, b) => a - b);
  const median = samples[rounds >> 1] ?? Number.NaN;
  process.stdout.write(`${name.padEnd(52)} ${median.toFixed(0).padStart(7)} ns\n`);
}

const connectHead = (i: number): HeaderList =>
  new HeaderList([
    ':method',
    'CONNECT',
    ':authority',
    '10.244.2.7:8080',
    'baggage',
    'k8s.cluster.name=Kubernetes,k8s.namespace.name=demo',
    'forwarded',
    `for="10.244.1.5:${20_000 + (i % 40_000)}"`,
    'traceparent',
    `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203${i % 1000}-00`,
  ]);

const encoder = new HpackEncoder();
measure('HPACK encode a CONNECT', (i) => void encoder.encode(connectHead(i)));

const freshEncoder = new HpackEncoder();
const decoder = new HpackDecoder({ maxTableSize: 4096, maxListSize: 65_536 });
const first = Buffer.from(freshEncoder.encode(connectHead(0)));
decoder.decode(first, 0, first.length);
const repeated = Buffer.from(freshEncoder.encode(connectHead(1)));
measure('HPACK decode a CONNECT', () => void decoder.decode(repeated, 0, repeated.length));

const text = 'k8s.cluster.name=Kubernetes,k8s.namespace.name=demo,service.name=reviews';
const coded = Buffer.alloc(huffmanLength(text));
measure(`Huffman encode ${text.length} characters`, () => void huffmanEncode(text, coded, 0));
measure(`Huffman decode ${text.length} characters`, () => void huffmanDecode(coded, 0, coded.length));

const sink: ByteChannel = {
  neverKeeps: true,
  read() {},
  write: () => writeResult.done,
  pause() {},
  resume() {},
  credit() {},
  end() {},
  reset() {},
};
const outbox = new Outbox(sink);
const message = Buffer.alloc(128, 1);
measure('stage a DATA frame of 128 B (flush every 64)', (i) => {
  outbox.frameOf(frameType.data, 0, 1 + 2 * (i & 63), message);
  if ((i & 63) === 63) outbox.runTurn();
});

const frames = Buffer.alloc((9 + 128) * 64);
for (let i = 0; i < 64; i++) {
  frames.writeUIntBE(128, i * 137, 3);
  frames.writeUInt32BE(1 + 2 * i, i * 137 + 5);
}
let seen = 0;
const parser = new FrameParser({
  expectPreface: false,
  maxFrameSize: 16_384,
  sink: {
    onDataFrame() {},
    onDataBytes: (bytes) => void (seen += bytes.length),
    onDataPadding() {},
    onDataFrameEnd() {},
    onFrame() {},
  },
});
measure('parse 64 DATA frames of 128 B', () => parser.parse(frames));
