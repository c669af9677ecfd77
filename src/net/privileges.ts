/** Start-up checks: what a process of the data plane must be allowed to do, and what this Node must be able to do. */
import { AmbitError, messageOf } from '../lib/errors.ts';
import { closeNetns, namespacesOfThreads, openNetns, warmThreadPool, withNetns } from './netns.ts';
import { checkAdoption } from './socket-handle.ts';
import { applySocketOptions } from './socket-options.ts';
import * as sys from './sys.ts';

export interface Capabilities {
  /** Sockets can read into our own buffers; otherwise channels use 'data' events. */
  readonly adoptsSockets: boolean;
}

/** What a further thread of a process that passed `checkPrivileges` needs before its first `withNetns`. */
export async function startWorkerThread(): Promise<void> {
  await warmThreadPool();
  await checkAdoption();
}

/**
 * Warms the thread pool, then proves that setns, SO_MARK and IP_TRANSPARENT are allowed. Every process that uses
 * namespaces calls it first. Throws `net.not-permitted`.
 */
export async function checkPrivileges(): Promise<Capabilities> {
  await warmThreadPool();
  try {
    const home = openNetns('/proc/thread-self/ns/net');
    try {
      withNetns(home, () => {
        const fd = sys.socket(sys.linux.AF_INET, sys.linux.SOCK_STREAM);
        try {
          applySocketOptions(fd, sys.linux.AF_INET, { mark: 0x539, transparent: true });
        } finally {
          sys.close(fd);
        }
      });
    } finally {
      closeNetns(home);
    }
  } catch (error) {
    throw new AmbitError(
      `Cannot work with network namespaces (needs CAP_SYS_ADMIN and CAP_NET_ADMIN): ${messageOf(error)}`,
      {
        code: 'net.not-permitted',
        blame: 'internal',
        cause: error,
      },
    );
  }
  if (namespacesOfThreads().size !== 1) throw new Error('A thread of this process is in another network namespace');
  return { adoptsSockets: await checkAdoption() };
}
