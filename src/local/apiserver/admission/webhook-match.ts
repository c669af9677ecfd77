/** Whether a webhook wants to be asked about a write (admissionregistration.k8s.io/v1 `RuleWithOperations`, selectors). Pure. */
import {
  matchesSelector,
  type AdmissionOperation,
  type KindInfo,
  type KubeObject,
  type ValidatingWebhook,
  type WebhookRule,
} from '../../../api/index.ts';

export interface AdmittedWrite {
  readonly kind: KindInfo;
  readonly subresource: string;
  readonly operation: AdmissionOperation;
  readonly namespace: string;
  readonly name: string;
  /** What is to be stored; absent for a delete. */
  readonly object?: KubeObject;
  /** What is stored; absent for a create. */
  readonly oldObject?: KubeObject;
}

/** The version in which the webhook wants the object; undefined: it does not want to be asked. */
export function wantedVersion(
  webhook: ValidatingWebhook,
  write: AdmittedWrite,
  namespaceLabels: Readonly<Record<string, string>> | undefined,
): string | undefined {
  // A cluster-scoped object is in no namespace that could be selected; a Namespace is its own.
  const labels = write.kind.kind === 'Namespace' && write.kind.group === '' ? labelsOf(write) : namespaceLabels;
  if (labels && !matchesSelector(labels, webhook.namespaceSelector ?? {})) return undefined;
  const selector = webhook.objectSelector ?? {};
  if (![write.object, write.oldObject].some((object) => object && matchesSelector(object.metadata.labels, selector)))
    return undefined;
  for (const rule of webhook.rules ?? []) {
    const version = versionByRule(rule, write, webhook.matchPolicy ?? 'Equivalent');
    if (version !== undefined) return version;
  }
  return undefined;
}

function versionByRule(rule: WebhookRule, write: AdmittedWrite, policy: 'Exact' | 'Equivalent'): string | undefined {
  const { kind, operation, subresource } = write;
  if (!includes(rule.operations, operation) || !includes(rule.apiGroups, kind.group)) return undefined;
  if (rule.scope === 'Cluster' && kind.namespaced) return undefined;
  if (rule.scope === 'Namespaced' && !kind.namespaced) return undefined;
  if (!rule.resources.some((resource) => coversResource(resource, kind.plural, subresource))) return undefined;
  if (includes(rule.apiVersions, kind.version)) return kind.version;
  // The same object by another version is the same object.
  return policy === 'Equivalent' ? kind.versions.find((version) => rule.apiVersions.includes(version)) : undefined;
}

function coversResource(rule: string, plural: string, subresource: string): boolean {
  const [resource = '', sub = ''] = rule.split('/');
  return (resource === '*' || resource === plural) && (sub === subresource || sub === '*');
}

function includes(list: readonly string[], value: string): boolean {
  return list.includes('*') || list.includes(value);
}

function labelsOf({ object, oldObject }: AdmittedWrite): Readonly<Record<string, string>> {
  return (object ?? oldObject)?.metadata.labels ?? {};
}
