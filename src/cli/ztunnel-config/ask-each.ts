/** Asks several ztunnels at once: one that is silent keeps nobody from what the others say. */
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { Ztunnel } from './select.ts';

export interface Answers<T> {
  /** In the order of the ztunnels. Never empty. */
  readonly answers: readonly { readonly ztunnel: Ztunnel; readonly answer: T }[];
  /** Of the others, all in one: to be thrown once the answers are shown. */
  readonly missing: AmbitError | undefined;
}

/** Throws what the first one threw when none answers. */
export async function askEach<T>(
  ztunnels: readonly Ztunnel[],
  ask: (ztunnel: Ztunnel) => Promise<T>,
): Promise<Answers<T>> {
  const asked = await Promise.allSettled(ztunnels.map(async (ztunnel) => ({ ztunnel, answer: await ask(ztunnel) })));
  const answers = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const errors: unknown[] = asked.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  if (answers.length === 0) throw errors[0];
  if (errors.length === 0) return { answers, missing: undefined };
  const missing = new AmbitError(errors.map(messageOf).join('; '), {
    code: 'cli.no-ztunnel',
    blame: 'upstream',
    cause: errors[0],
  });
  return { answers, missing };
}
