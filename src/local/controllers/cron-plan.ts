/** Which run of a CronJob is due: decisions only (`pkg/controller/cronjob/cronjob_controllerv2.go`). */
import type { CronJob } from '../../api/index.ts';
import { nextTime, parseSchedule } from '../../api/serving.ts';

export type CronPlan =
  /** Nothing yet; look again then. `undefined`: never. */
  | { readonly kind: 'wait'; readonly untilMs: number | undefined }
  | { readonly kind: 'run'; readonly atMs: number; readonly missed: number }
  /** Due, but later than `startingDeadlineSeconds`. */
  | { readonly kind: 'late'; readonly atMs: number; readonly nextMs: number | undefined }
  | { readonly kind: 'invalid'; readonly problem: string };

/** More missed runs than this are worth a warning. */
export const manyMissed = 100;

const lookBackMs = 86_400_000;

/** The newest run that was due since the last one, and how many before it were missed. */
export function planCron({ metadata, spec, status }: CronJob, nowMs: number): CronPlan {
  let schedule;
  try {
    schedule = parseSchedule(spec.schedule);
  } catch (error) {
    return { kind: 'invalid', problem: error instanceof Error ? error.message : '' };
  }
  const zone = spec.timeZone ?? 'UTC';
  const lastMs = Date.parse(status?.lastScheduleTime ?? metadata.creationTimestamp ?? '') || nowMs;
  const deadlineMs = spec.startingDeadlineSeconds === undefined ? undefined : spec.startingDeadlineSeconds * 1000;
  const earliestMs = deadlineMs === undefined ? lastMs : Math.max(lastMs, nowMs - deadlineMs - 60_000);
  let due: number | undefined;
  let missed = -1;
  // Weeks of a run each minute are not counted one by one: only the last day of them.
  let next = nextTime(schedule, Math.max(earliestMs, nowMs - lookBackMs), zone);
  if (next !== undefined && next > nowMs) next = nextTime(schedule, earliestMs, zone);
  while (next !== undefined && next <= nowMs) {
    due = next;
    missed++;
    next = nextTime(schedule, next, zone);
  }
  if (due === undefined) return { kind: 'wait', untilMs: next };
  if (deadlineMs !== undefined && due + deadlineMs < nowMs) return { kind: 'late', atMs: due, nextMs: next };
  return { kind: 'run', atMs: due, missed };
}

/** Unique for a run: minutes since the epoch. */
export function jobNameOf(cronJob: CronJob, atMs: number): string {
  return `${cronJob.metadata.name}-${Math.floor(atMs / 60_000)}`;
}
