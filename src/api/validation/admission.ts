/** Validation of admissionregistration.k8s.io, as the API server does it, save what this server does not do. */
import { duplicate, forbidden, invalid, notSupported, required, type FieldError } from '../field-error.ts';
import type { FieldView } from '../field-view.ts';
import { validateLabelSelector } from './meta.ts';

export function validateWebhookConfiguration(configuration: FieldView): FieldError[] {
  const names = new Set<string>();
  return configuration
    .at('webhooks')
    .items()
    .flatMap((webhook) => {
      const errors = validateWebhook(webhook);
      const name = webhook.at('name');
      if (name.text !== undefined && names.has(name.text)) errors.push(duplicate(name.path, name.text));
      names.add(name.text ?? '');
      return errors;
    });
}

function validateWebhook(webhook: FieldView): FieldError[] {
  const errors: FieldError[] = [];
  const name = webhook.at('name');
  if ((name.text ?? '').split('.').length < 3)
    errors.push(invalid(name.path, name.value, 'should be a domain with at least three segments separated by dots'));
  errors.push(...validateClient(webhook.at('clientConfig')));
  const versions = webhook.at('admissionReviewVersions');
  const offered = versions.items().map((item) => item.text);
  if (offered.length === 0) errors.push(required(versions.path, 'must specify one of v1, v1beta1'));
  else if (!offered.includes('v1'))
    errors.push(invalid(versions.path, versions.value, 'must include at least one of v1'));
  const effects = webhook.at('sideEffects');
  if (effects.text !== undefined && !['None', 'NoneOnDryRun'].includes(effects.text))
    errors.push(notSupported(effects.path, effects.value, ['None', 'NoneOnDryRun']));
  const timeout = webhook.at('timeoutSeconds');
  if (timeout.number !== undefined && (timeout.number < 1 || timeout.number > 30))
    errors.push(invalid(timeout.path, timeout.value, 'the timeout value must be between 1 and 30 seconds'));
  for (const field of ['namespaceSelector', 'objectSelector']) {
    if (webhook.at(field).exists) errors.push(...validateLabelSelector(webhook.at(field)));
  }
  const conditions = webhook.at('matchConditions');
  if (conditions.items().length > 0)
    errors.push(forbidden(conditions.path, 'this server has none: select by rules and labels'));
  for (const rule of webhook.at('rules').items()) {
    for (const field of ['operations', 'apiGroups', 'apiVersions', 'resources']) {
      if (rule.at(field).items().length === 0) errors.push(required(rule.at(field).path));
    }
  }
  return errors;
}

function validateClient(client: FieldView): FieldError[] {
  const url = client.at('url');
  const service = client.at('service');
  if (url.exists === service.exists) return [required(client.path, 'exactly one of url or service is required')];
  if (!url.exists) return [];
  const parsed = URL.parse(url.text ?? '');
  return parsed?.protocol === 'https:'
    ? []
    : [invalid(url.path, url.value, `'https' is the only allowed URL scheme; desired format: https://host[/path]`)];
}
