/** The pods of this node, as the node agent names them: has the data parts serve them, and their certificates ready. */
import type { Clock } from '../../lib/clock.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { spiffeId, type SpiffeId } from '../../api/names.ts';
import type { CertificateManager } from '../../identity/index.ts';
import { closeDescriptor, netnsIdentity } from '../../net/index.ts';
import type { PodInfo, PodToServe } from '../messages.ts';
import { duplicateTarget } from '../pod-descriptors.ts';
import { identitiesWithout } from './identities-without.ts';
import type { ListenerStore } from './pod-listeners.ts';
import type { ZdsHandler } from './zds-client.ts';

export interface PodManagerOptions {
  readonly trustDomain: string;
  readonly certificates: Pick<CertificateManager, 'retain' | 'release' | 'list' | 'onRotate'>;
  readonly listeners: Pick<ListenerStore, 'open' | 'served' | 'close' | 'closeAll' | 'servedByAnother'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Has every data part serve the pod; it owns the descriptors. */
  readonly serve: (target: PodToServe) => Promise<void>;
  /** Has the peers of the pod move on; it is served as before. */
  readonly drain: (uid: string) => void;
  readonly remove: (uid: string) => void;
  /** Whether the agent named all pods and there is a certificate for each. */
  readonly onReady: (isReady: boolean) => void;
}

interface Pod {
  /** As last announced. */
  info: PodInfo;
  readonly identity: SpiffeId;
  /** `waiting`: somebody else serves it until we have all certificates. `pending`: it failed, and is tried again. */
  state: 'waiting' | 'starting' | 'up' | 'pending';
  /** Ours while it is not up. */
  netns: number | undefined;
  readonly netnsIdentity: string;
  /** It is about to end: its peers are told. */
  draining: boolean;
  cancelRetry: () => void;
  /** Those who wait for it to be up; they are told of the next failure, too. */
  waiters: ((error?: Error) => void)[];
}

const retryMs = 5000;

/** How often waiting pods are looked at: certificates tell us, the end of another ztunnel does not. */
const lookMs = 500;

/** A pod that nobody serves is not kept waiting for its certificate longer than this: not all it does needs one. */
const unservedWaitMs = 10_000;

/** So long after the snapshot, announcements of what still waits are answered with a failure at once: the agent asks one by one. */
const announceWaitMs = 3000;

/**
 * A ztunnel that starts takes the node over from another one, or after one that crashed. So the pods of its first snapshot
 * wait until there is a certificate for each identity: until then connections are better off where they are served, or in
 * the queue of a held listener. Pods that come later have nobody else, and are served at once.
 */
export class PodManager implements ZdsHandler {
  readonly #options: PodManagerOptions;
  readonly #pods = new Map<string, Pod>();
  readonly #stopLooking: () => void;
  #agentReady = false;
  /** When the first snapshot was complete. */
  #snapshotAtMs: number | undefined;
  #tookOver = false;
  #cancelLook: (() => void) | undefined;
  #looking = false;
  #draining = false;
  /** Counted here, read by metrics. */
  counts = { started: 0, stopped: 0 };

  constructor(options: PodManagerOptions) {
    this.#options = options;
    this.#stopLooking = options.certificates.onRotate(() => this.#look());
  }

  /** Pods that could not be served yet; they are tried again. */
  get pendingCount(): number {
    return [...this.#pods.values()].filter((pod) => pod.state === 'pending').length;
  }

  /** No new pods from here on, and no new connections: data parts close their own descriptors as they drain. Pods may still leave. */
  drain(): void {
    this.#draining = true;
    this.#stopLooking();
    this.#cancelLook?.();
    for (const pod of this.#pods.values()) {
      pod.cancelRetry();
      this.#closeNetns(pod);
    }
    this.#options.listeners.closeAll();
  }

  async serve(info: PodInfo, netns: number, inSnapshot: boolean): Promise<void> {
    const { trustDomain, certificates } = this.#options;
    if (this.#draining) {
      closeDescriptor(netns);
      throw new AmbitError('Cannot serve pod: the proxy is draining', { code: 'ztunnel.draining', blame: 'internal' });
    }
    const before = this.#pods.get(info.uid);
    const sameNetns = before?.netnsIdentity === netnsIdentity(netns);
    if (before?.state === 'waiting' && sameNetns) {
      closeDescriptor(netns);
      before.info = info;
      return inSnapshot ? undefined : this.#untilUp(before);
    }
    const waits = !this.#tookOver && (inSnapshot || before?.state === 'waiting');
    const pod: Pod = {
      info,
      identity: spiffeId(trustDomain, info.namespace, info.serviceAccount),
      // One that is up is told what it knows, unless it has another namespace.
      state: before?.state === 'up' && sameNetns ? 'up' : waits ? 'waiting' : 'starting',
      netns,
      netnsIdentity: netnsIdentity(netns),
      draining: false,
      cancelRetry: () => {},
      waiters: [],
    };
    this.#pods.set(info.uid, pod);
    // Ahead of the first handshake.
    certificates.retain(pod.identity);
    if (before) this.#replace(before);
    if (pod.state === 'waiting') return;
    await this.#start(pod);
  }

  drainPod(uid: string): void {
    const pod = this.#pods.get(uid);
    if (!pod) return;
    pod.draining = true;
    if (pod.state === 'up') this.#options.drain(uid);
  }

  remove(uid: string): void {
    const pod = this.#pods.get(uid);
    if (!pod) return;
    this.#pods.delete(uid);
    this.#replace(pod);
    this.#options.remove(uid);
    this.#options.listeners.close(uid);
    this.counts.stopped++;
    this.#options.log.info('pod removed', { pod: uid });
  }

  retainOnly(uids: ReadonlySet<string>): void {
    for (const uid of this.#pods.keys()) if (!uids.has(uid)) this.remove(uid);
  }

  ready(isReady: boolean): void {
    this.#agentReady = isReady;
    if (isReady) this.#snapshotAtMs ??= this.#options.clock.nowMs();
    this.#tellReady();
    this.#look();
  }

  #tellReady(): void {
    this.#options.onReady(this.#agentReady && this.#tookOver);
  }

  /** Starts the pods that need to wait no longer. */
  #look(): void {
    if (this.#snapshotAtMs === undefined || this.#tookOver || this.#draining) return;
    const { clock, log, certificates } = this.#options;
    const waitedMs = clock.nowMs() - this.#snapshotAtMs;
    const without = identitiesWithout(
      certificates.list(),
      [...this.#pods.values()].map(({ identity }) => identity),
      waitedMs,
    );
    const waiting = [...this.#pods.values()].filter(({ state }) => state === 'waiting');
    if (without.size === 0) {
      this.#tookOver = true;
      this.#cancelLook?.();
      log.info('all certificates are here: taking over', { pods: waiting.length });
      void Promise.allSettled(waiting.map((pod) => this.#start(pod))).then(() => this.#tellReady());
      return;
    }
    this.#cancelLook?.();
    this.#cancelLook = clock.after(lookMs, () => this.#look());
    if (this.#looking) return;
    const unserved = waiting.filter(({ identity }) => !without.has(identity) || waitedMs >= unservedWaitMs);
    if (unserved.length === 0) return;
    this.#looking = true;
    void Promise.allSettled(unserved.map((pod) => this.#startUnlessServed(pod))).then(() => {
      this.#looking = false;
    });
  }

  async #startUnlessServed(pod: Pod): Promise<void> {
    const { info, netns } = pod;
    if (netns === undefined || (await this.#options.listeners.servedByAnother({ ...info, netns }))) return;
    if (pod.state === 'waiting' && this.#isCurrent(pod)) await this.#start(pod);
  }

  /** Serves it, or tries again later; rejects when it could not be served now. */
  async #start(pod: Pod): Promise<void> {
    const { uid, name, namespace } = pod.info;
    const { log } = this.#options;
    if (pod.state === 'waiting') pod.state = 'starting';
    try {
      await this.#tryServe(pod);
      log.info('pod served', { pod: uid, name, namespace, identity: pod.identity });
    } catch (error) {
      log.error('pod not served', { pod: uid, name, namespace, error: messageOf(error) });
      if (this.#isCurrent(pod) && !this.#draining) this.#retryLater(pod);
      this.#wakeWaiters(pod, error as Error);
      throw error;
    }
  }

  async #tryServe(pod: Pod): Promise<void> {
    const { info } = pod;
    const { uid } = info;
    const { listeners, serve, remove, drain } = this.#options;
    const left = (): AmbitError =>
      new AmbitError('Cannot serve pod: it left', { code: 'ztunnel.pod-removed', blame: 'internal' });
    if (pod.netns === undefined) throw left();
    try {
      const opened = await listeners.open({ ...info, netns: pod.netns });
      if (!this.#isCurrent(pod) || pod.netns === undefined || this.#draining) throw left();
      await serve(duplicateTarget({ pod: info, netns: pod.netns, listeners: opened }));
      if (!this.#isCurrent(pod)) throw left();
    } catch (error) {
      const isCurrent = this.#isCurrent(pod);
      // One that is served goes on so: what it could not be told comes later.
      if (isCurrent && pod.state === 'up') throw error;
      // A listening socket that nobody accepts from takes connections away from others.
      if (isCurrent) remove(uid);
      if (isCurrent || !this.#pods.has(uid)) listeners.close(uid);
      throw error;
    }
    listeners.served(uid);
    if (pod.state !== 'up') this.counts.started++;
    pod.state = 'up';
    this.#closeNetns(pod);
    if (pod.draining) drain(uid);
    this.#wakeWaiters(pod);
  }

  /** The agent hears of the failure; the pod is tried again without it. */
  #retryLater(pod: Pod): void {
    if (pod.state !== 'up') pod.state = 'pending';
    pod.cancelRetry = this.#options.clock.after(retryMs, () => {
      pod.cancelRetry = () => {};
      this.#start(pod).catch(() => {});
    });
  }

  #untilUp(pod: Pod): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: Error): void => {
        cancel();
        pod.waiters = pod.waiters.filter((waiter) => waiter !== done);
        if (error) reject(error);
        else resolve();
      };
      const { clock } = this.#options;
      const waitMs = (this.#snapshotAtMs ?? clock.nowMs()) + announceWaitMs - clock.nowMs();
      const cancel = clock.after(Math.max(waitMs, 0), () =>
        done(
          new AmbitError('Cannot serve pod yet: certificates are awaited', {
            code: 'ztunnel.not-ready',
            blame: 'upstream',
          }),
        ),
      );
      pod.waiters.push(done);
    });
  }

  #wakeWaiters(pod: Pod, error?: Error): void {
    for (const waiter of pod.waiters) waiter(error);
  }

  /** The record is of no use any more. */
  #replace(pod: Pod): void {
    pod.cancelRetry();
    this.#closeNetns(pod);
    this.#options.certificates.release(pod.identity);
    this.#wakeWaiters(
      pod,
      new AmbitError('Cannot serve pod: it changed meanwhile', { code: 'ztunnel.pod-removed', blame: 'internal' }),
    );
  }

  #isCurrent(pod: Pod): boolean {
    return this.#pods.get(pod.info.uid) === pod;
  }

  #closeNetns(pod: Pod): void {
    if (pod.netns !== undefined) closeDescriptor(pod.netns);
    pod.netns = undefined;
  }
}
