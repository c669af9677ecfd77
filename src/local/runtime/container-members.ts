/**
 * Which processes belong to a container whose pod shares one pid namespace: those in its user namespace, and in the ones that
 * were made in it. A process gets into no other, so that none escapes the end of its container.
 */
import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { parentNamespace } from '../../net/index.ts';

const retryMs = 10;
const retries = 100;

/** What names the user namespace of a process for `killMembers`. Throws when the process is gone. */
export function userNamespaceOf(pid: number): string {
  return readlinkSync(`/proc/${pid}/ns/user`);
}

/** Kills them all, those too that are made meanwhile. */
export async function killMembers(userNamespace: string): Promise<void> {
  for (let round = 0; round < retries; round++) {
    const members = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isMember(Number(name), userNamespace));
    if (members.length === 0) return;
    for (const pid of members) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // Gone in between.
      }
    }
    await new Promise((resolve) => void setTimeout(resolve, retryMs));
  }
}

function isMember(pid: number, userNamespace: string): boolean {
  const opened: number[] = [];
  try {
    // Most processes of a machine are in the runtime's: one call tells.
    const own = userNamespaceOf(pid);
    if (own === userNamespace) return true;
    if (own === userNamespaceOf(process.pid)) return false;
    let fd = openSync(`/proc/${pid}/ns/user`, 'r');
    opened.push(fd);
    for (;;) {
      const parent = parentNamespace(fd);
      if (parent === undefined) return false;
      opened.push((fd = parent));
      if (readlinkSync(`/proc/self/fd/${fd}`) === userNamespace) return true;
    }
  } catch {
    // Gone, or a zombie.
    return false;
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}
