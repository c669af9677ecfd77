/** What a process holds, as the kernel counts it. */
import { readFileSync } from 'node:fs';

export interface ProcessMemory {
  readonly rssKb: number;
  /** Written to by nobody else, not on disk: what the process costs by itself. */
  readonly privateDirtyKb: number;
}

export function processMemory(pid: number): ProcessMemory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  const kb = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN);
  return { rssKb: kb('Rss'), privateDirtyKb: kb('Private_Dirty') };
}
