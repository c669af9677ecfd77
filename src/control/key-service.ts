/** `ambit.keys.KeySetService` on 15012: proxies that meet tokens by unknown keys have the issuer asked again. */
import { shownUrl } from '../lib/shown-url.ts';
import { rpcError, type RpcCall, type RpcServer } from '../rpc/index.ts';
import { refreshKeySetMethod } from '../wire/index.ts';
import type { JwksResolver } from './jwks-resolver.ts';

export interface KeyServiceOptions {
  /** Throws `rpcError` where the caller is no data plane of the mesh. */
  readonly authenticate: (call: RpcCall) => Promise<unknown>;
  readonly resolver: Pick<JwksResolver, 'refresh'>;
}

export function registerKeyService(server: RpcServer, { authenticate, resolver }: KeyServiceOptions): void {
  server.handleUnary(refreshKeySetMethod, async ({ keySet }, call) => {
    await authenticate(call);
    // Only what a policy names is fetched: callers cannot lead us anywhere.
    if (!resolver.refresh(keySet)) {
      throw rpcError('not-found', `no policy needs the key set ${JSON.stringify(shownUrl(keySet))}`);
    }
    return {};
  });
}
