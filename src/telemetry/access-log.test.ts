import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AccessLogFormat, AccessLogLevel, AccessLogRecord } from './access-line.ts';
import { openAccessLog } from './access-log.ts';

// The plain way to format a line: the oracle of the fast one.

/** A value that needs no escaping: addresses, which text does not quote, and hexadecimal. */
interface Raw {
  readonly raw: string;
  readonly quotes: string;
}
type FieldValue = string | number | Raw | undefined;
type Fields = [string, FieldValue][];

function raw(value: string): Raw {
  return { raw: value, quotes: '' };
}

function plain(value: string): Raw {
  return { raw: value, quotes: '"' };
}

function fieldsOf(record: AccessLogRecord): Fields {
  const { source, destination } = record;
  return [
    ['src.addr', raw(source.addr)],
    ['src.workload', source.workload],
    ['src.namespace', source.namespace],
    ['src.identity', source.identity],
    ['src.cluster', source.cluster],
    ['dst.addr', raw(destination.addr)],
    ['dst.hbone_addr', destination.hboneAddr === undefined ? undefined : raw(destination.hboneAddr)],
    ['dst.service', destination.service],
    ['dst.workload', destination.workload],
    ['dst.namespace', destination.namespace],
    ['dst.identity', destination.identity],
    ['dst.cluster', destination.cluster],
    ['direction', record.direction],
    ['bytes_sent', record.bytesSent],
    ['bytes_recv', record.bytesReceived],
    ['duration', `${Math.round(record.durationMs)}ms`],
    ['trace_id', record.traceId === undefined ? undefined : plain(record.traceId)],
    ['policy', record.policy],
    ['error', record.error],
  ];
}

function formatLine(
  format: AccessLogFormat,
  nowMs: number,
  level: AccessLogLevel,
  message: string,
  fields: Fields,
): string {
  // Milliseconds padded to the microseconds that readers of this format expect.
  const time = `${new Date(nowMs).toISOString().slice(0, -1)}000Z`;
  if (format === 'json') {
    let json = `{"level":"${level}","time":"${time}","scope":"access","message":${JSON.stringify(message)}`;
    for (const [name, value] of fields) {
      if (isAbsent(value)) continue;
      json += `,"${name}":${JSON.stringify(typeof value === 'object' ? value.raw : value)}`;
    }
    return `${json}}`;
  }
  let text = `${time}\t${level}\taccess\t${message}\t`;
  let separator = '';
  for (const [name, value] of fields) {
    if (isAbsent(value)) continue;
    text += `${separator}${name}=${textValue(value)}`;
    separator = ' ';
  }
  return text;
}

function isAbsent(value: FieldValue): value is undefined | '' {
  return value === undefined || value === '';
}

function textValue(value: string | number | Raw): string {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? JSON.stringify(value) : `${value.quotes}${value.raw}${value.quotes}`;
}

type Entry =
  | { kind: 'complete'; nowMs: number; record: AccessLogRecord }
  | { kind: 'failed'; nowMs: number; record: AccessLogRecord };

function plainLine(format: AccessLogFormat, { kind, nowMs, record }: Entry): string {
  if (kind === 'complete') {
    const level = record.error === undefined ? 'info' : 'error';
    return formatLine(format, nowMs, level, 'connection complete', fieldsOf(record));
  }
  const { source, destination } = record;
  return formatLine(format, nowMs, 'warn', 'connection failed', [
    ['src.addr', raw(source.addr)],
    ['src.workload', source.workload],
    ['src.namespace', source.namespace],
    ['dst.addr', raw(destination.addr)],
    ['direction', record.direction],
    ['error', record.error],
  ]);
}

const anyText = fc.oneof(
  fc.string({ unit: 'grapheme-ascii' }),
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom('a', '"', '\\', '\n', '\t', '\u007f', '\u2028', 'é', '\ud800', '\udc00', '/', '<'),
  }),
  fc.constantFrom('', 'productpage-v1-7d4', 'spiffe://cluster.local/ns/a/sa/b', 'x'.repeat(1000)),
);
const anyName = fc.option(anyText, { nil: undefined });
// Few workloads, so that they repeat with other names.
const anyWorkload = fc.oneof(fc.constantFrom('a', 'b"'), anyName);
const anyPeer = { addr: anyText, workload: anyWorkload, namespace: anyName, identity: anyName, cluster: anyName };
const anyByteCount = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const anyRecord: fc.Arbitrary<AccessLogRecord> = fc.record({
  source: fc.record(anyPeer),
  destination: fc.record({ ...anyPeer, hboneAddr: anyName, service: anyName }),
  direction: fc.constantFrom('inbound', 'outbound'),
  bytesSent: anyByteCount,
  bytesReceived: anyByteCount,
  durationMs: fc.double({ min: 0, max: 1e12, noNaN: true }),
  policy: anyName,
  traceId: fc.option(fc.stringMatching(/^[0-9a-f]{32}$/), {
    nil: undefined,
  }),
  error: anyName,
});
const anyTimeMs = fc.oneof(
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_002_000 }),
  fc.double({ min: 1_700_000_000_000, max: 1_700_000_002_000, noNaN: true }),
  fc.integer({ min: -8_640_000_000_000_000, max: 8_640_000_000_000_000 }),
);
const anyEntries: fc.Arbitrary<Entry[]> = fc.array(
  fc.record({ kind: fc.constantFrom('complete', 'failed'), nowMs: anyTimeMs, record: anyRecord }),
  { minLength: 1, maxLength: 8 },
);

for (const format of ['text', 'json'] as const) {
  test(`lines in ${format} are those of the plain way to format them, whatever is in the fields`, async () => {
    await fc.assert(
      fc.asyncProperty(anyEntries, async (entries) => {
        let written = '';
        let nowMs = 0;
        const log = openAccessLog({
          format,
          nowMs: () => nowMs,
          write(text, done) {
            written += text;
            done();
          },
        });
        for (const entry of entries) {
          nowMs = entry.nowMs;
          log[entry.kind](entry.record);
        }
        await log.flush();
        assert.equal(written, entries.map((entry) => `${plainLine(format, entry)}\n`).join(''));
      }),
      { numRuns: 500, seed: 1 },
    );
  });
}
