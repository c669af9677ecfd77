/** One host of a backend: who it is now, what it has to do, and its pools of connections. */
import {
  createOutlierState,
  type BalancedHost,
  type HostSpec,
  type OutlierState,
} from '../../decision/balance/index.ts';
import type { Locality } from '../../api/workload.ts';
import type { HostPool } from './host-pool.ts';
import type { UpstreamHost } from './upstream.ts';

/** What the mesh does not list as endpoints: addresses that clients asked for, and names (`requestedName`). */
export interface PassthroughSpec extends Omit<HostSpec, 'workload' | 'service'> {
  /** Resolved whenever it is dialled. */
  readonly requestedName?: string;
  readonly workload?: HostSpec['workload'];
  readonly service?: HostSpec['service'];
}

export class Host implements BalancedHost {
  readonly key: string;
  spec: PassthroughSpec;
  /** The spec's, times what warming up leaves of it. */
  weight: number;
  activeRequests = 0;
  connections = 0;
  readonly outlier: OutlierState = createOutlierState();
  /** When it became a host, for its warm-up. */
  readonly sinceMs: number;
  /** When it was last found among the endpoints; its set counts. */
  seenInRound = 0;
  /** Pools by what tells their connections apart; the two usual ones apart from that, for speed. */
  http1: HostPool | undefined;
  http2: HostPool | undefined;
  readonly pools: Map<string, HostPool> = new Map();
  /** As told before there is a connection. */
  #plain: UpstreamHost | undefined;

  constructor(spec: PassthroughSpec, sinceMs: number) {
    this.key = spec.key;
    this.spec = spec;
    this.weight = spec.weight;
    this.sinceMs = sinceMs;
  }

  get priority(): number {
    return this.spec.priority;
  }

  get locality(): Locality {
    return this.spec.locality;
  }

  get isEjected(): boolean {
    return this.outlier.ejectedUntilMs > 0;
  }

  get healthy(): boolean {
    return this.spec.healthy && this.outlier.ejectedUntilMs === 0;
  }

  get isTunnelled(): boolean {
    const { endsTunnels, throughGateway, throughWaypoint, workload } = this.spec;
    if (endsTunnels) return false;
    return throughGateway !== undefined || throughWaypoint !== undefined || workload?.tunnelProtocol === 'hbone';
  }

  update(spec: PassthroughSpec): void {
    this.spec = spec;
    this.#plain = undefined;
  }

  describe(): UpstreamHost {
    const { workload } = this.spec;
    return (this.#plain ??= {
      ...placeOf(this.spec),
      tunnelled: this.isTunnelled,
      ...(workload ? { workload } : {}),
    });
  }
}

/** What is dialled, as far as it is known before; of a host in another network, the way into that. */
function placeOf({ address, port, requestedName, throughGateway, workload }: PassthroughSpec): {
  address: string;
  port: number;
} {
  const gateway = throughGateway && workload?.networkGateway;
  if (!gateway) return { address: address ?? requestedName ?? workload?.hostname ?? '', port };
  const { destination, hboneMtlsPort } = gateway;
  const gatewayHost = destination.kind === 'hostname' ? destination.hostname : destination.address.ip;
  return { address: gatewayHost, port: hboneMtlsPort };
}

/** Whether connections to the one are connections to the other. */
export function isSameDestination(a: PassthroughSpec, b: PassthroughSpec): boolean {
  if (a.address !== b.address || a.port !== b.port || a.throughWaypoint !== b.throughWaypoint) return false;
  if (a.endsTunnels !== b.endsTunnels) return false;
  const left = a.workload;
  const right = b.workload;
  if (left === right) return a.service === b.service || sameNames(a, b);
  return (
    left !== undefined &&
    right !== undefined &&
    left.tunnelProtocol === right.tunnelProtocol &&
    left.hostname === right.hostname &&
    left.trustDomain === right.trustDomain &&
    left.namespace === right.namespace &&
    left.serviceAccount === right.serviceAccount &&
    sameNames(a, b)
  );
}

function sameNames(a: PassthroughSpec, b: PassthroughSpec): boolean {
  const namesOf = ({ service, throughGateway, workload }: PassthroughSpec): string =>
    JSON.stringify([
      service?.subjectAltNames,
      throughGateway && [workload?.networkGateway, throughGateway.service.subjectAltNames],
    ]);
  return namesOf(a) === namesOf(b);
}
