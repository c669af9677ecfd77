import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readRateLimitRequest, writeRateLimitResponse } from './policy-service-fixtures.ts';
import { shouldRateLimitMethod } from './rate-limit-service.ts';

describe('rate limit call', () => {
  it('asks about each descriptor', () => {
    const bytes = shouldRateLimitMethod.encodeRequest({
      domain: 'shop',
      descriptors: [
        [
          ['user', 'ann'],
          ['method', 'GET'],
        ],
        [['name', 'J\u00c3\u00bcrgen']],
      ],
    });
    const { domain, descriptors, hitsAddend } = readRateLimitRequest(bytes);
    assert.equal(domain, 'shop');
    assert.equal(hitsAddend, 0);
    assert.deepEqual(
      descriptors.map(({ entries }) => entries.map(({ key, value }) => `${key}=${value}`)),
      [['user=ann', 'method=GET'], ['name=Jürgen']],
    );
  });

  it('reads the verdict, limit by limit', () => {
    const verdict = shouldRateLimitMethod.decodeResponse(
      writeRateLimitResponse({
        overallCode: 2,
        statuses: [
          { code: 1 },
          {
            code: 2,
            currentLimit: { requestsPerUnit: 10, unit: 2 },
            limitRemaining: 0,
            durationUntilReset: { seconds: 3n, nanos: 500_000_001 },
          },
        ],
        responseHeadersToAdd: [{ key: 'X-A', value: '1' }],
        requestHeadersToAdd: [{ key: 'x-b', rawValue: Buffer.from('2') }],
        rawBody: Buffer.from('slow down'),
      }),
      2,
    );
    assert.equal(verdict.overLimit, true);
    assert.deepEqual(verdict.statuses, [
      { overLimit: false, remaining: 0, resetMs: undefined },
      { overLimit: true, limit: { requests: 10, windowSeconds: 60 }, remaining: 0, resetMs: 3501 },
    ]);
    assert.deepEqual(verdict.responseHeaders, [['x-a', '1']]);
    assert.deepEqual(verdict.requestHeaders, [['x-b', '2']]);
    assert.equal(Buffer.from(verdict.body).toString(), 'slow down');
  });

  it('never takes for OK what does not say so', () => {
    for (const overallCode of [0, 7]) {
      const bytes = writeRateLimitResponse({ overallCode: overallCode as 0 });
      assert.throws(() => shouldRateLimitMethod.decodeResponse(bytes, 1), { code: 'wire.unknown-enum' });
    }
    const short = writeRateLimitResponse({ overallCode: 1, statuses: [{ code: 1 }] });
    assert.throws(() => shouldRateLimitMethod.decodeResponse(short, 2), { code: 'wire.malformed' });
    assert.equal(shouldRateLimitMethod.decodeResponse(writeRateLimitResponse({ overallCode: 1 }), 2).overLimit, false);
  });
});
