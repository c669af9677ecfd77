/** A bearer token that lives in a file and rotates there: projected service account tokens. */
import { readFileSync } from 'node:fs';
import { systemClock, type Clock } from '../lib/clock.ts';
import { AmbitError, messageOf } from '../lib/errors.ts';

/** How long a token is believed. The kubelet replaces one at 80 % of its life, 10 minutes at least: this is soon enough. */
const believedMs = 10_000;

/**
 * Reads the file when asked, at most every 10 seconds, and at once when `fresh`. A file that cannot be read is no news as
 * long as an earlier token is known; without one `fallback` is used, else it throws `kube.token-file`.
 */
export function tokenFromFile(
  path: string,
  options: { readonly clock?: Clock; readonly fallback?: string | undefined } = {},
): (fresh?: boolean) => string {
  const { clock = systemClock, fallback } = options;
  let known: { readonly token: string; readonly readAtMs: number } | undefined;
  return (fresh = false) => {
    const nowMs = clock.nowMs();
    if (known && !fresh && nowMs - known.readAtMs < believedMs) return known.token;
    try {
      const token = readFileSync(path, 'utf8').trim();
      // A file that is being written may be empty for a moment.
      if (token === '') throw new Error('the file is empty');
      known = { token, readAtMs: nowMs };
    } catch (error) {
      const token = known?.token ?? fallback;
      if (token === undefined) {
        throw new AmbitError(`Cannot read token file "${path}": ${messageOf(error)}`, {
          code: 'kube.token-file',
          blame: 'internal',
          cause: error,
        });
      }
      known = { token, readAtMs: nowMs };
    }
    return known.token;
  };
}
