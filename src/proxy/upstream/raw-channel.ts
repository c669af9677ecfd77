/** A channel of raw bytes to a host: tells of its end, and ends when it is idle or old. */
import type { ConnectionPool } from '../../api/l7/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { AmbitError } from '../../lib/errors.ts';
import type { ByteChannel, ChannelReader, WriteResult } from '../../net/channel.ts';

export class RawChannel implements ByteChannel {
  readonly neverKeeps: boolean;
  readonly #channel: ByteChannel;
  readonly #clock: Clock;
  readonly #onOver: () => void;
  readonly #idleTimeoutMs: number;
  /** Bytes have passed since somebody looked: a timer a connection, not one a message. */
  #isActive = false;
  #isOver = false;
  #cancelIdle: (() => void) | undefined;
  #cancelAge: (() => void) | undefined;

  constructor(
    channel: ByteChannel,
    limits: Pick<ConnectionPool, 'idleTimeoutMs' | 'maxConnectionDurationMs'>,
    clock: Clock,
    onOver: () => void,
  ) {
    this.neverKeeps = channel.neverKeeps;
    this.#channel = channel;
    this.#clock = clock;
    this.#onOver = onOver;
    this.#idleTimeoutMs = limits.idleTimeoutMs;
    this.#watchIdle();
    const { maxConnectionDurationMs: maxMs } = limits;
    if (maxMs !== undefined) this.#cancelAge = clock.after(maxMs, () => this.reset(ended(`it is ${maxMs} ms old`)));
  }

  read(reader: ChannelReader): void {
    this.#channel.read({
      neverKeeps: reader.neverKeeps === true,
      onData: (bytes) => {
        this.#isActive = true;
        return reader.onData(bytes);
      },
      onEnd: () => reader.onEnd(),
      onDrain: () => reader.onDrain(),
      onClose: (error) => {
        this.#over();
        reader.onClose(error);
      },
    });
  }

  write(bytes: Uint8Array): WriteResult {
    this.#isActive = true;
    return this.#channel.write(bytes);
  }

  pause(): void {
    this.#channel.pause();
  }

  resume(): void {
    this.#channel.resume();
  }

  credit(byteCount: number): void {
    this.#channel.credit(byteCount);
  }

  end(): void {
    this.#channel.end();
  }

  reset(error?: Error): void {
    this.#channel.reset(error);
    // Where nobody reads from it yet, nobody will hear of its close.
    this.#over();
  }

  #watchIdle(): void {
    const idleMs = this.#idleTimeoutMs;
    if (idleMs === 0) return;
    this.#isActive = false;
    this.#cancelIdle = this.#clock.after(idleMs, () => {
      if (this.#isActive) this.#watchIdle();
      else this.reset(ended(`nothing has passed for ${idleMs} ms`));
    });
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelIdle?.();
    this.#cancelAge?.();
    this.#onOver();
  }
}

function ended(why: string): AmbitError {
  return new AmbitError(`Connection was ended: ${why}`, { code: 'upstream.ended', blame: 'internal' });
}
