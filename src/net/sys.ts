/** Linux system calls that Node does not offer, through koffi. The only foreign-function file of the tree. */
import { constants } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import { AmbitError } from '../lib/errors.ts';

/** Values of the Linux ABI, the same on x86-64 and arm64. */
export const linux = {
  AF_UNIX: 1,
  AF_INET: 2,
  AF_INET6: 10,
  AF_NETLINK: 16,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_RAW: 3,
  SOCK_SEQPACKET: 5,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  CLONE_NEWNET: 0x40000000,
  SOL_SOCKET: 1,
  SOL_IP: 0,
  SOL_TCP: 6,
  SOL_IPV6: 41,
  SO_REUSEADDR: 2,
  SO_TYPE: 3,
  SO_LINGER: 13,
  SO_REUSEPORT: 15,
  SO_PEERCRED: 17,
  SO_ACCEPTCONN: 30,
  SO_MARK: 36,
  TCP_NODELAY: 1,
  TCP_KEEPINTVL: 5,
  TCP_KEEPCNT: 6,
  IP_FREEBIND: 15,
  IP_TRANSPARENT: 19,
  IP_BIND_ADDRESS_NO_PORT: 24,
  IPV6_V6ONLY: 26,
  IPV6_TRANSPARENT: 75,
  /** Also IP6T_SO_ORIGINAL_DST at level SOL_IPV6. */
  SO_ORIGINAL_DST: 80,
  MADV_DONTNEED: 4,
  MSG_TRUNC: 0x20,
  MSG_CTRUNC: 0x8,
  MSG_DONTWAIT: 0x40,
  MSG_NOSIGNAL: 0x4000,
  MSG_CMSG_CLOEXEC: 0x40000000,
  POLLIN: 1,
  POLLOUT: 4,
  POLLERR: 8,
  POLLHUP: 16,
  EAGAIN: 11,
  EINTR: 4,
  EEXIST: 17,
  EADDRINUSE: 98,
  EINPROGRESS: 115,
} as const;

/** A system call that failed; `code` is `net.<errno in lower case>`, such as `net.eaddrinuse`. */
export class SystemCallError extends AmbitError {
  readonly errno: number;

  constructor(action: string, errno: number) {
    const name = errnoName(errno);
    super(`Cannot ${action}: ${name}`, { code: `net.${name.toLowerCase()}`, blame: 'internal' });
    this.name = 'SystemCallError';
    this.errno = errno;
  }
}

export function errnoName(errno: number): string {
  return errno > 0 ? getSystemErrorName(-errno) : `errno ${errno}`;
}

const libc = koffi.load(null);
koffi.struct('AmbitIovec', { base: 'void *', length: 'size_t' });
koffi.struct('AmbitMsghdr', {
  name: 'void *',
  nameLength: 'uint32_t',
  iov: 'AmbitIovec *',
  iovLength: 'size_t',
  control: 'void *',
  controlLength: 'size_t',
  flags: 'int',
});

interface MessageHeader {
  name: null;
  nameLength: number;
  iov: { base: Uint8Array; length: number }[];
  iovLength: number;
  control: Uint8Array | null;
  controlLength: number;
  flags: number;
}

/** The prototypes below, as TypeScript sees them: koffi types every function loosely. */
interface Libc {
  setns(fd: number, kind: number): number;
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  connect(fd: number, address: Uint8Array, length: number): number;
  listen(fd: number, backlog: number): number;
  accept4(fd: number, address: null, length: null, flags: number): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, length: Uint8Array): number;
  send(fd: number, bytes: Uint8Array, length: number, flags: number): number;
  recv(fd: number, bytes: Uint8Array, length: number, flags: number): number;
  sendmsg(fd: number, header: MessageHeader, flags: number): number;
  recvmsg(fd: number, header: MessageHeader, flags: number): number;
  poll: ((fds: Uint8Array, count: number, timeoutMs: number) => number) & {
    async(fds: Uint8Array, count: number, timeoutMs: number, done: (error: unknown, result: number) => void): void;
  };
  close(fd: number): number;
  malloc_trim?: (kept: number) => number;
  madvise(address: number, length: number, advice: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  pipe2(fds: Uint8Array, flags: number): number;
  eventfd(initial: number, flags: number): number;
  eventfd_write(fd: number, value: number): number;
  eventfd_read(fd: number, value: Uint8Array): number;
  ioctl(fd: number, request: number, argument: Uint8Array | null): number;
  ioctlValue(fd: number, request: number, argument: number): number;
}

const c = {
  setns: libc.func('int setns(int, int)'),
  socket: libc.func('int socket(int, int, int)'),
  bind: libc.func('int bind(int, const void *, uint32_t)'),
  connect: libc.func('int connect(int, const void *, uint32_t)'),
  listen: libc.func('int listen(int, int)'),
  madvise: libc.func('int madvise(uintptr_t, size_t, int)'),
  accept4: libc.func('int accept4(int, void *, void *, int)'),
  setsockopt: libc.func('int setsockopt(int, int, int, const void *, uint32_t)'),
  getsockopt: libc.func('int getsockopt(int, int, int, void *, void *)'),
  send: libc.func('long send(int, const void *, size_t, int)'),
  recv: libc.func('long recv(int, void *, size_t, int)'),
  sendmsg: libc.func('long sendmsg(int, const AmbitMsghdr *, int)'),
  recvmsg: libc.func('long recvmsg(int, _Inout_ AmbitMsghdr *, int)'),
  poll: libc.func('int poll(void *, unsigned long, int)'),
  close: libc.func('int close(int)'),
  ...glibcOnly(),
  // Variadic in C; its third argument travels like any other on both ABIs that we run on.
  fcntl: libc.func('int fcntl(int, int, int)'),
  pipe2: libc.func('int pipe2(void *, int)'),
  eventfd: libc.func('int eventfd(unsigned int, int)'),
  eventfd_write: libc.func('int eventfd_write(int, uint64_t)'),
  eventfd_read: libc.func('int eventfd_read(int, void *)'),
  // Variadic too. Its third argument is an address or a number, as the request wants it.
  ioctl: libc.func('int ioctl(int, unsigned long, void *)'),
  ioctlValue: libc.func('int ioctl(int, unsigned long, long)'),
} as unknown as Libc;

/** Moves the calling thread into the network namespace of `fd`. Only `withNetns` calls it. */
export function setns(fd: number): void {
  if (c.setns(fd, linux.CLONE_NEWNET) < 0) throw failure(`enter network namespace of fd ${fd}`);
}

/** A new socket, close-on-exec and non-blocking. */
export function socket(family: number, type: number, protocol = 0): number {
  const fd = c.socket(family, type | linux.SOCK_CLOEXEC | linux.SOCK_NONBLOCK, protocol);
  if (fd < 0) throw failure('create socket');
  return fd;
}

export function bind(fd: number, address: Uint8Array, name: string): void {
  if (c.bind(fd, address, address.length) < 0) throw failure(`bind ${name}`);
}

/** Returns false when the connection is under way (EINPROGRESS). */
export function connect(fd: number, address: Uint8Array, name: string): boolean {
  if (c.connect(fd, address, address.length) >= 0) return true;
  const error = failure(`connect to ${name}`);
  if (error.errno === linux.EINPROGRESS) return false;
  throw error;
}

export function listenOn(fd: number, backlog: number): void {
  if (c.listen(fd, backlog) < 0) throw failure('listen');
}

/** Free memory of malloc goes back to the system, where the C library can do that. */
export function trimHeap(): void {
  c.malloc_trim?.(0);
}

/**
 * Pages of these addresses leave the process. Only for mappings of files that nobody wrote to: they come back from the file when
 * they are used, and what was written would be lost. Fails silently, as it is a help.
 */
export function unmapPages(address: number, length: number): void {
  c.madvise(address, length, linux.MADV_DONTNEED);
}

function glibcOnly(): Pick<Libc, 'malloc_trim'> {
  try {
    return { malloc_trim: libc.func('int malloc_trim(size_t)') as (kept: number) => number };
  } catch {
    return {};
  }
}

/** The next connection, or undefined when none waits. */
export function accept(fd: number): number | undefined {
  const accepted = c.accept4(fd, null, null, linux.SOCK_CLOEXEC | linux.SOCK_NONBLOCK);
  if (accepted >= 0) return accepted;
  if (koffi.errno() === linux.EAGAIN || koffi.errno() === linux.EINTR) return undefined;
  throw failure('accept');
}

const intBuffer = new Uint8Array(4);
const intView = new DataView(intBuffer.buffer);

export function setIntOption(fd: number, level: number, name: number, value: number): void {
  intView.setInt32(0, value, true);
  if (c.setsockopt(fd, level, name, intBuffer, 4) < 0) throw failure(`set socket option ${level}/${name} to ${value}`);
}

export function setOption(fd: number, level: number, name: number, value: Uint8Array): void {
  if (c.setsockopt(fd, level, name, value, value.length) < 0) throw failure(`set socket option ${level}/${name}`);
}

/** The raw value of an option, or undefined when the kernel has none. */
export function getOption(fd: number, level: number, name: number, size: number): Uint8Array | undefined {
  const value = new Uint8Array(size);
  intView.setInt32(0, size, true);
  return c.getsockopt(fd, level, name, value, intBuffer) < 0 ? undefined : value;
}

/** Bytes taken by the kernel; 0 when its buffer is full; `-errno` when the connection failed. Never blocks, never signals. */
export function send(fd: number, bytes: Uint8Array): number {
  const sent = c.send(fd, bytes, bytes.length, linux.MSG_DONTWAIT | linux.MSG_NOSIGNAL);
  if (sent >= 0) return sent;
  const errno = koffi.errno();
  return errno === linux.EAGAIN || errno === linux.EINTR ? 0 : -errno;
}

/** One blocking request to a socket that answers at once (rtnetlink): bytes received. */
export function receive(fd: number, bytes: Uint8Array): number {
  const received = c.recv(fd, bytes, bytes.length, 0);
  if (received < 0) throw failure('receive');
  return received;
}

/** Sends one packet with at most one descriptor; false when the peer's queue is full. */
export function sendMessage(fd: number, bytes: Uint8Array, descriptor?: number): boolean {
  const header: MessageHeader = {
    name: null,
    nameLength: 0,
    iov: [{ base: bytes, length: bytes.length }],
    iovLength: 1,
    control: null,
    controlLength: 0,
    flags: 0,
  };
  if (descriptor !== undefined) {
    // struct cmsghdr { size_t len; int level; int type; int fd }, padded to 8.
    const control = new Uint8Array(24);
    const view = new DataView(control.buffer);
    view.setBigUint64(0, 20n, true);
    view.setInt32(8, linux.SOL_SOCKET, true);
    view.setInt32(12, 1, true);
    view.setInt32(16, descriptor, true);
    header.control = control;
    header.controlLength = 24;
  }
  if (c.sendmsg(fd, header, linux.MSG_DONTWAIT | linux.MSG_NOSIGNAL) >= 0) return true;
  const error = failure('send message');
  if (error.errno === linux.EAGAIN) return false;
  throw error;
}

export interface ReceivedMessage {
  /** Empty when the peer closed. */
  readonly bytes: Uint8Array;
  /** Descriptors that came along, close-on-exec; the caller closes them. */
  readonly descriptors: readonly number[];
  /** The packet or its descriptors did not fit. */
  readonly truncated: boolean;
}

const maxDescriptors = 8;

/** The next packet of at most `maxBytes`, or undefined when none waits. */
export function receiveMessage(fd: number, maxBytes: number): ReceivedMessage | undefined {
  const bytes = new Uint8Array(maxBytes);
  const control = new Uint8Array(16 + 8 * maxDescriptors);
  const header: MessageHeader = {
    name: null,
    nameLength: 0,
    iov: [{ base: bytes, length: maxBytes }],
    iovLength: 1,
    control,
    controlLength: control.length,
    flags: 0,
  };
  const received = c.recvmsg(fd, header, linux.MSG_DONTWAIT | linux.MSG_CMSG_CLOEXEC);
  if (received < 0) {
    const error = failure('receive message');
    if (error.errno === linux.EAGAIN || error.errno === linux.EINTR) return undefined;
    throw error;
  }
  return {
    bytes: bytes.subarray(0, received),
    descriptors: descriptorsIn(control.subarray(0, Number(header.controlLength))),
    truncated: (header.flags & (linux.MSG_TRUNC | linux.MSG_CTRUNC)) !== 0,
  };
}

function descriptorsIn(control: Uint8Array): number[] {
  const view = new DataView(control.buffer, control.byteOffset, control.byteLength);
  const found: number[] = [];
  for (let at = 0; at + 16 <= control.length;) {
    const length = Number(view.getBigUint64(at, true));
    if (length < 16) break;
    if (view.getInt32(at + 8, true) === linux.SOL_SOCKET && view.getInt32(at + 12, true) === 1) {
      for (let i = at + 16; i + 4 <= at + length && i + 4 <= control.length; i += 4) found.push(view.getInt32(i, true));
    }
    at += (length + 7) & ~7;
  }
  return found;
}

/**
 * Waits in a thread of libuv's pool for events on the `struct pollfd` records in `records` (8 bytes each), which must stay
 * referenced and untouched until `done`.
 */
export function pollInPool(
  records: Uint8Array,
  count: number,
  timeoutMs: number,
  done: (failed: boolean) => void,
): void {
  c.poll.async(records, count, timeoutMs, (error, result) =>
    done(error !== null && error !== undefined ? true : result < 0),
  );
}

/** Closes a descriptor; a second close of the same number would hit somebody else's, so callers forget it. */
export function close(fd: number): void {
  c.close(fd);
}

const fcntlDuplicateCloexec = 1030;

/** Another descriptor of the same open file, close-on-exec. */
export function duplicate(fd: number): number {
  const copy = c.fcntl(fd, fcntlDuplicateCloexec, 0);
  if (copy < 0) throw failure(`duplicate fd ${fd}`);
  return copy;
}

/** A pipe(7), close-on-exec. Unlike the socket pairs of Node's child processes it can be opened again by path, as /dev/stdout. */
export function openPipe(): { readonly readFd: number; readonly writeFd: number } {
  const fds = Buffer.alloc(8);
  if (c.pipe2(fds, linux.SOCK_CLOEXEC) < 0) throw failure('open a pipe');
  return { readFd: fds.readInt32LE(0), writeFd: fds.readInt32LE(4) };
}

/** A counter that wakes a poll: write it from the main thread, drain it after the poll. */
export function openEventFd(): number {
  const fd = c.eventfd(0, linux.SOCK_CLOEXEC | linux.SOCK_NONBLOCK);
  if (fd < 0) throw failure('create eventfd');
  return fd;
}

export function signalEventFd(fd: number): void {
  c.eventfd_write(fd, 1);
}

export function drainEventFd(fd: number): void {
  c.eventfd_read(fd, new Uint8Array(8));
}

const ioctlPendingBytes = 0x541b;
const ioctlGetParent = 0xb702;
const ioctlLockPty = 0x40045431;
const ioctlOpenPeer = 0x5441;
const ioctlSetWindowSize = 0x5414;

/** The other end of the pseudo terminal that `masterFd` is the master of (TIOCGPTPEER), close-on-exec, as nobody's controlling terminal. */
export function openPtyPeer(masterFd: number): number {
  if (c.ioctl(masterFd, ioctlLockPty, new Uint8Array(4)) < 0) throw failure('unlock the pseudo terminal');
  const fd = c.ioctlValue(masterFd, ioctlOpenPeer, constants.O_RDWR | constants.O_NOCTTY | linux.SOCK_CLOEXEC);
  if (fd < 0) throw failure('open the pseudo terminal');
  return fd;
}

/** Bytes that can be received now; for datagrams, those of the next one (FIONREAD). */
export function pendingBytes(fd: number): number {
  const count = new Uint8Array(4);
  if (c.ioctl(fd, ioctlPendingBytes, count) < 0) throw failure('count the bytes that wait');
  return new DataView(count.buffer).getInt32(0, true);
}

/** The namespace that the user or pid namespace of `fd` was made in; undefined when it is none of the caller's to see. */
export function parentNamespace(fd: number): number | undefined {
  const parent = c.ioctlValue(fd, ioctlGetParent, 0);
  return parent < 0 ? undefined : parent;
}

/** Tells whoever reads the terminal its size in characters; they get SIGWINCH. */
export function setWindowSize(fd: number, size: { readonly columns: number; readonly rows: number }): void {
  const winsize = new Uint8Array(new Uint16Array([size.rows, size.columns, 0, 0]).buffer);
  if (c.ioctl(fd, ioctlSetWindowSize, winsize) < 0) throw failure('set the size of the terminal');
}

function failure(action: string): SystemCallError {
  return new SystemCallError(action, koffi.errno());
}
