/** `node bench/micro/access-log.ts`: nanoseconds of one line of the access log up to the joined batch, medians of several rounds. */
import type { AccessLogRecord } from '../../src/telemetry/access-line.ts';
import { openAccessLog } from '../../src/telemetry/access-log.ts';

const rounds = 15;
const linesPerBatch = 500;
const batchesPerRound = 40;

function recordOf(i: number): AccessLogRecord {
  return {
    source: {
      addr: `10.244.1.2:${20_000 + (i % 40_000)}`,
      workload: 'productpage-v1-7d4f8b9c6d-x2x7q',
      namespace: 'bookinfo',
      identity: 'spiffe://cluster.local/ns/bookinfo/sa/bookinfo-productpage',
      cluster: 'Kubernetes',
    },
    destination: {
      addr: '10.244.2.3:15008',
      hboneAddr: '10.244.2.3:9080',
      service: 'reviews.bookinfo.svc.cluster.local',
      workload: 'reviews-v1-6c9f8d7b5-8k2lm',
      namespace: 'bookinfo',
      identity: 'spiffe://cluster.local/ns/bookinfo/sa/bookinfo-reviews',
      cluster: 'Kubernetes',
    },
    direction: 'outbound',
    bytesSent: 64 + i,
    bytesReceived: 64,
    durationMs: 4 + (i % 7),
    traceId: `0af7651916cd43dd8448eb211c80${1000 + (i % 9000)}`,
  };
}

const records = Array.from({ length: linesPerBatch }, (_, i) => recordOf(i));

for (const format of ['text', 'json'] as const) {
  let nowMs = Date.now();
  let written = 0;
  const log = openAccessLog({
    format,
    nowMs: () => nowMs,
    write(text, done) {
      // Joined text is copied once more on its way to a file: that flattens it.
      written += Buffer.byteLength(text);
      done();
    },
  });
  const samples: number[] = [];
  for (let round = -5; round < rounds; round++) {
    const start = process.hrtime.bigint();
    for (let batch = 0; batch < batchesPerRound; batch++) {
      for (let i = 0; i < linesPerBatch; i++) {
        if (i % 3 === 0) nowMs++;
        log.complete(records[i] as AccessLogRecord);
      }
      await log.flush();
    }
    const perLine = Number(process.hrtime.bigint() - start) / (batchesPerRound * linesPerBatch);
    if (round >= 0) samples.push(perLine);
  }
  const median = samples.toSorted((a, b) => a - b)[rounds >> 1] ?? Number.NaN;
  process.stdout.write(`a line in ${format}`.padEnd(52) + `${median.toFixed(0).padStart(7)} ns  (${written} bytes)\n`);
}
