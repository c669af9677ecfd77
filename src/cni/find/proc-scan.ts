/** Pods' processes as /proc tells of them: by the pod's UID in the path of a control group. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../../lib/errors.ts';

export type ReadText = (path: string) => string;

/** A process of a pod. */
export interface PodProcess {
  readonly pid: number;
  /** Since boot, in clock ticks: the oldest process of a pod is its sandbox. */
  readonly startTime: number;
}

/**
 * The UID of the pod whose containers the process belongs to, by the text of /proc/PID/cgroup: `pod<UID>` of the cgroupfs
 * driver, `kubepods-burstable-pod<UID with _>.slice` of systemd's, in control groups of version 1 and 2. Static pods have
 * a hash of their manifest in its place.
 */
export function podUidOfCgroup(text: string): string | undefined {
  for (const line of text.split('\n')) {
    const path = line.slice(line.indexOf(':', line.indexOf(':') + 1) + 1);
    const found =
      /(?:^|\/|-)pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?(?:\/|$)/i.exec(
        path,
      );
    if (found) return (found[1] ?? '').replaceAll('_', '-').toLowerCase();
  }
  return undefined;
}

/**
 * Processes of each pod by its UID, oldest first. What ends meanwhile is passed over. Throws when we have no means to look:
 * nobody may take that for an end of all pods.
 */
export function scanProcesses(procFolder: string, read: ReadText = readText): Map<string, PodProcess[]> {
  const pods = new Map<string, PodProcess[]>();
  for (const name of readdirSync(procFolder)) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const uid = podUidOfCgroup(read(join(procFolder, name, 'cgroup')));
      if (uid === undefined) continue;
      const startTime = startTimeOf(read(join(procFolder, name, 'stat')));
      const processes = pods.get(uid) ?? [];
      processes.push({ pid: Number(name), startTime });
      pods.set(uid, processes);
    } catch (error) {
      if (isWant(error)) throw error;
    }
  }
  for (const processes of pods.values()) processes.sort((a, b) => a.startTime - b.startTime || a.pid - b.pid);
  return pods;
}

/** Whether we failed for want of descriptors or memory: it tells nothing of what was looked at. */
export function isWant(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return [codeOf(error), codeOf(cause)].some((code) => code === 'EMFILE' || code === 'ENFILE' || code === 'ENOMEM');
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

/** Field 22; the command's name before it may hold blanks and parentheses. */
export function startTimeOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[19] ?? 0);
}
