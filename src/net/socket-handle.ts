/** The only file that touches what Node does not document about sockets: the native handle, its descriptor, and taking it over. */
import { Socket, createServer, connect, type AddressInfo } from 'node:net';

interface NativeHandle {
  readonly fd: number;
  readStart(): number;
  readStop(): number;
}

/** TLS wraps the handle of the connection below it. */
interface TlsHandle {
  readonly _parent?: NativeHandle;
}

interface SocketWithHandle {
  _handle: NativeHandle | null;
}

/** How an adopted socket reads: `buffer` names the memory of the next read, `callback` gets the count of this one. */
export interface OnRead {
  readonly buffer: () => Uint8Array;
  readonly callback: (byteCount: number, buffer: Uint8Array) => boolean;
}

function handleOf(socket: Socket): NativeHandle | undefined {
  const handle = (socket as unknown as SocketWithHandle)._handle;
  return handle !== null && handle !== undefined && typeof handle.fd === 'number' ? handle : undefined;
}

/** The descriptor of a connected socket (below TLS, too), or undefined once it is closed. It stays the socket's. */
export function descriptorOf(socket: Socket): number | undefined {
  const handle = (socket as unknown as SocketWithHandle)._handle as (NativeHandle & TlsHandle) | null;
  const fd = handle?._parent?.fd ?? handle?.fd;
  return fd !== undefined && fd >= 0 ? fd : undefined;
}

/**
 * Lets a connected socket that has read nothing yet (TCP or TLS, either role) read into memory of ours: Node takes `onread`
 * only for connections that it dials itself. Saves a Buffer and its garbage per read, and the second socket of `adoptSocket`.
 * `memory` is fixed, or names the memory of the next read. `onBytes` returns false to stop reading.
 * False where this Node does not let us; the socket is then untouched.
 */
export function readIntoMemory(
  socket: Socket,
  memory: Uint8Array | (() => Uint8Array),
  onBytes: (byteCount: number, memory: Uint8Array) => boolean,
): boolean {
  const handle = (socket as unknown as { _handle: { useUserBuffer?: (memory: Uint8Array) => void } | null })._handle;
  const keys = onReadKeys(socket);
  if (typeof handle?.useUserBuffer !== 'function' || !keys || !adoptionWorks) return false;
  if (socket.readableLength > 0 || socket.readableEnded || socket.destroyed) return false;
  const first = typeof memory === 'function' ? memory() : memory;
  const state = socket as unknown as Record<symbol, unknown>;
  state[keys.buffer] = first;
  state[keys.callback] = onBytes;
  if (typeof memory === 'function') state[keys.generator] = memory;
  handle.useUserBuffer(first);
  return true;
}

/** `socket`, or the one that took it over, reading with `onread`; undefined where neither way works: then use 'data'. */
export function readWith(socket: Socket, onread: OnRead): Socket | undefined {
  return readIntoMemory(socket, onread.buffer, onread.callback) ? socket : adoptSocket(socket, onread);
}

interface OnReadKeys {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly generator: symbol;
}

let knownKeys: OnReadKeys | undefined;

/** Node's own keys of what the `onread` option gave; every socket has them. */
function onReadKeys(socket: Socket): OnReadKeys | undefined {
  if (knownKeys && knownKeys.buffer in socket) return knownKeys;
  const named = new Map(Object.getOwnPropertySymbols(socket).map((symbol) => [symbol.description, symbol]));
  const buffer = named.get('kBuffer');
  const callback = named.get('kBufferCb');
  const generator = named.get('kBufferGen');
  knownKeys = buffer && callback && generator ? { buffer, callback, generator } : undefined;
  return knownKeys;
}

let adoptionWorks = true;

/**
 * Moves the connection of a paused `socket` to a new one that reads with `onread`: servers cannot ask for that themselves.
 * Saves a Buffer and its garbage per read (performance rule 2). Undefined where this Node does not let us; `socket` is then untouched.
 */
function adoptSocket(socket: Socket, onread: OnRead): Socket | undefined {
  const handle = handleOf(socket);
  if (
    !handle ||
    !adoptionWorks ||
    socket.readableLength > 0 ||
    socket.writableLength > 0 ||
    socket.readableEnded ||
    socket.destroyed
  )
    return undefined;
  handle.readStop();
  (socket as unknown as SocketWithHandle)._handle = null;
  socket.destroy();
  return new Socket({ handle, onread, allowHalfOpen: true, manualStart: true, noDelay: true } as never);
}

/**
 * Start-up test over loopback that adopted sockets read, write and end; otherwise channels fall back to 'data' events. Where
 * loopback is down nothing is proved, and adoption stays on.
 */
export async function checkAdoption(): Promise<boolean> {
  adoptionWorks = true;
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  const works = await new Promise<boolean>((resolve) => {
    const client = connectTo(server, () => resolve(true));
    server.on('connection', (accepted) => {
      const memory = new Uint8Array(16);
      const adopted = readWith(accepted, {
        buffer: () => memory,
        callback: (count) => {
          adopted?.end(Buffer.from(memory.subarray(0, count)));
          return true;
        },
      });
      if (!adopted) return resolve(false);
      adopted.on('error', () => resolve(false));
      adopted.resume();
      let echoed = '';
      client.then(
        (socket) => {
          socket.on('data', (chunk) => (echoed += String(chunk)));
          socket.on('end', () => resolve(echoed === 'ambit'));
          socket.end('ambit');
        },
        () => resolve(false),
      );
    });
    setTimeout(() => resolve(false), 2000).unref();
  });
  server.close();
  adoptionWorks = works;
  return works;
}

function connectTo(server: ReturnType<typeof createServer>, onError: () => void): Promise<Socket> {
  return new Promise((resolve) => {
    server.on('error', onError);
    server.listen(0, '127.0.0.1', () => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      socket.on('error', onError);
      socket.on('connect', () => resolve(socket));
    });
  });
}
