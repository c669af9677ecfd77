/** What the pods of a node use: CPU time and memory of the processes in each pod's network namespace, from /proc. */
import { readdirSync, readFileSync, statSync } from 'node:fs';

export interface PodUsageSample {
  /** Since the node runs; it never goes back, also when processes end. */
  readonly cpuMs: number;
  readonly memoryBytes: number;
}

export interface UsedPod {
  readonly uid: string;
  readonly netnsPath: string;
}

/** Linux tells times in hundredths of a second to everybody, and pages of 4 KiB on what we run on. */
const msPerTick = 10;
const pageBytes = 4096;

interface Known {
  readonly uid: string;
  readonly ticks: number;
}

export class PodUsage {
  readonly #proc: string;
  /** By pid and start time: a pid may come again. */
  #processes = new Map<string, Known>();
  readonly #cpuMs = new Map<string, number>();

  constructor(proc: string = '/proc') {
    this.#proc = proc;
  }

  /** By UID. What a process used between the last look and its end is not known. */
  sample(pods: readonly UsedPod[]): Map<string, PodUsageSample> {
    const uids = new Map<number, string>();
    for (const { uid, netnsPath } of pods) {
      const inode = inodeOf(netnsPath);
      if (inode !== undefined) uids.set(inode, uid);
    }
    const memory = new Map<string, number>();
    const processes = new Map<string, Known>();
    for (const pid of readdirSync(this.#proc)) {
      if (!/^\d+$/.test(pid)) continue;
      const uid = uids.get(inodeOf(`${this.#proc}/${pid}/ns/net`) ?? -1);
      const stat = uid === undefined ? undefined : this.#readProcess(pid);
      if (uid === undefined || !stat) continue;
      const key = `${pid}:${stat.startTicks}`;
      const before = this.#processes.get(key)?.ticks ?? 0;
      processes.set(key, { uid, ticks: stat.ticks });
      this.#cpuMs.set(uid, (this.#cpuMs.get(uid) ?? 0) + Math.max(0, stat.ticks - before) * msPerTick);
      memory.set(uid, (memory.get(uid) ?? 0) + stat.memoryBytes);
    }
    this.#processes = processes;
    const wanted = new Set(pods.map(({ uid }) => uid));
    for (const uid of this.#cpuMs.keys()) if (!wanted.has(uid)) this.#cpuMs.delete(uid);
    return new Map(
      [...memory].map(([uid, memoryBytes]) => [uid, { cpuMs: this.#cpuMs.get(uid) ?? 0, memoryBytes }] as const),
    );
  }

  /** Undefined: it ended meanwhile. */
  #readProcess(pid: string): { ticks: number; startTicks: string; memoryBytes: number } | undefined {
    try {
      const text = readFileSync(`${this.#proc}/${pid}/stat`, 'utf8');
      // The name may hold blanks and brackets: fields are counted from after it (proc(5), from the third).
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      const [utime = '0', stime = '0'] = fields.slice(11, 13);
      return {
        ticks: Number(utime) + Number(stime),
        startTicks: fields[19] ?? '',
        memoryBytes: Number(fields[21] ?? 0) * pageBytes,
      };
    } catch {
      return undefined;
    }
  }
}

function inodeOf(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    return undefined;
  }
}
