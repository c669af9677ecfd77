import { equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
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

test('a sandbox that is made anew while ztunnel is told of the one before is announced as well', async () => {
  let path = earlier;
  const told: string[] = [];
  const answers: (() => void)[] = [];
  const ended = new AbortController();
  const rules = Promise.withResolvers<string>();
  const announcedAgain = Promise.withResolvers<string>();
  const enrolment: PodEnrolment = new PodEnrolment(pod, 'in', false, {
    findNetns: () => path,
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
    writer: {} as EnrolmentContext['writer'],
    homeNetns: 'another',
    zds: {
      add: () => {
        told.push(netnsIdentity(enrolment.netns ?? -1));
        if (told.length === 2) announcedAgain.resolve('announced again');
        return new Promise((resolve) => answers.push(resolve));
      },
      drain: () => Promise.resolve(),
      del: () => Promise.resolve(),
    },
    // What comes right before the rules are written: here it never ends.
    probes: {
      set: () => {
        rules.resolve('rules are written');
        return new Promise(() => {});
      },
      remove: () => Promise.resolve(),
    },
    annotate: () => Promise.resolve(),
    timings: { releaseGraceMs: 0, drainDeadlineMs: 0, drainPollMs: 0, resyncMs: 0, ruleCheckMs: 0 },
    log: silentLog(),
    signal: ended.signal,
  });
  void enrolment.run();
  equal(told.length, 1);
  path = later;
  enrolment.plan(['10.0.0.7']);
  answers[0]?.();
  equal(await Promise.race([announcedAgain.promise, rules.promise]), 'announced again');
  ok(told[0] !== told[1]);
  ok(!enrolment.enrolled);
  ended.abort();
});
