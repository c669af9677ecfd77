import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../api/index.ts';
import { silentLog } from '../../lib/log.ts';
import { PodHealth, type HealthSubject } from './pod-health.ts';
import { probePorts, type ProbePath } from './probe-path.ts';

const pod = {
  metadata: { name: 'web', namespace: 'shop', uid: 'u1' },
  spec: {
    containers: [
      {
        name: 'a',
        ports: [{ name: 'http', containerPort: 8080 }],
        readinessProbe: { httpGet: { port: 'http' } },
        livenessProbe: { tcpSocket: { port: 9000 } },
        startupProbe: { httpGet: { port: 1, host: 'elsewhere' } },
      },
      { name: 'b', livenessProbe: { exec: { command: ['true'] } }, readinessProbe: { grpc: { port: 7000 } } },
    ],
  },
  status: { containerStatuses: [{ name: 'a', state: { running: {} } }] },
} as unknown as Pod;

function open(
  results: ProbePath['kind'][],
  ips: readonly string[] = ['127.0.0.1'],
): {
  health: PodHealth;
  patches: { conditions: Record<string, unknown>[] }[];
  events: string[];
  changed: string[];
  tick: (nowMs: number) => Promise<void>;
} {
  const patches: { conditions: Record<string, unknown>[] }[] = [];
  const events: string[] = [];
  const changed: string[] = [];
  const subject: HealthSubject = { uid: 'u1', pod, ips, enrolled: true, netns: 3 };
  const health = new PodHealth({
    client: {
      patch: async (_kind: unknown, _name: string, _namespace: unknown, body: object) =>
        void patches.push((body as { status: { conditions: Record<string, unknown>[] } }).status),
    } as never,
    events: { emit: (_about, type, reason) => void events.push(`${type} ${reason}`) },
    policies: () => [],
    subjects: () => [subject],
    onChange: (uid) => changed.push(uid),
    countProbe: () => {},
    log: silentLog(),
    test: async () => ({ kind: results.shift() ?? 'unknown' }),
  });
  return {
    health,
    patches,
    events,
    changed,
    async tick(nowMs) {
      health.tick(nowMs);
      do await new Promise((resolve) => setTimeout(resolve, 1));
      while (health.testing > 0);
    },
  };
}

test('the ports of probes that the kubelet makes to the pod are known, by number and name', () => {
  deepEqual(
    probePorts(pod).toSorted((a, b) => a - b),
    [7000, 8080, 9000],
  );
});

test('probes that arrive need nothing more', async () => {
  const { health, patches, events, tick } = open(['open', 'captured']);
  await tick(0);
  await tick(100_000);
  deepEqual([patches, events], [[], []]);
  equal(health.probesFrom('u1'), undefined);
});

test('an application that listens in one family alone is not asked again and again', async () => {
  for (const results of [
    ['open', 'unknown', 'unknown', 'unknown'],
    ['unknown', 'unknown', 'unknown', 'open'],
  ] as const) {
    const left: ProbePath['kind'][] = [...results, 'captured'];
    const { events, tick } = open(left, ['127.0.0.1', '::1']);
    await tick(0);
    await tick(100_000);
    deepEqual([events, left], [[], ['captured']]);
  }
});

test("probes that get lost are let in by the node's own address, with an Event", async () => {
  const { health, patches, events, changed, tick } = open(['lost', 'open']);
  await tick(0);
  deepEqual(events, ['Normal ProbesExempted']);
  deepEqual(changed, ['u1']);
  deepEqual(health.probesFrom('u1')?.ips, ['127.0.0.1']);
  await tick(10_000);
  deepEqual(patches, []);
});

test('what helps no more is a condition with what to do', async () => {
  const { patches, events, tick } = open(['captured', 'captured']);
  await tick(0);
  await tick(10_000);
  const [condition] = patches[0]?.conditions ?? [];
  deepEqual(
    [condition?.['type'], condition?.['status'], condition?.['reason']],
    ['ambit.io/ProbesBlocked', 'True', 'Captured'],
  );
  match(String(condition?.['message']), /Probe by exec/);
  equal(events.at(-1), 'Warning Captured');
});

test('nobody listening says nothing yet, and is asked again later', async () => {
  const { events, health, tick } = open(['unknown', 'unknown', 'unknown', 'captured']);
  await tick(0);
  await tick(1);
  deepEqual(events, []);
  await tick(60_000);
  deepEqual(events, ['Normal ProbesExempted']);
  equal(health.probesFrom('u1')?.ports.length, 3);
});
