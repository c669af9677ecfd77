import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FaultInjection } from '../../../api/l7/index.ts';
import { createFakeClock } from '../../../lib/fake-clock.ts';
import type { HttpFilter } from '../../engine/filter.ts';
import { placeFor, runFor } from '../filter-fixtures.ts';
import { faultFilter } from './filter.ts';

function filterWith(options: Parameters<typeof placeFor>[1]): HttpFilter {
  const filter = faultFilter.build(placeFor({}, options));
  assert.ok(filter);
  return filter;
}

const runWith = (fault: FaultInjection): ReturnType<typeof runFor> => runFor({ route: { fault } });

test('a route without a fault lets requests pass at once', () => {
  assert.equal(filterWith({}).onRequest?.(runFor({})), undefined);
});

test('an abort answers with its status, its flag and its body', async () => {
  const reply = await filterWith({}).onRequest?.(runWith({ abort: { percent: 100, httpStatus: 418 } }));
  assert.deepEqual(
    [reply?.status, reply?.body, reply?.flag, reply?.details],
    [418, 'fault filter abort', 'FI', 'fault_filter_abort'],
  );
});

test('an abort with a gRPC status tells it to gRPC clients, and others the status that it means', async () => {
  const reply = await filterWith({}).onRequest?.(runWith({ abort: { percent: 100, grpcStatus: 14 } }));
  assert.deepEqual([reply?.status, reply?.headers?.get('grpc-status')], [503, '14']);
});

test('percentages hold to a millionth, 0 never happens, and 100 always does', async () => {
  const isAborted = async (percent: number, draw: number): Promise<boolean> =>
    (await filterWith({ random: () => draw }).onRequest?.(runWith({ abort: { percent, httpStatus: 500 } }))) !==
    undefined;
  assert.equal(await isAborted(0.000_001, 0.000_000_009), true);
  assert.equal(await isAborted(0.000_001, 0.000_000_011), false);
  assert.equal(await isAborted(50, 0.499_999_99), true);
  assert.equal(await isAborted(50, 0.5), false);
  assert.equal(await isAborted(0, 0), false);
  assert.equal(await isAborted(100, 0.999_999_999_999), true);
});

test('a delay holds the request back for its time, and marks it', async () => {
  const clock = createFakeClock();
  const run = runWith({ delay: { ms: 500, percent: 100 } });
  let isOver = false;
  const result = Promise.resolve(filterWith({ clock }).onRequest?.(run)).then((reply) => {
    isOver = true;
    return reply;
  });
  clock.advance(499);
  await Promise.resolve();
  assert.equal(isOver, false);
  clock.advance(1);
  assert.equal(await result, undefined);
  assert.deepEqual([...run.flags], ['DI']);
});

test('a delay comes before an abort, and each is drawn by itself', async () => {
  const clock = createFakeClock();
  const draws = [0.1, 0.9];
  const filter = filterWith({ clock, random: () => draws.shift() ?? 0 });
  const run = runWith({ delay: { ms: 10, percent: 20 }, abort: { percent: 95, httpStatus: 503 } });
  const result = filter.onRequest?.(run);
  clock.advance(10);
  assert.equal((await result)?.status, 503);
});

test('a request that ends during its delay leaves no timer', async () => {
  const clock = createFakeClock();
  const filter = filterWith({ clock });
  const run = runWith({ delay: { ms: 3_600_000, percent: 100 }, abort: { percent: 100, httpStatus: 500 } });
  const result = filter.onRequest?.(run);
  assert.equal(clock.pending, 1);
  filter.onFinish?.(run);
  assert.equal(clock.pending, 0);
  assert.equal(await result, undefined);
});
