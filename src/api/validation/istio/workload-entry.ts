/** WorkloadEntry: an endpoint with an address. */
import type { FieldView } from '../../field-view.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkEndpoint } from './endpoint.ts';
import { checkObject } from './object.ts';

export function validateWorkloadEntry(entry: FieldView): Validation {
  const found = new Findings();
  checkObject(entry, found);
  checkEndpoint(entry.at('spec'), 'any', found);
  return found;
}
