/** Kinds of the group admissionregistration.k8s.io. */
import type { ValidatingWebhookConfiguration } from '../admission.ts';
import { ageColumn, count, nameColumn } from '../columns/columns.ts';
import { fill, objectAt, objectsAt, type JsonObject } from '../defaults/fill.ts';
import { define } from '../define.ts';
import type { Column, KindInfo } from '../kind-info.ts';
import { kinds } from '../kinds.ts';
import { validatingWebhookConfigurationSchema } from '../schema/admission.ts';
import { validateWebhookConfiguration } from '../validation/admission.ts';

const columns: readonly Column<ValidatingWebhookConfiguration>[] = [
  nameColumn,
  count<ValidatingWebhookConfiguration>(
    'Webhooks',
    'How many webhooks it has.',
    ({ webhooks }) => webhooks?.length ?? 0,
  ),
  ageColumn,
];

export const admissionKinds: readonly KindInfo[] = [
  define(kinds.ValidatingWebhookConfiguration, {
    schema: validatingWebhookConfigurationSchema,
    columns,
    categories: ['api-extensions'],
    hasStatus: false,
    defaults: defaultWebhooks,
    validate: validateWebhookConfiguration,
  }),
];

function defaultWebhooks(configuration: JsonObject): void {
  for (const webhook of objectsAt(configuration, 'webhooks')) {
    fill(webhook, {
      failurePolicy: 'Fail',
      matchPolicy: 'Equivalent',
      namespaceSelector: {},
      objectSelector: {},
      timeoutSeconds: 10,
    });
    const client = objectAt(webhook, 'clientConfig');
    const service = client && objectAt(client, 'service');
    if (service) fill(service, { port: 443 });
    for (const rule of objectsAt(webhook, 'rules')) fill(rule, { scope: '*' });
  }
}
