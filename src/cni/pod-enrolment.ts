/** One pod's way into the mesh and out of it: what it should be, what it is, and the next step between. */
import type { Pod } from '../api/index.ts';
import { createBackoff } from '../lib/backoff.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { PodResolver } from '../wire/index.ts';
import type { EnrolmentContext, Goal } from './enrolment-context.ts';
import { isTerminal, podIpsOf, redirectionOf } from './enrolment.ts';
import { HeldNetns } from './find/held-netns.ts';
import { countProxiedConnections } from './live-connections.ts';
import { writePodSettings } from './pod-settings.ts';
import { PodCapture } from './rules/pod-capture.ts';
import type { ServedPod } from './zds-server.ts';

/** Waits until woken when `undefined`. */
type Wait = number | undefined;

/**
 * Steps run one after another; each may be repeated. Into the mesh: namespace, ztunnel's listeners, packet rules, annotation.
 * Out of it: annotation, redirection, grace and drain, ztunnel's listeners, the rest of the rules. So nobody is sent to a
 * listener that is not there, and no live connection meets a rule that is new to it.
 */
export class PodEnrolment {
  readonly uid: string;
  readonly #context: EnrolmentContext;
  readonly #log: Log;
  readonly #capture: PodCapture;
  #pod: Pod;
  /** As the CNI plugin told, while the API does not know them yet. */
  #plannedIps: readonly string[] = [];
  /** The plugin told of a namespace that no step has looked at: what is known of the pod may be of an earlier one. */
  #toLookAt = false;
  #goal: Goal;
  readonly #netns: HeldNetns;
  /** ztunnel has acknowledged it. */
  #announced = false;
  /** ztunnel was told that the pod is about to end. */
  #peersSentAway = false;
  /** What it was told beyond the names. */
  #announcedExtras = '';
  #redirected = false;
  /** Something of ours may be in the pod's namespace. */
  #marked: boolean;
  /** Un-enrolling: redirection ended at this time, by a clock that nobody sets. */
  #releasedAtMs: number | undefined;
  /** ztunnel is being told, or was told, that it left. */
  #leaving = false;
  #annotation: string | undefined;
  /** An earlier agent had it enrolled, and we have not made sure of its rules yet. */
  #adopted: boolean;
  #probeIps: readonly string[] = [];
  #finished = false;
  #wake: (() => void) | undefined;
  #woken = false;
  #failures = 0;
  #lastFailure: unknown;
  #thoroughAtMs = 0;
  readonly #waiters = new Set<() => void>();

  /** `marked`: rules of an earlier agent may be there. Opens the namespace at once if it can, for the first snapshot. */
  constructor(pod: Pod, goal: Goal, marked: boolean, context: EnrolmentContext) {
    this.uid = pod.metadata.uid ?? '';
    this.#context = context;
    this.#capture = new PodCapture(context.writer);
    this.#netns = new HeldNetns({
      find: () => context.findNetns(this.uid, this.ips),
      hasNetwork: context.hasNetwork,
      homeNetns: context.homeNetns,
    });
    this.#pod = pod;
    this.#goal = goal;
    this.#annotation = redirectionOf(pod);
    this.#marked = marked || this.#annotation !== undefined;
    this.#adopted = this.#annotation === 'enabled';
    this.#log = context.log.child('pod', { pod: pod.metadata.name, namespace: pod.metadata.namespace });
    try {
      this.#openNetns();
    } catch (error) {
      this.#log.debug('network namespace is not there yet', { error: messageOf(error) });
    }
  }

  get enrolled(): boolean {
    return this.#goal === 'in' && this.#announced && this.#redirected && !this.#toLookAt;
  }

  get pod(): Pod {
    return this.#pod;
  }

  /** Descriptor of the pod's namespace, good for this turn. */
  get netns(): number | undefined {
    return this.#netns.fd;
  }

  /** As the API has them, else as the CNI plugin told. */
  get ips(): readonly string[] {
    const ips = podIpsOf(this.#pod);
    return ips.length > 0 ? ips : this.#plannedIps;
  }

  /** Why it is not enrolled yet, as far as is known. */
  get lastFailure(): string | undefined {
    return this.#lastFailure === undefined ? undefined : messageOf(this.#lastFailure);
  }

  /** The pod is being set up: its containers wait for `whenEnrolled`. */
  plan(ips: readonly string[]): void {
    this.#plannedIps = ips;
    this.#failures = 0;
    // Another namespace is not opened here: a step under way would take what it did in the earlier one for done.
    try {
      this.#toLookAt = !this.#netns.isCurrent();
    } catch {
      this.#toLookAt = true;
    }
    this.wake();
  }

  /** Brings rules that are in up to date at once. */
  async refreshRules(): Promise<void> {
    const netns = this.#netns.fd;
    if (netns !== undefined && this.#redirected && this.#goal === 'in') await this.#keepRules(netns);
  }

  /** Resolves to whether the pod is captured and served; false when it is not to be any more, or `signal` aborts. */
  async whenEnrolled(signal: AbortSignal): Promise<boolean> {
    while (!this.enrolled && this.#goal === 'in' && !this.#finished && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#waiters.delete(done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        this.#waiters.add(done);
        signal.addEventListener('abort', done, { once: true });
      });
    }
    return this.enrolled;
  }

  /** What ztunnel should hear of it now. */
  get served(): ServedPod | undefined {
    if (this.#leaving || this.#finished) return undefined;
    const { name = '', namespace = '' } = this.#pod.metadata;
    const { mark, resolver } = this.#extras();
    return {
      pod: {
        name,
        namespace,
        serviceAccount: this.#pod.spec.serviceAccountName ?? 'default',
        mark,
        ...(resolver ? { resolver } : {}),
      },
      terminating: this.#isTerminating,
      netns: this.#netns.fd,
    };
  }

  #extras(): { mark: number; resolver: PodResolver | undefined } {
    return { mark: this.#context.rules(this.#pod).mark, resolver: this.#context.resolver(this.#pod) };
  }

  update(pod: Pod, goal: Goal): void {
    this.#pod = pod;
    this.#goal = goal;
    this.#annotation = redirectionOf(pod);
    this.wake();
  }

  /** Looks again now: a ztunnel came, the pod changed. */
  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  /** Works towards the goal until the pod is out or gone, or `signal` aborts (then everything stays as it is). */
  async run(): Promise<void> {
    const backoff = createBackoff({ initialMs: 20, maxMs: 5000 });
    const { signal } = this.#context;
    while (!this.#finished && !signal.aborted) {
      this.#woken = false;
      let wait: Wait;
      try {
        wait = await this.#step();
        this.#failures = 0;
        this.#lastFailure = undefined;
        for (const done of this.#waiters) done();
        backoff.reset();
      } catch (error) {
        wait = backoff.next();
        this.#report(error);
      }
      if (!this.#finished) await this.#pause(wait);
    }
    for (const done of this.#waiters) done();
    this.#netns.close();
  }

  #step(): Promise<Wait> {
    switch (this.#goal) {
      case 'in':
        return this.#enter();
      case 'out':
        return this.#leave();
      case 'gone':
        return this.#forget();
    }
  }

  async #enter(): Promise<Wait> {
    const { zds, probes, timings, onStep } = this.#context;
    this.#leaving = false;
    this.#releasedAtMs = undefined;
    let netns: number;
    try {
      netns = this.#openNetns();
      this.#toLookAt = false;
    } catch (error) {
      // The sandbox was torn down: ztunnel's listeners would pin it and its address.
      if (this.#announced && this.#netns.fd === undefined) {
        this.#leaving = true;
        await zds.del(this.uid);
        this.#announced = false;
      }
      throw error;
    }
    // An earlier agent enrolled it: the rules come back first, ztunnel or not, so that it fails closed.
    if (this.#adopted) await this.#redirect(netns);
    const extras = JSON.stringify(this.#extras());
    if (!this.#announced || extras !== this.#announcedExtras) {
      try {
        await zds.add(this.uid);
        this.#announced = true;
        this.#announcedExtras = extras;
        this.#peersSentAway = false;
      } catch (error) {
        if (this.#annotation === undefined) await this.#annotate('pending');
        throw error;
      }
      if (this.#goal !== 'in' || this.#toLookAt) return 0;
    }
    // While it still serves: later, nobody may reach the peers from its namespace.
    if (this.#isTerminating && !this.#peersSentAway) {
      await zds.drain(this.uid);
      this.#peersSentAway = true;
    }
    if (!this.#redirected) {
      await this.#redirect(netns);
      if (this.#goal !== 'in') return 0;
      this.#log.info('pod is in the mesh');
      onStep?.('enrolled', this.#pod);
      for (const done of this.#waiters) done();
    } else {
      await this.#keepRules(netns);
    }
    const { ips } = this;
    if (ips.join() !== this.#probeIps.join()) {
      await probes.set(this.uid, ips);
      this.#probeIps = ips;
    }
    if (this.#annotation !== 'enabled') await this.#annotate('enabled');
    return timings.ruleCheckMs;
  }

  get #isTerminating(): boolean {
    return this.#pod.metadata.deletionTimestamp !== undefined;
  }

  async #redirect(netns: number): Promise<void> {
    const { probes, rules, writer, onCapture } = this.#context;
    // Where rules of ours are, an agent that ended before it said so, or this one as it left, captured what lives there.
    if (onCapture && !this.#adopted && (await writer.read(netns)) === undefined) onCapture(this.uid, netns, this.ips);
    // Probes first: from the moment of the rules on they are told by their source.
    this.#probeIps = this.ips;
    await probes.set(this.uid, this.#probeIps);
    this.#marked = true;
    const missing = writePodSettings(netns, 'proxied');
    await this.#capture.redirect(netns, () => rules(this.#pod));
    // Some of them a node has only once it had rules.
    for (const name of missing.length > 0 ? writePodSettings(netns, 'proxied') : [])
      this.#log.debug('cannot change a pod setting', { name });
    this.#redirected = true;
    this.#adopted = false;
  }

  /** Brings the rules up to date, and back if somebody took them away. */
  async #keepRules(netns: number): Promise<void> {
    const { rules, timings, onStep } = this.#context;
    const nowMs = performance.now();
    const thorough = nowMs - this.#thoroughAtMs >= timings.resyncMs;
    if (thorough) this.#thoroughAtMs = nowMs;
    const done = await this.#capture.ensure(netns, () => rules(this.#pod), thorough);
    if (done === 'right') return;
    this.#log[done === 'repaired' ? 'warn' : 'info'](`packet rules were ${done}`);
    if (done === 'repaired') onStep?.('rules-repaired', this.#pod);
  }

  async #leave(): Promise<Wait> {
    const { zds, probes, timings, rules, onStep } = this.#context;
    if (this.#annotation !== undefined) await this.#annotate(undefined);
    if (this.#goal !== 'out') return 0;
    if (this.#netns.fd === undefined && this.#marked) this.#openNetns();
    const netns = this.#netns.fd;
    this.#adopted = false;
    if (this.#releasedAtMs === undefined) {
      if (netns !== undefined && this.#marked) await this.#capture.release(netns, rules(this.#pod));
      this.#redirected = false;
      this.#releasedAtMs = performance.now();
      await probes.remove(this.uid);
      this.#probeIps = [];
    }
    if (this.#announced || this.#marked) {
      const sinceMs = performance.now() - this.#releasedAtMs;
      if (sinceMs < timings.releaseGraceMs) return timings.releaseGraceMs - sinceMs;
      const live = netns === undefined ? 0 : countProxiedConnections(netns, this.ips);
      if (live > 0 && sinceMs < timings.drainDeadlineMs) return timings.drainPollMs;
      if (live > 0) this.#log.warn('proxied connections are cut at the deadline', { connections: live });
    }
    this.#leaving = true;
    await zds.del(this.uid);
    this.#announced = false;
    // Asked back meanwhile: what is left of the rules is right for the way in, too.
    if (this.#goal !== 'out') return 0;
    if (netns !== undefined && this.#marked) {
      await this.#capture.remove(netns);
      writePodSettings(netns, 'plain');
      this.#marked = false;
    }
    if (this.#goal !== 'out') return 0;
    this.#finished = true;
    this.#log.info('pod left the mesh');
    onStep?.('released', this.#pod);
    return undefined;
  }

  async #forget(): Promise<Wait> {
    const { zds, probes } = this.#context;
    this.#leaving = true;
    this.#finished = true;
    // Open descriptors keep the namespace, its link and its address alive: ztunnel's and ours go at once.
    const told = zds.del(this.uid);
    this.#netns.close();
    await told;
    await probes.remove(this.uid).catch((error: unknown) => this.#report(error));
    if (isTerminal(this.#pod) && this.#annotation !== undefined) {
      await this.#annotate(undefined).catch((error: unknown) => this.#report(error));
    }
    return undefined;
  }

  /** Opens the namespace, or opens it anew when the pod got another one. */
  #openNetns(): number {
    if (this.#netns.closeIfLost()) {
      this.#log.info('pod lost its network namespace');
      this.#redirected = false;
      this.#marked = false;
      this.#capture.forget();
    }
    const wasOpen = this.#netns.fd !== undefined;
    const netns = this.#netns.open();
    if (!wasOpen) this.#announced = false;
    return netns;
  }

  /** A pod that is gone needs no annotation. */
  async #annotate(value: 'enabled' | 'pending' | undefined): Promise<void> {
    try {
      await this.#context.annotate(this.#pod, value);
      this.#annotation = value;
    } catch (error) {
      if (codeOf(error) !== 'kube.not-found') throw error;
      this.#annotation = value;
    }
  }

  #report(error: unknown): void {
    this.#failures++;
    this.#lastFailure = error;
    // Starting and ending pods are without a namespace for a moment.
    const expected = codeOf(error) === 'net.netns-absent' && this.#failures < 20;
    if (this.#failures === 1 && !expected) this.#context.onStep?.('failed', this.#pod);
    const fields = { goal: this.#goal, failures: this.#failures, code: codeOf(error), error: messageOf(error) };
    if (!expected && (this.#failures === 1 || this.#failures % 20 === 0))
      this.#log.warn('cannot go on, trying again', fields);
    else this.#log.debug('cannot go on, trying again', fields);
  }

  #pause(wait: Wait): Promise<void> {
    if (this.#woken || wait === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = wait === undefined ? undefined : setTimeout(done, wait);
      this.#wake = done;
    });
  }
}
