/** The certificate of 15012: issued by the mesh's own CA, renewed at half of its life. */
import type { CertificateAuthority, ServerIdentity } from '../ca/index.ts';
import { systemClock, type Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';

export interface ServingCertificateOptions {
  readonly authority: CertificateAuthority;
  readonly dnsNames: readonly string[];
  readonly ips: readonly string[];
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly clock?: Clock;
}

const retryMs = 10_000;

/** The first certificate; `onRenewed` of the result is called with each later one until `signal` aborts. */
export async function issueServingCertificate(
  options: ServingCertificateOptions,
): Promise<{ readonly first: ServerIdentity; onRenewed(use: (next: ServerIdentity) => void): void }> {
  const { authority, dnsNames, ips, signal, log, clock = systemClock } = options;
  const first = await authority.signServer({ dnsNames, ips });
  const renew = (use: (next: ServerIdentity) => void): void => {
    authority.signServer({ dnsNames, ips }).then(
      (next) => {
        if (signal.aborted) return;
        use(next);
        log.info('serving certificate renewed', { notAfter: new Date(next.notAfterMs).toISOString() });
        schedule(next, use);
      },
      (error: unknown) => {
        log.error('cannot renew the serving certificate', { error: messageOf(error) });
        after(retryMs, () => renew(use));
      },
    );
  };
  const schedule = (current: ServerIdentity, use: (next: ServerIdentity) => void): void => {
    after(Math.max(retryMs, (current.notAfterMs - clock.nowMs()) / 2), () => renew(use));
  };
  const after = (delayMs: number, run: () => void): void => {
    if (signal.aborted) return;
    const cancel = clock.after(delayMs, run);
    signal.addEventListener('abort', cancel, { once: true });
  };
  return { first, onRenewed: (use) => schedule(first, use) };
}
