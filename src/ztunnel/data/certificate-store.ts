/** A data part's certificates: asked of the control part once, kept until they are renewed or end. */
import type { SpiffeId } from '../../api/names.ts';
import type { Clock } from '../../lib/clock.ts';
import { AmbitError } from '../../lib/errors.ts';
import type { WorkloadCertificate } from '../../identity/index.ts';

export interface CertificateStoreOptions {
  readonly clock: Clock;
  /** Tells the control part that a handshake waits. It answers by `put` or `fail`. */
  readonly want: (identity: SpiffeId) => void;
  /** How long a handshake waits. */
  readonly timeoutMs: number;
}

interface Waiter {
  readonly resolve: (certificate: WorkloadCertificate) => void;
  readonly reject: (error: Error) => void;
}

export class CertificateStore {
  readonly #options: CertificateStoreOptions;
  readonly #certificates = new Map<SpiffeId, WorkloadCertificate>();
  readonly #waiters = new Map<SpiffeId, Set<Waiter>>();

  constructor(options: CertificateStoreOptions) {
    this.#options = options;
  }

  /** The certificate at hand, when it is still valid. */
  current(identity: SpiffeId): WorkloadCertificate | undefined {
    const certificate = this.#certificates.get(identity);
    return certificate && certificate.notAfterMs > this.#options.clock.nowMs() ? certificate : undefined;
  }

  /** Waits for a valid certificate. Rejects with `identity.unavailable`. */
  get(identity: SpiffeId, signal: AbortSignal): Promise<WorkloadCertificate> {
    const current = this.current(identity);
    if (current) return Promise.resolve(current);
    return new Promise((resolve, reject) => {
      const waiters = this.#waiters.get(identity) ?? new Set<Waiter>();
      const settle = (): void => {
        waiters.delete(waiter);
        if (waiters.size === 0) this.#waiters.delete(identity);
        signal.removeEventListener('abort', onAbort);
        cancel();
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
      const onAbort = (): void => waiter.reject(unavailable(identity, 'given up'));
      const cancel = this.#options.clock.after(this.#options.timeoutMs, () => {
        waiter.reject(unavailable(identity, `not issued within ${this.#options.timeoutMs} ms`));
      });
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      waiters.add(waiter);
      if (waiters.size > 1) return;
      this.#waiters.set(identity, waiters);
      this.#options.want(identity);
    });
  }

  put(identity: SpiffeId, certificate: WorkloadCertificate): void {
    this.#certificates.set(identity, certificate);
    for (const waiter of this.#waiters.get(identity) ?? []) waiter.resolve(certificate);
  }

  fail(identity: SpiffeId, error: string): void {
    for (const waiter of this.#waiters.get(identity) ?? []) waiter.reject(unavailable(identity, error));
  }

  /** Forgets certificates of identities that no pod here has. */
  keepOnly(identities: ReadonlySet<SpiffeId>): void {
    for (const identity of this.#certificates.keys())
      if (!identities.has(identity)) this.#certificates.delete(identity);
  }
}

function unavailable(identity: SpiffeId, reason: string): AmbitError {
  return new AmbitError(`Cannot get certificate of ${identity}: ${reason}`, {
    code: 'identity.unavailable',
    blame: 'internal',
  });
}
