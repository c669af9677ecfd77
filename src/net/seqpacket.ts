/** Packets over AF_UNIX SOCK_SEQPACKET, each with at most one descriptor: what the node agent and ztunnel speak. */
import { closeSync, lstatSync, openSync, unlinkSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { AmbitError } from '../lib/errors.ts';
import { encodeUnixAddress } from './address.ts';
import { watchReadable } from './readiness.ts';
import * as sys from './sys.ts';

const { linux } = sys;

export interface SeqpacketHandlers {
  /** A packet. `descriptor` is the receiver's to close; `bytes` is the receiver's to keep. */
  onMessage(bytes: Uint8Array, descriptor: number | undefined): void;
  /** Over. Exactly once, last; `error` is absent when the peer closed orderly or we closed. */
  onClose(error?: Error): void;
}

export interface SeqpacketConnection {
  /** Who connected, or who listens, as the kernel vouches for it; undefined where it does not. */
  readonly peerUserId: number | undefined;
  /** Sends one packet; `descriptor` is duplicated on the way and stays the caller's. Throws when the peer is gone or does not read. */
  send(bytes: Uint8Array, descriptor?: number): void;
  /** Idempotent. `onClose` follows on a later turn. */
  close(error?: Error): void;
}

export interface SeqpacketListenOptions {
  /** A socket left over at this path is replaced. */
  readonly path: string;
  /** Longest packet; a longer one closes the connection. Default 1024. */
  readonly maxBytes?: number;
  /** Never throws. */
  readonly onConnection: (connection: SeqpacketConnection) => SeqpacketHandlers;
  /** A connection could not be accepted; it is tried again a little later. */
  readonly onError?: (error: Error) => void;
}

export interface SeqpacketListener {
  /** Stops listening and removes the socket file, unless it is somebody else's by now; connections live on. Idempotent. */
  close(): void;
}

export interface SeqpacketConnectOptions extends SeqpacketHandlers {
  readonly path: string;
  readonly maxBytes?: number;
}

const defaultMaxBytes = 1024;
const backlog = 16;
const acceptPauseMs = 100;

/** Listens at `path`. Throws when the path cannot be bound. */
export function listenSeqpacket(options: SeqpacketListenOptions): SeqpacketListener {
  removeSocket(options.path);
  const fd = sys.socket(linux.AF_UNIX, linux.SOCK_SEQPACKET);
  let own: string | undefined;
  try {
    // Only our own user may connect: what goes over these sockets opens namespaces.
    const umask = process.umask(0o177);
    try {
      withSocketPath(options.path, (address) => sys.bind(fd, address, options.path));
    } finally {
      process.umask(umask);
    }
    sys.listenOn(fd, backlog);
    own = socketAt(options.path);
  } catch (error) {
    sys.close(fd);
    throw error;
  }
  let stop = (): void => {};
  const watch = (): void => void (stop = watchReadable(fd, onReadable));
  const onReadable = (): void => {
    let accepted: number | undefined;
    try {
      accepted = sys.accept(fd);
    } catch (error) {
      // Out of descriptors, for one: who waits still waits, and would be told of at once again.
      stop();
      const timer = setTimeout(watch, acceptPauseMs);
      stop = () => clearTimeout(timer);
      return options.onError?.(error as Error);
    }
    if (accepted === undefined) return;
    const connection = new Connection(accepted, options.maxBytes ?? defaultMaxBytes);
    connection.start(options.onConnection(connection));
  };
  watch();
  let open = true;
  return {
    close() {
      if (!open) return;
      open = false;
      stop();
      sys.close(fd);
      removeSocket(options.path, own);
    },
  };
}

/** Connects to `path`; throws when nobody listens there. */
export function connectSeqpacket(options: SeqpacketConnectOptions): SeqpacketConnection {
  const fd = sys.socket(linux.AF_UNIX, linux.SOCK_SEQPACKET);
  try {
    withSocketPath(options.path, (address) => sys.connect(fd, address, options.path));
  } catch (error) {
    sys.close(fd);
    throw error;
  }
  const connection = new Connection(fd, options.maxBytes ?? defaultMaxBytes);
  connection.start(options);
  return connection;
}

class Connection implements SeqpacketConnection {
  readonly peerUserId: number | undefined;
  readonly #fd: number;
  readonly #maxBytes: number;
  #handlers: SeqpacketHandlers | undefined;
  #unwatch: (() => void) | undefined;
  #open = true;

  constructor(fd: number, maxBytes: number) {
    this.#fd = fd;
    this.#maxBytes = maxBytes;
    // struct ucred { pid_t pid; uid_t uid; gid_t gid }
    const credentials = sys.getOption(fd, linux.SOL_SOCKET, linux.SO_PEERCRED, 12);
    this.peerUserId = credentials && Buffer.from(credentials).readUInt32LE(4);
  }

  start(handlers: SeqpacketHandlers): void {
    this.#handlers = handlers;
    if (this.#open) this.#unwatch = watchReadable(this.#fd, () => this.#receive());
  }

  send(bytes: Uint8Array, descriptor?: number): void {
    if (!this.#open)
      throw new AmbitError('Cannot send packet: the connection is closed', { code: 'net.closed', blame: 'internal' });
    if (bytes.length > this.#maxBytes) {
      throw new AmbitError(`Cannot send packet of ${bytes.length} bytes: the limit is ${this.#maxBytes}`, {
        code: 'net.packet-too-long',
        blame: 'internal',
      });
    }
    if (!sys.sendMessage(this.#fd, bytes, descriptor)) {
      throw new AmbitError('Cannot send packet: the peer does not read', { code: 'net.queue-full', blame: 'upstream' });
    }
  }

  close(error?: Error): void {
    if (!this.#open) return;
    this.#open = false;
    this.#unwatch?.();
    sys.close(this.#fd);
    setImmediate(() => this.#handlers?.onClose(error));
  }

  /** A few packets a turn, so that one peer cannot hold the loop. */
  #receive(): void {
    for (let i = 0; i < 16 && this.#open; i++) {
      let message: sys.ReceivedMessage | undefined;
      try {
        message = sys.receiveMessage(this.#fd, this.#maxBytes);
      } catch (error) {
        return this.close(error as Error);
      }
      if (!message) return;
      const [descriptor, ...more] = message.descriptors;
      if (message.truncated || more.length > 0) {
        for (const received of message.descriptors) sys.close(received);
        const problem = message.truncated ? 'truncated' : 'with several descriptors';
        return this.close(
          new AmbitError(`Cannot accept packet: it came ${problem}`, { code: 'net.packet-invalid', blame: 'upstream' }),
        );
      }
      if (message.bytes.length === 0) {
        if (descriptor !== undefined) sys.close(descriptor);
        return this.close();
      }
      this.#handlers?.onMessage(message.bytes, descriptor);
    }
  }
}

/** A path longer than `sun_path` goes through the descriptor of its folder. */
function withSocketPath(path: string, use: (address: Uint8Array) => void): void {
  if (Buffer.byteLength(path) <= 107) return use(encodeUnixAddress(path));
  const folder = openSync(dirname(path), 'r');
  try {
    use(encodeUnixAddress(`/proc/self/fd/${folder}/${basename(path)}`));
  } finally {
    closeSync(folder);
  }
}

/** The socket at `path`; where `only` is given, no other one. */
export function removeSocket(path: string, only?: string): void {
  const there = socketAt(path);
  if (there !== undefined && (only === undefined || there === only)) unlinkSync(path);
}

/** What tells the socket that is at `path` now apart from others; undefined when there is none. */
export function socketAt(path: string): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isSocket() ? `${found.dev}:${found.ino}:${found.ctimeMs}` : undefined;
}
