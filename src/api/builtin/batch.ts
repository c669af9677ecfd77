/** Kinds of the group batch. */
import { cronJobColumns, jobColumns } from '../columns/workloads.ts';
import { defaultCronJob, defaultJob, newJob } from '../defaults/workloads.ts';
import { define } from '../define.ts';
import type { KindInfo } from '../kind-info.ts';
import { kinds } from '../kinds.ts';
import { cronJobSchema, jobSchema } from '../schema/batch.ts';
import { validateCronJob, validateJob } from '../validation/batch.ts';

export const batchKinds: readonly KindInfo[] = [
  define(kinds.Job, {
    schema: jobSchema,
    columns: jobColumns,
    categories: ['all'],
    defaults: defaultJob,
    onCreate: newJob,
    validate: validateJob,
  }),
  define(kinds.CronJob, {
    schema: cronJobSchema,
    columns: cronJobColumns,
    shortNames: ['cj'],
    categories: ['all'],
    defaults: defaultCronJob,
    onCreate: (cronJob) => {
      cronJob['status'] = {};
    },
    validate: validateCronJob,
  }),
];
