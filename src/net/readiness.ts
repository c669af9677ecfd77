/** Readiness of descriptors that Node's event loop refuses: one poll() in a pool thread watches them all. */
import * as sys from './sys.ts';

const { linux } = sys;

interface Watch {
  readonly fd: number;
  readonly onReadable: () => void;
}

const watches = new Set<Watch>();
let wakeFd: number | undefined;
let polling = false;
/** Referenced here for as long as the poll runs: native code writes into it. */
let records = new Uint8Array(0);

/**
 * Calls `onReadable` whenever `fd` has something to read (or hung up), again and again while it has. Returns what ends it;
 * only after that may the descriptor be closed. Keeps the process alive, and takes one thread of libuv's pool while there are watches.
 */
export function watchReadable(fd: number, onReadable: () => void): () => void {
  const watch: Watch = { fd, onReadable };
  watches.add(watch);
  wake();
  return () => {
    if (watches.delete(watch)) wake();
  };
}

function wake(): void {
  wakeFd ??= sys.openEventFd();
  if (polling) sys.signalEventFd(wakeFd);
  else poll();
}

function poll(): void {
  if (watches.size === 0 || wakeFd === undefined) return;
  const watched = [...watches];
  records = new Uint8Array(8 * (watched.length + 1));
  const view = new DataView(records.buffer);
  [wakeFd, ...watched.map((watch) => watch.fd)].forEach((fd, i) => {
    view.setInt32(8 * i, fd, true);
    view.setInt16(8 * i + 4, linux.POLLIN, true);
  });
  polling = true;
  // Bounded, so that a process that ends for another reason does not wait for this thread.
  sys.pollInPool(records, watched.length + 1, 1000, (failed) => {
    polling = false;
    if (!failed) {
      if (view.getInt16(6, true) !== 0 && wakeFd !== undefined) sys.drainEventFd(wakeFd);
      watched.forEach((watch, i) => {
        if (view.getInt16(8 * (i + 1) + 6, true) !== 0 && watches.has(watch)) watch.onReadable();
      });
    }
    if (!polling) poll();
  });
}
