/** Who runs on the machine, by /proc. */
import { readFileSync, readdirSync } from 'node:fs';

/** Processes of the machine whose command line names the state folder. */
export function processesOf(state: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return commandLine.includes(state) ? [`${pid} ${commandLine}`] : [];
      } catch {
        return [];
      }
    });
}
