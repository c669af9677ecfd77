/** Connections of which one side has ended: cut when the other side is silent for too long (ambient-l4 13, 4). */
import { AmbitError } from '../../lib/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import { LinkedList, type Link } from '../../lib/linked-list.ts';

interface CountedConnection {
  readonly bytesReceived: number;
  readonly bytesSent: number;
  cut(error: Error): void;
}

/** A half-closed connection as it was seen last; what `add` returns, and `remove` takes. */
export interface HalfClosed {
  readonly connection: CountedConnection;
  bytes: number;
  sinceMs: number;
  place: Link<HalfClosed> | undefined;
}

/** Looks this often within the timeout: a cut comes at most that much late. */
const looksPerTimeout = 8;

/** One timer for all: most connections are half-closed for a moment only, and cost a place in a list. */
export class HalfClosedConnections {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #seen = new LinkedList<HalfClosed>();
  #ticking = false;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  add(connection: CountedConnection): HalfClosed {
    const seen: HalfClosed = {
      connection,
      bytes: bytesOf(connection),
      sinceMs: this.#clock.nowMs(),
      place: undefined,
    };
    seen.place = this.#seen.add(seen);
    this.#tick();
    return seen;
  }

  /** Idempotent. */
  remove(seen: HalfClosed): void {
    if (seen.place) this.#seen.remove(seen.place);
  }

  #tick(): void {
    if (this.#ticking || this.#seen.size === 0) return;
    this.#ticking = true;
    this.#clock.after(this.#timeoutMs / looksPerTimeout, () => {
      this.#ticking = false;
      this.#look();
      this.#tick();
    });
  }

  #look(): void {
    const nowMs = this.#clock.nowMs();
    for (const seen of this.#seen) {
      const bytes = bytesOf(seen.connection);
      if (bytes !== seen.bytes) {
        seen.bytes = bytes;
        seen.sinceMs = nowMs;
      } else if (nowMs - seen.sinceMs >= this.#timeoutMs) {
        this.remove(seen);
        seen.connection.cut(halfCloseTimeout(this.#timeoutMs));
      }
    }
  }
}

function bytesOf({ bytesReceived, bytesSent }: CountedConnection): number {
  return bytesReceived + bytesSent;
}

function halfCloseTimeout(timeoutMs: number): AmbitError {
  return new AmbitError(`connection closed: one side ended, and the other was silent for ${timeoutMs / 1000} s`, {
    code: 'ztunnel.half-close-timeout',
    blame: 'upstream',
  });
}
