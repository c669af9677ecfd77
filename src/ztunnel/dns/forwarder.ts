/** Forwards a query to name servers: the one that was asked first, then the others. There is always an end: an answer or a reason. */
import { randomInt } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { dnsId, isTruncatedAnswer, plainDnsBytes, withDnsId } from '../../net/index.ts';
import type { DnsProtocol } from './dns-metrics.ts';

/**
 * Asks one server once. Resolves to an answer to exactly this message; rejects when the server cannot be had, and when
 * `signal` aborts. It may take as long as it likes.
 */
export type DnsExchange = (request: {
  readonly server: string;
  readonly protocol: DnsProtocol;
  readonly message: Uint8Array;
  readonly signal: AbortSignal;
}) => Promise<Uint8Array>;

export interface ForwardRequest {
  readonly message: Uint8Array;
  readonly protocol: DnsProtocol;
  /** In the order in which they are asked. */
  readonly servers: readonly string[];
  /** What the client takes over UDP. */
  readonly maxUdpBytes: number;
  /** Ends the wait, with a reason. */
  readonly signal: AbortSignal;
}

export type ForwardResult =
  | { readonly kind: 'answered'; readonly answer: Uint8Array; readonly server: string }
  | { readonly kind: 'failed'; readonly reason: string };

/** Resolvers of clients give up after 5 s: they are to hear of the failure before, and slow servers still get their time. */
const deadlineMs = 4500;
/** Without an answer for this long, another one is asked too; the first may still answer. */
const nextAttemptMs = 1500;
/** Before a server that refused is asked again. */
const sameServerMs = 250;
const maxAttempts = 3;
/** For the whole of an answer of which we have a part. */
const overTcpMs = 1000;

/** Forwards one query. Never rejects. */
export function forwardDns(
  request: ForwardRequest,
  { exchange, clock }: { readonly exchange: DnsExchange; readonly clock: Clock },
): Promise<ForwardResult> {
  const { message, protocol, servers, signal } = request;
  if (servers.length === 0) return Promise.resolve({ kind: 'failed', reason: 'no name server is known' });
  return new Promise((resolve) => {
    const ended = new AbortController();
    const problems: string[] = [];
    let cancelNext = (): void => {};
    let started = 0;
    let pending = 0;
    const settle = (result: ForwardResult): void => {
      if (ended.signal.aborted) return;
      cancelNext();
      cancelDeadline();
      signal.removeEventListener('abort', onAbort);
      ended.abort();
      resolve(result);
    };
    const fail = (reason: string): void => settle({ kind: 'failed', reason: [reason, ...problems].join('; ') });
    const onAbort = (): void => fail('the pod left');
    const cancelDeadline = clock.after(deadlineMs, () => fail(`no answer within ${deadlineMs} ms`));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });

    const serverAt = (attempt: number): string => servers[attempt % servers.length] ?? '';
    const next = (): void => {
      cancelNext();
      if (started >= maxAttempts) return;
      const server = serverAt(started++);
      pending++;
      if (started < maxAttempts) cancelNext = clock.after(nextAttemptMs, next);
      const query = withDnsId(message, randomInt(65_536));
      exchange({ server, protocol, message: query, signal: ended.signal })
        .then((answer) => wholeAnswer(answer, server))
        .then(
          (answer) => settle({ kind: 'answered', answer: withDnsId(answer, dnsId(message)), server }),
          (error: unknown) => {
            pending--;
            if (ended.signal.aborted) return;
            problems.push(messageOf(error));
            if (started >= maxAttempts) {
              if (pending === 0) fail('no name server could be asked');
            } else if (serverAt(started) === server) {
              cancelNext();
              cancelNext = clock.after(sameServerMs, next);
            } else next();
          },
        );
    };

    /** A cut answer is asked for again over TCP, where the client takes more than the server gives over UDP. */
    const wholeAnswer = async (answer: Uint8Array, server: string): Promise<Uint8Array> => {
      if (protocol === 'tcp' || !isTruncatedAnswer(answer) || request.maxUdpBytes <= plainDnsBytes) return answer;
      const tooLong = new AbortController();
      const cancel = clock.after(overTcpMs, () => tooLong.abort());
      try {
        const query = withDnsId(message, randomInt(65_536));
        const both = AbortSignal.any([ended.signal, tooLong.signal]);
        const whole = await exchange({ server, protocol: 'tcp', message: query, signal: both });
        return whole.length <= request.maxUdpBytes ? whole : answer;
      } catch {
        // The client will ask over TCP itself.
        return answer;
      } finally {
        cancel();
      }
    };
    next();
  });
}
