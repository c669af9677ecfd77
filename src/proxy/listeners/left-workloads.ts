/**
 * Workloads that used another waypoint a moment ago, or none does now: ztunnels that have not heard of it still send what goes to
 * them here. Services that leave are told by the control plane (`leaving`); workloads are no resources of a proxy.
 */
import type { WorkloadUid } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import { isWaypointOf } from '../../decision/index.ts';
import type { Clock } from '../../lib/clock.ts';
import type { MeshState } from '../../mesh/index.ts';

export interface LeftWorkloadsOptions {
  readonly mesh: MeshState;
  readonly clock: Clock;
  /** Ourselves as the mesh knows us. */
  readonly own: () => MeshWorkload | undefined;
  /** Workloads have left us. */
  readonly onLeave: () => void;
  readonly ended: AbortSignal;
}

/** Long enough for every ztunnel that is connected; a waypoint that is taken away is not to be used for much longer. */
const lingerMs = 15_000;

export class LeftWorkloads {
  readonly #options: LeftWorkloadsOptions;
  /** Those that use a waypoint, as they were told last. */
  readonly #told = new Map<WorkloadUid, MeshWorkload>();
  /** As they were when they were ours. */
  readonly #left = new Map<WorkloadUid, MeshWorkload>();

  constructor(options: LeftWorkloadsOptions) {
    const { mesh, ended } = options;
    this.#options = options;
    const unsubscribe = mesh.subscribe((change) => {
      if (change.kind === 'addresses') this.#follow(change.workloads);
    });
    ended.addEventListener('abort', unsubscribe, { once: true });
  }

  /** Whether we stood for it until a moment ago. */
  has(workload: MeshWorkload): boolean {
    return this.#left.has(workload.uid);
  }

  #follow(uids: ReadonlySet<WorkloadUid>): void {
    const { mesh, own, onLeave } = this.#options;
    const self = own();
    let isOneGone = false;
    for (const uid of uids) {
      const before = this.#told.get(uid);
      const now = mesh.workload(uid);
      if (now?.waypoint) this.#told.set(uid, now);
      else this.#told.delete(uid);
      if (!self || !now) continue;
      if (isWaypointOf(self, now, mesh)) this.#left.delete(uid);
      else if (before && isWaypointOf(self, before, mesh)) {
        this.#linger(before);
        isOneGone = true;
      }
    }
    if (isOneGone) onLeave();
  }

  #linger(workload: MeshWorkload): void {
    this.#left.set(workload.uid, workload);
    this.#options.clock.after(lingerMs, () => {
      if (this.#left.get(workload.uid) === workload) this.#left.delete(workload.uid);
    });
  }
}
