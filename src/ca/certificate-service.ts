/** The CreateCertificate call: who asks is decided by the caller of this module, what is signed here. */
import { codeOf, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { SpiffeId } from '../api/names.ts';
import { tryParseSpiffeId } from '../identity/index.ts';
import { rpcError, rpcStatusOf, type RpcCall, type RpcServer, type RpcStatus } from '../rpc/index.ts';
import { createCertificateMethod } from '../wire/index.ts';
import type { CertificateAuthority } from './authority.ts';

export interface CertificateServiceOptions {
  readonly authority: CertificateAuthority | (() => CertificateAuthority);
  /**
   * The identity that the caller gets: its own, or the one it acts for when it may. Throws `rpcError` with
   * 'unauthenticated' or 'permission-denied' otherwise.
   */
  readonly authorize: (call: RpcCall, impersonated: SpiffeId | undefined) => Promise<SpiffeId>;
  readonly log: Log;
}

export function registerCertificateService(server: RpcServer, options: CertificateServiceOptions): void {
  const { authority, authorize, log } = options;
  server.handleUnary(createCertificateMethod, async (request, call) => {
    const asked = request.impersonatedIdentity;
    const impersonated = asked === undefined ? undefined : tryParseSpiffeId(asked);
    if (asked !== undefined && impersonated === undefined) {
      throw rpcError('invalid-argument', 'the impersonated identity is not a SPIFFE id of a workload');
    }
    const identity = await refusing(log, call, () => authorize(call, impersonated));
    const signer = typeof authority === 'function' ? authority() : authority;
    const { csrPem, validitySeconds } = request;
    const chain = await refusing(log, call, () =>
      signer.signWorkload({ csrPem, identity, ttlSeconds: validitySeconds }),
    );
    log.info('certificate signed', { identity, peer: call.peerAddress });
    return { chain };
  });
}

/** What callers are told with its reason. */
const statuses: Readonly<Record<string, Exclude<RpcStatus, 'ok'>>> = {
  'ca.malformed-csr': 'invalid-argument',
  'ca.weak-key': 'invalid-argument',
  'ca.expired': 'unavailable',
  'ca.introducing': 'unavailable',
};

/** Refusals are logged with their reason; a bad request is the caller's own. */
async function refusing<T>(log: Log, call: RpcCall, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const code = codeOf(error);
    const status = statuses[code ?? ''];
    if (status === undefined && rpcStatusOf(error) === undefined) throw error;
    log.warn('certificate refused', { peer: call.peerAddress, code, error: messageOf(error) });
    throw status === undefined ? error : rpcError(status, messageOf(error), error);
  }
}
