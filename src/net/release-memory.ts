/** Gives back to the system what starting took: V8 collects by itself only when it is about to grow, and malloc keeps what it has. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { readFileSync } from 'node:fs';
import { trimHeap, unmapPages } from './sys.ts';

interface CollectOptions {
  readonly type: 'major';
  readonly execution: 'sync';
  readonly flavor: 'last-resort';
}

type Collect = (options: CollectOptions) => void;

let collect: Collect | undefined;

/**
 * A full collection of this thread, after which its heap is as small as it can be; it grows again as it is used. Stops the
 * thread for some milliseconds per 10 MB: for moments when nobody waits. Measured on a ztunnel that started: 96 to 77 MB of RSS.
 * Code that was mapped while it started is let go too (another 25 MB): what runs is mapped again at its next use, the rest the
 * kernel may drop before it has to swap.
 */
export function releaseMemory(): void {
  releaseCode();
  collect ??= collector();
  collect?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  trimHeap();
}

/** A mapping and its lines in /proc/PID/smaps: `55d0-55e0 r-xp 00001000 fe:00 1234   /usr/bin/node`. */
const mappingLine = /^([0-9a-f]+)-([0-9a-f]+) (r-xp|r--p) \S+ \S+ [1-9]\d* +\/.*$/;
/** One for pages of our own that are in memory, one for those that the kernel has swapped out. */
const noneOfOurOwn = /^(?:Anonymous|Swap): +0 kB$/;

export interface Mapping {
  readonly address: number;
  readonly length: number;
}

function releaseCode(): void {
  for (const { address, length } of replaceableMappings(ownMappings())) unmapPages(address, length);
}

/** Of an smaps: read-only mappings of files with no page of our own (relocated data is written to): nothing is lost that the file does not have. */
export function replaceableMappings(smaps: string): Mapping[] {
  const found: Mapping[] = [];
  let mapping: Mapping | undefined;
  let known = 0;
  for (const line of smaps.split('\n')) {
    if (/^[0-9a-f]+-/.test(line)) {
      const [, from, to] = mappingLine.exec(line) ?? [];
      mapping = from && to ? rangeOf(from, to) : undefined;
      known = 0;
    } else if (mapping && noneOfOurOwn.test(line) && ++known === 2) found.push(mapping);
  }
  return found;
}

function rangeOf(from: string, to: string): Mapping {
  const address = Number.parseInt(from, 16);
  return { address, length: Number.parseInt(to, 16) - address };
}

function ownMappings(): string {
  try {
    return readFileSync('/proc/self/smaps', 'latin1');
  } catch {
    return '';
  }
}

/**
 * V8 gives it to contexts made while the flag is set, and ours is not among them. The flag is the process's: another thread that does
 * the same may take it away in between, then we try again. Undefined when that did not help: only memory is at stake.
 */
function collector(): Collect | undefined {
  for (let attempt = 0; attempt < 10; attempt++) {
    setFlagsFromString('--expose-gc');
    const found = runInNewContext('globalThis.gc') as Collect | undefined;
    setFlagsFromString('--no-expose-gc');
    if (found) return found;
  }
  return undefined;
}
