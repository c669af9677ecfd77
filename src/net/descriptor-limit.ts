/** How many descriptors this process may have open. */
import { readFileSync } from 'node:fs';

const lowestLimit = 1024;

/** The soft RLIMIT_NOFILE. Node itself raises it to the hard one when it starts. */
export function descriptorLimit(): number {
  const line = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  if (line?.[1] === 'unlimited') return Number.MAX_SAFE_INTEGER;
  return line ? Number(line[1]) : lowestLimit;
}
