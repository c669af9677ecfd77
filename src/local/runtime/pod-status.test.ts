import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerState, ContainerStatus, PodSpec } from '../../api/index.ts';
import { computePodStatus, type PodStatusInput } from './pod-status.ts';

const container = (state: ContainerState, ready = false, name = 'main'): ContainerStatus => ({
  name,
  state,
  ready,
  restartCount: 0,
  image: '',
  imageID: '',
  started: ready,
});
const compute = (
  more: Partial<PodStatusInput> & { spec?: Partial<PodSpec> } = {},
): ReturnType<typeof computePodStatus> =>
  computePodStatus({
    pod: { metadata: { name: 'p' }, spec: { containers: [{ name: 'main' }], ...more.spec } },
    before: [],
    hostIp: '172.30.1.1',
    podIp: '10.244.1.2',
    startTime: '2026-01-01T00:00:00Z',
    now: '2026-01-01T00:00:09Z',
    init: [],
    main: [container({ running: {} }, true)],
    isInitialized: true,
    isOver: false,
    isStopping: false,
    ...more,
  });
const condition = (status: ReturnType<typeof compute>, type: string): string | undefined =>
  status.conditions?.find((each) => each.type === type)?.status;
const done = (exitCode: number): ContainerStatus => container({ terminated: { exitCode } });

test('phases follow the containers', () => {
  equal(compute().phase, 'Running');
  equal(compute({ main: [container({ waiting: {} })], isInitialized: false }).phase, 'Pending');
  equal(compute({ main: [container({ waiting: { reason: 'ImagePullBackOff' } })] }).phase, 'Pending');
  equal(
    compute({ main: [{ ...container({ waiting: {} }), lastState: { terminated: { exitCode: 1 } } }] }).phase,
    'Running',
  );
  equal(compute({ main: [done(0)], isOver: true }).phase, 'Succeeded');
  equal(compute({ main: [done(0), done(2)], isOver: true }).phase, 'Failed');
  equal(
    compute({ init: [done(1)], main: [container({ waiting: {} })], isInitialized: false, isOver: true }).phase,
    'Failed',
  );
  equal(compute({ main: [done(143)], isOver: true, isStopping: true }).phase, 'Failed');
  const failure = { reason: 'Broken', message: 'why' };
  const failed = compute({ failure });
  deepEqual([failed.phase, failed.reason, failed.message], ['Failed', 'Broken', 'why']);
});

test('a pod is Ready when all its containers are', () => {
  equal(condition(compute(), 'Ready'), 'True');
  const half = compute({ main: [container({ running: {} }, true), container({ running: {} }, false, 'slow')] });
  equal(condition(half, 'Ready'), 'False');
  match(half.conditions?.find((each) => each.type === 'Ready')?.message ?? '', /\[slow\]/);
  equal(condition(compute({ main: [done(0)], isOver: true }), 'Ready'), 'False');
});

test('a readiness gate holds Ready back, not ContainersReady', () => {
  const spec = { readinessGates: [{ conditionType: 'x/y' }] };
  equal(condition(compute({ spec }), 'Ready'), 'False');
  equal(condition(compute({ spec }), 'ContainersReady'), 'True');
});

test('conditions of others stay, times of unchanged ones too', () => {
  const pod = {
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'main' }] },
    status: {
      conditions: [
        { type: 'Mesh', status: 'True' as const },
        { type: 'Ready', status: 'False' as const },
      ],
    },
  };
  const before = [
    { type: 'Ready', status: 'True' as const, lastTransitionTime: '2026-01-01T00:00:01Z' },
    { type: 'Initialized', status: 'False' as const, lastTransitionTime: '2026-01-01T00:00:01Z' },
  ];
  const { conditions = [] } = compute({ pod, before });
  equal(conditions.filter((each) => each.type === 'Ready').length, 1);
  equal(conditions.find((each) => each.type === 'Mesh')?.status, 'True');
  equal(conditions.find((each) => each.type === 'Ready')?.lastTransitionTime, '2026-01-01T00:00:01Z');
  equal(conditions.find((each) => each.type === 'Initialized')?.lastTransitionTime, '2026-01-01T00:00:09Z');
});

test('quality of service is told from requests and limits', () => {
  const spec = (resources: object): Partial<PodSpec> => ({ containers: [{ name: 'main', resources }] });
  equal(compute().qosClass, 'BestEffort');
  equal(compute({ spec: spec({ requests: { cpu: '1' } }) }).qosClass, 'Burstable');
  equal(compute({ spec: spec({ limits: { cpu: '1', memory: '1Gi' } }) }).qosClass, 'Guaranteed');
});

test('sidecars count for readiness, and how they ended does not count', () => {
  const spec = { initContainers: [{ name: 'proxy', restartPolicy: 'Always' as const }] };
  const proxy = (ready: boolean): ContainerStatus => container({ running: {} }, ready, 'proxy');
  equal(condition(compute({ spec, init: [proxy(true)] }), 'Ready'), 'True');
  const waiting = compute({ spec, init: [proxy(false)] });
  equal(condition(waiting, 'ContainersReady'), 'False');
  match(waiting.conditions?.find(({ type }) => type === 'Ready')?.message ?? '', /\[proxy\]/);
  const ended = container({ terminated: { exitCode: 137 } }, false, 'proxy');
  equal(compute({ spec, init: [ended], main: [done(0)], isOver: true }).phase, 'Succeeded');
});

test('a status says which version of the pod it speaks of', () => {
  const pod = { metadata: { name: 'p', generation: 3 }, spec: { containers: [{ name: 'main' }] } };
  const status = compute({ pod });
  equal(status.observedGeneration, 3);
  deepEqual([...new Set(status.conditions?.map((each) => each.observedGeneration))], [3]);
});
