/** The node agent: follows the pods of its node and takes each into the mesh, or out of it, as its labels say. */
import { watch } from 'node:fs';
import { dirname, join } from 'node:path';
import { kinds, type KindRef, type Namespace, type Pod } from '../api/index.ts';
import { systemClock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import {
  EventRecorder,
  isKubeError,
  registerInformerMetrics,
  startInformer,
  type Informer,
  type KubeClient,
} from '../kube/index.ts';
import { checkPrivileges, closeNetns, netnsIdentity, openNetns } from '../net/index.ts';
import type { PodResolver } from '../wire/index.ts';
import { startAdmin, type Admin } from './admin.ts';
import { PodAdmission } from './admission.ts';
import { AgentMetrics } from './agent-metrics.ts';
import {
  defaultExcludedNamespaces,
  isTerminal,
  podIpsOf,
  redirectionAnnotation,
  redirectionOf,
  wantsMesh,
} from './enrolment.ts';
import { PodNetnsFinder } from './find/pod-netns.ts';
import { PodHealth, podReference } from './health/pod-health.ts';
import type { NetworkPolicy } from './health/network-policy.ts';
import { ApiAccessFile, apiAccessPath } from './plugin/api-access-file.ts';
import { startPluginEndpoint } from './plugin/endpoint.ts';
import type { ApiAccess } from './plugin/pod-lookup.ts';
import { CniInstaller, type InstallerOptions } from './plugin/installer.ts';
import { PodEnrolment, type EnrolmentStep, type EnrolmentTimings, type Goal } from './pod-enrolment.ts';
import { defaultProbeIp4, defaultProbeIp6, ProbeRules } from './probe-rules.ts';
import { PodResolvers, type ClusterDns } from './resolver.ts';
import { HolderLink } from './holder-link.ts';
import { readCaptureSettings } from './rules/capture-settings.ts';
import { openNodeMarks, type NodeMarks } from './rules/node-marks.ts';
import type { DnsRedirect, PodRuleSet } from './rules/pod-rule-set.ts';
import { chooseRuleWriter, type RuleProgram, type RuleWriter } from './rules/rule-writer.ts';
import { ZdsServer } from './zds-server.ts';

export interface NodeAgentOptions {
  readonly nodeName: string;
  readonly client: KubeClient;
  /** Folder with the network namespace of each pod by its UID; absent: none is named so. */
  readonly netnsFolder?: string;
  /** The node's /proc, to find namespaces and resolvers by the pods' processes; absent: they are not looked for. */
  readonly procFolder?: string;
  /** ztunnel connects here. The agent keeps the node's secret beside it. */
  readonly socketPath: string;
  /** The listener holder's socket; default: beside ztunnel's. Nobody needs to listen there. */
  readonly holderPath?: string;
  /** The CNI plugin asks here; absent: nobody does. */
  readonly pluginSocketPath?: string;
  /** What the plugin may ask the API with while the agent is away; kept up to date beside the socket. */
  readonly apiAccess?: () => ApiAccess;
  /** Keeps the CNI plugin installed; absent: somebody else calls us for each pod, or nobody. */
  readonly installer?: Omit<InstallerOptions, 'clock' | 'log' | 'onInstall'>;
  /** The agent's own: when it is gone as the agent ends, the plugin and the node's rules go too. */
  readonly daemonSet?: { readonly namespace: string; readonly name: string };
  /** `/healthz` and `/readyz`. Upstream: 8000. */
  readonly readinessPort?: number;
  /** `/metrics`. Upstream: 15014. */
  readonly metricsPort?: number;
  readonly excludedNamespaces?: readonly string[];
  readonly probeIp4?: string;
  readonly probeIp6?: string;
  /** DNS of pods that say nothing themselves; `auto`: where the ztunnel can ask the resolvers that the pod asked. */
  readonly dnsCapture?: 'auto' | 'on' | 'off';
  readonly clusterDns?: ClusterDns;
  /** Default: what is usable. */
  readonly ruleProgram?: RuleProgram;
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
  ruleCheckMs: 3000,
};

const healthTickMs = 1000;

/** Starts it; resolves once the admin ports listen, rejects when the process may not do its work. */
export async function startNodeAgent(options: NodeAgentOptions): Promise<NodeAgent> {
  await checkPrivileges();
  const { log, ruleProgram } = options;
  const writer = await chooseRuleWriter({ log, ...(ruleProgram === undefined ? {} : { program: ruleProgram }) });
  return new Agent(options, writer).start();
}

class Agent {
  readonly #options: NodeAgentOptions;
  readonly #log: Log;
  readonly #writer: RuleWriter;
  readonly #enrolments = new Map<string, PodEnrolment>();
  readonly #running = new Set<Promise<void>>();
  readonly #probes: ProbeRules;
  readonly #zds: ZdsServer;
  readonly #holder: HolderLink;
  readonly #homeNetns: string;
  readonly #finder: PodNetnsFinder;
  readonly #marks: NodeMarks;
  readonly #events: EventRecorder;
  readonly #health: PodHealth;
  readonly #resolvers: PodResolvers;
  readonly #metrics: AgentMetrics;
  readonly #admission: PodAdmission;
  readonly #installer: CniInstaller | undefined;
  /** Pods that ran before anybody could enrol them. */
  readonly #late = new Set<string>();
  #dnsUnderstood = false;
  #hadDaemonSet = false;
  #pods!: Informer<Pod>;
  #namespaces!: Informer<Namespace>;
  #policies!: Informer<NetworkPolicy>;
  #started = false;

  constructor(options: NodeAgentOptions, writer: RuleWriter) {
    const { client, nodeName, log, netnsFolder, procFolder, installer } = options;
    this.#options = options;
    this.#log = log;
    this.#writer = writer;
    this.#probes = new ProbeRules({
      program: writer.program,
      probeIp4: options.probeIp4 ?? defaultProbeIp4,
      probeIp6: options.probeIp6 ?? defaultProbeIp6,
    });
    this.#holder = new HolderLink({
      path: options.holderPath ?? join(dirname(options.socketPath), 'listener-holder.sock'),
      log: log.child('holder'),
    });
    this.#zds = new ZdsServer({
      path: options.socketPath,
      uids: () => [...this.#enrolments.keys()],
      served: (uid) => this.#enrolments.get(uid)?.served,
      onChange: (what) => this.#onZtunnels(what),
      beforeSnapshot: () => this.#rulesForAnyZtunnel(),
      onReady: () => {
        this.#onZtunnels('ready');
      },
      log: log.child('zds'),
    });
    const home = openNetns('/proc/thread-self/ns/net');
    this.#homeNetns = netnsIdentity(home);
    closeNetns(home);
    this.#finder = new PodNetnsFinder({
      ...(netnsFolder === undefined ? {} : { netnsFolder }),
      ...(procFolder === undefined ? {} : { procFolder }),
      homeNetns: this.#homeNetns,
      nowMs: () => performance.now(),
    });
    this.#marks = openNodeMarks({ path: join(dirname(options.socketPath), 'node-marks.json'), log });
    this.#events = new EventRecorder({ client, component: 'istio-cni-node', nodeName, clock: systemClock, log });
    this.#resolvers = new PodResolvers(options.clusterDns, (uid) => this.#finder.processFolder(uid));
    this.#metrics = new AgentMetrics({
      log,
      connectedZtunnels: () => this.#zds.connected,
      enrolledPods: () => [...this.#enrolments.values()].filter(({ enrolled }) => enrolled).length,
      installed: () => this.#installer?.installed,
    });
    this.#health = new PodHealth({
      client,
      events: this.#events,
      policies: () => this.#policies.store.values(),
      subjects: () => this.#enrolments.values(),
      onChange: (uid) => this.#enrolments.get(uid)?.wake(),
      countProbe: (result) => this.#metrics.probe(result),
      log: log.child('health'),
    });
    this.#admission = new PodAdmission({
      client,
      excludedNamespaces: options.excludedNamespaces ?? defaultExcludedNamespaces,
      isStarted: () => this.#started,
      followedPod: (namespace, name) => this.#pods.store.get(`${namespace}/${name}`),
      followedNamespace: (name) => this.#namespaces.store.get(name),
      enrol: (pod, netns) => this.#take(pod, netns),
      forget: (pod) => this.#enrolments.get(pod.metadata.uid ?? '')?.update(pod, 'gone'),
      signal: options.signal,
    });
    this.#installer =
      installer &&
      new CniInstaller({
        ...installer,
        clock: systemClock,
        log: log.child('installer'),
        onInstall: (result) => this.#metrics.install(result),
      });
  }

  async start(): Promise<NodeAgent> {
    const { client, nodeName, signal, readinessPort, metricsPort } = this.#options;
    const admin = await startAdmin({
      ...(readinessPort === undefined ? {} : { readinessPort }),
      ...(metricsPort === undefined ? {} : { metricsPort }),
      isReady: () => this.#ready,
      metrics: this.#metrics.registry,
    });
    const metrics = registerInformerMetrics(this.#metrics.registry);
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
      onDelete: (pod) => {
        this.#enrolments.get(pod.metadata.uid ?? '')?.update(pod, 'gone');
        this.#health.forget(pod.metadata.uid ?? '');
      },
    });
    const reconsider = (policy: NetworkPolicy): void => this.#considerHealth(policy.metadata.namespace);
    this.#policies = startInformer(client, kinds.NetworkPolicy as KindRef<NetworkPolicy>, {
      signal,
      metrics,
      log: this.#log,
      onAdd: reconsider,
      onUpdate: (_before, policy) => reconsider(policy),
      onDelete: reconsider,
    });
    const stopped = this.#run(admin);
    return {
      adminPorts: admin.ports,
      isReady: () => this.#ready,
      stopped,
    };
  }

  get #ready(): boolean {
    return this.#started && (this.#installer?.installed ?? true);
  }

  async #run(admin: Admin): Promise<void> {
    const { signal, pluginSocketPath, apiAccess } = this.#options;
    const closing: (() => void)[] = [];
    try {
      await Promise.all([this.#namespaces.synced, this.#pods.synced]);
      this.#hadDaemonSet = this.#installer !== undefined && (await this.#hasDaemonSet());
      await this.#adoptLeftovers();
      // All pods at once, before ztunnel can connect: it drops whatever its first snapshot does not name.
      this.#started = true;
      for (const pod of this.#pods.store.values()) {
        if (isRunningOutside(pod) && this.#goalOf(pod) === 'in') this.#late.add(pod.metadata.uid ?? '');
        this.#consider(pod);
      }
      await this.#probes
        .apply()
        .catch((error: unknown) => this.#log.warn('cannot write probe rules yet', { error: messageOf(error) }));
      this.#zds.listen();
      if (pluginSocketPath !== undefined) {
        const endpoint = await startPluginEndpoint({
          path: pluginSocketPath,
          admit: (pod, gone) => this.#admission.admit(pod, gone),
          onAnswer: (status) => this.#metrics.pluginRequest(status),
          log: this.#log.child('plugin'),
        });
        closing.push(() => {
          endpoint.close();
          endpoint.closeAllConnections();
        });
        if (apiAccess) {
          const file = new ApiAccessFile({ path: apiAccessPath(pluginSocketPath), access: apiAccess, log: this.#log });
          file.start();
          closing.push(() => file.close());
        }
      }
      // Only now that it would be answered.
      await this.#installer?.start();
      this.#watchNamespaces();
      const ticking = setInterval(() => this.#health.tick(performance.now()), healthTickMs);
      closing.push(() => clearInterval(ticking));
      this.#log.info('node agent is ready', { pods: this.#enrolments.size });
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#started = false;
      for (const close of closing) close();
      await this.#leaveNode();
      this.#wakeAll();
      this.#zds.close();
      this.#holder.close();
      admin.close();
      await Promise.all(this.#running);
    }
  }

  /** What is installed stays for the next agent, unless there will be none. */
  async #leaveNode(): Promise<void> {
    await this.#installer?.close();
    if (!this.#installer || !this.#hadDaemonSet || (await this.#hasDaemonSet())) return;
    await this.#installer.uninstall();
    await this.#probes.clear().catch(() => {});
  }

  async #hasDaemonSet(): Promise<boolean> {
    const { daemonSet, client } = this.#options;
    if (!daemonSet) return false;
    try {
      const deadline = AbortSignal.timeout(2000);
      const { metadata } = await client.get(kinds.DaemonSet, daemonSet.name, daemonSet.namespace, deadline);
      return metadata.deletionTimestamp === undefined;
    } catch (error) {
      // Not to know is no reason to open the node to pods outside of the mesh.
      return !isKubeError(error) || error.status !== 404;
    }
  }

  /** The runtime made this namespace for the pod. */
  #take(pod: Pod, netns: string): PodEnrolment {
    const uid = pod.metadata.uid ?? '';
    this.#finder.tell(uid, netns);
    if (!this.#enrolments.has(uid)) this.#enrol(pod, 'in', false);
    return this.#enrolments.get(uid) as PodEnrolment;
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
          netns = openNetns(this.#finder.find(pod.metadata.uid ?? '', podIpsOf(pod)));
          if (netnsIdentity(netns) === this.#homeNetns) return;
          if ((await this.#writer.read(netns)) !== undefined) this.#enrol(pod, 'out', true);
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
    if (existing) {
      existing.update(pod, goal);
      if (goal === 'in') this.#health.consider(existing);
      return;
    }
    // Its address may not be known yet: from the moment that its namespace appears it should not be open to anybody.
    if (goal === 'in' && pod.metadata.deletionTimestamp === undefined) this.#enrol(pod, 'in', false);
    if (goal === 'out' && redirectionOf(pod) !== undefined && pod.spec.hostNetwork !== true)
      this.#enrol(pod, 'out', true);
  }

  #considerHealth(namespace: string | undefined): void {
    for (const enrolment of this.#enrolments.values()) {
      if (enrolment.pod.metadata.namespace === namespace) this.#health.consider(enrolment);
    }
  }

  #goalOf(pod: Pod): Goal {
    if (isTerminal(pod)) return 'gone';
    return this.#wants(pod) ? 'in' : 'out';
  }

  #enrol(pod: Pod, goal: Goal, marked: boolean): void {
    const { timings, signal } = this.#options;
    const enrolment = new PodEnrolment(pod, goal, marked, {
      findNetns: (uid, ips) => this.#finder.find(uid, ips),
      rules: (target) => this.#rulesOf(target),
      resolver: (target) => this.#resolverOf(target),
      writer: this.#writer,
      homeNetns: this.#homeNetns,
      zds: {
        add: (uid) => this.#zds.add(uid),
        drain: (uid) => this.#zds.drain(uid),
        del: (uid) => {
          this.#holder.drop(uid);
          return this.#zds.del(uid);
        },
      },
      probes: {
        set: (uid, ips) => this.#setProbes(uid, ips),
        remove: (uid) => this.#probes.remove(uid),
      },
      onCapture: (uid, netns, ips) => this.#health.captures(uid, netns, ips),
      annotate: (target, value) => this.#annotate(target, value),
      timings: { ...defaultTimings, ...timings },
      log: this.#log,
      signal,
      onStep: (step, target) => this.#onStep(step, target),
    });
    this.#enrolments.set(enrolment.uid, enrolment);
    const running = enrolment.run().finally(() => {
      this.#running.delete(running);
      this.#enrolments.delete(enrolment.uid);
      this.#finder.forget(enrolment.uid);
      this.#resolvers.forget(enrolment.uid);
      this.#late.delete(enrolment.uid);
      // It may have been asked back in its very last step.
      const latest = this.#pods.store.get(enrolment.podKey);
      if (latest?.metadata.uid === enrolment.uid && !signal.aborted) this.#consider(latest);
    });
    this.#running.add(running);
  }

  #rulesOf(pod: Pod): PodRuleSet {
    const { probeIp4, probeIp6 } = this.#options;
    const uid = pod.metadata.uid ?? '';
    return {
      probeIp4: probeIp4 ?? defaultProbeIp4,
      probeIp6: probeIp6 ?? defaultProbeIp6,
      probesFrom: this.#health.probesFrom(uid),
      capture: readCaptureSettings(pod).settings,
      mark: this.#marks.of(uid),
      plainMark: this.#marks.plain,
      dns: this.#dnsOf(pod),
    };
  }

  #capturesDns(pod: Pod): boolean {
    const { dnsCapture = 'auto' } = this.#options;
    return readCaptureSettings(pod).settings.dnsCapture ?? dnsCapture !== 'off';
  }

  #resolverOf(pod: Pod): PodResolver | undefined {
    if (this.#capturesDns(pod)) return this.#resolvers.of(pod);
    this.#resolvers.skip(pod);
    return undefined;
  }

  #dnsOf(pod: Pod): DnsRedirect {
    if (!this.#capturesDns(pod)) return { kind: 'off' };
    const resolver = this.#resolverOf(pod);
    if (this.#dnsUnderstood)
      return resolver ? { kind: 'nameservers', nameservers: resolver.nameservers } : { kind: 'off' };
    // Only who asked for it knows whether the proxy answers at all.
    const asked = readCaptureSettings(pod).settings.dnsCapture === true || this.#options.dnsCapture === 'on';
    return asked && this.#zds.connected > 0 ? { kind: 'everything' } : { kind: 'off' };
  }

  /** Rules follow what the connected ztunnels understand: at once where one knows less, when it serves where it knows more. */
  #onZtunnels(what: 'hello' | 'ready' | 'gone'): void {
    const all = this.#zds.capabilities;
    // Nobody there: as it was.
    if (all.length > 0) {
      this.#holder.setForeign(!all.every((each) => each.has('holder')));
      const [mark, resolver] = [all.every((each) => each.has('mark')), all.every((each) => each.has('resolver'))];
      if (what !== 'hello' || !mark) this.#marks.setPlain(!mark);
      if (what !== 'hello' || !resolver) this.#dnsUnderstood = resolver;
    }
    if (what !== 'hello') this.#wakeAll();
  }

  /** A ztunnel that knows less than those before must not meet rules that ask more of it. */
  async #rulesForAnyZtunnel(): Promise<void> {
    const latest = this.#zds.capabilities.at(-1);
    if (!latest || (latest.has('mark') && latest.has('resolver'))) return;
    await Promise.all([...this.#enrolments.values()].map((each) => each.refreshRules().catch(() => {})));
  }

  async #setProbes(uid: string, ips: readonly string[]): Promise<void> {
    if (this.#health.probesFrom(uid)) return this.#probes.remove(uid);
    try {
      await this.#probes.set(uid, ips);
    } catch (error) {
      const pod = this.#enrolments.get(uid)?.pod;
      if (!pod) throw error;
      this.#log.warn('cannot give probes an address of their own: those of the node are exempted by its address', {
        error: messageOf(error),
      });
      await this.#health.exemptNodeProbes(pod, ips);
    }
  }

  #onStep(step: EnrolmentStep, pod: Pod): void {
    this.#metrics.step(step);
    const about = podReference(pod);
    const { uid = '' } = pod.metadata;
    const enrolment = this.#enrolments.get(uid);
    if (step === 'enrolled') {
      if (enrolment) setImmediate(() => this.#health.consider(enrolment));
      if (!this.#late.delete(uid)) return;
      this.#metrics.repaired('success');
      const message =
        'The pod ran outside the mesh until now: it was started while the node agent was not there. Connections that it has since then stay as they are; restart it to be sure';
      this.#events.emit(about, 'Warning', 'EnrolledLate', message);
    } else if (step === 'rules-repaired') {
      const message =
        'Somebody changed the packet rules of the mesh in the network namespace of the pod; they were put back';
      this.#events.emit(about, 'Warning', 'RulesRepaired', message);
    } else if (step === 'released') {
      this.#health.release(pod);
    } else if (this.#late.has(uid)) {
      this.#metrics.repaired('failure');
    }
  }

  async #annotate(pod: Pod, value: string | undefined): Promise<void> {
    const { name = '', namespace, uid } = pod.metadata;
    // The UID makes it a no-op error for a namesake that came after.
    const patch = {
      metadata: { ...(uid === undefined ? {} : { uid }), annotations: { [redirectionAnnotation]: value ?? null } },
    };
    try {
      await this.#options.client.patch(kinds.Pod, name, namespace, patch, {
        type: 'merge',
        subresource: 'status',
        fieldManager: 'istio-cni',
        signal: this.#options.signal,
      });
    } catch (error) {
      // A namesake: ours is gone.
      if (!isKubeError(error) || error.status !== 409) throw error;
    }
  }

  #wakeAll(): void {
    for (const enrolment of this.#enrolments.values()) enrolment.wake();
  }
}

/** It has run, and no agent took it in. */
function isRunningOutside(pod: Pod): boolean {
  const started = (pod.status?.containerStatuses ?? []).some(({ state }) => state?.running !== undefined);
  return started && redirectionOf(pod) === undefined;
}
