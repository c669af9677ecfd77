/** Texts of users compiled once: exact, prefix, suffix, RE2. */
import { RE2JS } from 're2js';
import type { TextMatch } from '../api/l7/index.ts';
import { AmbitError, messageOf } from '../lib/errors.ts';

/** Whether a text fits. Pure, and linear in the length of the text. */
export type TextTest = (text: string) => boolean;

/** @throws AmbitError `policy.bad-regex`, quoting the pattern. */
export function compileText(match: TextMatch, options: { readonly ignoreCase?: boolean } = {}): TextTest {
  const { ignoreCase = false } = options;
  if (match.kind === 'present') return (text) => text !== '';
  if (match.kind === 'regex') return compileRegex(match.value, ignoreCase);
  const value = ignoreCase ? match.value.toLowerCase() : match.value;
  const test: TextTest =
    match.kind === 'exact'
      ? (text) => text === value
      : match.kind === 'prefix'
        ? (text) => text.startsWith(value)
        : (text) => text.endsWith(value);
  return ignoreCase ? (text) => test(text.toLowerCase()) : test;
}

function compileRegex(pattern: string, ignoreCase: boolean): TextTest {
  const regex = parseRegex(pattern, ignoreCase);
  return (text) => regex.testExact(text);
}

/** RE2: no backtracking, whatever the pattern. @throws AmbitError `policy.bad-regex`. */
export function parseRegex(pattern: string, ignoreCase = false): RE2JS {
  try {
    return RE2JS.compile(pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
  } catch (error) {
    throw new AmbitError(`Cannot compile the regular expression ${JSON.stringify(pattern)}: ${messageOf(error)}`, {
      code: 'policy.bad-regex',
      blame: 'internal',
      cause: error,
    });
  }
}
