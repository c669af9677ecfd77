import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CronJob, CronJobSpec } from '../../api/index.ts';
import { builtinKinds, nextTime, parseSchedule } from '../../api/serving.ts';
import { jobNameOf, planCron } from './cron-plan.ts';

const at = (text: string): number => Date.parse(text);

function next(schedule: string, after: string, zone = 'UTC'): string | undefined {
  const found = nextTime(parseSchedule(schedule), at(after), zone);
  return found === undefined ? undefined : new Date(found).toISOString().replace('.000Z', 'Z');
}

describe('a schedule', () => {
  it('gives the next time of five fields, with steps, ranges, lists and names', () => {
    assert.equal(next('*/15 * * * *', '2026-01-01T10:07:00Z'), '2026-01-01T10:15:00Z');
    assert.equal(next('0 9-17/4 * * *', '2026-01-01T09:00:00Z'), '2026-01-01T13:00:00Z');
    assert.equal(next('30 6 * * mon-fri', '2026-01-02T06:30:00Z'), '2026-01-05T06:30:00Z');
    assert.equal(next('0 0 1 jan,jul *', '2026-01-01T00:00:00Z'), '2026-07-01T00:00:00Z');
    assert.equal(next('0 0 29 2 *', '2026-01-01T00:00:00Z'), '2028-02-29T00:00:00Z');
    assert.equal(next('0 0 30 2 *', '2026-01-01T00:00:00Z'), undefined);
  });

  it('takes either of two fields of days, and one alone when the other is open', () => {
    assert.equal(next('0 0 13 * fri', '2026-01-01T00:00:00Z'), '2026-01-02T00:00:00Z');
    assert.equal(next('0 0 13 * *', '2026-01-01T00:00:00Z'), '2026-01-13T00:00:00Z');
  });

  it('knows the short forms', () => {
    assert.equal(next('@hourly', '2026-01-01T10:00:00Z'), '2026-01-01T11:00:00Z');
    assert.equal(next('@weekly', '2026-01-01T10:00:00Z'), '2026-01-04T00:00:00Z');
    assert.equal(next('@every 90s', '2026-01-01T10:00:00Z'), '2026-01-01T10:01:30Z');
  });

  it('means the clock of its time zone, in summer and in winter', () => {
    assert.equal(next('0 9 * * *', '2026-01-15T00:00:00Z', 'America/New_York'), '2026-01-15T14:00:00Z');
    assert.equal(next('0 9 * * *', '2026-07-15T00:00:00Z', 'America/New_York'), '2026-07-15T13:00:00Z');
    assert.equal(next('30 2 * * *', '2026-03-28T12:00:00Z', 'Europe/Berlin'), '2026-03-30T00:30:00Z');
  });

  it('that is none is refused with what is wrong', () => {
    assert.throws(() => parseSchedule('* * * *'), /expected exactly 5 fields/);
    assert.throws(() => parseSchedule('61 * * * *'), /end of range \(61\) above maximum \(59\)/);
    assert.throws(() => parseSchedule('@sometimes'), /unrecognized descriptor/);
    const template = { spec: { containers: [{ name: 'c', image: 'i' }], restartPolicy: 'Never' as const } };
    const spec: CronJobSpec = { schedule: 'x', timeZone: 'Mars/Base', jobTemplate: { spec: { template } } };
    const object: CronJob = { metadata: { name: 'c', namespace: 'n' }, spec };
    const errors = builtinKinds.find(({ kind }) => kind === 'CronJob')?.validate(object);
    assert.deepEqual(
      errors?.map(({ path }) => path),
      ['spec.schedule', 'spec.timeZone'],
    );
  });
});

describe('a cron job', () => {
  function cronJob(spec: Partial<CronJobSpec>, last?: string): CronJob {
    const template = { spec: { containers: [] } };
    return {
      metadata: { name: 'tick', creationTimestamp: '2026-01-01T00:00:30Z' },
      spec: { schedule: '0 * * * *', jobTemplate: { spec: { template } }, ...spec },
      ...(last !== undefined && { status: { lastScheduleTime: last } }),
    };
  }

  it('runs when its time has come, and waits before', () => {
    assert.deepEqual(planCron(cronJob({}), at('2026-01-01T00:59:59Z')), {
      kind: 'wait',
      untilMs: at('2026-01-01T01:00:00Z'),
    });
    assert.deepEqual(planCron(cronJob({}), at('2026-01-01T01:00:00Z')), {
      kind: 'run',
      atMs: at('2026-01-01T01:00:00Z'),
      missed: 0,
    });
    const ran = cronJob({}, '2026-01-01T01:00:00Z');
    assert.deepEqual(planCron(ran, at('2026-01-01T01:00:01Z')), { kind: 'wait', untilMs: at('2026-01-01T02:00:00Z') });
  });

  it('runs once for all that it missed', () => {
    const plan = planCron(cronJob({}), at('2026-01-01T05:30:00Z'));
    assert.deepEqual(plan, { kind: 'run', atMs: at('2026-01-01T05:00:00Z'), missed: 4 });
    const years = planCron(cronJob({ schedule: '* * * * *' }), at('2027-01-01T00:00:10Z'));
    assert.equal(years.kind === 'run' && years.atMs, at('2027-01-01T00:00:00Z'));
  });

  it('does not run when it would be too late', () => {
    const strict = cronJob({ startingDeadlineSeconds: 60 });
    assert.equal(planCron(strict, at('2026-01-01T01:01:30Z')).kind, 'late');
    assert.equal(planCron(strict, at('2026-01-01T01:00:30Z')).kind, 'run');
  });

  it('names its jobs for the minute of their run', () => {
    assert.equal(jobNameOf(cronJob({}), at('2026-01-01T01:00:00Z')), 'tick-29453820');
  });
});
