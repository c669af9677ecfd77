/** HorizontalPodAutoscalers: the size of a target by what its pods use, where somebody measures that. */
import { isDeepStrictEqual } from 'node:util';
import {
  kinds,
  parseLabelSelector,
  type CoreCondition,
  type HorizontalPodAutoscaler,
  type HorizontalPodAutoscalerStatus,
  type KindRef,
  type MetricStatus,
  type Pod,
} from '../../api/index.ts';
import { isKubeError, objectKey } from '../../kube/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { discoverKinds } from './api-resources.ts';
import { limitScale, proposeReplicas, type PodUsage, type ScaleMemory } from './autoscale-plan.ts';
import { isLive, timestamp, type Cluster, type Controller } from './cluster.ts';
import { createWorkQueue } from './work-queue.ts';

const component = 'horizontal-pod-autoscaler';
const syncMs = 15_000;
/** Longest window and period that a behavior may name. */
const memoryMs = 3_600_000;

/** Where usage comes from: what the pods of a namespace use now. Absent: nobody measures. */
export type ReadUsage = (namespace: string, signal: AbortSignal) => Promise<PodUsage>;

interface Scale {
  readonly metadata: { readonly resourceVersion?: string };
  readonly spec: { readonly replicas?: number };
  readonly status?: { readonly selector?: string };
}

interface Memory {
  proposals: ScaleMemory['proposals'];
  changes: ScaleMemory['changes'];
}

export function createAutoscalerController(cluster: Cluster, readUsage?: ReadUsage): Controller {
  const { client, clock, autoscalers, pods, events, signal } = cluster;
  const kind = kinds.HorizontalPodAutoscaler;
  const queue = createWorkQueue({ reconcile, signal, log: cluster.log.child('autoscaler'), clock });
  const memories = new Map<string, Memory>();
  let served: readonly KindRef[] = [];

  autoscalers.onChange((after, before) => {
    if (!after) return void memories.delete(before ? objectKey(before) : '');
    // Autoscalers have no generation.
    if (!isDeepStrictEqual(after.spec, before?.spec)) queue.add(objectKey(after));
  });
  return queue;

  async function reconcile(key: string): Promise<void> {
    const autoscaler = autoscalers.store.get(key);
    if (!autoscaler || autoscaler.metadata.deletionTimestamp || !isLive(cluster, autoscaler.metadata.namespace)) return;
    queue.addAfter(key, syncMs);
    await writeStatus(autoscaler, await scale(autoscaler));
  }

  async function scale(autoscaler: HorizontalPodAutoscaler): Promise<HorizontalPodAutoscalerStatus> {
    const status: HorizontalPodAutoscalerStatus = {
      ...autoscaler.status,
      desiredReplicas: autoscaler.status?.desiredReplicas ?? 0,
      observedGeneration: autoscaler.metadata.generation ?? 0,
    };
    const condition = (type: string, is: 'True' | 'False', reason: string, message: string): void => {
      status.conditions = withCondition(status.conditions, { type, status: is, reason, message }, clock.nowMs());
    };
    const path = await targetPath(autoscaler);
    const target = await readScale(path).catch((error: unknown) => messageOf(error));
    if (typeof target === 'string') {
      condition(
        'AbleToScale',
        'False',
        'FailedGetScale',
        `the HPA controller was unable to get the target's current scale: ${target}`,
      );
      warn(autoscaler, 'FailedGetScale', target);
      return status;
    }
    const current = target.spec.replicas ?? 0;
    condition(
      'AbleToScale',
      'True',
      'SucceededGetScale',
      "the HPA controller was able to get the target's current scale",
    );
    status.currentReplicas = current;
    const min = autoscaler.spec.minReplicas ?? 1;
    if (current === 0 && min !== 0) {
      condition(
        'ScalingActive',
        'False',
        'ScalingDisabled',
        'scaling is disabled since the replica count of the target is zero',
      );
      status.desiredReplicas = 0;
      return status;
    }
    const decision = await decide(autoscaler, target, current, status, condition);
    if (decision === undefined) return status;
    status.desiredReplicas = decision;
    if (decision === current) return status;
    try {
      await writeScale(path ?? '', target, decision);
    } catch (error) {
      condition(
        'AbleToScale',
        'False',
        'FailedUpdateScale',
        `the HPA controller was unable to update the target scale: ${messageOf(error)}`,
      );
      return status;
    }
    condition(
      'AbleToScale',
      'True',
      'SucceededRescale',
      `the HPA controller was able to update the target scale to ${decision}`,
    );
    status.lastScaleTime = timestamp(clock.nowMs());
    const memory = memoryOf(autoscaler);
    memory.changes = [...memory.changes, { atMs: clock.nowMs(), delta: decision - current }];
    const direction = decision > current ? 'above' : 'below';
    const why =
      current > autoscaler.spec.maxReplicas
        ? 'Current number of replicas above Spec.MaxReplicas'
        : `cpu resource utilization (percentage of request) ${direction} target`;
    const message = `New size: ${decision}; reason: ${current < min ? 'Current number of replicas below Spec.MinReplicas' : why}`;
    events.write(kind, autoscaler, { component, type: 'Normal', reason: 'SuccessfulRescale', message });
    return status;
  }

  /** The replicas that there should be; undefined when nobody can say. */
  async function decide(
    autoscaler: HorizontalPodAutoscaler,
    target: Scale,
    current: number,
    status: HorizontalPodAutoscalerStatus,
    condition: (type: string, is: 'True' | 'False', reason: string, message: string) => void,
  ): Promise<number | undefined> {
    const { spec, metadata } = autoscaler;
    const min = spec.minReplicas ?? 1;
    // Bounds need no measurements.
    if (current > spec.maxReplicas) return spec.maxReplicas;
    if (current < min) return min;
    const own = podsOf(metadata.namespace ?? '', target.status?.selector ?? '');
    const usage = await readUsage?.(metadata.namespace ?? '', signal);
    const found: MetricStatus[] = [];
    let proposed: { replicas: number; name: string } | undefined;
    let failure: { reason: string; message: string } | undefined;
    for (const metric of spec.metrics ?? []) {
      const result = usage
        ? proposeReplicas(metric, { current, pods: own, usage })
        : ({
            kind: 'failed',
            ...unmeasured(metric.resource?.name ?? '', metric.resource?.target.averageUtilization),
          } as const);
      if (result.kind === 'failed') failure ??= result;
      else {
        found.push(result.status);
        if (!proposed || result.replicas > proposed.replicas) proposed = result;
      }
    }
    status.currentMetrics = found.length > 0 ? found : null;
    // A metric that fails may keep a target from shrinking, not from growing.
    if (!proposed || (failure && proposed.replicas <= current)) {
      const { reason, message } = failure ?? { reason: 'InvalidMetricSourceType', message: 'no metrics' };
      condition('ScalingActive', 'False', reason, `the HPA was unable to compute the replica count: ${message}`);
      warn(autoscaler, reason, message);
      return undefined;
    }
    condition(
      'ScalingActive',
      'True',
      'ValidMetricFound',
      `the HPA was able to successfully calculate a replica count from ${proposed.name} resource`,
    );
    const memory = memoryOf(autoscaler);
    const nowMs = clock.nowMs();
    memory.proposals = [
      ...memory.proposals.filter(({ atMs }) => atMs > nowMs - memoryMs),
      { atMs: nowMs, replicas: proposed.replicas },
    ];
    memory.changes = memory.changes.filter(({ atMs }) => atMs > nowMs - memoryMs);
    const limited = limitScale(autoscaler, { current, proposed: proposed.replicas, memory, nowMs });
    condition('AbleToScale', 'True', limited.able.reason, limited.able.message);
    if (limited.limited) condition('ScalingLimited', 'True', limited.limited.reason, limited.limited.message);
    else condition('ScalingLimited', 'False', 'DesiredWithinRange', 'the desired count is within the acceptable range');
    return limited.replicas;
  }

  function memoryOf(autoscaler: HorizontalPodAutoscaler): Memory {
    const key = objectKey(autoscaler);
    let memory = memories.get(key);
    if (!memory) memories.set(key, (memory = { proposals: [], changes: [] }));
    return memory;
  }

  function podsOf(namespace: string, selector: string): Pod[] {
    const parsed = parseLabelSelector(selector);
    return [...pods.store.values()].filter(
      ({ metadata }) => metadata.namespace === namespace && parsed.matches(metadata.labels),
    );
  }

  async function targetPath({ metadata, spec }: HorizontalPodAutoscaler): Promise<string | undefined> {
    const { apiVersion = '', kind: name } = spec.scaleTargetRef;
    const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
    const find = (): KindRef | undefined => served.find((one) => one.kind === name && one.group === group);
    let found = find();
    if (!found) {
      served = await discoverKinds(client, signal);
      found = find();
    }
    if (!found) return undefined;
    const root = found.group === '' ? `/api/${found.version}` : `/apis/${found.group}/${found.version}`;
    const target = encodeURIComponent(spec.scaleTargetRef.name);
    return `${root}/namespaces/${encodeURIComponent(metadata.namespace ?? '')}/${found.plural}/${target}/scale`;
  }

  async function readScale(path: string | undefined): Promise<Scale> {
    if (path === undefined) throw new Error('no matches for the kind of the target');
    const response = await client.raw({ method: 'GET', path, signal });
    return JSON.parse(await response.body.text()) as Scale;
  }

  async function writeScale(path: string, target: Scale, replicas: number): Promise<void> {
    const body = { ...target, spec: { ...target.spec, replicas } };
    const response = await client.raw({ method: 'PUT', path, body, signal });
    await response.body.text();
  }

  function warn(autoscaler: HorizontalPodAutoscaler, reason: string, message: string): void {
    events.write(kind, autoscaler, { component, type: 'Warning', reason, message });
  }

  async function writeStatus(
    autoscaler: HorizontalPodAutoscaler,
    status: HorizontalPodAutoscalerStatus,
  ): Promise<void> {
    if (isDeepStrictEqual({ ...autoscaler.status, ...status }, autoscaler.status)) return;
    const { name = '', namespace } = autoscaler.metadata;
    try {
      await client.patch(kind, name, namespace, { status }, { type: 'merge', subresource: 'status', signal });
    } catch (error) {
      if (!isKubeError(error, 'kube.not-found')) throw error;
    }
  }
}

/** What Kubernetes says where no metrics server is installed. */
function unmeasured(resource: string, utilization: number | undefined): { reason: string; message: string } {
  const what = utilization === undefined ? 'resource metric value' : 'utilization';
  const missing =
    'unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)';
  const message = `failed to get ${resource} ${what}: unable to get metrics for resource ${resource}: ${missing}`;
  return { reason: 'FailedGetResourceMetric', message };
}

function withCondition(
  conditions: readonly CoreCondition[] | undefined,
  condition: CoreCondition,
  nowMs: number,
): CoreCondition[] {
  const before = conditions?.find(({ type }) => type === condition.type);
  const same = before?.status === condition.status ? before.lastTransitionTime : undefined;
  const next = { ...condition, lastTransitionTime: same ?? timestamp(nowMs) };
  if (!before) return [...(conditions ?? []), next];
  return (conditions ?? []).map((one) => (one.type === condition.type ? next : one));
}
