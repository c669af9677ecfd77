/** The certificate of 15012 and 15017: issued by the mesh's own CA, renewed at half of its life, or when another key signs. */
import type { RotatingAuthority, ServerIdentity } from '../ca/index.ts';
import { afterTime, systemClock, type Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';

export interface ServingCertificateOptions {
  readonly authority: RotatingAuthority;
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
  let signer = authority.signerPem;
  const first = await authority.signServer({ dnsNames, ips });
  let cancelTimer = (): void => {};
  let renewals = 0;
  const renew = (use: (next: ServerIdentity) => void): void => {
    signer = authority.signerPem;
    const own = ++renewals;
    authority.signServer({ dnsNames, ips }).then(
      (next) => {
        // One that began later may be done before: that counts.
        if (signal.aborted || own !== renewals) return;
        use(next);
        log.info('serving certificate renewed', { notAfter: new Date(next.notAfterMs).toISOString() });
        schedule(next, use);
      },
      (error: unknown) => {
        if (own !== renewals) return;
        log.error('cannot renew the serving certificate', { error: messageOf(error) });
        plan(() => clock.after(retryMs, () => renew(use)));
      },
    );
  };
  const schedule = (current: ServerIdentity, use: (next: ServerIdentity) => void): void => {
    const nowMs = clock.nowMs();
    const atMs = Math.max(nowMs + retryMs, (nowMs + current.notAfterMs) / 2);
    plan(() => afterTime(clock, atMs, () => renew(use)));
  };
  const plan = (start: () => () => void): void => {
    cancelTimer();
    if (!signal.aborted) cancelTimer = start();
  };
  signal.addEventListener('abort', () => cancelTimer(), { once: true });
  return {
    first,
    onRenewed(use) {
      const follow = (): void => {
        if (authority.signerPem !== signer) renew(use);
      };
      schedule(first, use);
      authority.onChange(follow);
      // Since the first was asked for, as well.
      follow();
    },
  };
}
