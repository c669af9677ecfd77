/** A real API server and the real controllers, with kubelets of a few lines (tests only). */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { kinds, type Deployment, type Node, type Pod, type ReplicaSet } from '../../api/index.ts';
import { isKubeError, openKubeClient, startInformer, type Informer, type KubeClient } from '../../kube/index.ts';
import { silentLog } from '../../lib/log.ts';
import { startApiServer } from '../apiserver/index.ts';
import { startControllers } from './index.ts';

const adminToken = 'admin-token-of-this-test';
export const namespace = 'shop';

export interface TestCluster {
  readonly client: KubeClient;
  readonly pods: Informer<Pod>;
  readonly replicaSets: Informer<ReplicaSet>;
  readonly deployments: Informer<Deployment>;
  /** Pods whose name matches run, but do not become ready. */
  sick: RegExp | undefined;
  /** How a pod ends as soon as it runs. */
  ends: ((pod: Pod) => 'Succeeded' | 'Failed' | undefined) | undefined;
  /** Resolves when `check` returns something, looked at after every change. */
  until<T>(what: string, check: () => T | undefined | false | Promise<T | undefined | false>): Promise<T>;
}

/** A real API server and the real controllers; the kubelets are a few lines that say what pods do. */
export async function openTestCluster(
  t: TestContext,
  nodes: readonly Node[] = [node('node-1'), node('node-2')],
): Promise<TestCluster> {
  const stateDir = mkdtempSync(join(tmpdir(), 'ambit-controllers-'));
  mkdirSync(join(stateDir, 'pki'));
  const tokensFile = join(stateDir, 'pki', 'tokens.json');
  writeFileSync(tokensFile, JSON.stringify([{ token: adminToken, user: 'admin', groups: ['system:masters'] }]));
  const log = silentLog();
  const server = await startApiServer({
    stateDir,
    tokensFile,
    listen: { host: '127.0.0.1', port: 0 },
    nodeSocket: () => '',
    log,
  });
  const access = {
    server: `https://127.0.0.1:${server.port}`,
    caPem: server.caPem,
    insecureSkipTlsVerify: false,
    namespace: 'default',
  };
  const client = openKubeClient({ ...access, token: () => adminToken }, { log });
  const controllers = openKubeClient({ ...access, token: () => server.controllersToken }, { log });
  const stop = new AbortController();
  const { signal } = stop;
  t.after(async () => {
    stop.abort();
    await Promise.all([client.close(), controllers.close()]);
    await server.close();
    rmSync(stateDir, { recursive: true });
  });

  let checks: (() => void)[] = [];
  const changed = (): void => {
    const waiting = checks;
    checks = [];
    for (const check of waiting) check();
  };
  const handlers = { signal, log, onAdd: changed, onUpdate: changed, onDelete: changed };
  const live = (pod: Pod): void => {
    void act(pod).catch((error: unknown) => {
      if (!signal.aborted && !isKubeError(error, 'kube.not-found') && !isKubeError(error, 'kube.conflict')) throw error;
    });
    changed();
  };
  async function act(pod: Pod): Promise<void> {
    const { name = '', uid = '', deletionTimestamp } = pod.metadata;
    if (!pod.spec.nodeName) return;
    if (deletionTimestamp)
      return client.delete(kinds.Pod, name, pod.metadata.namespace, { gracePeriodSeconds: 0, preconditions: { uid } });
    const end = cluster.ends?.(pod);
    if (end !== undefined && (pod.status?.phase === 'Pending' || pod.status?.phase === 'Running')) {
      const status = { phase: end, conditions: [{ type: 'Ready', status: 'False', reason: 'PodCompleted' }] };
      await client.patch(kinds.Pod, name, pod.metadata.namespace, { status }, { type: 'merge', subresource: 'status' });
      return;
    }
    if (pod.status?.phase !== 'Pending') return;
    const ready = cluster.sick?.test(name) ? 'False' : 'True';
    const podIP = `10.244.${pod.spec.nodeName.slice(-1)}.${(serial++ % 250) + 1}`;
    const status = {
      phase: 'Running',
      podIP,
      conditions: [{ type: 'Ready', status: ready, lastTransitionTime: new Date().toISOString() }],
    };
    await client.patch(kinds.Pod, name, pod.metadata.namespace, { status }, { type: 'merge', subresource: 'status' });
  }
  let serial = 1;
  const cluster: TestCluster = {
    client,
    sick: undefined,
    ends: undefined,
    pods: startInformer(client, kinds.Pod, { ...handlers, onAdd: live, onUpdate: (_, pod) => live(pod) }),
    replicaSets: startInformer(client, kinds.ReplicaSet, handlers),
    deployments: startInformer(client, kinds.Deployment, handlers),
    async until(what, check) {
      const deadline = AbortSignal.timeout(10_000);
      for (;;) {
        const result = await check();
        if (result) return result;
        await new Promise<void>((resolve, reject) => {
          const fail = (): void => reject(new Error(`Never: ${what}\n${describePods(cluster)}`));
          if (deadline.aborted) fail();
          deadline.addEventListener('abort', fail, { once: true });
          checks.push(resolve);
        });
      }
    },
  };
  // Kinds without an informer here are looked at again by the clock.
  const ticker = setInterval(changed, 50);
  t.after(() => clearInterval(ticker));
  for (const object of nodes) await client.create(kinds.Node, object);
  await client.create(kinds.Namespace, { metadata: { name: namespace } });
  await startControllers({ client: controllers, log, rootCaPem: server.caPem, signal });
  // Without it no pod may be made.
  await cluster.until('the default account', () =>
    client.get(kinds.ServiceAccount, 'default', namespace).catch((error: unknown) => {
      if (isKubeError(error, 'kube.not-found')) return undefined;
      throw error;
    }),
  );
  return cluster;
}

function describePods({ pods, replicaSets }: TestCluster): string {
  const sets = [...replicaSets.store.values()].map(
    ({ metadata, spec, status }) => `${metadata.name} ${spec.replicas} ${JSON.stringify(status)}`,
  );
  const lines = [...pods.store.values()].map(
    ({ metadata, spec, status }) =>
      `${metadata.name} ${spec.nodeName} ${status?.phase} ${metadata.deletionTimestamp ?? ''}`,
  );
  return [...sets, ...lines].join('\n');
}

export function node(name: string, labels: Record<string, string> = {}): Node {
  return {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  };
}
