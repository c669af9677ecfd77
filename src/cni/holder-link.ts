/**
 * What the listener holder must hear from whoever sees all proxies of the node: whether one is there that knows nothing of it
 * and may listen beside the sockets that it keeps (half of a pod's connections would hang), and which pods left.
 */
import { systemClock, type Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { closeDescriptor, connectSeqpacket, type SeqpacketConnection } from '../net/index.ts';
import { encodeHolderPacket, holderPacketBytes } from '../wire/index.ts';

export interface HolderLinkOptions {
  readonly path: string;
  readonly log: Log;
  readonly clock?: Clock;
}

const retryMs = 1000;

/** Works as well without a holder, and tells one that starts later. */
export class HolderLink {
  readonly #options: HolderLinkOptions;
  #connection: SeqpacketConnection | undefined;
  #foreign: boolean | undefined;
  #cancelRetry: (() => void) | undefined;
  #closed = false;
  #nextId = 1;

  constructor(options: HolderLinkOptions) {
    this.#options = options;
  }

  /** Whether a proxy without the capability `holder` is connected. Before the first call the holder keeps what it last heard. */
  setForeign(present: boolean): void {
    if (this.#foreign === present) return;
    this.#foreign = present;
    if (this.#connection) this.#tellForeign();
    else this.#connect();
  }

  /** The pod left. A holder that is not there keeps nothing of it. */
  drop(pod: string): void {
    if (this.#connection) this.#send({ kind: 'drop', pod });
  }

  close(): void {
    this.#closed = true;
    this.#cancelRetry?.();
    this.#connection?.close();
  }

  #connect(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    if (this.#closed) return;
    const { path, log } = this.#options;
    try {
      const connection = connectSeqpacket({
        path,
        maxBytes: holderPacketBytes,
        // Answers need no attention.
        onMessage: (_bytes, fd) => void (fd !== undefined && closeDescriptor(fd)),
        onClose: (error) => {
          if (error) log.debug('listener holder connection failed', { error: messageOf(error) });
          this.#connection = undefined;
          this.#retry();
        },
      });
      this.#connection = connection;
      this.#tellForeign();
    } catch {
      this.#retry();
    }
  }

  #retry(): void {
    if (this.#closed) return;
    this.#cancelRetry = (this.#options.clock ?? systemClock).after(retryMs, () => this.#connect());
  }

  #tellForeign(): void {
    if (this.#foreign !== undefined) this.#send({ kind: 'foreign', present: this.#foreign });
  }

  #send(request: { kind: 'foreign'; present: boolean } | { kind: 'drop'; pod: string }): void {
    try {
      this.#connection?.send(encodeHolderPacket({ ...request, id: this.#nextId++ }));
    } catch (error) {
      this.#connection?.close(error as Error);
    }
  }
}
