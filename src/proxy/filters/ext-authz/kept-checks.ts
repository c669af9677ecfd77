/**
 * What authorizers have allowed of what lives on, a tunnel or a connection, so that a new configuration asks only whom nobody has
 * asked yet. A refusal or a failure is not kept.
 */
import type { Call } from '../../../http/call.ts';
import { deniedBy, failedToAsk, type RefusalWords } from './askers.ts';
import type { Authorizer, AuthorizerAnswer } from './authorizer.ts';
import type { CheckResult } from './check-counts.ts';
import { patienceMs, type LiveTurns } from './live-turns.ts';

/** By authorizer. Of the process, as each configuration has filters of its own. */
const checks = new WeakMap<object, Map<string, Promise<AuthorizerAnswer> | 'allowed'>>();

export function hasAllowed({ id }: Authorizer, live: object): boolean {
  return checks.get(live)?.get(id) === 'allowed';
}

export function keepAllowed({ id }: Authorizer, live: object): void {
  checksOf(live).set(id, 'allowed');
}

export interface CheckOptions<T extends Authorizer> {
  readonly ask: (authorizer: T) => Call<AuthorizerAnswer>;
  readonly count: (provider: string, result: CheckResult) => void;
  /** `live` is over: nobody heeds what comes. */
  readonly signal: AbortSignal;
  /** Where many may be asked about at one moment: absent, it is asked at once. */
  readonly turns?: LiveTurns;
}

/** One after the other: each must allow. Undefined: all do, or `live` is over. */
export async function checkLive<T extends Authorizer>(
  live: object,
  authorizers: readonly T[],
  options: CheckOptions<T>,
): Promise<RefusalWords | undefined> {
  for (const authorizer of authorizers) {
    const answer = await check(live, authorizer, options);
    if (options.signal.aborted) return undefined;
    if (answer === 'allowed' || answer.kind === 'allowed') continue;
    if (answer.kind === 'denied') return deniedBy(authorizer, answer.message);
    if (!authorizer.use.failOpen) return failedToAsk(authorizer, answer.message);
  }
  return undefined;
}

/** Whoever asks while an answer is waited for waits for the same one. */
function check<T extends Authorizer>(
  live: object,
  authorizer: T,
  options: CheckOptions<T>,
): Promise<AuthorizerAnswer> | 'allowed' {
  const kept = checksOf(live);
  let answer = kept.get(authorizer.id);
  if (answer === undefined) kept.set(authorizer.id, (answer = call(kept, authorizer, options)));
  return answer;
}

async function call<T extends Authorizer>(
  kept: Map<string, unknown>,
  authorizer: T,
  options: CheckOptions<T>,
): Promise<AuthorizerAnswer> {
  const turn = await options.turns?.take(authorizer.id, options.signal);
  if (turn && turn.kind !== 'now') {
    kept.delete(authorizer.id);
    if (turn.kind === 'late') options.count(authorizer.name, 'error');
    return { kind: 'failed', message: `its turn to be asked did not come within ${patienceMs} ms` };
  }
  try {
    return await callNow(kept, authorizer, options);
  } finally {
    turn?.end();
  }
}

async function callNow<T extends Authorizer>(
  kept: Map<string, unknown>,
  authorizer: T,
  { ask, count, signal }: CheckOptions<T>,
): Promise<AuthorizerAnswer> {
  const asked = ask(authorizer);
  const cancel = (): void => asked.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  const answer = await asked.answer;
  signal.removeEventListener('abort', cancel);
  if (answer.kind === 'allowed') kept.set(authorizer.id, 'allowed');
  else kept.delete(authorizer.id);
  if (!signal.aborted) count(authorizer.name, answer.kind === 'failed' ? 'error' : answer.kind);
  return answer;
}

function checksOf(live: object): Map<string, Promise<AuthorizerAnswer> | 'allowed'> {
  let kept = checks.get(live);
  if (!kept) checks.set(live, (kept = new Map()));
  return kept;
}
