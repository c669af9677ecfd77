/** AuthorizationPolicy: what Istio refuses, and what it lets pass and then misreads. */
import type { FieldView } from '../../field-view.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkAttachment } from './attachment.ts';
import { checkRule } from './authorization-rule.ts';
import { checkObject } from './object.ts';

const dryRun = 'istio.io/dry-run';

export function validateAuthorizationPolicy(policy: FieldView): Validation {
  const found = new Findings();
  const spec = policy.at('spec');
  checkObject(policy, found);
  checkAttachment(spec, found);
  const action = spec.at('action').text ?? 'ALLOW';
  const provider = spec.at('provider');
  if (action === 'CUSTOM' && !provider.at('name').text) {
    found.required(provider.at('name'), 'CUSTOM needs the name of a provider');
  }
  if (action !== 'CUSTOM' && provider.exists) found.forbidden(provider, 'may only be set when `action` is CUSTOM');
  const rules = spec.at('rules');
  const count = rules.items().length;
  if (action === 'CUSTOM' && count === 0) found.required(rules, 'CUSTOM needs at least one rule');
  if ((action === 'DENY' || action === 'AUDIT') && count === 0) {
    found.required(rules, `${action} needs at least one rule: without one it matches nothing`);
  }
  if (action === 'ALLOW' && count === 0)
    found.warn(spec, 'allows nothing: every request to the selected workloads is denied');
  for (const rule of rules.items()) checkRule(rule, action, found);
  checkDryRun(policy.at('metadata').at('annotations'), action, found);
  return found;
}

function checkDryRun(annotations: FieldView, action: string, found: Findings): void {
  const entry = annotations.entries().find(([key]) => key === dryRun)?.[1];
  if (!entry?.exists) return;
  if (!/^(1|t|T|true|TRUE|True|0|f|F|false|FALSE|False)$/.test(entry.text ?? ''))
    found.invalid(entry, 'must be true or false');
  else if (action !== 'ALLOW' && action !== 'DENY') {
    found.forbidden(entry, `a dry run of ${action} is not supported: use ALLOW or DENY`);
  }
}
