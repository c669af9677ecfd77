/** What every part of the data path of one data part shares. */
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { NetworkId } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import type { MeshState } from '../../mesh/index.ts';
import type { Authorizer } from './authorize.ts';
import type { CertificateStore } from './certificate-store.ts';
import type { ConnectionRegistry } from './connections.ts';
import type { PodToServe } from '../messages.ts';
import { waitForMesh } from './wait-for-mesh.ts';

/** Limits and times of the data path, with their defaults in `dataDefaults`. */
export interface DataLimits {
  readonly connectTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  /** How long a connection waits for the mesh to know its own pod. */
  readonly ownWorkloadTimeoutMs: number;
  /** Handshakes under way at once, per pod; more are refused. */
  readonly maxHandshakes: number;
  readonly keepAliveMs: number;
}

export const dataDefaults: DataLimits = {
  connectTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000,
  ownWorkloadTimeoutMs: 5000,
  maxHandshakes: 1024,
  keepAliveMs: 180_000,
};

export interface DataContext {
  readonly mesh: MeshState;
  readonly network: NetworkId;
  readonly clock: Clock;
  readonly log: Log;
  readonly connections: ConnectionRegistry;
  readonly authorizer: Authorizer;
  readonly certificates: CertificateStore;
  readonly random: () => number;
  readonly limits: DataLimits;
}

/** One served pod, as its three listeners see it. */
export interface PodContext extends DataContext {
  readonly target: PodToServe;
  /** Aborts when the pod goes away. */
  readonly ended: AbortSignal;
}

/** The pod's workload in the mesh; waits a moment for a pod that is new. */
export function ownWorkload(pod: PodContext, signal: AbortSignal): MeshWorkload | Promise<MeshWorkload | undefined> {
  const { mesh, clock, limits } = pod;
  const probe = (): MeshWorkload | undefined => mesh.workloadOfPod(pod.target.pod);
  return probe() ?? waitForMesh({ mesh, clock, timeoutMs: limits.ownWorkloadTimeoutMs, signal, probe });
}
