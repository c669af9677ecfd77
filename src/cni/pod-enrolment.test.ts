import { deepEqual, equal, ok } from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Pod } from '../api/index.ts';
import { silentLog } from '../lib/log.ts';
import { netnsIdentity } from '../net/index.ts';
import type { EnrolmentContext } from './enrolment-context.ts';
import { PodEnrolment } from './pod-enrolment.ts';
import { captureAll } from './rules/capture-settings.ts';

// Any two namespaces: nobody enters them here.
const earlier = '/proc/self/ns/uts';
const later = '/proc/self/ns/ipc';

const pod = { metadata: { name: 'a', namespace: 'shop', uid: 'u' }, spec: { containers: [] } } as unknown as Pod;

/** `changes` is what the test looks at; the rules of a pod are never written. */
function open(t: TestContext, changes: Partial<EnrolmentContext>, of: Pod = pod): PodEnrolment {
  const ended = new AbortController();
  t.after(() => ended.abort());
  return new PodEnrolment(of, 'in', false, {
    findNetns: () => earlier,
    hasNetwork: () => true,
    rules: () => ({
      probeIp4: '169.254.7.127',
      probeIp6: 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff',
      probesFrom: undefined,
      capture: captureAll,
      mark: 0x12345,
      plainMark: false,
      dns: { kind: 'off' },
    }),
    resolver: () => undefined,
    writer: { read: () => Promise.resolve(undefined) } as unknown as EnrolmentContext['writer'],
    homeNetns: 'another',
    zds: { add: () => Promise.resolve(), drain: () => Promise.resolve(), del: () => Promise.resolve() },
    // What comes right before the rules are written: here it never ends.
    probes: { set: () => new Promise(() => {}), remove: () => Promise.resolve() },
    annotate: () => Promise.resolve(),
    timings: { releaseGraceMs: 0, drainDeadlineMs: 0, drainPollMs: 0, resyncMs: 0, ruleCheckMs: 0 },
    log: silentLog(),
    signal: ended.signal,
    ...changes,
  });
}

test('a sandbox that is made anew while ztunnel is told of the one before is announced as well', async (t) => {
  let path = earlier;
  const told: string[] = [];
  const answers: (() => void)[] = [];
  const rules = Promise.withResolvers<string>();
  const announcedAgain = Promise.withResolvers<string>();
  const enrolment: PodEnrolment = open(t, {
    findNetns: () => path,
    zds: {
      add: () => {
        told.push(netnsIdentity(enrolment.netns ?? -1));
        if (told.length === 2) announcedAgain.resolve('announced again');
        return new Promise((resolve) => answers.push(resolve));
      },
      drain: () => Promise.resolve(),
      del: () => Promise.resolve(),
    },
    probes: {
      set: () => {
        rules.resolve('rules are written');
        return new Promise(() => {});
      },
      remove: () => Promise.resolve(),
    },
  });
  void enrolment.run();
  equal(told.length, 1);
  path = later;
  enrolment.plan(['10.0.0.7']);
  answers[0]?.();
  equal(await Promise.race([announcedAgain.promise, rules.promise]), 'announced again');
  ok(told[0] !== told[1]);
  ok(!enrolment.enrolled);
});

test('the grace of a pod that leaves is not over because somebody set the clock', async (t) => {
  const said: string[] = [];
  const about = (what: string): Promise<void> => {
    said.push(what);
    return Promise.resolve();
  };
  const leaves = Promise.withResolvers<void>();
  const isBack = Promise.withResolvers<void>();
  const enrolment: PodEnrolment = open(t, {
    zds: {
      // It is asked to leave while it is announced.
      add: () => {
        enrolment.update(pod, 'out');
        return about('add');
      },
      drain: () => about('drain'),
      del: () => about('del'),
    },
    probes: {
      set: () => {
        isBack.resolve();
        return new Promise(() => {});
      },
      remove: () => {
        leaves.resolve();
        return Promise.resolve();
      },
    },
    timings: { releaseGraceMs: 3_600_000, drainDeadlineMs: 0, drainPollMs: 0, resyncMs: 0, ruleCheckMs: 0 },
  });
  void enrolment.run();
  await leaves.promise;
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 2 * 3_600_000 });
  enrolment.wake();
  await new Promise((resolve) => setImmediate(resolve));
  // What it does next is done after it looked at the clock.
  enrolment.update(pod, 'in');
  await isBack.promise;
  // After the grace it would have looked for connections in a namespace that it cannot enter.
  deepEqual([said, enrolment.lastFailure], [['add'], undefined]);
});

test('connections that an earlier capture carries are not taken for older than the mesh', async (t) => {
  for (const [rules, captured] of [
    [undefined, 1],
    ['table inet ambit { }', 0],
  ] as const) {
    let captures = 0;
    const beforeRules = Promise.withResolvers<void>();
    const enrolment = open(t, {
      writer: { read: () => Promise.resolve(rules) } as unknown as EnrolmentContext['writer'],
      onCapture: () => captures++,
      probes: {
        set: () => {
          beforeRules.resolve();
          return new Promise(() => {});
        },
        remove: () => Promise.resolve(),
      },
    });
    void enrolment.run();
    await beforeRules.promise;
    equal(captures, captured);
  }
});

test('a pod that an earlier agent captured is released of it, also where nothing else was done yet', async (t) => {
  const annotations = { 'ambient.istio.io/redirection': 'enabled' };
  const captured = { ...pod, metadata: { ...pod.metadata, annotations } };
  const released = Promise.withResolvers<string>();
  const left = Promise.withResolvers<string>();
  const enrolment: PodEnrolment = open(
    t,
    {
      writer: { release: async () => released.resolve('released') } as unknown as EnrolmentContext['writer'],
      probes: {
        // Its label goes while the node's rules cannot be written.
        set: () => {
          enrolment.update(pod, 'out');
          return Promise.reject(new Error('not now'));
        },
        remove: () => Promise.resolve(left.resolve('left')),
      },
    },
    captured,
  );
  void enrolment.run();
  equal(await Promise.race([released.promise, left.promise]), 'released');
});
