/** Discovery on 15012: who may subscribe to what, and what of it is counted. */
import type { Log } from '../lib/log.ts';
import { rpcError, type RpcCall } from '../rpc/index.ts';
import { addressTypeUrl, authorizationTypeUrl, proxyResourceTypeUrl } from '../wire/index.ts';
import { createDeltaServer, type DeltaServer, type ResourceSource } from '../xds/index.ts';
import type { Caller, CallerAuthenticator } from './caller.ts';
import type { ControlMetrics } from './monitoring.ts';
import type { PodDirectory } from './pod-directory.ts';
import { authorizeProxy } from './proxy-authorizer.ts';
import type { ProxySources } from './proxy-source.ts';

/** Who subscribes: a node's proxy, or, with `gateway` (`<namespace>/<name>`), a proxy of that Gateway. */
export interface DiscoveryClient extends Caller {
  readonly gateway?: string;
}

export interface DiscoveryServiceOptions {
  readonly authorizations: ResourceSource;
  readonly addresses: ResourceSource;
  readonly proxies: Pick<ProxySources, 'of'>;
  readonly callers: CallerAuthenticator;
  readonly pods: Pick<PodDirectory, 'get' | 'changed'>;
  /** Account that the proxies of a Gateway run as; undefined: there is no such Gateway of ours. */
  readonly accountOf: (namespace: string, gateway: string) => string | undefined;
  /** `<namespace>/<service account>` of those who may read the whole mesh. */
  readonly trustedAccounts: ReadonlySet<string>;
  readonly metrics: ControlMetrics;
  /** What data planes hold, or refuse, has changed. */
  readonly onProgress?: () => void;
  /** How long a pod or a Gateway may take to appear in the watch; default 2 s. */
  readonly patienceMs?: number;
  readonly log: Log;
}

export function createDiscoveryService(options: DiscoveryServiceOptions): DeltaServer<DiscoveryClient> {
  const { authorizations, addresses, proxies, metrics, onProgress, log } = options;
  return createDeltaServer<DiscoveryClient>({
    // In push order: a policy before the address that names it, addresses before the routes that lead there.
    types: [
      { typeUrl: authorizationTypeUrl, source: authorizations },
      { typeUrl: addressTypeUrl, source: addresses },
      {
        typeUrl: proxyResourceTypeUrl,
        isTransaction: true,
        sourceOf: ({ gateway }) => (gateway === undefined ? undefined : proxies.of(gateway)),
      },
    ],
    authenticate: (call) => authenticateClient(options, call),
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

export type ClientAuthentication = Pick<
  DiscoveryServiceOptions,
  'callers' | 'pods' | 'accountOf' | 'trustedAccounts' | 'patienceMs'
>;

/**
 * Who calls as a data plane. A proxy may be up before the watch has told of its pod, or of its Gateway: it is given a moment. Throws
 * `rpcError`.
 */
export async function authenticateClient(options: ClientAuthentication, call: RpcCall): Promise<DiscoveryClient> {
  const { callers, pods, accountOf, trustedAccounts, patienceMs = 2000 } = options;
  const caller = await callers.authenticate(call);
  if (trustedAccounts.has(`${caller.namespace}/${caller.serviceAccount}`)) return caller;
  const patience = AbortSignal.any([AbortSignal.timeout(patienceMs), call.signal]);
  for (;;) {
    const pod = caller.pod && pods.get(caller.namespace, caller.pod.name);
    const verdict = authorizeProxy({ caller, pod, accountOf });
    if (verdict.kind === 'proxy') return { ...caller, gateway: verdict.gateway };
    if (!verdict.transient || patience.aborted) throw rpcError('permission-denied', verdict.reason);
    await pods.changed(patience);
  }
}
