/** The proxy's own certificate in a worker: the main thread has it issued, and hands it on. */
import type { WorkloadCertificate } from '../../identity/index.ts';
import type { Clock } from '../../lib/clock.ts';
import type { ProxyCertificates } from '../upstream/index.ts';

export class HandedCertificates implements ProxyCertificates {
  readonly #clock: Clock;
  readonly #listeners = new Set<(certificate: WorkloadCertificate) => void>();
  #latest: WorkloadCertificate | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  take(certificate: WorkloadCertificate): void {
    this.#latest = certificate;
    for (const listener of this.#listeners) listener(certificate);
  }

  /** Waits for the first one, and for the next where the last has expired. */
  certificate(identity: WorkloadCertificate['identity'], signal: AbortSignal): Promise<WorkloadCertificate> {
    const latest = this.#latest;
    if (latest?.identity === identity && latest.notAfterMs > this.#clock.nowMs()) return Promise.resolve(latest);
    return new Promise((resolve, reject) => {
      const forget = this.onRotate((certificate) => {
        if (certificate.identity !== identity) return;
        end();
        resolve(certificate);
      });
      const onAbort = (): void => {
        end();
        reject(signal.reason as Error);
      };
      const end = (): void => {
        forget();
        signal.removeEventListener('abort', onAbort);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }

  onRotate(listener: (certificate: WorkloadCertificate) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
