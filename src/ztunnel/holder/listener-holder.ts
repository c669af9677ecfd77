/**
 * The listener holder: keeps duplicates of the listening sockets that ztunnel accepts from, and hands them to the next one, so
 * that new connections wait in their queues instead of being refused while there is no ztunnel. It never accepts, and its
 * absence changes nothing else.
 */
import { fstatSync } from 'node:fs';
import { systemClock, type Clock } from '../../lib/clock.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { close as closeDescriptor } from '../../net/sys.ts';
import { isListening } from '../../net/listen.ts';
import { listenSeqpacket, type SeqpacketConnection, type SeqpacketHandlers } from '../../net/seqpacket.ts';
import {
  decodeHolderRequest,
  encodeHolderPacket,
  holderPacketBytes,
  type HolderMessage,
  type HolderRequest,
} from '../../wire/listener-holder.ts';
import { HeldSockets } from './held-sockets.ts';

export interface ListenerHolderOptions {
  /** Its socket; a leftover there is replaced. Only our own user may connect. */
  readonly path: string;
  readonly log: Log;
  readonly clock?: Clock;
  /** Default 10 s. */
  readonly abandonedMs?: number;
}

export interface ListenerHolder {
  /** Sockets that are held now. */
  readonly size: number;
  /** Closes what is held, and the socket. */
  close(): void;
}

const maxClients = 16;
const maxSockets = 8192;

export function startListenerHolder(options: ListenerHolderOptions): ListenerHolder {
  const holder = new Holder(options);
  holder.listen();
  return holder;
}

class Holder implements ListenerHolder {
  readonly #options: ListenerHolderOptions;
  readonly #sockets: HeldSockets<SeqpacketConnection>;
  readonly #clients = new Set<SeqpacketConnection>();
  /** Only a node agent knows who else listens: until one says that nobody does, nothing is held. */
  #allowed = false;
  #closeListener: () => void = () => {};

  constructor(options: ListenerHolderOptions) {
    const { clock = systemClock, abandonedMs = 10_000, log } = options;
    this.#options = options;
    this.#sockets = new HeldSockets({
      clock,
      abandonedMs,
      maxSockets,
      close: closeDescriptor,
      onAbandoned: (socket) => log.info('nobody came to accept: listener closed', { ...socket }),
    });
  }

  get size(): number {
    return this.#sockets.size;
  }

  listen(): void {
    const { path, log } = this.#options;
    const listener = listenSeqpacket({
      path,
      maxBytes: holderPacketBytes,
      onConnection: (connection) => this.#welcome(connection),
      onError: (error) => log.warn('cannot accept a client', { error: messageOf(error) }),
    });
    this.#closeListener = () => listener.close();
  }

  close(): void {
    this.#closeListener();
    this.#sockets.clear();
    for (const client of this.#clients) client.close();
  }

  #welcome(connection: SeqpacketConnection): SeqpacketHandlers {
    const { log } = this.#options;
    const isOurs = connection.peerUserId === process.getuid?.();
    if (!isOurs || this.#clients.size >= maxClients) {
      log.warn('client refused', isOurs ? { clients: this.#clients.size } : { user: connection.peerUserId });
      connection.close();
      return { onMessage: (_bytes, fd) => void (fd !== undefined && closeDescriptor(fd)), onClose() {} };
    }
    this.#clients.add(connection);
    // A turn later: its reader is not attached yet.
    setImmediate(() => this.#tell(connection, { kind: 'allowed', allowed: this.#allowed }));
    return {
      onMessage: (bytes, fd) => this.#receive(connection, bytes, fd),
      onClose: (error) => {
        this.#clients.delete(connection);
        this.#sockets.leave(connection);
        if (error) log.warn('client failed', { error: messageOf(error) });
      },
    };
  }

  #receive(client: SeqpacketConnection, bytes: Uint8Array, fd: number | undefined): void {
    let unused = fd;
    try {
      const request = decodeHolderRequest(bytes);
      if ((request.kind === 'hold') !== (fd !== undefined))
        throw protocolError(fd === undefined ? 'a socket came without itself' : 'a descriptor came unasked');
      if (request.kind === 'hold') unused = undefined;
      this.#serve(client, request, fd);
    } catch (error) {
      if (unused !== undefined) closeDescriptor(unused);
      client.close(error as Error);
    }
  }

  #serve(client: SeqpacketConnection, request: HolderRequest, fd: number | undefined): void {
    const { id } = request;
    switch (request.kind) {
      case 'hold':
        this.#hold(client, request, fd as number);
        return this.#tell(client, { kind: 'answer', id });
      case 'take':
      case 'look': {
        const found = this.#sockets.find(client, request.socket);
        const answer = { kind: 'answer', id, held: found !== undefined, accepted: found?.accepted ?? false } as const;
        return this.#tell(client, answer, request.kind === 'take' ? found?.fd : undefined);
      }
      case 'drop':
        this.#sockets.drop(request.pod);
        return this.#tell(client, { kind: 'answer', id });
      case 'foreign':
        this.#allow(!request.present);
        return this.#tell(client, { kind: 'answer', id });
    }
  }

  #hold(client: SeqpacketConnection, request: Extract<HolderRequest, { kind: 'hold' }>, fd: number): void {
    if (!isListening(fd)) {
      closeDescriptor(fd);
      throw protocolError('what should be held does not listen');
    }
    if (!this.#allowed) return closeDescriptor(fd);
    const { dev, ino } = fstatSync(fd);
    if (!this.#sockets.hold(client, request.socket, `${dev}:${ino}`, fd))
      this.#options.log.warn('too many listeners: one is not held', { ...request.socket });
  }

  #allow(allowed: boolean): void {
    if (allowed === this.#allowed) return;
    this.#allowed = allowed;
    this.#options.log.info(allowed ? 'listeners are held' : 'another proxy may be listening: no listener is held');
    if (!allowed) this.#sockets.clear();
    for (const client of this.#clients) this.#tell(client, { kind: 'allowed', allowed });
  }

  /** A client that does not read is no client. */
  #tell(client: SeqpacketConnection, message: HolderMessage, fd?: number): void {
    if (!this.#clients.has(client)) return;
    try {
      client.send(encodeHolderPacket(message), fd);
    } catch (error) {
      client.close(error as Error);
    }
  }
}

function protocolError(problem: string): AmbitError {
  return new AmbitError(`Cannot hold listeners: ${problem}`, { code: 'holder.protocol', blame: 'downstream' });
}
