/** What runs of a local mesh, with pids as the caller sees them. */
import type { ComponentStatus } from './components.ts';
import { isInitRunning } from './init.ts';
import { mapNamespacePids } from './host-process.ts';
import { readMeshRecord, type StatePaths } from './state-dir.ts';
import type { MeshPhase } from './supervisor.ts';
import { tryMeshStatus } from './up.ts';

export type MeshView =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'running'; readonly phase: MeshPhase; readonly processes: readonly ComponentStatus[] };

/** Never throws for a mesh that is down or half alive: it says what is there. */
export async function viewMesh(paths: StatePaths): Promise<MeshView> {
  const record = readMeshRecord(paths);
  if (!record?.init || !isInitRunning(record)) return { kind: 'stopped' };
  const status = await tryMeshStatus(paths);
  const pids = mapNamespacePids(record.init.pid);
  const processes = (status?.components ?? []).map((component) => ({
    ...component,
    pid: pids.get(component.pid) ?? 0,
  }));
  const phase = status?.phase ?? { kind: 'starting', step: 'waiting for the supervisor' };
  return { kind: 'running', phase, processes };
}
