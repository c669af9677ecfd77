/**
 * The certificates of a node's workloads, one per identity: issued on demand or ahead, renewed at half of their life.
 *
 * Keys are made here and stay here. Live connections are never touched by a renewal.
 */
import { X509Certificate } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { createBackoff, type Backoff } from '../lib/backoff.ts';
import { afterTime, type Clock } from '../lib/clock.ts';
import { codeOf, type AmbitError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { SpiffeId } from '../api/names.ts';
import { validFromMs, validToMs } from './chain.ts';
import { failure, foreign, gaveUp, isRefusal } from './certificate-errors.ts';
import { clockSkewMs, describeSkew, worrisomeSkewMs } from './clock-skew.ts';
import { createCsr } from './csr.ts';
import { createIssueQueue, type IssuePriority, type IssueQueue } from './issue-queue.ts';
import { spiffeParts } from './spiffe.ts';
import { acceptCertificate, withRoots, type WorkloadCertificate } from './workload-certificate.ts';

export interface CertificateManagerOptions {
  /** The authority: leaf, intermediates, and last the bundle of roots. */
  readonly sign: (csrPem: string, identity: SpiffeId, signal: AbortSignal) => Promise<readonly string[]>;
  /** Identities of other trust domains are refused without asking. */
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly log: Log;
  /** The lifetime that `sign` asks for, to compare clocks by; default 24 h. */
  readonly ttlSeconds?: number;
  /** Told of each answer that dates itself: milliseconds by which the authority's clock is ahead of ours. */
  readonly onClockSkew?: (skewMs: number) => void;
  /** A new signer or root is taken up by all identities within this time; default 60 s. */
  readonly rolloverMs?: number;
  /** Default 8. */
  readonly concurrency?: number;
  readonly random?: () => number;
}

export type CertificateState =
  | { readonly kind: 'initializing'; readonly priority: IssuePriority }
  | {
      readonly kind: 'available';
      readonly certificate: WorkloadCertificate;
      readonly refreshAtMs: number;
      /** Why it was not renewed when it was due; it is tried again. */
      readonly renewalError?: AmbitError;
    }
  | { readonly kind: 'unavailable'; readonly error: AmbitError; readonly retryAtMs: number };

export interface CertificateStatus {
  readonly identity: SpiffeId;
  readonly state: CertificateState;
  /** How many workloads hold it. */
  readonly holders: number;
}

export interface CertificateManager {
  /**
   * The valid certificate of an identity, at once when there is one. Waits, at the highest priority, while the first
   * one, or one in place of one that ended, is being issued; rejects with the last failure while the authority refuses.
   */
  certificate(identity: SpiffeId, signal: AbortSignal): Promise<WorkloadCertificate>;
  /** A workload of this identity is here: its certificate is issued ahead and renewed until as many `release`s. */
  retain(identity: SpiffeId): void;
  /** At the last one the key and the certificate are forgotten. */
  release(identity: SpiffeId): void;
  list(): readonly CertificateStatus[];
  /**
   * The authority may have changed: asks it about one identity soon. What the answer brings, roots or a signer, holds
   * for all identities, whatever is left of the lives of their certificates.
   */
  refreshTrust(): void;
  /** Called with every new certificate, also with new roots for the same one. Returns the removal. */
  onRotate(listener: (certificate: WorkloadCertificate) => void): () => void;
  /** Called when the last workload of an identity is gone. Returns the removal. */
  onForget(listener: (identity: SpiffeId) => void): () => void;
  /** Gives up requests and timers; those who wait are refused. */
  close(): void;
}

interface Waiter {
  resolve(certificate: WorkloadCertificate): void;
  reject(error: AmbitError): void;
}

interface Entry {
  readonly identity: SpiffeId;
  readonly backoff: Backoff;
  readonly waiters: Set<Waiter>;
  readonly gone: AbortController;
  state: CertificateState;
  holders: number;
  generation: number;
  cancelTimer: () => void;
}

const requestTimeoutMs = 30_000;
/** After a hint, one identity of the node asks within this time, and once more later: replicas may learn a little apart. */
const probeWithinMs = 5000;
const probeAgainMs = 30_000;
/** Clocks that differ are told of no more often. */
const skewEveryMs = 60_000;

export function createCertificateManager(options: CertificateManagerOptions): CertificateManager {
  return new Manager(options);
}

class Manager implements CertificateManager {
  readonly #options: CertificateManagerOptions;
  readonly #random: () => number;
  readonly #entries = new Map<SpiffeId, Entry>();
  readonly #listeners = new Set<(certificate: WorkloadCertificate) => void>();
  readonly #forgetListeners = new Set<(identity: SpiffeId) => void>();
  readonly #queue: IssueQueue<Entry>;
  /** The bundle of the last answer: it is the mesh's, not one certificate's. */
  #rootsPem: string | undefined;
  /** Signers seen. One that comes back, from a replica that is behind, is no news. */
  readonly #issuers = new Set<string>();
  #cancelProbe: () => void = () => {};
  #skewQuietUntilMs = -Infinity;

  constructor(options: CertificateManagerOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#queue = createIssueQueue(options.concurrency ?? 8, (entry) => this.#issue(entry));
  }

  certificate(identity: SpiffeId, signal: AbortSignal): Promise<WorkloadCertificate> {
    if (signal.aborted) return Promise.reject(gaveUp(identity));
    const { trustDomain } = this.#options;
    if (spiffeParts(identity).trustDomain !== trustDomain) return Promise.reject(foreign(identity, trustDomain));
    const entry = this.#open(identity, 'realtime');
    const { state } = entry;
    switch (state.kind) {
      case 'available':
        if (state.certificate.notAfterMs > this.#options.clock.nowMs()) return Promise.resolve(state.certificate);
        // The machine slept, or its clock was set: nobody could renew it in time.
        entry.cancelTimer();
        break;
      case 'unavailable':
        return Promise.reject(state.error);
      case 'initializing':
        break;
    }
    entry.state = { kind: 'initializing', priority: 'realtime' };
    this.#queue.push(entry, 'realtime');
    return wait(entry, signal);
  }

  retain(identity: SpiffeId): void {
    if (spiffeParts(identity).trustDomain !== this.#options.trustDomain) return;
    this.#open(identity, 'warmup').holders++;
  }

  release(identity: SpiffeId): void {
    const entry = this.#entries.get(identity);
    if (!entry || entry.holders === 0) return;
    entry.holders--;
    if (entry.holders === 0) this.#forget(entry);
  }

  list(): readonly CertificateStatus[] {
    return [...this.#entries.values()].map(({ identity, state, holders }) => ({ identity, state, holders }));
  }

  refreshTrust(): void {
    const { clock } = this.#options;
    this.#cancelProbe();
    const probe = (): void => {
      const held = [...this.#entries.values()].filter(({ state }) => state.kind === 'available');
      const entry = held[Math.floor(this.#random() * held.length)];
      if (entry) this.#queue.push(entry, 'background');
    };
    const cancelFirst = clock.after(this.#random() * probeWithinMs, probe);
    const cancelSecond = clock.after(probeAgainMs + this.#random() * probeWithinMs, probe);
    this.#cancelProbe = () => {
      cancelFirst();
      cancelSecond();
    };
  }

  onRotate(listener: (certificate: WorkloadCertificate) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  onForget(listener: (identity: SpiffeId) => void): () => void {
    this.#forgetListeners.add(listener);
    return () => void this.#forgetListeners.delete(listener);
  }

  close(): void {
    for (const entry of this.#entries.values()) this.#forget(entry);
    this.#cancelProbe();
    this.#listeners.clear();
  }

  #open(identity: SpiffeId, priority: IssuePriority): Entry {
    const known = this.#entries.get(identity);
    if (known) return known;
    const gone = new AbortController();
    setMaxListeners(0, gone.signal);
    const entry: Entry = {
      identity,
      backoff: createBackoff({ initialMs: 1000, maxMs: 150_000, random: this.#random }),
      waiters: new Set(),
      gone,
      state: { kind: 'initializing', priority },
      holders: 0,
      generation: 0,
      cancelTimer: () => {},
    };
    this.#entries.set(identity, entry);
    this.#queue.push(entry, priority);
    return entry;
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.identity);
    this.#queue.remove(entry);
    entry.cancelTimer();
    entry.gone.abort();
    for (const waiter of entry.waiters) waiter.reject(gaveUp(entry.identity));
    entry.waiters.clear();
    for (const listener of this.#forgetListeners) listener(entry.identity);
  }

  async #issue(entry: Entry): Promise<void> {
    const { identity, gone } = entry;
    const { clock, sign } = this.#options;
    const timeout = new AbortController();
    const cancelTimeout = clock.after(requestTimeoutMs, () => timeout.abort());
    try {
      const { csrPem, key } = createCsr(identity);
      const askedMs = clock.nowMs();
      const answer = await sign(csrPem, identity, AbortSignal.any([gone.signal, timeout.signal]));
      if (gone.signal.aborted) return;
      this.#compareClocks(answer, askedMs);
      const generation = entry.generation + 1;
      this.#install(entry, acceptCertificate({ identity, key, answer, generation, nowMs: clock.nowMs() }));
    } catch (error) {
      if (!gone.signal.aborted) this.#fail(entry, error);
    } finally {
      cancelTimeout();
    }
  }

  #install(entry: Entry, certificate: WorkloadCertificate): void {
    const { clock, log } = this.#options;
    const { identity, generation, serial, notAfterMs } = certificate;
    entry.backoff.reset();
    // Half of the life that it has from now, since it is dated back; a tenth earlier or later, so that a node's
    // certificates do not all renew at once.
    const nowMs = clock.nowMs();
    const life = notAfterMs - nowMs;
    const refreshAtMs = Math.max(nowMs + life * (0.5 + 0.1 * (this.#random() - 0.5)), nowMs + 1000);
    this.#renewAt(entry, certificate, refreshAtMs);
    log.info('certificate issued', { identity, generation, serial, notAfter: new Date(notAfterMs).toISOString() });
    for (const waiter of entry.waiters) waiter.resolve(certificate);
    entry.waiters.clear();
    this.#tell(entry, certificate);
    this.#followAuthority(certificate);
    this.#askForOthers();
  }

  /** The authority answers: who failed because it did not waits no longer. */
  #askForOthers(): void {
    for (const entry of this.#entries.values()) {
      if (entry.state.kind !== 'unavailable' || isRefusal(entry.state.error)) continue;
      entry.cancelTimer();
      this.#queue.push(entry, 'warmup');
    }
  }

  /** What one answer says of the authority holds for the whole node: its roots at once, its signer within a while. */
  #followAuthority({ identity, rootsPem, issuerFingerprint }: WorkloadCertificate): void {
    const { clock, log, rolloverMs = 60_000 } = this.#options;
    const nowMs = clock.nowMs();
    const newRoots = this.#rootsPem !== undefined && this.#rootsPem !== rootsPem;
    const newSigner = this.#issuers.size > 0 && !this.#issuers.has(issuerFingerprint);
    this.#rootsPem = rootsPem;
    this.#issuers.add(issuerFingerprint);
    if (!newRoots && !newSigner) return;
    log.info('the authority changed', { newRoots, newSigner, signer: issuerFingerprint, learnedBy: identity });
    for (const entry of this.#entries.values()) {
      if (entry.state.kind !== 'available') continue;
      const { certificate, refreshAtMs } = entry.state;
      if (certificate.rootsPem !== rootsPem) {
        const updated = withRoots(certificate, rootsPem, nowMs);
        this.#renewAt(entry, updated ?? certificate, refreshAtMs);
        if (updated) this.#tell(entry, updated);
        // Peers that trust the new roots alone refuse it: nothing to wait for.
        else this.#renewAt(entry, certificate, nowMs);
      }
      if (newSigner && certificate.issuerFingerprint !== issuerFingerprint) {
        const { state } = entry;
        const spread = Math.min(state.refreshAtMs, nowMs + this.#random() * rolloverMs);
        this.#renewAt(entry, state.certificate, spread);
      }
    }
  }

  #renewAt(entry: Entry, certificate: WorkloadCertificate, refreshAtMs: number): void {
    entry.generation = certificate.generation;
    entry.state = { kind: 'available', certificate, refreshAtMs };
    entry.cancelTimer();
    entry.cancelTimer = afterTime(this.#options.clock, refreshAtMs, () => this.#refresh(entry));
  }

  #tell(entry: Entry, certificate: WorkloadCertificate): void {
    if (this.#entries.get(entry.identity) !== entry) return;
    for (const listener of this.#listeners) listener(certificate);
  }

  /** Also of an answer that will be refused: a clock that is off is the usual reason. */
  #compareClocks(answer: readonly string[], askedMs: number): void {
    const { clock, log, onClockSkew, ttlSeconds = 24 * 3600 } = this.#options;
    const leaf = tryParse(answer[0]);
    if (!leaf) return;
    const skewMs = clockSkewMs({
      notBeforeMs: validFromMs(leaf),
      notAfterMs: validToMs(leaf),
      ttlMs: ttlSeconds * 1000,
      nowMs: (askedMs + clock.nowMs()) / 2,
    });
    if (skewMs === undefined) return;
    onClockSkew?.(skewMs);
    const nowMs = clock.nowMs();
    // Every identity of the node hears the same.
    if (Math.abs(skewMs) < worrisomeSkewMs || nowMs < this.#skewQuietUntilMs) return;
    this.#skewQuietUntilMs = nowMs + skewEveryMs;
    const now = new Date(nowMs).toISOString();
    log.warn(`clocks differ: ${describeSkew(skewMs)}`, { skewSeconds: Math.round(skewMs / 1000), now });
  }

  #refresh(entry: Entry): void {
    // Nobody holds it: it was asked for once, and will be again if need be.
    if (entry.holders === 0) this.#forget(entry);
    else this.#queue.push(entry, 'background');
  }

  #fail(entry: Entry, thrown: unknown): void {
    const { clock, log } = this.#options;
    const { identity, state } = entry;
    const error = failure(identity, thrown);
    const nowMs = clock.nowMs();
    let retryAtMs = nowMs + entry.backoff.next();
    const alive = state.kind === 'available' && state.certificate.notAfterMs > nowMs;
    // The certificate at hand is served until it ends; then the failure shows.
    if (alive) {
      retryAtMs = Math.min(retryAtMs, state.certificate.notAfterMs);
      entry.state = { ...state, renewalError: error };
    } else entry.state = { kind: 'unavailable', error, retryAtMs };
    const retryInMs = Math.round(retryAtMs - nowMs);
    entry.cancelTimer();
    entry.cancelTimer = clock.after(retryInMs, () => this.#queue.push(entry, alive ? 'background' : 'warmup'));
    log.warn('certificate not issued', {
      identity,
      error: error.message,
      code: codeOf(thrown),
      retryInMs,
      serving: alive,
    });
    for (const waiter of entry.waiters) waiter.reject(error);
    entry.waiters.clear();
  }
}

function tryParse(pem: string | undefined): X509Certificate | undefined {
  try {
    return pem === undefined ? undefined : new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function wait(entry: Entry, signal: AbortSignal): Promise<WorkloadCertificate> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      entry.waiters.delete(waiter);
      signal.removeEventListener('abort', onAbort);
    };
    const waiter: Waiter = {
      resolve(certificate) {
        settle();
        resolve(certificate);
      },
      reject(error) {
        settle();
        reject(error);
      },
    };
    const onAbort = (): void => waiter.reject(gaveUp(entry.identity));
    entry.waiters.add(waiter);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
