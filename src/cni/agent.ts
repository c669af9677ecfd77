/** The node agent: follows the pods of its node and takes each into the mesh, or out of it, as its labels say. */
import { watch } from 'node:fs';
import { kinds, type Namespace, type Pod } from '../api/index.ts';
import { systemClock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { registerInformerMetrics, startInformer, type Informer, type KubeClient } from '../kube/index.ts';
import { checkPrivileges, closeNetns, listNftTable, netnsIdentity, openNetns } from '../net/index.ts';
import { MetricsRegistry } from '../telemetry/index.ts';
import { startAdmin, type Admin } from './admin.ts';
import {
  defaultExcludedNamespaces,
  isTerminal,
  podIpsOf,
  redirectionAnnotation,
  redirectionOf,
  wantsMesh,
} from './enrolment.ts';
import { PodEnrolment, type EnrolmentTimings, type Goal } from './pod-enrolment.ts';
import { podTable } from './pod-rules.ts';
import { defaultProbeIp4, defaultProbeIp6, ProbeRules } from './probe-rules.ts';
import { ZdsServer } from './zds-server.ts';

export interface NodeAgentOptions {
  readonly nodeName: string;
  readonly client: KubeClient;
  /** Where the network namespace of a pod is found. */
  readonly netnsPath: (podUid: string) => string;
  /** Folder whose entries those paths are, to be watched; absent: only the API tells of pods. */
  readonly netnsFolder?: string;
  /** ztunnel connects here. */
  readonly socketPath: string;
  /** `/healthz` and `/readyz`. Upstream: 8000. */
  readonly readinessPort?: number;
  /** `/metrics`. Upstream: 15014. */
  readonly metricsPort?: number;
  readonly excludedNamespaces?: readonly string[];
  readonly probeIp4?: string;
  readonly probeIp6?: string;
  readonly timings?: Partial<EnrolmentTimings>;
  readonly log: Log;
  /** Ends the agent. What is enrolled stays enrolled. */
  readonly signal: AbortSignal;
}

export interface NodeAgent {
  readonly adminPorts: Admin['ports'];
  /** Whether the first list of pods was taken in and ztunnel can connect. */
  isReady(): boolean;
  /** Resolves after `signal` aborted and everything is closed. */
  readonly stopped: Promise<void>;
}

const defaultTimings: EnrolmentTimings = {
  releaseGraceMs: 3000,
  drainDeadlineMs: 300_000,
  drainPollMs: 500,
  resyncMs: 30_000,
};

/** Starts it; resolves once the admin ports listen, rejects when the process may not do its work. */
export async function startNodeAgent(options: NodeAgentOptions): Promise<NodeAgent> {
  await checkPrivileges();
  const agent = new Agent(options);
  return agent.start();
}

class Agent {
  readonly #options: NodeAgentOptions;
  readonly #log: Log;
  readonly #enrolments = new Map<string, PodEnrolment>();
  readonly #running = new Set<Promise<void>>();
  readonly #probes: ProbeRules;
  readonly #zds: ZdsServer;
  readonly #homeNetns: string;
  readonly #metrics: MetricsRegistry;
  readonly #countEvent: (type: string) => void;
  #pods!: Informer<Pod>;
  #namespaces!: Informer<Namespace>;
  #started = false;

  constructor(options: NodeAgentOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#probes = new ProbeRules({
      probeIp4: options.probeIp4 ?? defaultProbeIp4,
      probeIp6: options.probeIp6 ?? defaultProbeIp6,
    });
    this.#zds = new ZdsServer({
      path: options.socketPath,
      uids: () => [...this.#enrolments.keys()],
      served: (uid) => this.#enrolments.get(uid)?.served,
      onReady: () => this.#wakeAll(),
      log: options.log.child('zds'),
    });
    const home = openNetns('/proc/thread-self/ns/net');
    this.#homeNetns = netnsIdentity(home);
    closeNetns(home);
    this.#metrics = new MetricsRegistry({ clock: systemClock, log: options.log });
    this.#metrics.gauge('ztunnel_connected', 'Number of connections to ztunnel', () => this.#zds.connected);
    this.#metrics.gauge('ambit_cni_enrolled_pods', 'Pods of this node that are redirected and served', () => {
      let count = 0;
      for (const enrolment of this.#enrolments.values()) if (enrolment.enrolled) count++;
      return count;
    });
    const events = this.#metrics.group({
      metrics: {
        total: { name: 'nodeagent_reconcile_events', help: 'Steps of pods into and out of the mesh', kind: 'counter' },
      },
      labelNames: ['type'],
    });
    this.#countEvent = (type) => events.record([type], (values) => values.total++);
  }

  async start(): Promise<NodeAgent> {
    const { client, nodeName, signal, readinessPort, metricsPort } = this.#options;
    const admin = await startAdmin({
      ...(readinessPort === undefined ? {} : { readinessPort }),
      ...(metricsPort === undefined ? {} : { metricsPort }),
      isReady: () => this.#started,
      metrics: this.#metrics,
    });
    const metrics = registerInformerMetrics(this.#metrics);
    this.#namespaces = startInformer(client, kinds.Namespace, {
      signal,
      metrics,
      log: this.#log,
      onAdd: (namespace) => this.#considerNamespace(namespace),
      onUpdate: (_before, namespace) => this.#considerNamespace(namespace),
      onDelete: (namespace) => this.#considerNamespace(namespace),
    });
    this.#pods = startInformer(client, kinds.Pod, {
      signal,
      metrics,
      log: this.#log,
      fieldSelector: `spec.nodeName=${nodeName}`,
      onAdd: (pod) => this.#consider(pod),
      onUpdate: (_before, pod) => this.#consider(pod),
      onDelete: (pod) => this.#enrolments.get(pod.metadata.uid ?? '')?.update(pod, 'gone'),
    });
    const stopped = this.#run(admin);
    return { adminPorts: admin.ports, isReady: () => this.#started, stopped };
  }

  async #run(admin: Admin): Promise<void> {
    const { signal } = this.#options;
    try {
      await Promise.all([this.#namespaces.synced, this.#pods.synced]);
      await this.#adoptLeftovers();
      // All pods at once, before ztunnel can connect: it drops whatever its first snapshot does not name.
      this.#started = true;
      for (const pod of this.#pods.store.values()) this.#consider(pod);
      await this.#probes
        .apply()
        .catch((error: unknown) => this.#log.warn('cannot write probe rules yet', { error: messageOf(error) }));
      this.#zds.listen();
      this.#watchNamespaces();
      this.#log.info('node agent is ready', { pods: this.#enrolments.size });
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#started = false;
      this.#wakeAll();
      this.#zds.close();
      admin.close();
      await Promise.all(this.#running);
    }
  }

  /** Pods that should be outside but still have our rules: their annotation was gone when an earlier agent ended. */
  async #adoptLeftovers(): Promise<void> {
    const outside = [...this.#pods.store.values()].filter(
      (pod) => pod.spec.hostNetwork !== true && !isTerminal(pod) && !this.#wants(pod) && podIpsOf(pod).length > 0,
    );
    await Promise.all(
      outside.map(async (pod) => {
        let netns: number | undefined;
        try {
          netns = openNetns(this.#options.netnsPath(pod.metadata.uid ?? ''));
          if (netnsIdentity(netns) === this.#homeNetns) return;
          if ((await listNftTable('inet', podTable, { netns })) !== undefined) this.#enrol(pod, 'out', true);
        } catch (error) {
          this.#log.debug('cannot look into pod', { pod: pod.metadata.name, error: messageOf(error) });
        } finally {
          if (netns !== undefined) closeNetns(netns);
        }
      }),
    );
  }

  /** A namespace that appears or goes is news before the API knows of it. */
  #watchNamespaces(): void {
    const { netnsFolder, signal } = this.#options;
    if (netnsFolder === undefined) return;
    try {
      const watcher = watch(netnsFolder, { signal, persistent: false }, (_event, uid) => {
        if (uid !== null) this.#enrolments.get(uid)?.wake();
      });
      watcher.on('error', (error) => this.#log.warn('cannot watch network namespaces', { error: messageOf(error) }));
    } catch (error) {
      this.#log.warn('cannot watch network namespaces', { error: messageOf(error) });
    }
  }

  #wants(pod: Pod): boolean {
    const namespace = this.#namespaces.store.get(pod.metadata.namespace ?? '');
    return wantsMesh(pod, namespace, this.#options.excludedNamespaces ?? defaultExcludedNamespaces);
  }

  #considerNamespace(namespace: Namespace): void {
    if (!this.#started) return;
    for (const pod of this.#pods.store.values()) {
      if (pod.metadata.namespace === namespace.metadata.name) this.#consider(pod);
    }
  }

  /** Sets the pod's goal, and takes it on if it has none yet. */
  #consider(pod: Pod): void {
    if (!this.#started) return;
    const goal = this.#goalOf(pod);
    const existing = this.#enrolments.get(pod.metadata.uid ?? '');
    if (existing) return existing.update(pod, goal);
    // Its address may not be known yet: from the moment that its namespace appears it should not be open to anybody.
    if (goal === 'in' && pod.metadata.deletionTimestamp === undefined) this.#enrol(pod, 'in', false);
    if (goal === 'out' && redirectionOf(pod) !== undefined && pod.spec.hostNetwork !== true)
      this.#enrol(pod, 'out', true);
  }

  #goalOf(pod: Pod): Goal {
    if (isTerminal(pod)) return 'gone';
    return this.#wants(pod) ? 'in' : 'out';
  }

  #enrol(pod: Pod, goal: Goal, marked: boolean): void {
    const { netnsPath, probeIp4, probeIp6, timings, signal } = this.#options;
    const enrolment = new PodEnrolment(pod, goal, marked, {
      netnsPath,
      homeNetns: this.#homeNetns,
      zds: this.#zds,
      probes: this.#probes,
      annotate: (target, value) => this.#annotate(target, value),
      probeIp4: probeIp4 ?? defaultProbeIp4,
      probeIp6: probeIp6 ?? defaultProbeIp6,
      timings: { ...defaultTimings, ...timings },
      log: this.#log,
      signal,
      onStep: (step) => this.#countEvent(step),
    });
    this.#enrolments.set(enrolment.uid, enrolment);
    const running = enrolment.run().finally(() => {
      this.#running.delete(running);
      this.#enrolments.delete(enrolment.uid);
      // It may have been asked back in its very last step.
      const latest = this.#pods.store.get(enrolment.podKey);
      if (latest?.metadata.uid === enrolment.uid && !signal.aborted) this.#consider(latest);
    });
    this.#running.add(running);
  }

  async #annotate(pod: Pod, value: string | undefined): Promise<void> {
    const { name = '', namespace, uid } = pod.metadata;
    // The UID makes it a no-op error for a namesake that came after.
    const patch = {
      metadata: { ...(uid === undefined ? {} : { uid }), annotations: { [redirectionAnnotation]: value ?? null } },
    };
    await this.#options.client.patch(kinds.Pod, name, namespace, patch, {
      type: 'merge',
      subresource: 'status',
      fieldManager: 'istio-cni',
      signal: this.#options.signal,
    });
  }

  #wakeAll(): void {
    for (const enrolment of this.#enrolments.values()) enrolment.wake();
  }
}
