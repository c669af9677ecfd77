/** Processes as the caller's /proc shows them: children, start times, and who is who across pid namespaces. */
import { readdirSync, readFileSync } from 'node:fs';

interface ProcessStatus {
  readonly pid: number;
  readonly parent: number;
  /** The process's pid in every pid namespace from the reader's down to its own. */
  readonly namespacePids: readonly number[];
}

/** Field 22 of /proc/PID/stat: with the pid it names a process for ever. Undefined when there is none, or a zombie. */
export function startTicks(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** Clock ticks a second in /proc (sysconf(_SC_CLK_TCK)): 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** When a process with these start ticks started, in milliseconds since the Unix epoch. */
export function startedAtMs(ticks: string): number {
  const bootSeconds = Number(/^btime (\d+)/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? 0);
  return (bootSeconds + Number(ticks) / ticksPerSecond) * 1000;
}

export function isSameProcess(process: { readonly pid: number; readonly startTicks: string }): boolean {
  return startTicks(process.pid) === process.startTicks;
}

/** The command line of every process that /proc shows. */
export function commandLines(): ReadonlyMap<number, readonly string[]> {
  const found = new Map<number, readonly string[]>();
  for (const { pid } of allProcesses()) {
    try {
      found.set(pid, readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1));
    } catch {
      // Ended between the look and the read.
    }
  }
  return found;
}

export function childrenOf(pid: number): number[] {
  return allProcesses()
    .filter((process) => process.parent === pid)
    .map((process) => process.pid);
}

/** The parent of a process, or undefined when there is no such process or its parent is outside what /proc shows. */
export function parentOf(pid: number): number | undefined {
  return tryReadStatus(pid)?.parent || undefined;
}

/** Maps pids as seen inside the pid namespace whose init is `initPid` to the caller's own pids. */
export function mapNamespacePids(initPid: number): ReadonlyMap<number, number> {
  const processes = new Map(allProcesses().map((process) => [process.pid, process]));
  const init = processes.get(initPid);
  const mapped = new Map<number, number>();
  if (!init) return mapped;
  // The init of a child namespace has one more pid than its parent sees; everything below it has at least as many.
  const depth = init.namespacePids.length - 1;
  for (const process of processes.values()) {
    const inner = process.namespacePids[depth];
    if (inner !== undefined && descendsFrom(process, initPid, processes)) mapped.set(inner, process.pid);
  }
  return mapped;
}

function descendsFrom(
  process: ProcessStatus,
  ancestor: number,
  processes: ReadonlyMap<number, ProcessStatus>,
): boolean {
  let current: ProcessStatus | undefined = process;
  for (let steps = 0; current && steps < 1000; steps++) {
    if (current.pid === ancestor) return true;
    current = processes.get(current.parent);
  }
  return false;
}

function allProcesses(): ProcessStatus[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => tryReadStatus(Number(name)) ?? []);
}

function tryReadStatus(pid: number): ProcessStatus | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const parent = Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    const pids = /^NSpid:\s+(.*)$/m.exec(status)?.[1]?.split('\t').map(Number) ?? [pid];
    return { pid, parent, namespacePids: pids };
  } catch {
    return undefined;
  }
}
