/** Validation of Deployment, ReplicaSet, StatefulSet, DaemonSet and ControllerRevision. */
import { isDeepStrictEqual } from 'node:util';
import { forbidden, invalid, notSupported, required, type FieldError } from '../field-error.ts';
import { isRecord, type FieldView } from '../field-view.ts';
import type { LabelSelector } from '../meta.ts';
import { matchesSelector } from '../selector.ts';
import { immutable, nonNegative, oneOfValues, validateLabelSelector, validateLabels } from './meta.ts';
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

const statefulSetMayChange = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
];

export function validateStatefulSet(set: FieldView, old: FieldView | undefined): FieldError[] {
  const spec = set.at('spec');
  const errors = validateWorkloadSpec(spec, undefined);
  errors.push(...oneOfValues(spec.at('podManagementPolicy'), ['OrderedReady', 'Parallel']));
  const type = spec.at('updateStrategy').at('type');
  const rolling = spec.at('updateStrategy').at('rollingUpdate');
  if (type.text !== undefined && type.text !== 'RollingUpdate' && type.text !== 'OnDelete')
    errors.push(invalid(type.path, type.value, "must be 'RollingUpdate' or 'OnDelete'"));
  if (type.text === 'OnDelete' && rolling.exists)
    errors.push(invalid(rolling.path, rolling.value, "only allowed for updateStrategy 'RollingUpdate'"));
  if (type.text === 'RollingUpdate') {
    errors.push(...nonNegative(rolling.at('partition')), ...validateShare(rolling.at('maxUnavailable'), 100));
    if (isZero(rolling.at('maxUnavailable')))
      errors.push(invalid(rolling.at('maxUnavailable').path, rolling.at('maxUnavailable').value, 'cannot be 0'));
  }
  for (const field of ['minReadySeconds', 'revisionHistoryLimit']) errors.push(...nonNegative(spec.at(field)));
  errors.push(...nonNegative(spec.at('ordinals').at('start')));
  for (const field of ['whenDeleted', 'whenScaled'])
    errors.push(...oneOfValues(spec.at('persistentVolumeClaimRetentionPolicy').at(field), ['Delete', 'Retain']));
  if (old && !isDeepStrictEqual(fixedPart(spec), fixedPart(old.at('spec')))) {
    const names =
      "'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds'";
    errors.push(forbidden(spec.path, `updates to statefulset spec for fields other than ${names} are forbidden`));
  }
  return errors;
}

export function validateDaemonSet(set: FieldView, old: FieldView | undefined): FieldError[] {
  const spec = set.at('spec');
  const errors = validateWorkloadSpec(spec, old?.at('spec'));
  const deadline = spec.at('template').at('spec').at('activeDeadlineSeconds');
  if (deadline.exists) errors.push(forbidden(deadline.path, 'activeDeadlineSeconds in DaemonSet is not Supported'));
  const type = spec.at('updateStrategy').at('type');
  if (type.text !== undefined) errors.push(...oneOfValues(type, ['RollingUpdate', 'OnDelete']));
  if (type.text === 'RollingUpdate') {
    const surge = spec.at('updateStrategy').at('rollingUpdate').at('maxSurge');
    const unavailable = spec.at('updateStrategy').at('rollingUpdate').at('maxUnavailable');
    errors.push(...validateShare(surge, 100), ...validateShare(unavailable, 100));
    if (!isZero(surge) && surge.exists && !isZero(unavailable))
      errors.push(invalid(surge.path, surge.value, 'may not be set when maxUnavailable is non-zero'));
    else if (isZero(surge) && isZero(unavailable))
      errors.push(required(unavailable.path, 'cannot be 0 when maxSurge is 0'));
  }
  for (const field of ['minReadySeconds', 'revisionHistoryLimit']) errors.push(...nonNegative(spec.at(field)));
  return errors;
}

export function validateControllerRevision(revision: FieldView, old: FieldView | undefined): FieldError[] {
  const errors = nonNegative(revision.at('revision'));
  if (!revision.at('data').exists) errors.push(required(revision.at('data').path, 'data is mandatory'));
  if (old) errors.push(...immutable(revision.at('data'), old.at('data')));
  return errors;
}

function fixedPart(spec: FieldView): Record<string, unknown> {
  const { value } = spec;
  if (!isRecord(value)) return {};
  return Object.fromEntries(Object.entries(value).filter(([name]) => !statefulSetMayChange.includes(name)));
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
export function validateShare(view: FieldView, maxPercent: number): FieldError[] {
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
