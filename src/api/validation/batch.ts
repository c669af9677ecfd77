/** Validation of Job and CronJob (`pkg/apis/batch/validation`). */
import { scheduleProblem, timeZoneProblem } from '../cron.ts';
import { invalid, required, type FieldError } from '../field-error.ts';
import type { FieldView } from '../field-view.ts';
import { immutable, nonNegative, oneOfValues, validateLabelSelector, validateLabels } from './meta.ts';
import { validatePodSpec } from './pod.ts';

const maxIndexedParallelism = 100_000;

export function validateJob(job: FieldView, old: FieldView | undefined): FieldError[] {
  const spec = job.at('spec');
  const errors = validateJobSpec(spec);
  if (!spec.at('selector').exists) errors.push(required(spec.at('selector').path));
  if (!old) return errors;
  const before = old.at('spec');
  for (const field of ['selector', 'completionMode', 'podFailurePolicy', 'backoffLimitPerIndex', 'managedBy'])
    errors.push(...immutable(spec.at(field), before.at(field)));
  // An indexed job may change both together: its size.
  const isElastic =
    spec.at('completionMode').text === 'Indexed' &&
    spec.at('completions').number !== undefined &&
    spec.at('completions').number === spec.at('parallelism').number;
  if (!isElastic) errors.push(...immutable(spec.at('completions'), before.at('completions')));
  const suspended = before.at('suspend').boolean === true && !old.at('status').at('startTime').exists;
  if (!suspended) errors.push(...immutable(spec.at('template'), before.at('template')));
  return errors;
}

export function validateCronJob(cronJob: FieldView): FieldError[] {
  const spec = cronJob.at('spec');
  const schedule = spec.at('schedule');
  const zone = spec.at('timeZone');
  const errors = validateJobSpec(spec.at('jobTemplate').at('spec'));
  if (!schedule.text) errors.push(required(schedule.path));
  else {
    const problem = scheduleProblem(schedule.text);
    if (problem !== undefined) errors.push(invalid(schedule.path, schedule.value, problem));
  }
  if (zone.exists) {
    const problem = timeZoneProblem(zone.text ?? '');
    if (problem !== undefined) errors.push(invalid(zone.path, zone.value, problem));
  }
  errors.push(...oneOfValues(spec.at('concurrencyPolicy'), ['Allow', 'Forbid', 'Replace']));
  for (const field of ['startingDeadlineSeconds', 'successfulJobsHistoryLimit', 'failedJobsHistoryLimit'])
    errors.push(...nonNegative(spec.at(field)));
  const { text: name = '' } = cronJob.at('metadata').at('name');
  // Its jobs are named for it, with the time of their run.
  if (name.length > 52) errors.push(invalid('metadata.name', name, 'must be no more than 52 characters'));
  return errors;
}

function validateJobSpec(spec: FieldView): FieldError[] {
  const errors: FieldError[] = [];
  const counts = ['parallelism', 'completions', 'activeDeadlineSeconds', 'backoffLimit', 'backoffLimitPerIndex'];
  for (const field of [...counts, 'maxFailedIndexes', 'ttlSecondsAfterFinished'])
    errors.push(...nonNegative(spec.at(field)));
  errors.push(...validateLabelSelector(spec.at('selector')));
  errors.push(...oneOfValues(spec.at('podReplacementPolicy'), ['Failed', 'TerminatingOrFailed']));
  const mode = spec.at('completionMode');
  if (mode.text !== undefined && mode.text !== 'NonIndexed' && mode.text !== 'Indexed')
    errors.push(...oneOfValues(mode, ['NonIndexed', 'Indexed']));
  if (mode.text === 'Indexed') {
    const completions = spec.at('completions');
    if (!completions.exists) errors.push(required(completions.path, 'when completion mode is Indexed'));
    const parallelism = spec.at('parallelism');
    if ((parallelism.number ?? 0) > maxIndexedParallelism) {
      const detail = `must be less than or equal to ${maxIndexedParallelism} when completion mode is Indexed`;
      errors.push(invalid(parallelism.path, parallelism.value, detail));
    }
  } else {
    for (const field of ['backoffLimitPerIndex', 'maxFailedIndexes', 'successPolicy']) {
      const view = spec.at(field);
      if (view.exists) errors.push(invalid(view.path, view.value, 'requires indexed completion mode'));
    }
  }
  errors.push(...validateFailurePolicy(spec));
  const template = spec.at('template');
  errors.push(...validateLabels(template.at('metadata').at('labels')), ...validatePodSpec(template.at('spec')));
  const policy = template.at('spec').at('restartPolicy');
  if (policy.text !== 'OnFailure' && policy.text !== 'Never')
    errors.push(required(policy.path, 'valid values: "OnFailure", "Never"'));
  return errors;
}

function validateFailurePolicy(spec: FieldView): FieldError[] {
  const policy = spec.at('podFailurePolicy');
  if (!policy.exists) return [];
  const errors: FieldError[] = [];
  const restart = spec.at('template').at('spec').at('restartPolicy');
  if (restart.text !== 'Never')
    errors.push(invalid(restart.path, restart.value, 'only "Never" is supported when podFailurePolicy is specified'));
  for (const rule of policy.at('rules').items()) {
    const action = rule.at('action');
    const exits = rule.at('onExitCodes');
    const conditions = rule.at('onPodConditions');
    errors.push(...oneOfValues(action, ['Count', 'FailIndex', 'FailJob', 'Ignore']));
    if (action.text === 'FailIndex' && !spec.at('backoffLimitPerIndex').exists)
      errors.push(invalid(action.path, action.value, 'requires the backoffLimitPerIndex to be set'));
    if (exits.exists === conditions.items().length > 0)
      errors.push(invalid(rule.path, rule.value, 'specifying one of OnExitCodes and OnPodConditions is required'));
    if (!exits.exists) continue;
    errors.push(...oneOfValues(exits.at('operator'), ['In', 'NotIn']));
    const values = exits.at('values').items();
    if (values.length === 0)
      errors.push(invalid(exits.at('values').path, exits.at('values').value, 'at least one value is required'));
    if (exits.at('operator').text === 'In') {
      for (const value of values)
        if (value.number === 0) errors.push(invalid(value.path, 0, 'must not be 0 for the In operator'));
    }
  }
  return errors;
}
