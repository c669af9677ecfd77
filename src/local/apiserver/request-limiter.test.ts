import { doesNotThrow, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { RequestLimiter } from './request-limiter.ts';

test('a user at its limit is told to come back, while others and its own streams pass', () => {
  const limiter = new RequestLimiter({ requestsPerUser: 2, requests: 3, streamsPerUser: 1 });
  const leave = limiter.enter('loud', false);
  limiter.enter('loud', false);
  throws(() => limiter.enter('loud', false), { code: 'apiserver.too-many-requests' });
  doesNotThrow(() => limiter.enter('quiet', false));
  throws(() => limiter.enter('third', false), { code: 'apiserver.too-many-requests' });
  doesNotThrow(() => limiter.enter('loud', true));
  throws(() => limiter.enter('loud', true), { code: 'apiserver.too-many-requests' });
  leave();
  doesNotThrow(() => limiter.enter('loud', false));
});
