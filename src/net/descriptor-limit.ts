/** How many descriptors this process may have open, and has. */
import { readFileSync, statSync } from 'node:fs';

const lowestLimit = 1024;

/** The soft RLIMIT_NOFILE. Node itself raises it to the hard one when it starts. */
export function descriptorLimit(): number {
  const line = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  if (line?.[1] === 'unlimited') return Number.MAX_SAFE_INTEGER;
  return line ? Number(line[1]) : lowestLimit;
}

/** How many descriptors the process has open; undefined: the kernel does not tell (before Linux 6.2). */
export function openDescriptors(): number | undefined {
  const { size } = statSync('/proc/self/fd');
  return size === 0 ? undefined : size;
}
