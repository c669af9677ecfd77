/**
 * Leader election over a Lease, as client-go does it: of those who want to lead, one does, and when it falls silent another.
 *
 * Times in the Lease are for people. Who is silent is judged by how long *we* have not seen the Lease change, on our own
 * monotonic clock, so that clocks may differ by any amount (they should only run at about the same speed). A leader counts
 * from when it *sent* the last renewal that succeeded and gives up after `renewDeadlineMs`; others saw that renewal later
 * and wait for the longer `leaseDurationMs`: the difference is the time that work has to end.
 */
import { kinds, type Lease, type LeaseSpec } from '../api/index.ts';
import { systemClock, type Clock } from '../lib/clock.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { KubeClient } from './client.ts';
import { isKubeError } from './kube-error.ts';

export interface LeaderElectionOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'replace'>;
  readonly namespace: string;
  readonly name: string;
  /** Of this process alone: a pod's name, and something random where one pod may run it twice. */
  readonly identity: string;
  /** Ends the election; a leader's work ends first, then the Lease is given back. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /**
   * We lead until `signal` aborts. What it returns is waited for: the Lease is not given back, and we do not lead again,
   * before it settles. It must be done within `leaseDurationMs - renewDeadlineMs` of the abort.
   */
  readonly onStarted?: (signal: AbortSignal) => void | Promise<void>;
  readonly onStopped?: () => void;
  /** Default 15 s: how long others wait for a leader that fell silent. */
  readonly leaseDurationMs?: number;
  /** Default 10 s: how long a leader tries to renew before it stops. */
  readonly renewDeadlineMs?: number;
  /** Default 2 s, and up to a fifth more: between tries. */
  readonly retryPeriodMs?: number;
  readonly clock?: Clock;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonicMs?: () => number;
  readonly random?: () => number;
}

export interface LeaderElection {
  /** True only while nobody else can be leader: it counts the time, also when the event loop was held up. */
  isLeader(): boolean;
  /** Who leads, as last seen; "" when nobody does. */
  leader(): string;
  /** Resolves after `signal` aborted, the work ended and the Lease is given back. */
  readonly done: Promise<void>;
}

/** Starts at once. Throws when the times contradict each other. */
export function startLeaderElection(options: LeaderElectionOptions): LeaderElection {
  const election = new Election(options);
  const done = election.run();
  return { isLeader: () => election.isLeader, leader: () => election.leader, done };
}

interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

class Election {
  readonly #options: LeaderElectionOptions;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #monotonicMs: () => number;
  readonly #leaseDurationMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryPeriodMs: number;
  /** The Lease as last seen, and when it was first seen so. */
  #observed: { readonly lease: Lease; readonly text: string; readonly atMs: number } | undefined;
  #renewed: Moment | undefined;
  #term: { readonly stop: AbortController; readonly cancelExpiry: () => void } | undefined;
  /** What `onStarted` does; it may outlive its term. */
  #work: Promise<void> | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#log = options.log.child('lease', { lease: `${options.namespace}/${options.name}` });
    this.#clock = options.clock ?? systemClock;
    this.#monotonicMs = options.monotonicMs ?? ((): number => performance.now());
    this.#leaseDurationMs = options.leaseDurationMs ?? 15_000;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#retryPeriodMs = options.retryPeriodMs ?? 2000;
    if (this.#leaseDurationMs <= this.#renewDeadlineMs || this.#renewDeadlineMs <= this.#retryPeriodMs * jitter) {
      throw new Error('A lease must last longer than the renew deadline, and that longer than the retry period');
    }
    if (options.identity === '') throw new Error('A leader needs an identity');
  }

  get isLeader(): boolean {
    return (
      this.#term !== undefined && this.#renewed !== undefined && this.#agoMs(this.#renewed) < this.#renewDeadlineMs
    );
  }

  get leader(): string {
    return this.#observed?.lease.spec?.holderIdentity ?? '';
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      const sent = this.#now();
      const outcome = await this.#try();
      if (outcome === 'held' && this.#agoMs(sent) < this.#renewDeadlineMs) this.#hold(sent);
      else if (outcome === 'other') this.#stop('somebody else holds the lease');
      await this.#pause(this.#retryPeriodMs * (1 + (this.#options.random ?? Math.random)() * (jitter - 1)));
    }
    this.#stop('shutting down');
    await this.#work;
    await this.#release();
  }

  /** One try to get or keep the Lease. `failed`: nothing is known. */
  async #try(): Promise<'held' | 'other' | 'failed'> {
    // Half the deadline: a request that hangs leaves time for another one.
    const limit = new AbortController();
    const onAbort = (): void => limit.abort(this.#options.signal.reason);
    this.#options.signal.addEventListener('abort', onAbort, { once: true });
    const cancel = this.#clock.after(this.#renewDeadlineMs / 2, () => limit.abort(new Error('The API server hangs')));
    try {
      return await this.#acquireOrRenew(limit.signal);
    } catch (error) {
      // Two contenders met: one of them has it now.
      const isRace = isKubeError(error, 'kube.conflict') || isKubeError(error, 'kube.already-exists');
      const fields = { code: codeOf(error), error: messageOf(error) };
      if (isRace || this.#options.signal.aborted) this.#log.debug('lost a race for the lease', fields);
      else this.#log.warn('cannot get or renew the lease, trying again', fields);
      return 'failed';
    } finally {
      cancel();
      this.#options.signal.removeEventListener('abort', onAbort);
    }
  }

  async #acquireOrRenew(signal: AbortSignal): Promise<'held' | 'other'> {
    const { client, namespace, name, identity } = this.#options;
    if (this.#term && this.#observed && this.leader === identity) {
      // Nobody else writes to it as long as we do: one request is enough.
      try {
        this.#observe(await client.replace(kinds.Lease, this.#renewal(this.#observed.lease), undefined, signal));
        return 'held';
      } catch (error) {
        if (!isKubeError(error, 'kube.conflict') && !isKubeError(error, 'kube.not-found')) throw error;
      }
    }
    let lease: Lease;
    try {
      lease = await client.get(kinds.Lease, name, namespace, signal);
    } catch (error) {
      if (!isKubeError(error, 'kube.not-found')) throw error;
      const first: Lease = { metadata: { name, namespace } };
      this.#observe(await client.create(kinds.Lease, this.#renewal(first), signal));
      return 'held';
    }
    this.#observe(lease);
    if (this.leader !== '' && this.leader !== identity && this.#isAlive()) return 'other';
    this.#observe(await client.replace(kinds.Lease, this.#renewal(lease), undefined, signal));
    return 'held';
  }

  /** Whether whoever holds the Lease changed it within the time that it asked for. */
  #isAlive(): boolean {
    if (!this.#observed) return false;
    const { lease, atMs } = this.#observed;
    const seconds = lease.spec?.leaseDurationSeconds;
    return this.#monotonicMs() - atMs < (seconds === undefined ? this.#leaseDurationMs : seconds * 1000);
  }

  #observe(lease: Lease): void {
    const text = JSON.stringify(lease.spec ?? {});
    const before = this.leader;
    const isSame = this.#observed?.text === text && this.#observed.lease.metadata.uid === lease.metadata.uid;
    this.#observed = { lease, text, atMs: isSame && this.#observed ? this.#observed.atMs : this.#monotonicMs() };
    if (this.leader !== before) this.#log.info('the leader changed', { leader: this.leader });
  }

  /** The Lease as we write it, on condition that nobody wrote since. */
  #renewal({ spec, ...lease }: Lease): Lease {
    const { identity } = this.#options;
    const now = microTime(this.#clock.nowMs());
    const isOurs = spec?.holderIdentity === identity;
    const next: LeaseSpec = {
      ...spec,
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.#leaseDurationMs / 1000),
      acquireTime: isOurs ? (spec.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (spec?.leaseTransitions ?? 0) + (spec === undefined || isOurs ? 0 : 1),
    };
    return { ...lease, spec: next };
  }

  #hold(sent: Moment): void {
    this.#renewed = sent;
    const leftMs = this.#renewDeadlineMs - this.#agoMs(sent);
    const cancelExpiry = this.#clock.after(leftMs, () => this.#stop('it could not be renewed in time'));
    if (this.#term) {
      this.#term.cancelExpiry();
      this.#term = { ...this.#term, cancelExpiry };
      return;
    }
    if (this.#work) {
      // The work of an earlier term has not ended: we hold the lease, so that nobody else starts either.
      cancelExpiry();
      return;
    }
    const stop = new AbortController();
    this.#term = { stop, cancelExpiry };
    this.#log.info('leading', { identity: this.#options.identity });
    const work = (async (): Promise<void> => this.#options.onStarted?.(stop.signal))().catch((error: unknown) => {
      if (!stop.signal.aborted) this.#log.error('the work of the leader failed', { error: messageOf(error) });
    });
    this.#work = work.then(() => (this.#work = undefined));
  }

  #stop(why: string): void {
    if (!this.#term) return;
    const { stop, cancelExpiry } = this.#term;
    this.#term = undefined;
    cancelExpiry();
    this.#log.info('not leading any more', { why });
    stop.abort(new Error(`Not leading any more: ${why}`));
    try {
      this.#options.onStopped?.();
    } catch (error) {
      this.#log.error('onStopped failed', { error: messageOf(error) });
    }
  }

  /** Clears the holder, so that somebody else need not wait. Not if somebody else wrote since. */
  async #release(): Promise<void> {
    if (!this.#observed || this.leader !== this.#options.identity) return;
    const { lease } = this.#observed;
    const now = microTime(this.#clock.nowMs());
    const spec: LeaseSpec = {
      ...lease.spec,
      holderIdentity: '',
      leaseDurationSeconds: 1,
      renewTime: now,
      acquireTime: now,
    };
    const limit = new AbortController();
    const cancel = this.#clock.after(this.#renewDeadlineMs / 2, () => limit.abort(new Error('The API server hangs')));
    try {
      await this.#options.client.replace(kinds.Lease, { ...lease, spec }, undefined, limit.signal);
    } catch (error) {
      this.#log.warn('cannot give the lease back: others wait until it is over', { error: messageOf(error) });
    } finally {
      cancel();
    }
  }

  #pause(delayMs: number): Promise<void> {
    const { signal } = this.#options;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = this.#clock.after(delayMs, done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  #now(): Moment {
    return { monotonicMs: this.#monotonicMs(), wallMs: this.#clock.nowMs() };
  }

  /** The longer of two clocks: the monotonic one stands still while a machine sleeps, the other may be set back. */
  #agoMs({ monotonicMs, wallMs }: Moment): number {
    return Math.max(this.#monotonicMs() - monotonicMs, this.#clock.nowMs() - wallMs);
  }
}

/** Tries come at least this close together, so that contenders do not march in step (client-go's JitterFactor). */
const jitter = 1.2;

/** `metav1.MicroTime`. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
