/** RateLimit: expressions that proxies can run. */
import type { FieldView } from '../../field-view.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkObject } from '../istio/object.ts';
import { checkRegex } from '../istio/values.ts';

export function validateRateLimit(policy: FieldView): Validation {
  const found = new Findings();
  checkObject(policy, found);
  for (const limit of policy.at('spec').at('limits').items()) {
    for (const match of limit.at('matches').items()) {
      const demands = ['headers', 'queryParams', 'claims'].flatMap((field) => match.at(field).items());
      for (const demand of [match.at('path'), ...demands]) {
        if (demand.at('type').text === 'RegularExpression') checkRegex(demand.at('value'), found);
      }
    }
  }
  return found;
}
