/** Regular expressions of policies and routes. Proxies run them as RE2: no lookaround, no backreferences, linear time. */
import { compilePattern } from '../schema/pattern.ts';

/** Istio's bound: longer ones cost every request. */
const maxLength = 1024;

/** What keeps `source` from being used, in words; nothing when it is fine. */
export function re2Problems(source: string): string[] {
  if (source.length > maxLength) return [`a regular expression may have at most ${maxLength} characters`];
  try {
    compilePattern(source);
    return [];
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    return [`must be a regular expression in RE2's syntax: ${cause.message}`];
  }
}
