/** Validation of rbac.authorization.k8s.io and coordination.k8s.io, as the API server does it. */
import { invalid, notSupported, required, type FieldError } from '../field-error.ts';
import type { FieldView } from '../field-view.ts';
import { immutable } from './meta.ts';

export function validateRole(role: FieldView): FieldError[] {
  return role
    .at('rules')
    .items()
    .flatMap((rule) => validateRule(rule, false));
}

export function validateClusterRole(role: FieldView): FieldError[] {
  const errors = role
    .at('rules')
    .items()
    .flatMap((rule) => validateRule(rule, true));
  const aggregation = role.at('aggregationRule');
  const selectors = aggregation.at('clusterRoleSelectors');
  if (aggregation.exists && selectors.items().length === 0)
    errors.push(required(selectors.path, 'at least one clusterRoleSelector required if aggregationRule is non-nil'));
  return errors;
}

function validateRule(rule: FieldView, clusterScoped: boolean): FieldError[] {
  const count = (field: string): number => rule.at(field).items().length;
  const errors: FieldError[] = [];
  if (count('verbs') === 0) errors.push(required(rule.at('verbs').path, 'verbs must contain at least one value'));
  if (count('nonResourceURLs') > 0) {
    const urls = rule.at('nonResourceURLs');
    if (!clusterScoped)
      return [...errors, invalid(urls.path, urls.value, 'namespaced rules cannot apply to non-resource URLs')];
    if (count('apiGroups') + count('resources') + count('resourceNames') > 0)
      errors.push(invalid(urls.path, urls.value, 'rules cannot apply to both regular resources and non-resource URLs'));
    return errors;
  }
  if (count('apiGroups') === 0)
    errors.push(required(rule.at('apiGroups').path, 'resource rules must supply at least one api group'));
  if (count('resources') === 0)
    errors.push(required(rule.at('resources').path, 'resource rules must supply at least one resource'));
  return errors;
}

const rbacGroup = 'rbac.authorization.k8s.io';

export function validateRoleBinding(binding: FieldView, old: FieldView | undefined): FieldError[] {
  return validateBinding(binding, old, ['Role', 'ClusterRole']);
}

export function validateClusterRoleBinding(binding: FieldView, old: FieldView | undefined): FieldError[] {
  return validateBinding(binding, old, ['ClusterRole']);
}

function validateBinding(binding: FieldView, old: FieldView | undefined, kinds: readonly string[]): FieldError[] {
  const ref = binding.at('roleRef');
  const errors: FieldError[] = [];
  const group = ref.at('apiGroup');
  if (group.exists && group.text !== rbacGroup) errors.push(notSupported(group.path, group.value, [rbacGroup]));
  const kind = ref.at('kind');
  if (kind.text !== undefined && !kinds.includes(kind.text)) errors.push(notSupported(kind.path, kind.value, kinds));
  if (ref.at('name').text === '') errors.push(required(ref.at('name').path));
  if (old) errors.push(...immutable(ref, old.at('roleRef')));
  return [...errors, ...binding.at('subjects').items().flatMap(validateSubject)];
}

function validateSubject(subject: FieldView): FieldError[] {
  const errors: FieldError[] = [];
  const group = subject.at('apiGroup');
  if (subject.at('name').text === '') errors.push(required(subject.at('name').path));
  switch (subject.at('kind').text) {
    case 'ServiceAccount':
      if (group.exists && group.text !== '') errors.push(notSupported(group.path, group.value, ['']));
      if (!subject.at('namespace').text) errors.push(required(subject.at('namespace').path));
      break;
    case 'User':
    case 'Group':
      if (group.exists && group.text !== rbacGroup) errors.push(notSupported(group.path, group.value, [rbacGroup]));
      break;
    case undefined:
    default: {
      const kind = subject.at('kind');
      errors.push(notSupported(kind.path, kind.value, ['ServiceAccount', 'User', 'Group']));
    }
  }
  return errors;
}

export function validateLease(lease: FieldView): FieldError[] {
  const spec = lease.at('spec');
  const errors: FieldError[] = [];
  const duration = spec.at('leaseDurationSeconds');
  if (duration.number !== undefined && duration.number <= 0)
    errors.push(invalid(duration.path, duration.value, 'must be greater than 0'));
  const transitions = spec.at('leaseTransitions');
  if (transitions.number !== undefined && transitions.number < 0)
    errors.push(invalid(transitions.path, transitions.value, 'must be greater than or equal to 0'));
  return errors;
}
