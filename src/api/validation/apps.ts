/** Validation of Deployment and ReplicaSet. */
import { forbidden, invalid, notSupported, required, type FieldError } from '../field-error.ts';
import { isRecord, type FieldView } from '../field-view.ts';
import type { LabelSelector } from '../meta.ts';
import { matchesSelector } from '../selector.ts';
import { immutable, nonNegative, validateLabelSelector, validateLabels } from './meta.ts';
import { validatePodSpec } from './pod.ts';

export function validateDeployment(deployment: FieldView, old: FieldView | undefined): FieldError[] {
  const spec = deployment.at('spec');
  const errors = validateWorkloadSpec(spec, old?.at('spec'));
  const strategy = spec.at('strategy');
  const type = strategy.at('type');
  const rolling = strategy.at('rollingUpdate');
  if (type.text !== undefined && type.text !== 'RollingUpdate' && type.text !== 'Recreate') {
    errors.push(notSupported(type.path, type.value, ['Recreate', 'RollingUpdate']));
  }
  if (type.text === 'Recreate' && rolling.exists) {
    errors.push(forbidden(rolling.path, "may not be specified when strategy `type` is 'Recreate'"));
  }
  if (type.text === 'RollingUpdate') {
    const surge = rolling.at('maxSurge');
    const unavailable = rolling.at('maxUnavailable');
    errors.push(...validateShare(surge, Infinity), ...validateShare(unavailable, 100));
    if (isZero(surge) && isZero(unavailable)) {
      errors.push(invalid(unavailable.path, unavailable.value, 'may not be 0 when `maxSurge` is 0'));
    }
  }
  for (const field of ['minReadySeconds', 'revisionHistoryLimit', 'progressDeadlineSeconds'])
    errors.push(...nonNegative(spec.at(field)));
  const deadline = spec.at('progressDeadlineSeconds');
  if (deadline.number !== undefined && deadline.number <= (spec.at('minReadySeconds').number ?? 0)) {
    errors.push(invalid(deadline.path, deadline.value, 'must be greater than minReadySeconds'));
  }
  return errors;
}

export function validateReplicaSet(replicaSet: FieldView, old: FieldView | undefined): FieldError[] {
  return [
    ...validateWorkloadSpec(replicaSet.at('spec'), old?.at('spec')),
    ...nonNegative(replicaSet.at('spec').at('minReadySeconds')),
  ];
}

function validateWorkloadSpec(spec: FieldView, old: FieldView | undefined): FieldError[] {
  const errors = nonNegative(spec.at('replicas'));
  const selector = spec.at('selector');
  const template = spec.at('template');
  const labels = template.at('metadata').at('labels');
  errors.push(...validateLabelSelector(selector));
  if (selector.exists && isEmptySelector(selector))
    errors.push(invalid(selector.path, selector.value, 'empty selector is invalid for deployment'));
  else if (selector.exists && template.exists && !selects(selector, labels)) {
    errors.push(invalid(labels.path, labels.value ?? {}, '`selector` does not match template `labels`'));
  }
  if (old) errors.push(...immutable(selector, old.at('selector')));
  errors.push(...validateLabels(labels));
  if (template.exists && !template.at('spec').exists) errors.push(required(template.at('spec').path));
  errors.push(...validatePodSpec(template.at('spec')));
  const policy = template.at('spec').at('restartPolicy');
  if (policy.text !== undefined && policy.text !== 'Always')
    errors.push(notSupported(policy.path, policy.value, ['Always']));
  return errors;
}

function isEmptySelector(selector: FieldView): boolean {
  return selector.at('matchLabels').entries().length === 0 && selector.at('matchExpressions').items().length === 0;
}

function selects(selector: FieldView, labels: FieldView): boolean {
  const expressions = selector.at('matchExpressions').items();
  if (
    !expressions.every(
      (item) => isRecord(item.value) && (!item.at('values').exists || Array.isArray(item.at('values').value)),
    )
  )
    return true;
  const texts = Object.fromEntries(
    labels.entries().flatMap(([key, value]) => (value.text === undefined ? [] : [[key, value.text]])),
  );
  return matchesSelector(texts, {
    matchLabels: Object.fromEntries(
      selector
        .at('matchLabels')
        .entries()
        .map(([key, value]) => [key, value.text ?? '']),
    ),
    matchExpressions: expressions.map((item) => item.value) as NonNullable<LabelSelector['matchExpressions']>,
  });
}

/** A count, or a percentage. */
function validateShare(view: FieldView, maxPercent: number): FieldError[] {
  if (view.text !== undefined) {
    const percent = /^(\d+)%$/.exec(view.text)?.[1];
    if (percent === undefined)
      return [
        invalid(
          view.path,
          view.value,
          "a valid percent string must be a numeric string followed by an ending % (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ),
      ];
    return Number(percent) > maxPercent
      ? [invalid(view.path, view.value, `must not be greater than ${maxPercent}%`)]
      : [];
  }
  return nonNegative(view);
}

function isZero(view: FieldView): boolean {
  return view.number === 0 || view.text === '0%';
}
