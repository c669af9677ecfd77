/** What a captured connection wants, and what it gets. */
import type { SpiffeId } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import type { OutboundPlan } from '../../decision/index.ts';
import type { HbonePool, TunnelKey } from '../../hbone/index.ts';
import type { ByteChannel, Endpoint } from '../../net/index.ts';
import type { TraceContext } from '../../telemetry/index.ts';
import type { Connection } from './connections.ts';
import type { PodContext } from './data-context.ts';
import type { WorkloadLabels } from './traffic.ts';

/** A connection that wants to go somewhere. */
export interface ReachRequest {
  readonly connection: Connection;
  readonly own: MeshWorkload;
  readonly pod: PodContext;
  readonly pool: HbonePool<TunnelKey>;
  readonly trace: TraceContext;
  /** `ip:port` of the application. */
  readonly src: string;
  readonly sourceIp: string;
  readonly destination: Endpoint;
  /** The address of ours that the connection came in on: the kernel is asked for it when somebody wants to know. */
  readonly listenerIp: (() => string | undefined) | undefined;
}

export type DialPlan = Extract<OutboundPlan, { kind: 'hbone' | 'tcp' | 'passthrough' }>;

export interface Upstream {
  readonly channel: ByteChannel;
  /** Who answered, where the plan does not say it. */
  readonly identity?: SpiffeId;
  /** What the far end of a gateway says of itself. */
  readonly labels?: WorkloadLabels | undefined;
}
