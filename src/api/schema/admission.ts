/** Schema of admissionregistration.k8s.io. */
import { labelSelector, objectSchema } from './meta.ts';
import { integer, keyedList, list, oneOf, record, text, type JsonSchema } from './schema.ts';

const texts = list(text);

export const validatingWebhookConfigurationSchema: JsonSchema = objectSchema({
  webhooks: keyedList(
    record(
      {
        name: text,
        clientConfig: record({
          url: text,
          service: record({ namespace: text, name: text, path: text, port: integer }, 'namespace', 'name'),
          caBundle: text,
        }),
        rules: list(
          record({
            operations: texts,
            apiGroups: texts,
            apiVersions: texts,
            resources: texts,
            scope: oneOf('*', 'Cluster', 'Namespaced'),
          }),
        ),
        failurePolicy: oneOf('Ignore', 'Fail'),
        matchPolicy: oneOf('Exact', 'Equivalent'),
        namespaceSelector: labelSelector,
        objectSelector: labelSelector,
        sideEffects: oneOf('None', 'NoneOnDryRun', 'Some', 'Unknown'),
        timeoutSeconds: integer,
        admissionReviewVersions: texts,
        matchConditions: keyedList(record({ name: text, expression: text }, 'name', 'expression'), 'name'),
      },
      'name',
      'clientConfig',
      'sideEffects',
      'admissionReviewVersions',
    ),
    'name',
  ),
});
