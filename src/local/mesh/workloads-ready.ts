/** Waits until applied workloads run, and says why they do not. */
import { kinds, type Deployment, type Gateway, type KubeObject, type Pod } from '../../api/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { sleep } from '../../lib/clock.ts';
import { AmbitError } from '../../lib/errors.ts';
import { isPodReady } from './supervisor.ts';

export interface WaitOptions {
  readonly deadlineMs: number;
  readonly onProgress: (step: string) => void;
  readonly signal: AbortSignal;
}

/** Of Gateways whose proxies the mesh deploys; others may never have any. */
const ownGatewayClasses: ReadonlySet<string> = new Set(['istio', 'istio-waypoint', 'ambit', 'ambit-waypoint']);

/** Resolves when every Deployment and Pod of `objects` is Ready, and every Gateway that the mesh deploys is programmed. Throws `local.pods-not-ready` with the pods and their reasons. */
export async function waitForWorkloads(
  client: KubeClient,
  objects: readonly KubeObject[],
  options: WaitOptions,
): Promise<void> {
  const deployments = objects.filter((object): object is Deployment => object.kind === 'Deployment');
  const pods = objects.filter((object): object is Pod => object.kind === 'Pod');
  const gateways = objects.filter(
    (object): object is Gateway =>
      object.kind === 'Gateway' &&
      object.apiVersion?.startsWith('gateway.networking.k8s.io/') === true &&
      ownGatewayClasses.has((object as Gateway).spec.gatewayClassName),
  );
  const namespaces = new Set([...deployments, ...pods].map((object) => object.metadata.namespace ?? 'default'));
  for (;;) {
    const waiting: string[] = [];
    for (const namespace of namespaces) {
      const current = (await client.list(kinds.Deployment, { namespace })).items;
      const currentPods = (await client.list(kinds.Pod, { namespace })).items;
      for (const deployment of deployments.filter((object) => object.metadata.namespace === namespace)) {
        const now = current.find((object) => object.metadata.name === deployment.metadata.name);
        if (!now || !isDeploymentReady(now)) waiting.push(`Deployment ${namespace}/${deployment.metadata.name}`);
      }
      for (const pod of pods.filter((object) => object.metadata.namespace === namespace)) {
        const now = currentPods.find((object) => object.metadata.name === pod.metadata.name);
        if (!now || !(isPodReady(now) || now.status?.phase === 'Succeeded'))
          waiting.push(`Pod ${namespace}/${pod.metadata.name}`);
      }
    }
    for (const { metadata } of gateways) {
      const now = await client.get(kinds.Gateway, metadata.name ?? '', metadata.namespace ?? 'default');
      const trouble = gatewayTrouble(now);
      if (trouble !== undefined) waiting.push(`Gateway ${metadata.namespace}/${metadata.name} (${trouble})`);
    }
    if (waiting.length === 0) return;
    if (options.signal.aborted || Date.now() > options.deadlineMs) {
      const why = options.signal.aborted ? 'Interrupted, not ready yet' : 'Not ready in time';
      throw new AmbitError(`${why}: ${waiting.join(', ')}${await reasons(client, namespaces)}`, {
        code: 'local.pods-not-ready',
        blame: 'downstream',
      });
    }
    options.onProgress(`waiting for the pods (${waiting.length} to go)`);
    await sleep(100);
  }
}

/** Waits a while for the pods that the API has from an earlier life of the mesh. Resolves to those that are not Ready by then: what did not run before may not run now. */
export async function waitForRevived(client: KubeClient, options: WaitOptions): Promise<string[]> {
  for (;;) {
    const waiting = (await client.list(kinds.Pod)).items.filter(isAwaited);
    const names = waiting.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
    if (names.length === 0 || options.signal.aborted || Date.now() > options.deadlineMs) return names;
    options.onProgress(`waiting for the pods (${names.length} to go)`);
    await sleep(100);
  }
}

/** Pure: it is to be Ready, and is not. */
export function isAwaited(pod: Pod): boolean {
  const hasEnded = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  return !hasEnded && pod.metadata.deletionTimestamp === undefined && !isPodReady(pod);
}

function isDeploymentReady(deployment: Deployment): boolean {
  const wanted = deployment.spec?.replicas ?? 1;
  const status = deployment.status;
  return (
    (status?.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0) &&
    (status?.updatedReplicas ?? 0) >= wanted &&
    (status?.readyReplicas ?? 0) >= wanted &&
    (status?.replicas ?? 0) === wanted
  );
}

/** Undefined: its proxies serve. */
export function gatewayTrouble({ metadata, status }: Gateway): string | undefined {
  const programmed = status?.conditions?.find(({ type }) => type === 'Programmed');
  if (!programmed || programmed.observedGeneration !== metadata.generation) return 'nobody has looked at it yet';
  return programmed.status === 'True' ? undefined : programmed.message;
}

async function reasons(client: KubeClient, namespaces: ReadonlySet<string>): Promise<string> {
  const found: string[] = [];
  for (const namespace of namespaces) {
    for (const pod of (await client.list(kinds.Pod, { namespace })).items) {
      if (isPodReady(pod) || pod.status?.phase === 'Succeeded') continue;
      found.push(`${pod.metadata.name}: ${podTrouble(pod)}`);
    }
  }
  return found.length === 0 ? '' : ` (${found.join('; ')})`;
}

/** Why a pod is not Ready, as far as its status tells. */
export function podTrouble(pod: Pod): string {
  for (const container of [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]) {
    const waiting = container.state?.waiting;
    if (waiting)
      return `${container.name} waits: ${waiting.reason}${waiting.message === undefined ? '' : `, ${waiting.message}`}`;
    const ended = container.state?.terminated;
    if (ended) return `${container.name} ended with ${ended.exitCode}`;
  }
  const unmet = pod.status?.conditions?.find(
    (condition) => condition.status !== 'True' && condition.message !== undefined,
  );
  return unmet ? `${unmet.type}: ${unmet.message}` : `phase ${pod.status?.phase ?? 'Pending'}`;
}
