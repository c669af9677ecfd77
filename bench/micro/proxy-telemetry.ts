/** `node bench/micro/proxy-telemetry.ts`: nanoseconds that the telemetry of the proxy takes of one request, medians of several rounds. */
import { answeredRun, openBench, type PlaceChanges } from '../../src/proxy/telemetry/telemetry-fixtures.ts';
import { meshWorkload } from '../../src/mesh/fixtures.ts';

const rounds = 15;
const requests = 20_000;

const destinations = Array.from({ length: 10 }, (_, i) => meshWorkload({ name: `reviews-${i}` }));
const { host } = answeredRun();
const runs = Array.from({ length: 200 }, (_, i) => {
  const workload = destinations[i % destinations.length];
  return answeredRun({
    responseStatus: i % 50 === 0 ? 503 : 200,
    bytesSent: i * 10,
    host: host && workload ? { ...host, workload } : host,
  });
});

function measure(name: string, changes: PlaceChanges): void {
  const bench = openBench();
  const filter = bench.telemetry.filter.build(bench.place(changes));
  const samples: number[] = [];
  for (let round = -5; round < rounds; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < requests; i++) {
      const run = runs[i % runs.length];
      if (!run) continue;
      void filter?.onRequest?.(run);
      filter?.onFinish?.(run);
    }
    if (round >= 0) samples.push(Number(process.hrtime.bigint() - start) / requests);
  }
  samples.sort((a, b) => a - b);
  console.log(`${name.padEnd(40)} ${(samples[Math.floor(rounds / 2)] ?? 0).toFixed(0)} ns`);
}

measure('metrics', {});
measure('metrics and a line of text', { settings: { accessLog: { kind: 'text', template: '' } } });
measure('metrics and a line of JSON', { settings: { accessLog: { kind: 'json', template: '' } } });
measure('metrics with a tag of the request', {
  policies: [
    {
      kind: 'telemetry',
      name: 'shop/t',
      scope: 'target',
      metrics: [
        {
          metric: 'REQUEST_COUNT',
          tags: [{ name: 'method', change: { kind: 'set', expression: 'request.method' } }],
        },
      ],
    },
  ],
});
