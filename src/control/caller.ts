/** Who calls on 15012: a certificate of ours if one is shown, else a bearer token of a service account, reviewed by the API server. */
import { createHash, X509Certificate } from 'node:crypto';
import { identityOfLeaf, spiffeParts } from '../identity/index.ts';
import type { KubeClient, TokenReviewResult } from '../kube/index.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { rpcError, type RpcCall } from '../rpc/index.ts';

export interface Caller {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The pod that the token is bound to, if it is bound to one. */
  readonly pod?: { readonly name: string; readonly uid: string };
}

export interface CallerAuthenticatorOptions {
  readonly client: Pick<KubeClient, 'reviewToken'>;
  readonly clock: Clock;
  /** Of the certificates that count. */
  readonly trustDomain: string;
  /** Default `istio-ca`. */
  readonly audience?: string;
}

export interface CallerAuthenticator {
  /** Throws `rpcError`: 'unauthenticated', or 'unavailable' when the API server cannot be asked. */
  authenticate(call: Pick<RpcCall, 'metadata' | 'peerCertificate'>): Promise<Caller>;
}

/** A review is believed for a moment: bound tokens die with their pods. */
const acceptedMs = 10_000;
const refusedMs = 2_000;
const maxRemembered = 4096;
const maxTokenBytes = 16 * 1024;

interface Remembered {
  readonly result: Promise<TokenReviewResult>;
  untilMs: number;
}

export function createCallerAuthenticator(options: CallerAuthenticatorOptions): CallerAuthenticator {
  const { client, clock, trustDomain, audience = 'istio-ca' } = options;
  // By a digest: a dump of this process should hold no more tokens than it must.
  const remembered = new Map<string, Remembered>();

  const review = (token: string): Promise<TokenReviewResult> => {
    const digest = createHash('sha256').update(token).digest('base64');
    const known = remembered.get(digest);
    if (known && isFresh(known, clock.nowMs())) return known.result;
    if (remembered.size >= maxRemembered) forgetOld(remembered, clock.nowMs());
    // Callers with the same token share the review that is under way.
    const entry: Remembered = { result: client.reviewToken(token, [audience]), untilMs: Infinity };
    remembered.set(digest, entry);
    entry.result.then(
      ({ authenticated }) => (entry.untilMs = clock.nowMs() + (authenticated ? acceptedMs : refusedMs)),
      () => remembered.delete(digest),
    );
    return entry.result;
  };

  return {
    async authenticate({ metadata, peerCertificate }) {
      if (peerCertificate) return callerOf(peerCertificate, trustDomain);
      const token = /^Bearer ([^\s]+)$/i.exec(metadata.get('authorization') ?? '')?.[1];
      if (token === undefined || token.length > maxTokenBytes) {
        throw rpcError('unauthenticated', 'the call carries no bearer token');
      }
      let result: TokenReviewResult;
      try {
        result = await review(token);
      } catch (error) {
        throw rpcError('unavailable', `the token cannot be reviewed: ${messageOf(error)}`, error);
      }
      if (!result.authenticated) throw rpcError('unauthenticated', `the token is refused: ${result.reason}`);
      const [, namespace, serviceAccount] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(result.username) ?? [];
      if (namespace === undefined || serviceAccount === undefined) {
        throw rpcError('unauthenticated', `"${result.username}" is not a service account`);
      }
      return { namespace, serviceAccount, ...(result.pod ? { pod: result.pod } : {}) };
    },
  };
}

/** The connection verified it already; it is bound to no pod, so it stands for nobody but itself. */
function callerOf(der: Uint8Array, trustDomain: string): Caller {
  const verdict = identityOfLeaf(new X509Certificate(der), 'client');
  if (verdict.kind === 'refused') throw rpcError('unauthenticated', `the certificate is refused: ${verdict.message}`);
  const { namespace, serviceAccount, trustDomain: shown } = spiffeParts(verdict.identity);
  if (shown !== trustDomain) {
    throw rpcError('unauthenticated', `the certificate is of trust domain "${shown}", not of "${trustDomain}"`);
  }
  return { namespace, serviceAccount };
}

/** Under way, or answered a moment ago. One of the future is of a clock that was set back since: nobody knows how old it is. */
function isFresh({ untilMs }: Remembered, nowMs: number): boolean {
  return untilMs === Infinity || (untilMs > nowMs && untilMs <= nowMs + acceptedMs);
}

function forgetOld(remembered: Map<string, Remembered>, nowMs: number): void {
  for (const [digest, { untilMs }] of remembered) if (untilMs <= nowMs) remembered.delete(digest);
  // A flood of different tokens: the oldest go, which only costs them a review.
  for (const digest of remembered.keys()) {
    if (remembered.size < maxRemembered) break;
    remembered.delete(digest);
  }
}
