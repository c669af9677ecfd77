/** DestinationRule: policies that say something, and subsets that can be told apart. */
import type { FieldView } from '../../field-view.ts';
import { validateLabels } from '../meta.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkSubsetName } from './destination.ts';
import { wildcardHostProblems } from './hosts.ts';
import { checkObject } from './object.ts';
import { checkTrafficPolicy } from './traffic-policy.ts';
import { checkExportTo, checkWorkloadSelector } from './values.ts';

export function validateDestinationRule(rule: FieldView): Validation {
  const found = new Findings();
  const spec = rule.at('spec');
  checkObject(rule, found);
  const host = spec.at('host');
  if (!host.text) found.required(host);
  else found.invalidAll(host, wildcardHostProblems(host.text));
  checkTrafficPolicy(spec.at('trafficPolicy'), found);
  const names = new Set<string>();
  for (const subset of spec.at('subsets').items()) {
    const name = subset.at('name');
    if (!name.text) found.required(name);
    else checkSubsetName(name, found);
    if (name.text && names.has(name.text)) found.duplicate(name);
    names.add(name.text ?? '');
    const labels = subset.at('labels');
    if (labels.entries().length === 0 && !subset.at('trafficPolicy').exists) {
      found.required(labels, 'a subset without labels is the whole host: give it labels, or a trafficPolicy');
    }
    found.add(validateLabels(labels));
    checkTrafficPolicy(subset.at('trafficPolicy'), found);
  }
  const selector = spec.at('workloadSelector');
  checkWorkloadSelector(selector, found, 'matchLabels');
  const namespace = rule.at('metadata').at('namespace').text;
  checkExportTo(spec.at('exportTo'), { namespace, ownOnly: selector.exists }, found);
  return found;
}
