/** Destinations of routes, and their weights. */
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';
import { isLabel, wildcardHostProblems } from './hosts.ts';
import { checkPort } from './values.ts';

export function checkDestination(destination: FieldView, found: Findings): void {
  if (!destination.exists) return;
  const host = destination.at('host');
  if (!host.text) found.required(host);
  else if (host.text === '*') found.invalid(host, 'must name a host: * is none');
  else found.invalidAll(host, wildcardHostProblems(host.text));
  checkSubsetName(destination.at('subset'), found);
  checkPort(destination.at('port').at('number'), found);
}

export function checkSubsetName(name: FieldView, found: Findings): void {
  if (name.text !== undefined && !isLabel(name.text)) {
    found.invalid(name, "must be 1 to 63 letters, digits and '-', with a letter or digit at both ends");
  }
}

/** `routes` is a list of `{destination, weight}`. */
export function checkWeights(routes: FieldView, found: Findings): void {
  const items = routes.items();
  let total = 0;
  for (const item of items) {
    const weight = item.at('weight');
    if (weight.number !== undefined && weight.number < 0) found.invalid(weight, 'must be greater than or equal to 0');
    total += weight.number ?? 0;
  }
  if (items.length > 1 && total === 0)
    found.invalid({ ...routes, value: 0 }, 'the weights of several destinations may not sum up to 0');
}
