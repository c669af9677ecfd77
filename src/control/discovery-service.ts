/** WDS on 15012: who may subscribe, and what of it is counted. */
import type { Log } from '../lib/log.ts';
import { rpcError } from '../rpc/index.ts';
import { addressTypeUrl, authorizationTypeUrl } from '../wire/index.ts';
import { createDeltaServer, type DeltaServer, type ResourceSource } from '../xds/index.ts';
import type { Caller, CallerAuthenticator } from './caller.ts';
import type { ControlMetrics } from './monitoring.ts';

export interface DiscoveryServiceOptions {
  readonly authorizations: ResourceSource;
  readonly addresses: ResourceSource;
  readonly callers: CallerAuthenticator;
  /** `<namespace>/<service account>` of those who may read the whole mesh. */
  readonly trustedAccounts: ReadonlySet<string>;
  readonly metrics: ControlMetrics;
  /** What data planes hold, or refuse, has changed. */
  readonly onProgress?: () => void;
  readonly log: Log;
}

export function createDiscoveryService(options: DiscoveryServiceOptions): DeltaServer<Caller> {
  const { authorizations, addresses, callers, trustedAccounts, metrics, onProgress, log } = options;
  return createDeltaServer<Caller>({
    // In push order: a policy before the address that names it.
    types: [
      { typeUrl: authorizationTypeUrl, source: authorizations },
      { typeUrl: addressTypeUrl, source: addresses },
    ],
    async authenticate(call) {
      const caller = await callers.authenticate(call);
      const account = `${caller.namespace}/${caller.serviceAccount}`;
      if (!trustedAccounts.has(account)) {
        throw rpcError('permission-denied', `service account "${account}" may not read the mesh's workloads`);
      }
      return caller;
    },
    admit(caller, { metadata }) {
      const claims = [
        [metadata['NAMESPACE'], caller.namespace],
        [metadata['SERVICE_ACCOUNT'], caller.serviceAccount],
      ] as const;
      for (const [claimed, proven] of claims) {
        if (claimed === undefined || claimed === proven) continue;
        throw rpcError(
          'permission-denied',
          `the node calls itself ${JSON.stringify(claimed)}, its token says "${proven}"`,
        );
      }
    },
    onAnswer: (_, answer) =>
      metrics.pushes.record([answer.typeUrl.slice(answer.typeUrl.lastIndexOf('.') + 1)], (values) => {
        values.pushes++;
        values.resources += answer.resources.size;
        if (answer.refusal !== undefined) values.rejects++;
      }),
    ...(onProgress ? { onProgress } : {}),
    log,
  });
}
