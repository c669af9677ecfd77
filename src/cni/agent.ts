/** The node agent: follows the pods of its node and takes each into the mesh, or out of it, as its labels say. */
import { dirname, join } from 'node:path';
import { systemClock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { EventRecorder, registerInformerMetrics } from '../kube/index.ts';
import { checkPrivileges, closeNetns, netnsIdentity, openNetns } from '../net/index.ts';
import { startAdmin, type Admin } from './admin.ts';
import { PodAdmission } from './admission.ts';
import { AgentMetrics } from './agent-metrics.ts';
import type { NodeAgentOptions } from './agent-options.ts';
import { defaultExcludedNamespaces } from './enrolment.ts';
import type { EnrolmentContext, EnrolmentTimings } from './enrolment-context.ts';
import { findLeftoverPods } from './find/leftover-pods.ts';
import { addressesOf } from './find/netns-addresses.ts';
import { watchNetnsFolder } from './find/netns-watch.ts';
import { PodNetnsFinder } from './find/pod-netns.ts';
import { FollowedObjects } from './followed-objects.ts';
import { PodHealth } from './health/pod-health.ts';
import { testProbePath } from './health/probe-path.ts';
import { ProbeExemption } from './health/probe-exemption.ts';
import { HolderLink } from './holder-link.ts';
import { NodePlugin } from './plugin/node-plugin.ts';
import { PodEnrolments } from './pod-enrolments.ts';
import { defaultProbeIp4, defaultProbeIp6, ProbeRules } from './probe-rules.ts';
import { annotateRedirection } from './redirection-annotation.ts';
import { PodResolvers } from './resolver.ts';
import { openNodeMarks } from './rules/node-marks.ts';
import { chooseRuleWriter, type RuleWriter } from './rules/rule-writer.ts';
import { WantedRules } from './rules/wanted-rules.ts';
import { StepReport } from './step-report.ts';
import { ZdsServer } from './zds-server.ts';

export type { NodeAgentOptions } from './agent-options.ts';

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

/** What the agent is made of, and in which order it starts and ends. */
class Agent {
  readonly #options: NodeAgentOptions;
  readonly #log: Log;
  readonly #writer: RuleWriter;
  readonly #homeNetns: string;
  readonly #followed: FollowedObjects;
  readonly #enrolments: PodEnrolments;
  readonly #probes: ProbeRules;
  readonly #rules: WantedRules;
  readonly #zds: ZdsServer;
  readonly #holder: HolderLink;
  readonly #finder: PodNetnsFinder;
  readonly #resolvers: PodResolvers;
  readonly #health: PodHealth;
  readonly #report: StepReport;
  readonly #metrics: AgentMetrics;
  readonly #plugin: NodePlugin;
  /** Enrolments follow what is heard of pods. */
  #started = false;
  #probesCheckedAtMs = 0;

  constructor(options: NodeAgentOptions, writer: RuleWriter) {
    const { client, nodeName, log, signal, netnsFolder, procFolder } = options;
    const { probeIp4 = defaultProbeIp4, probeIp6 = defaultProbeIp6 } = options;
    const excludedNamespaces = options.excludedNamespaces ?? defaultExcludedNamespaces;
    const besideSocket = (name: string): string => join(dirname(options.socketPath), name);
    this.#options = options;
    this.#log = log;
    this.#writer = writer;
    this.#homeNetns = ownNetns();
    this.#followed = new FollowedObjects({
      client,
      nodeName,
      excludedNamespaces,
      onPod: (pod) => {
        if (this.#started) this.#enrolments.consider(pod);
      },
      onPodGone: (pod) => {
        this.#enrolments.end(pod);
        this.#health.forget(pod.metadata.uid ?? '');
      },
      onPolicies: (namespace) => {
        for (const enrolment of this.#enrolments.all())
          if (enrolment.pod.metadata.namespace === namespace) this.#health.consider(enrolment);
      },
      log,
      signal,
    });
    const probing = options.probeMark === undefined ? {} : { mark: options.probeMark };
    this.#probes = new ProbeRules({ program: writer.program, probeIp4, probeIp6, ...probing });
    this.#holder = new HolderLink({
      path: options.holderPath ?? besideSocket('listener-holder.sock'),
      log: log.child('holder'),
    });
    this.#zds = new ZdsServer({
      path: options.socketPath,
      uids: () => this.#enrolments.uids(),
      served: (uid) => this.#enrolments.get(uid)?.served,
      onChange: (what) => this.#onZtunnels(what),
      beforeSnapshot: () => this.#rulesForAnyZtunnel(),
      onReady: () => this.#onZtunnels('ready'),
      log: log.child('zds'),
    });
    this.#finder = new PodNetnsFinder({
      ...(netnsFolder === undefined ? {} : { netnsFolder }),
      ...(procFolder === undefined ? {} : { procFolder }),
      homeNetns: this.#homeNetns,
      nowMs: () => performance.now(),
    });
    this.#resolvers = new PodResolvers(options.clusterDns, (uid) => this.#finder.processFolder(uid));
    this.#rules = new WantedRules({
      probeIp4,
      probeIp6,
      dnsCapture: options.dnsCapture ?? 'auto',
      marks: openNodeMarks({ path: besideSocket('node-marks.json'), log }),
      resolvers: this.#resolvers,
      probesFrom: (uid) => this.#health.probesFrom(uid),
      connectedZtunnels: () => this.#zds.connected,
    });
    this.#metrics = new AgentMetrics({
      log,
      connectedZtunnels: () => this.#zds.connected,
      enrolledPods: () => [...this.#enrolments.all()].filter(({ enrolled }) => enrolled).length,
      installed: () => this.#plugin.installed,
    });
    const events = new EventRecorder({ client, component: 'istio-cni-node', nodeName, clock: systemClock, log });
    this.#report = new StepReport({ metrics: this.#metrics, events });
    this.#health = new PodHealth({
      client,
      events,
      policies: () => this.#followed.policies(),
      subjects: () => this.#enrolments.all(),
      onChange: (uid) => this.#enrolments.get(uid)?.wake(),
      countProbe: (result) => this.#metrics.probe(result),
      test: (target) => testProbePath({ ...target, ...probing }),
      log: log.child('health'),
    });
    this.#enrolments = new PodEnrolments({
      context: this.#enrolmentContext(),
      goalOf: (pod) => this.#followed.goalOf(pod),
      latest: (namespace, name) => (this.#started ? this.#followed.pod(namespace, name) : undefined),
      onConsidered: (enrolment) => this.#health.consider(enrolment),
      onEnd: (uid) => {
        this.#finder.forget(uid);
        this.#resolvers.forget(uid);
        this.#report.forget(uid);
      },
    });
    const admission = new PodAdmission({
      client,
      excludedNamespaces,
      isStarted: () => this.#started,
      followedPod: (namespace, name) => this.#followed.pod(namespace, name),
      followedNamespace: (name) => this.#followed.namespace(name),
      enrol: (pod, netns) => {
        this.#finder.tell(pod.metadata.uid ?? '', netns);
        return this.#enrolments.take(pod);
      },
      forget: (pod) => this.#enrolments.end(pod),
      signal,
    });
    this.#plugin = new NodePlugin({
      ...options,
      admit: (pod, gone) => admission.admit(pod, gone),
      metrics: this.#metrics,
    });
  }

  async start(): Promise<NodeAgent> {
    const { readinessPort, metricsPort } = this.#options;
    const isReady = (): boolean => this.#started && (this.#plugin.installed ?? true);
    const admin = await startAdmin({
      ...(readinessPort === undefined ? {} : { readinessPort }),
      ...(metricsPort === undefined ? {} : { metricsPort }),
      isReady,
      metrics: this.#metrics.registry,
    });
    return { adminPorts: admin.ports, isReady, stopped: this.#run(admin) };
  }

  async #run(admin: Admin): Promise<void> {
    const { signal } = this.#options;
    let ticking: NodeJS.Timeout | undefined;
    try {
      await this.#followed.start(registerInformerMetrics(this.#metrics.registry));
      await this.#plugin.prepare();
      await this.#releaseLeftovers();
      this.#takeInAll();
      await this.#probes
        .apply()
        .catch((error: unknown) => this.#log.warn('cannot write probe rules yet', { error: messageOf(error) }));
      this.#zds.listen();
      await this.#plugin.start();
      this.#watchNamespaces();
      ticking = setInterval(() => this.#tick(performance.now()), healthTickMs);
      this.#log.info('node agent is ready', { pods: this.#enrolments.size });
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#started = false;
      clearInterval(ticking);
      // No agent comes after this one: the node's rules go, too.
      if (await this.#plugin.close()) await this.#probes.clear().catch(() => {});
      this.#enrolments.wakeAll();
      this.#zds.close();
      this.#holder.close();
      admin.close();
      await this.#enrolments.ended();
    }
  }

  async #releaseLeftovers(): Promise<void> {
    const leftovers = await findLeftoverPods({
      pods: [...this.#followed.pods()].filter((pod) => this.#followed.goalOf(pod) === 'out'),
      finder: this.#finder,
      writer: this.#writer,
      homeNetns: this.#homeNetns,
      log: this.#log,
    });
    for (const pod of leftovers) this.#enrolments.release(pod);
  }

  /** All pods at once, before ztunnel can connect: it drops whatever its first snapshot does not name. */
  #takeInAll(): void {
    this.#started = true;
    for (const pod of this.#followed.pods()) {
      if (this.#followed.goalOf(pod) === 'in') this.#report.noteFound(pod);
      this.#enrolments.consider(pod);
    }
  }

  #tick(nowMs: number): void {
    this.#health.tick(nowMs);
    const { resyncMs } = { ...defaultTimings, ...this.#options.timings };
    if (nowMs - this.#probesCheckedAtMs < resyncMs) return;
    this.#probesCheckedAtMs = nowMs;
    this.#probes.ensure().then(
      (isRepaired) => {
        if (!isRepaired) return;
        this.#metrics.step('probe-rules-repaired');
        this.#log.warn('somebody changed the rules for probes on the node: they were put back');
      },
      (error: unknown) => this.#log.debug('cannot write probe rules yet', { error: messageOf(error) }),
    );
  }

  #watchNamespaces(): void {
    const { netnsFolder, signal } = this.#options;
    if (netnsFolder === undefined) return;
    const onChange = (uid: string): void => this.#enrolments.get(uid)?.wake();
    watchNetnsFolder({ folder: netnsFolder, onChange, log: this.#log, signal });
  }

  #enrolmentContext(): EnrolmentContext {
    const { client, timings, signal } = this.#options;
    return {
      findNetns: (uid, ips) => this.#finder.find(uid, ips),
      hasNetwork: (netns) => addressesOf(netns).length > 0,
      rules: (pod) => this.#rules.of(pod),
      resolver: (pod) => this.#rules.resolverOf(pod),
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
      probes: new ProbeExemption({
        rules: this.#probes,
        health: this.#health,
        podOf: (uid) => this.#enrolments.get(uid)?.pod,
        log: this.#log,
      }),
      onCapture: (uid, netns, ips) => this.#health.captures(uid, netns, ips),
      annotate: (pod, value) => annotateRedirection(client, pod, value, signal),
      timings: { ...defaultTimings, ...timings },
      log: this.#log,
      signal,
      onStep: (step, pod) => {
        this.#report.tell(step, pod);
        if (step === 'released') this.#health.release(pod);
        const enrolment = step === 'enrolled' ? this.#enrolments.get(pod.metadata.uid) : undefined;
        if (enrolment) setImmediate(() => this.#health.consider(enrolment));
      },
    };
  }

  #onZtunnels(what: 'hello' | 'ready' | 'gone'): void {
    const all = this.#zds.capabilities;
    // Nobody there: as it was.
    if (all.length > 0) {
      this.#holder.setForeign(!all.every((each) => each.has('holder')));
      this.#rules.learn(all, what);
    }
    if (what !== 'hello') this.#enrolments.wakeAll();
  }

  /** A ztunnel that knows less than those before must not meet rules that ask more of it. */
  async #rulesForAnyZtunnel(): Promise<void> {
    const latest = this.#zds.capabilities.at(-1);
    if (!latest || (latest.has('mark') && latest.has('resolver'))) return;
    await this.#enrolments.refreshRules();
  }
}

/** Identity of the network namespace of this process, which is the node's. */
function ownNetns(): string {
  const netns = openNetns('/proc/thread-self/ns/net');
  try {
    return netnsIdentity(netns);
  } finally {
    closeNetns(netns);
  }
}
