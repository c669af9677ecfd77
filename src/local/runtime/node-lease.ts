/** The node's Lease: by its renewal the node controller sees that the node lives (KEP 589, kubelet's nodelease). */
import { kinds, type Lease } from '../../api/index.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { isKubeError, type KubeClient } from '../../kube/index.ts';

export interface NodeLeaseOptions {
  readonly client: KubeClient;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const namespace = 'kube-node-lease';
const durationSeconds = 40;
/** A quarter of the duration, as a kubelet does. */
const renewMs = 10_000;

/** Renews until `signal` aborts. A server that is away, or has no Leases, is asked again at the next turn. */
export async function keepNodeLease(options: NodeLeaseOptions): Promise<void> {
  const { signal, log } = options;
  while (!signal.aborted) {
    try {
      await renewNodeLease(options);
    } catch (error) {
      if (!signal.aborted) log.debug('Cannot renew the lease of the node', { error: messageOf(error) });
    }
    await sleep(renewMs, signal);
  }
}

/** One renewal; makes the Lease, owned by the Node, when it is missing. */
export async function renewNodeLease({ client, nodeName, clock, signal }: NodeLeaseOptions): Promise<void> {
  const spec = {
    holderIdentity: nodeName,
    leaseDurationSeconds: durationSeconds,
    renewTime: microTime(clock.nowMs()),
  };
  try {
    await client.patch(kinds.Lease, nodeName, namespace, { spec }, { type: 'merge', signal });
    return;
  } catch (error) {
    if (!isKubeError(error) || error.status !== 404) throw error;
  }
  const { uid = '' } = (await client.get(kinds.Node, nodeName, undefined, signal)).metadata;
  const lease: Lease = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: nodeName,
      namespace,
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid }],
    },
    spec,
  };
  await client.create(kinds.Lease, lease, signal);
}

/** `metav1.MicroTime`: RFC 3339 with microseconds. */
function microTime(nowMs: number): string {
  return new Date(nowMs).toISOString().replace('Z', '000Z');
}
