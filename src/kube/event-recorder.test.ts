import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { Event } from '../api/index.ts';
import type { KubeClient } from './client.ts';
import type { Clock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { EventRecorder } from './event-recorder.ts';

const about = { kind: 'Pod', namespace: 'shop', name: 'web', uid: 'u1' };

function open(): {
  recorder: EventRecorder;
  created: Event[];
  patched: unknown[];
  clock: { nowMs: number };
  settle: () => Promise<void>;
} {
  const created: Event[] = [];
  const patched: unknown[] = [];
  const clock = { nowMs: 1_700_000_000_000 };
  const client = {
    create: async (_kind: unknown, event: Event) => void created.push(event),
    patch: async (_kind: unknown, name: string, _namespace: string, patch: object) =>
      void patched.push({ name, ...patch }),
  } as unknown as KubeClient;
  const fake: Clock = { nowMs: () => clock.nowMs, after: () => () => {} };
  const recorder = new EventRecorder({
    component: 'kubelet',
    client,
    nodeName: 'node-1',
    clock: fake,
    log: silentLog(),
  });
  return { recorder, created, patched, clock, settle: () => new Promise((resolve) => setImmediate(resolve)) };
}

test('an event says what, about whom, from where and when', async () => {
  const { recorder, created, settle } = open();
  recorder.emit(about, 'Warning', 'BackOff', 'again');
  await settle();
  const [event] = created;
  deepEqual([event?.type, event?.reason, event?.message, event?.count], ['Warning', 'BackOff', 'again', 1]);
  deepEqual(event?.involvedObject, about);
  deepEqual(event?.source, { component: 'kubelet', host: 'node-1' });
  equal(event?.metadata.namespace, 'shop');
  equal(event?.firstTimestamp, '2023-11-14T22:13:20Z');
});

test('a repeat counts up, another message is another event', async () => {
  const { recorder, created, patched, clock, settle } = open();
  for (let i = 0; i < 3; i++) {
    recorder.emit(about, 'Warning', 'BackOff', 'again');
    clock.nowMs += 1000;
  }
  recorder.emit(about, 'Warning', 'BackOff', 'other');
  await settle();
  equal(created.length, 2);
  deepEqual(
    (patched as { count: number }[]).map(({ count }) => count),
    [2, 3],
  );
  ok(new Set(created.map((event) => event.metadata.name)).size === 2);
});

test('a flood about one object is cut, and others are still heard', async () => {
  const { recorder, created, clock, settle } = open();
  for (let i = 0; i < 100; i++) recorder.emit(about, 'Normal', 'Noise', `number ${i}`);
  recorder.emit({ ...about, uid: 'u2' }, 'Normal', 'Quiet', 'one');
  await settle();
  equal(created.length, 26);
  clock.nowMs += 120_000;
  for (let i = 0; i < 9; i++) recorder.emit(about, 'Normal', 'Noise', `later ${i}`);
  await settle();
  equal(created.length, 28);
});
