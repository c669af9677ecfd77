/** What runs of a local mesh, with pids as the caller sees them. */
import type { ComponentStatus } from './components.ts';
import { isInitRunning } from './init.ts';
import { mapNamespacePids, startedAtMs, startTicks } from './host-process.ts';
import { readMeshRecord, type StatePaths } from './state-dir.ts';
import type { MeshPhase } from './supervisor.ts';
import { tryMeshStatus } from './up.ts';

export type MeshView =
  | { readonly kind: 'stopped' }
  | {
      readonly kind: 'running';
      readonly phase: MeshPhase;
      readonly processes: readonly ComponentStatus[];
      readonly published: readonly string[];
    };

/** Never throws for a mesh that is down or half alive: it says what is there. */
export async function viewMesh(paths: StatePaths): Promise<MeshView> {
  const record = readMeshRecord(paths);
  if (!record?.init || !isInitRunning(record)) return { kind: 'stopped' };
  const status = await tryMeshStatus(paths);
  const pids = mapNamespacePids(record.init.pid);
  const components = (status?.components ?? []).map((component) => ({
    ...component,
    pid: pids.get(component.pid) ?? 0,
  }));
  const { pid, startTicks: ticks } = record.init;
  const init = { component: 'init', node: '', pid, ready: true, since: sinceOf(ticks) };
  const processes = [init, ...forwarderOf(status?.forwarderPid, pids), ...components];
  const phase = status?.phase ?? { kind: 'starting', step: 'waiting for the supervisor' };
  return { kind: 'running', phase, processes, published: record.publish ?? [] };
}

/** It was started before the supervisor and is no child of it: the supervisor knows its pid alone. */
function forwarderOf(innerPid: number | undefined, pids: ReadonlyMap<number, number>): ComponentStatus[] {
  const pid = innerPid === undefined ? undefined : pids.get(innerPid);
  const ticks = pid === undefined ? undefined : startTicks(pid);
  if (pid === undefined || ticks === undefined)
    return [{ component: 'forwarder', node: '', pid: 0, ready: false, since: '' }];
  return [{ component: 'forwarder', node: '', pid, ready: true, since: sinceOf(ticks) }];
}

function sinceOf(ticks: string): string {
  return new Date(startedAtMs(ticks)).toISOString();
}
