/** exact, prefix or regex. */
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';
import { checkRegex } from './values.ts';

/** A prefix or expression that is empty would match everything, which nobody means to write. */
export function checkStringMatch(match: FieldView, found: Findings): void {
  for (const field of ['prefix', 'regex']) {
    if (match.at(field).text === '')
      found.invalid(match.at(field), `must not be empty: an empty ${field} matches everything`);
  }
  checkRegex(match.at('regex'), found);
}

/** Of a header or query parameter: a regex of `*` says that it is there. */
export function checkPresentMatch(match: FieldView, found: Findings): void {
  if (!match.exists) found.required(match, 'must not be null: {} matches when it is there');
  if (match.at('regex').text !== '*') checkStringMatch(match, found);
}
