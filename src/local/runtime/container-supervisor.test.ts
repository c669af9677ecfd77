import { deepEqual, equal, match } from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import type { Container } from '../../api/index.ts';
import { AmbitError } from '../../lib/errors.ts';
import { systemClock } from '../../lib/clock.ts';
import type { ContainerExit, ContainerProcess } from './container-process.ts';
import { ContainerSupervisor, type ContainerSupervisorOptions } from './container-supervisor.ts';
import { podBackoff } from './restart-backoff.ts';

interface Run extends ContainerProcess {
  end(exit: ContainerExit): void;
  readonly signals: string[];
}

function open(
  container: Partial<Container> = {},
  more: Partial<ContainerSupervisorOptions> = {},
): {
  supervisor: ContainerSupervisor;
  runs: Run[];
  events: string[];
  done: Promise<void>;
  execs: { code: number };
} {
  const runs: Run[] = [];
  const events: string[] = [];
  const execs = { code: 0 };
  const spec = { name: 'main', image: 'i', ...container };
  const supervisor = new ContainerSupervisor({
    definition: { container: spec, imageProblem: undefined },
    graceMs: 30_000,
    podUid: 'u',
    isInit: false,
    restartPolicy: 'Always',
    backoff: podBackoff,
    restartCount: 0,
    clock: systemClock,
    onChange() {},
    onEvent: (_type, reason) => void events.push(reason),
    endMessage: async () => '',
    user: () => ({ user: 0, group: 0 }),
    probeTarget: () => ({ container: spec, podIp: '', exec: async () => ({ exitCode: execs.code, output: 'sick' }) }),
    async start() {
      const { promise, resolve } = Promise.withResolvers<ContainerExit>();
      const signals: string[] = [];
      const run: Run = {
        pid: 100 + runs.length,
        exited: promise,
        signals,
        commandPid: () => 0,
        end: resolve,
        signal: (name) => void signals.push(name),
        kill() {
          signals.push('SIGKILL');
          resolve({ exitCode: 137, signal: 9 });
        },
      };
      runs.push(run);
      return run;
    },
    ...more,
  });
  const done = supervisor.run();
  return { supervisor, runs, events, done, execs };
}

/** Lets everything that waits for nothing but promises go on. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}
async function pass(ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 100) {
    mock.timers.tick(100);
    await settle();
  }
}

describe('a container', () => {
  // Hooks of a file without a suite would be everybody's.
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'] }));
  afterEach(() => mock.timers.reset());

  test('it restarts at once, then after ten seconds, and tells what happened before', async () => {
    const { supervisor, runs, events } = open();
    await settle();
    equal(supervisor.isReady, true);
    runs[0]?.end({ exitCode: 1 });
    await settle();
    equal(runs.length, 2);
    runs[1]?.end({ exitCode: 2 });
    await settle();
    const status = supervisor.status();
    equal(status.state?.waiting?.reason, 'CrashLoopBackOff');
    equal(status.lastState?.terminated?.exitCode, 2);
    equal(status.ready, false);
    await pass(9_900);
    equal(runs.length, 2);
    await pass(200);
    equal(runs.length, 3);
    equal(supervisor.status().restartCount, 2);
    match(events.join(), /Started,Started,BackOff,Started/);
    supervisor.stop(0);
  });

  test('policies decide whether an end is the end', async () => {
    const ends = async (restartPolicy: 'OnFailure' | 'Never', exitCode: number): Promise<boolean> => {
      const { supervisor, runs } = open({}, { restartPolicy });
      await settle();
      runs[0]?.end({ exitCode });
      await settle();
      const isEnd = supervisor.end !== undefined;
      supervisor.stop(0);
      return isEnd;
    };
    deepEqual([await ends('OnFailure', 0), await ends('OnFailure', 1), await ends('Never', 1)], [true, false, true]);
  });

  test('a stop is SIGTERM, then SIGKILL after the grace', async () => {
    const { supervisor, runs, done } = open();
    await settle();
    supervisor.stop(5_000);
    await pass(4_900);
    deepEqual(runs[0]?.signals, ['SIGTERM']);
    equal(supervisor.isReady, false);
    await pass(200);
    deepEqual(runs[0]?.signals, ['SIGTERM', 'SIGKILL']);
    await done;
    equal(supervisor.status().state?.terminated?.exitCode, 137);
  });

  test('it is neither probed nor ready while its postStart runs', async () => {
    const probed: string[] = [];
    const { promise: hook, resolve } = Promise.withResolvers<void>();
    const { supervisor, runs } = open(
      {
        lifecycle: { postStart: { exec: { command: ['hook'] } } },
        startupProbe: { exec: { command: ['startup'] } },
        readinessProbe: { exec: { command: ['ready'] } },
      },
      {
        probeTarget: () => ({
          container: { name: 'main' },
          podIp: '',
          async exec(command) {
            probed.push(command.join(' '));
            if (command[0] === 'hook') await hook;
            return { exitCode: 0, output: '' };
          },
        }),
      },
    );
    await pass(120_000);
    deepEqual(probed, ['hook']);
    const { state, started, ready } = supervisor.status();
    equal(state?.running !== undefined, true);
    deepEqual([started, ready], [false, false]);
    resolve();
    await supervisor.firstHook;
    await pass(20_000);
    deepEqual(probed.slice(0, 3), ['hook', 'startup', 'ready']);
    deepEqual([supervisor.status().started, supervisor.isReady], [true, true]);
    supervisor.stop(0);
    runs[0]?.end({ exitCode: 0 });
  });

  test('a postStart that fails ends the container with its grace, and it starts again', async () => {
    const { supervisor, runs, events, execs } = open({ lifecycle: { postStart: { exec: { command: ['hook'] } } } });
    execs.code = 1;
    await settle();
    deepEqual(events, ['Started', 'FailedPostStartHook', 'Killing']);
    deepEqual([runs[0]?.signals, supervisor.isReady], [['SIGTERM'], false]);
    execs.code = 0;
    await pass(30_100);
    deepEqual(runs[0]?.signals, ['SIGTERM', 'SIGKILL']);
    equal(supervisor.status().lastState?.terminated?.exitCode, 137);
    deepEqual([runs.length, supervisor.isReady], [2, true]);
    supervisor.stop(0);
  });

  test('preStop comes first and eats of the grace; two seconds are left', async () => {
    const { supervisor, runs } = open({ lifecycle: { preStop: { sleep: { seconds: 9 } } } });
    await settle();
    supervisor.stop(10_000);
    await pass(8_900);
    deepEqual(runs[0]?.signals, []);
    await pass(200);
    deepEqual(runs[0]?.signals, ['SIGTERM']);
    await pass(1_800);
    deepEqual(runs[0]?.signals, ['SIGTERM']);
    await pass(300);
    deepEqual(runs[0]?.signals, ['SIGTERM', 'SIGKILL']);
  });

  test('a container that fails its liveness probe is stopped and started again', async () => {
    const livenessProbe = {
      exec: { command: ['x'] },
      periodSeconds: 1,
      failureThreshold: 2,
      terminationGracePeriodSeconds: 1,
    };
    const { supervisor, runs, events, execs } = open({ livenessProbe });
    await settle();
    execs.code = 1;
    await pass(2_100);
    deepEqual(runs[0]?.signals, ['SIGTERM']);
    execs.code = 0;
    runs[0]?.end({ exitCode: 143, signal: 15 });
    await settle();
    equal(runs.length, 2);
    equal(events.filter((reason) => reason === 'Unhealthy').length, 2);
    supervisor.stop(0);
  });

  test('the startup probe holds the others back', async () => {
    const probe = { exec: { command: ['x'] }, periodSeconds: 1 };
    const { supervisor, execs } = open({ startupProbe: { ...probe, failureThreshold: 30 }, readinessProbe: probe });
    execs.code = 1;
    await pass(5_000);
    equal(supervisor.status().started, false);
    execs.code = 0;
    await pass(1_100);
    equal(supervisor.status().started, true);
    equal(supervisor.isReady, true);
    supervisor.stop(0);
  });

  test('a missing reference is waited for and is no restart; a failed set-up is one', async () => {
    let tries = 0;
    const missing = open(
      {},
      {
        start: async () => {
          tries++;
          throw new AmbitError('secret "s" not found', { code: 'runtime.config', blame: 'downstream' });
        },
      },
    );
    await settle();
    await pass(3_100);
    equal(tries, 4);
    equal(missing.supervisor.status().state?.waiting?.reason, 'CreateContainerConfigError');
    equal(missing.supervisor.status().restartCount, 0);
    missing.supervisor.stop(0);
    await missing.done;

    const broken = open({}, { start: () => Promise.reject(new Error('no root')) });
    await settle();
    equal(broken.supervisor.status().lastState?.terminated?.reason, 'StartError');
    equal(broken.supervisor.status().state?.waiting?.reason, 'CrashLoopBackOff');
    broken.supervisor.stop(0);
    await broken.done;
  });

  test('without an image it waits until it is stopped', async () => {
    const { supervisor, runs, done } = open(
      {},
      { definition: { container: { name: 'main' }, imageProblem: 'add --image' } },
    );
    await settle();
    equal(supervisor.status().state?.waiting?.reason, 'ErrImagePull');
    await pass(1_100);
    equal(supervisor.status().state?.waiting?.reason, 'ImagePullBackOff');
    equal(supervisor.status().state?.waiting?.message, 'add --image');
    supervisor.stop(0);
    await done;
    equal(runs.length, 0);
  });

  test('another image ends what runs with its grace, and starts at once, whatever the policy', async () => {
    const { supervisor, runs, events } = open({}, { restartPolicy: 'Never' });
    await settle();
    supervisor.change({ container: { name: 'main', image: 'j' }, imageProblem: undefined });
    await settle();
    deepEqual(runs[0]?.signals, ['SIGTERM']);
    equal(supervisor.isReady, false);
    runs[0]?.end({ exitCode: 0 });
    await settle();
    equal(runs.length, 2);
    equal(supervisor.status().image, 'j');
    equal(supervisor.status().restartCount, 1);
    equal(events.filter((reason) => reason === 'Killing').length, 1);
    supervisor.stop(0);
  });

  test('an image that comes to be known starts the container that waited for it', async () => {
    const { supervisor, runs } = open({}, { definition: { container: { name: 'main' }, imageProblem: 'add --image' } });
    await settle();
    await pass(1_100);
    supervisor.change({ container: { name: 'main', image: 'known' }, imageProblem: undefined });
    await settle();
    equal(runs.length, 1);
    equal(supervisor.status().restartCount, 0);
    equal(await supervisor.firstStart, true);
    supervisor.stop(0);
  });

  test('a sidecar that dies before its startup probe succeeds is still waited for', async () => {
    const startupProbe = { exec: { command: ['x'] }, periodSeconds: 1, failureThreshold: 30 };
    const { supervisor, runs, execs } = open({ startupProbe });
    let started: boolean | undefined;
    void supervisor.firstStart.then((value) => (started = value));
    execs.code = 1;
    await settle();
    runs[0]?.end({ exitCode: 1 });
    await settle();
    equal(started, undefined);
    execs.code = 0;
    await pass(1_100);
    equal(started, true);
    supervisor.stop(0);
  });
});
