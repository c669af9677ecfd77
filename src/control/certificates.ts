/** Who gets which certificate: the caller's token, then the node rule; what the watch may not know yet waits a moment. */
import type { SpiffeId } from '../api/names.ts';
import { rpcError, type RpcCall } from '../rpc/index.ts';
import type { CallerAuthenticator } from './caller.ts';
import type { ControlMetrics } from './monitoring.ts';
import { authorizeIdentity } from './node-authorizer.ts';
import type { PodDirectory } from './pod-directory.ts';

export interface CertificateAuthorizerOptions {
  readonly callers: CallerAuthenticator;
  readonly pods: PodDirectory;
  readonly trustDomain: string;
  readonly trustedAccounts: ReadonlySet<string>;
  readonly metrics: ControlMetrics;
  /** How long a pod may take to appear in the watch; default 2 s. */
  readonly patienceMs?: number;
}

/** Resolves to the identity to sign. Throws `rpcError`. */
export function createCertificateAuthorizer(
  options: CertificateAuthorizerOptions,
): (call: RpcCall, impersonated: SpiffeId | undefined) => Promise<SpiffeId> {
  const { callers, pods, trustDomain, trustedAccounts, metrics, patienceMs = 2000 } = options;
  return async (call, impersonated) => {
    metrics.csr.record([], (values) => values.requests++);
    try {
      const caller = await callers.authenticate(call);
      const patience = AbortSignal.any([AbortSignal.timeout(patienceMs), call.signal]);
      for (;;) {
        const verdict = authorizeIdentity({ caller, impersonated, trustDomain, trustedAccounts, pods });
        if (verdict.kind === 'allow') {
          metrics.csr.record([], (values) => values.issued++);
          return verdict.identity;
        }
        // Who starts takes a refusal of an identity for the last word on it, and goes on without.
        if (!verdict.behind || patience.aborted)
          throw rpcError(verdict.behind === 'caller' ? 'unavailable' : 'permission-denied', verdict.reason);
        await pods.changed(patience);
      }
    } catch (error) {
      metrics.csr.record([], (values) => values.refused++);
      throw error;
    }
  };
}
