/** A pseudo terminal of a container: its own, so that programs in it find their terminal under /dev/pts. */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { codeOf } from '../../../lib/errors.ts';
import { closeDescriptor, openPtyPeer, setWindowSize } from '../../../net/index.ts';
import type { TerminalSize } from './remote-session.ts';

export interface Terminal {
  /** For the command; the caller closes it once the command has it. */
  readonly commandFd: number;
  /** Its name under /dev/pts. */
  readonly number: number;
  /** What the command writes. Ends when nobody has the terminal open any more. */
  readonly output: Readable;
  /** Resolves when the terminal took it all. What is left is dropped when the terminal closes. */
  write(bytes: Buffer): Promise<void>;
  resize(size: TerminalSize): void;
  /** Ends it: whoever is still on it gets SIGHUP. */
  close(): void;
}

/** Major 5, minor 2: the multiplexer of pseudo terminals. */
const ptmxDevice = (5 << 8) | 2;
const retryMs = 10;

/** Opens a terminal in the container that `pid` is in. Throws a system error when it has none to give. */
export function openTerminal(pid: number): Terminal {
  const masterFd = openMultiplexer(pid);
  let commandFd: number;
  try {
    commandFd = openPtyPeer(masterFd);
  } catch (error) {
    closeSync(masterFd);
    throw error;
  }
  const output = new ReadStream(masterFd);
  // EIO is how Linux says that the other end is closed.
  output.on('error', () => output.destroy());
  return {
    commandFd,
    number: minorOf(fstatSync(commandFd).rdev),
    output,
    async write(bytes) {
      for (let rest = bytes; rest.length > 0 && !output.destroyed;) {
        const written = tryWrite(masterFd, rest);
        if (written === undefined) return;
        rest = rest.subarray(written);
        if (rest.length > 0) await new Promise((resolve) => void setTimeout(resolve, retryMs));
      }
    },
    resize(size) {
      if (!output.destroyed) setWindowSize(masterFd, size);
    },
    close: () => void output.destroy(),
  };
}

/** As Linux packs device numbers: the number of a pseudo terminal is its minor one. */
function minorOf(rdev: number): number {
  return (rdev & 0xff) | ((rdev >> 12) & ~0xff);
}

/** Bytes taken, 0 when the terminal is full, undefined when it is gone. */
function tryWrite(fd: number, bytes: Buffer): number | undefined {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    return codeOf(error) === 'EAGAIN' ? 0 : undefined;
  }
}

/** Step by step: a link that the container put in the way must not lead us to a file of ours. */
function openMultiplexer(pid: number): number {
  const opened: number[] = [];
  const step = (path: string, flags: number): number => {
    const fd = openSync(path, flags | constants.O_NOFOLLOW);
    opened.push(fd);
    return fd;
  };
  try {
    const folder = constants.O_RDONLY | constants.O_DIRECTORY;
    const dev = step(`/proc/${pid}/root/dev`, folder);
    const pts = step(`/proc/self/fd/${dev}/pts`, folder);
    const master = step(`/proc/self/fd/${pts}/ptmx`, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
    if (fstatSync(master).rdev !== ptmxDevice) throw new Error('/dev/pts/ptmx of the container is something else');
    opened.pop();
    return master;
  } finally {
    for (const fd of opened) closeDescriptor(fd);
  }
}
