/** Schemas of Job and CronJob. */
import { conditions, labelSelector, objectMeta, objectReference, objectSchema } from './meta.ts';
import { podTemplate } from './pod.ts';
import { flag, integer, list, long, record, text, time, type JsonSchema } from './schema.ts';

const podFailureRule = record(
  {
    action: text,
    onExitCodes: record({ containerName: text, operator: text, values: list(integer) }, 'operator', 'values'),
    onPodConditions: list(record({ type: text, status: text }, 'type')),
  },
  'action',
);

const jobSpec: JsonSchema = record(
  {
    parallelism: integer,
    completions: integer,
    activeDeadlineSeconds: long,
    podFailurePolicy: record({ rules: list(podFailureRule) }, 'rules'),
    successPolicy: record({ rules: list(record({ succeededIndexes: text, succeededCount: integer })) }, 'rules'),
    backoffLimit: integer,
    backoffLimitPerIndex: integer,
    maxFailedIndexes: integer,
    selector: labelSelector,
    manualSelector: flag,
    template: podTemplate,
    ttlSecondsAfterFinished: integer,
    completionMode: text,
    suspend: flag,
    podReplacementPolicy: text,
    managedBy: text,
  },
  'template',
);

export const jobSchema: JsonSchema = objectSchema(
  {
    spec: jobSpec,
    status: record({
      conditions,
      startTime: time,
      completionTime: time,
      active: integer,
      ready: integer,
      terminating: integer,
      succeeded: integer,
      failed: integer,
      completedIndexes: text,
      failedIndexes: text,
      uncountedTerminatedPods: record({ succeeded: list(text), failed: list(text) }),
    }),
  },
  'spec',
);

export const cronJobSchema: JsonSchema = objectSchema(
  {
    spec: record(
      {
        schedule: text,
        timeZone: text,
        startingDeadlineSeconds: long,
        concurrencyPolicy: text,
        suspend: flag,
        jobTemplate: record({ metadata: objectMeta, spec: jobSpec }),
        successfulJobsHistoryLimit: integer,
        failedJobsHistoryLimit: integer,
      },
      'schedule',
      'jobTemplate',
    ),
    status: record({ active: list(objectReference), lastScheduleTime: time, lastSuccessfulTime: time }),
  },
  'spec',
);
