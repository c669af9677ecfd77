import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { createFakeClock } from '../../../lib/fake-clock.ts';
import type { RefusalWords } from './askers.ts';
import type { Authorizer, AuthorizerAnswer } from './authorizer.ts';
import { checkLive } from './kept-checks.ts';
import { liveTurns } from './live-turns.ts';

const authorizer = { name: 'authz', id: 'authz@shop', use: { failOpen: false } } as Authorizer;
const allowed = {
  kind: 'allowed',
  requestHeaders: [],
  requestHeadersToRemove: [],
  responseHeaders: [],
} as const;
const denied = { kind: 'denied', message: 'no' } as AuthorizerAnswer;

describe('thousands that live when a policy changes', () => {
  let clock: ReturnType<typeof createFakeClock>;
  /** Questions that wait for their answer. */
  let open: { answer: (answer: AuthorizerAnswer) => void }[];
  let most: number;
  let counts: Record<string, number>;

  beforeEach(() => {
    clock = createFakeClock();
    [open, most, counts] = [[], 0, {}];
  });

  const review = (
    live: object,
    { of = authorizer, signal = new AbortController().signal } = {},
  ): Promise<RefusalWords | undefined> =>
    checkLive(live, [of], {
      ask() {
        const { promise, resolve } = Promise.withResolvers<AuthorizerAnswer>();
        const question = {
          answer(answer: AuthorizerAnswer) {
            open.splice(open.indexOf(question), 1);
            resolve(answer);
          },
        };
        open.push(question);
        most = Math.max(most, open.length);
        return { answer: promise, cancel: () => question.answer({ kind: 'failed', message: 'cancelled' }) };
      },
      count: (_, result) => void (counts[result] = (counts[result] ?? 0) + 1),
      signal,
      turns: liveTurns(clock),
    });
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await new Promise((resolve) => void setImmediate(resolve));
  };

  it('are asked about a hundred at a time, all of them', async () => {
    const verdicts = Array.from({ length: 1000 }, () => review({}));
    await turns();
    assert.equal(open.length, 100);
    for (let i = 0; i < 1000; i++) {
      (open[0] as (typeof open)[number]).answer(i % 2 === 0 ? allowed : denied);
      await Promise.resolve();
      if (open.length < 100) await turns();
    }
    const refused = (await Promise.all(verdicts)).filter((verdict) => verdict !== undefined);
    assert.deepEqual([refused.length, most, counts], [500, 100, { allowed: 500, denied: 500 }]);
    assert.equal(clock.pending, 0);
  });

  it('are refused when their turn does not come within a minute', async () => {
    const verdicts = Array.from({ length: 150 }, () => review({}));
    await turns();
    clock.advance(60_000);
    const late = await Promise.all(verdicts.slice(100));
    assert.ok(late.every((one) => /could not be asked: its turn to be asked did not come/.test(one?.reason ?? '')));
    assert.equal(counts['error'], 50);
    while (open[0]) open[0].answer(allowed);
    assert.ok((await Promise.all(verdicts.slice(0, 100))).every((one) => one === undefined));
    assert.equal(await Promise.race([review({}), turns().then(() => 'asked')]), 'asked');
    assert.equal(open.length, 1, 'turns are free again');
  });

  it('take no turn when they have ended, and none of another authorizer', async () => {
    const verdicts = Array.from({ length: 100 }, () => review({}));
    const gone = new AbortController();
    const ended = review({}, { signal: gone.signal });
    await turns();
    gone.abort();
    assert.equal(await ended, undefined);
    void review({}, { of: { ...authorizer, id: 'other@shop' } });
    await turns();
    assert.equal(open.length, 101);
    while (open[0]) open[0].answer(allowed);
    await Promise.all(verdicts);
    assert.equal(counts['allowed'], 101);
    assert.equal(clock.pending, 0);
  });
});
