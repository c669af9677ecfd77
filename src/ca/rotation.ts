/**
 * An authority that is replaced while it works, without a moment in which a peer meets a certificate that it cannot
 * verify: new roots are published before anything is signed under them, old ones until what was signed under them has
 * ended.
 */
import { X509Certificate } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';
import { AmbitError } from '../lib/errors.ts';
import { splitCertificates, validToMs, verifyChain } from '../identity/index.ts';
import type { CertificateAuthority } from './authority.ts';

export interface RotationOptions {
  readonly clock: Clock;
  /** Published before this process started, and until when they stay beside what the first authority brings. */
  readonly retiring?: RetiringRoots;
  /** The first authority came while no replica was there to introduce it, or one that did ended meanwhile. */
  readonly held?: HeldSigner;
}

/** A signer that peers may not trust yet, without one before it that could go on. */
export interface HeldSigner {
  /** What is published: who is under one of these needs no wait. */
  readonly rootsPem: string;
  /** SHA-256 of the certificate that signed before. */
  readonly signer: string;
  /** When it first came, and from when on it signs. */
  readonly sinceMs: number;
  readonly untilMs: number;
}

export interface RetiringRoots {
  readonly rootsPem: string;
  readonly untilMs: number;
}

export type RotationState =
  | { readonly kind: 'steady' }
  /** The next signer's roots are published; it signs from then on. Until then the one before does, unless it went with a restart. */
  | { readonly kind: 'introducing'; readonly untilMs: number }
  /** The signer's predecessors' roots are still published. */
  | { readonly kind: 'retiring'; readonly untilMs: number };

export interface RotatingAuthority extends CertificateAuthority {
  readonly state: RotationState;
  /** SHA-256 of the certificate that signs now, or that did last. */
  readonly signer: string;
  /**
   * Takes up other material. The same signer: its roots are the mesh's from now on, others are dropped at once. Another
   * signer: it signs as soon as everybody trusts it, which is at once under a root that is published already, else
   * after `introduceMs`, counted from when it first came, so that the wait may still be changed; roots that it does not
   * bring stay until the last leaf under them has ended. With an `introduceMs` of 0 both happen at once, and whoever
   * holds an old certificate is refused.
   */
  adopt(next: CertificateAuthority, introduceMs: number): void;
  /** Called after the signer, the roots or the state changed. */
  onChange(listener: () => void): void;
}

/** Leaves that other replicas signed live as long as this by default. */
const usualLifeMs = 24 * 3600_000;

export function createRotatingAuthority(first: CertificateAuthority, options: RotationOptions): RotatingAuthority {
  return new Rotation(first, options);
}

class Rotation implements RotatingAuthority {
  readonly #clock: Clock;
  readonly #listeners: (() => void)[] = [];
  #current: CertificateAuthority;
  #next: { readonly authority: CertificateAuthority; readonly sinceMs: number; readonly untilMs: number } | undefined;
  #retiring: RetiringRoots | undefined;
  #cancelTimer: () => void = () => {};
  /** Nothing is signed for workloads meanwhile: what they have goes on, and a leaf that peers refuse would break it. */
  #held: HeldSigner | undefined;
  #cancelHold: () => void = () => {};
  /** When the last leaf ends that was signed here. */
  #lastLeafEndsMs = 0;

  constructor(first: CertificateAuthority, { clock, retiring, held }: RotationOptions) {
    this.#current = first;
    this.#clock = clock;
    if (held) this.#hold(held);
    if (retiring) this.#retire(retiring.rootsPem, retiring.untilMs);
  }

  get rootPem(): string {
    return mergeRoots(this.#current.rootPem, this.#next?.authority.rootPem, this.#retiring?.rootsPem);
  }

  get signerPem(): string {
    return this.#current.signerPem;
  }

  get chainPem(): string {
    return this.#current.chainPem;
  }

  get signer(): string {
    return this.#held?.signer ?? fingerprint(this.#current.signerPem);
  }

  get state(): RotationState {
    if (this.#held) return { kind: 'introducing', untilMs: this.#held.untilMs };
    if (this.#next) return { kind: 'introducing', untilMs: this.#next.untilMs };
    return this.#retiring ? { kind: 'retiring', untilMs: this.#retiring.untilMs } : { kind: 'steady' };
  }

  async signWorkload(request: Parameters<CertificateAuthority['signWorkload']>[0]): Promise<string[]> {
    if (this.#held) throw tooEarly(this.#held.untilMs);
    const answer = await this.#current.signWorkload(request);
    const [leaf = ''] = answer;
    this.#lastLeafEndsMs = Math.max(this.#lastLeafEndsMs, validToMs(new X509Certificate(leaf)));
    return [...answer.slice(0, -1), this.rootPem];
  }

  signServer(
    request: Parameters<CertificateAuthority['signServer']>[0],
  ): ReturnType<CertificateAuthority['signServer']> {
    return this.#current.signServer(request);
  }

  adopt(next: CertificateAuthority, introduceMs: number): void {
    if (this.#held && introduceMs > 0) {
      this.#adoptHeld(this.#held, next, introduceMs);
      return this.#tell();
    }
    this.#release();
    const isOtherSigner = fingerprint(next.signerPem) !== fingerprint(this.#current.signerPem);
    const isWaited = this.#next && fingerprint(this.#next.authority.signerPem) === fingerprint(next.signerPem);
    if (isOtherSigner && introduceMs > 0 && isWaited && this.#next) {
      // It waits already: only what it brings along, and how long it waits in all, may be different.
      this.#introduce(next, this.#next.sinceMs, introduceMs);
    } else if (!isOtherSigner && introduceMs > 0 && !this.#next && next.rootPem === this.#current.rootPem) {
      // Nothing is different: what is being retired goes on being so.
      this.#current = next;
    } else if (!isOtherSigner || introduceMs === 0) {
      this.#cancelTimer();
      this.#next = undefined;
      this.#retiring = undefined;
      this.#current = next;
    } else if (chainsTo(next, this.rootPem, this.#clock.nowMs())) {
      this.#switch(next);
    } else {
      this.#introduce(next, this.#clock.nowMs(), introduceMs);
    }
    this.#tell();
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  #adoptHeld(held: HeldSigner, next: CertificateAuthority, introduceMs: number): void {
    const isSame = fingerprint(next.signerPem) === fingerprint(this.#current.signerPem);
    const nowMs = this.#clock.nowMs();
    if (!isSame && chainsTo(next, held.rootsPem, nowMs)) {
      this.#release();
      return this.#switch(next);
    }
    this.#current = next;
    const sinceMs = isSame ? held.sinceMs : nowMs;
    this.#hold({ ...held, sinceMs, untilMs: sinceMs + introduceMs });
  }

  #hold(held: HeldSigner): void {
    this.#cancelHold();
    this.#held = held;
    this.#cancelHold = this.#clock.after(Math.max(held.untilMs - this.#clock.nowMs(), 0), () => {
      this.#release();
      this.#tell();
    });
  }

  #release(): void {
    this.#cancelHold();
    this.#held = undefined;
  }

  #introduce(authority: CertificateAuthority, sinceMs: number, introduceMs: number): void {
    const untilMs = sinceMs + introduceMs;
    this.#cancelTimer();
    this.#next = { authority, sinceMs, untilMs };
    this.#cancelTimer = this.#clock.after(Math.max(untilMs - this.#clock.nowMs(), 0), () => {
      this.#switch(authority);
      this.#tell();
    });
  }

  #switch(next: CertificateAuthority): void {
    const published = this.rootPem;
    this.#next = undefined;
    this.#retiring = undefined;
    this.#current = next;
    if (mergeRoots(next.rootPem, published) === mergeRoots(next.rootPem)) return;
    this.#retire(published, Math.max(this.#lastLeafEndsMs, this.#clock.nowMs() + usualLifeMs));
  }

  #retire(rootsPem: string, untilMs: number): void {
    this.#cancelTimer();
    this.#retiring = { rootsPem, untilMs };
    this.#cancelTimer = this.#clock.after(Math.max(untilMs - this.#clock.nowMs(), 0), () => {
      this.#retiring = undefined;
      this.#tell();
    });
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function tooEarly(untilMs: number): AmbitError {
  const until = new Date(untilMs).toISOString();
  return new AmbitError(`Cannot sign yet: the roots of the new signer are being published, until ${until}`, {
    code: 'ca.introducing',
    blame: 'internal',
  });
}

/** Each certificate once, in the order of their coming. */
export function mergeRoots(...bundles: readonly (string | undefined)[]): string {
  const byFingerprint = new Map<string, string>();
  for (const block of bundles.flatMap((bundle) => splitCertificates(bundle ?? ''))) {
    if (!byFingerprint.has(fingerprint(block))) byFingerprint.set(fingerprint(block), block);
  }
  return [...byFingerprint.values()].join('');
}

export function chainsTo(authority: CertificateAuthority, rootsPem: string, nowMs: number): boolean {
  const parse = (bundle: string): X509Certificate[] => splitCertificates(bundle).map((pem) => new X509Certificate(pem));
  const leaf = new X509Certificate(authority.signerPem);
  return (
    verifyChain({ leaf, intermediates: parse(authority.chainPem), roots: parse(rootsPem), nowMs }).kind === 'valid'
  );
}

/** SHA-256 of a certificate. */
export function fingerprint(pem: string): string {
  return new X509Certificate(pem).fingerprint256;
}
