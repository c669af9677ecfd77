/** Asks the certificate authority to sign, over `istio.v1.auth`. */
import type { SpiffeId } from '../api/names.ts';
import { createRpcChannel } from '../rpc/index.ts';
import { createCertificateMethod } from '../wire/index.ts';

export interface CaClientOptions {
  /** `https://host:port` */
  readonly address: string;
  readonly tlsServerName?: string;
  /** Roots of the authority's server; read again for every request. */
  readonly rootCertPath: string;
  /** Our bearer token; read again for every request. */
  readonly tokenPath: string;
  readonly clusterId: string;
  /** Lifetime to ask for; default 24 h. */
  readonly ttlSeconds?: number;
  /** Default 15 s. */
  readonly timeoutMs?: number;
}

export interface CaClient {
  /**
   * PEM each: leaf, intermediates, and last the bundle of roots. The identity is asked for on behalf of a workload of
   * this node (`ImpersonatedIdentity`). Rejects with `rpc.<status>`.
   */
  sign(csrPem: string, identity: SpiffeId, signal: AbortSignal): Promise<readonly string[]>;
  close(): void;
}

export function createCaClient(options: CaClientOptions): CaClient {
  const { ttlSeconds = 24 * 3600, timeoutMs = 15_000, clusterId, ...endpoint } = options;
  const channel = createRpcChannel({ ...endpoint, metadata: { clusterid: clusterId } });
  return {
    async sign(csrPem, identity, signal) {
      const request = { csrPem, validitySeconds: ttlSeconds, impersonatedIdentity: identity };
      const { chain } = await channel.unary(createCertificateMethod, request, { signal, timeoutMs });
      return chain;
    },
    close: () => channel.close(),
  };
}
