/** The status of a SelfSubjectRulesReview: what `kubectl auth can-i --list` shows. */
import type { PolicyRule } from '../../../api/index.ts';
import type { JsonObject } from '../merge-patch.ts';

export function rulesReview(rules: readonly PolicyRule[]): JsonObject {
  const copy = (list: readonly string[] | undefined): string[] => [...(list ?? [])];
  return {
    incomplete: false,
    resourceRules: rules
      .filter((rule) => rule.resources !== undefined)
      .map((rule) => ({
        verbs: copy(rule.verbs),
        apiGroups: copy(rule.apiGroups),
        resources: copy(rule.resources),
        ...(rule.resourceNames?.length ? { resourceNames: copy(rule.resourceNames) } : {}),
      })),
    nonResourceRules: rules
      .filter((rule) => rule.nonResourceURLs !== undefined)
      .map((rule) => ({ verbs: copy(rule.verbs), nonResourceURLs: copy(rule.nonResourceURLs) })),
  };
}
