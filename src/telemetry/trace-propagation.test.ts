import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTrace, writeTrace, type OutgoingTrace, type TraceFields } from './trace-propagation.ts';

function fieldsOf(init: Readonly<Record<string, string>>): TraceFields & { all(): Record<string, string> } {
  const values = new Map(Object.entries(init));
  return {
    get: (name) => values.get(name),
    set: (name, value) => values.set(name, value),
    remove: (name) => values.delete(name),
    all: () => Object.fromEntries(values),
  };
}

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const read = (init: Readonly<Record<string, string>>): ReturnType<typeof readTrace> => readTrace(fieldsOf(init));

test("the W3C's header is read with its state and its decision", () => {
  assert.deepEqual(read({ traceparent: `00-${traceId}-${spanId}-01`, tracestate: 'a=b' }), {
    traceId,
    spanId,
    sampled: true,
    traceState: 'a=b',
    formats: ['w3c'],
  });
});

test('B3 is read from many headers and from one', () => {
  const expected = { traceId, spanId, traceState: undefined };
  assert.deepEqual(read({ 'x-b3-traceid': traceId, 'x-b3-spanid': spanId, 'x-b3-sampled': '1' }), {
    ...expected,
    sampled: true,
    formats: ['b3-multi'],
  });
  assert.deepEqual(read({ b3: `${traceId}-${spanId}-0-05e3ac9a4f6e3b90` }), {
    ...expected,
    sampled: false,
    formats: ['b3-single'],
  });
  assert.deepEqual(read({ b3: `${traceId.slice(16)}-${spanId}` })?.traceId, `${'0'.repeat(16)}${traceId.slice(16)}`);
});

test('a decision may come without a trace, debugging is one, and none is none', () => {
  assert.equal(read({ b3: '0' })?.sampled, false);
  assert.equal(read({ b3: 'd' })?.sampled, true);
  assert.equal(read({ 'x-b3-sampled': '0' })?.sampled, false);
  assert.equal(read({ 'x-b3-traceid': traceId, 'x-b3-spanid': spanId, 'x-b3-flags': '1' })?.sampled, true);
  assert.equal(read({ 'x-b3-traceid': traceId, 'x-b3-spanid': spanId })?.sampled, undefined);
});

test('what is malformed is as good as absent', () => {
  for (const init of [
    { traceparent: 'x' },
    { b3: 'x' },
    { b3: `${traceId}-${'0'.repeat(16)}-1` },
    { b3: `${'0'.repeat(32)}-${spanId}` },
    { 'x-b3-traceid': 'abc', 'x-b3-spanid': spanId },
    { 'x-b3-traceid': traceId },
  ]) {
    assert.equal(read(init), undefined, JSON.stringify(init));
  }
});

test('where several formats disagree, the W3C counts, and all of them go on', () => {
  const found = read({ traceparent: `00-${traceId}-${spanId}-00`, b3: '1', 'x-b3-sampled': '1' });
  assert.equal(found?.sampled, false);
  assert.deepEqual(found?.formats, ['w3c', 'b3-single', 'b3-multi']);
});

test('the next hop hears of our span in the formats asked for', () => {
  const out: OutgoingTrace = { traceId, spanId: '1111111111111111', parentSpanId: spanId, sampled: true };
  const fields = fieldsOf({ 'x-b3-parentspanid': 'old' });
  writeTrace(fields, out, ['w3c', 'b3-multi', 'b3-single']);
  assert.deepEqual(fields.all(), {
    traceparent: `00-${traceId}-1111111111111111-01`,
    b3: `${traceId}-1111111111111111-1-${spanId}`,
    'x-b3-traceid': traceId,
    'x-b3-spanid': '1111111111111111',
    'x-b3-parentspanid': spanId,
    'x-b3-sampled': '1',
  });
  const root = fieldsOf({ 'x-b3-parentspanid': 'old' });
  writeTrace(root, { ...out, parentSpanId: undefined, sampled: false }, ['b3-multi']);
  assert.equal(root.get('x-b3-parentspanid'), undefined);
  assert.equal(root.get('x-b3-sampled'), '0');
});
