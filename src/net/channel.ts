/**
 * Byte channel: the one contract that proxies speak, over TCP, TLS, an HBONE stream or memory.
 *
 * Reading is a push of lent memory; writing says at once what became of the bytes. Nothing here allocates per message.
 */

/** What became of the bytes of a `write`. */
export const writeResult = {
  /** Sent or copied: the memory is the caller's again and more may follow at once. */
  done: 0,
  /** Copied: the memory is the caller's again, but the channel is full. Stop until `onDrain`. */
  full: 1,
  /** The channel still refers to the memory and is full. Do not touch the memory, and stop, until `onDrain`. */
  kept: 2,
} as const;
export type WriteResult = (typeof writeResult)[keyof typeof writeResult];

/** The one consumer of a channel. Callbacks never throw: a throw is a broken invariant. */
export interface ChannelReader {
  /** `onData` always returns false, so the channel may lend memory that it shares with other channels. Read once, by `read`. */
  readonly neverKeeps?: boolean;
  /**
   * Bytes arrived. `bytes` is lent until the callback returns, unless it returns `true`: then the reader keeps the
   * memory and the channel never touches it again. The reader calls `credit` once the bytes have left.
   */
  onData(bytes: Uint8Array): boolean;
  /** The peer half-closed: no more `onData`. Writing goes on. At most once. */
  onEnd(): void;
  /** After a `write` that was `full` or `kept`: everything was handed on, write again. */
  onDrain(): void;
  /** Both directions are over. Exactly once, last. `error` is absent after an orderly close. */
  onClose(error?: Error): void;
}

export interface ByteChannel {
  /** `write` never answers `kept`. */
  readonly neverKeeps: boolean;
  /** Starts the flow towards `reader`; nothing is delivered before. Once only. Never calls back from inside itself. */
  read(reader: ChannelReader): void;
  /** Hands on `bytes`. After `end` or close the bytes are dropped and the result is `done`. */
  write(bytes: Uint8Array): WriteResult;
  /** Stops `onData` as soon as the channel can: what is already under way (up to a stream's window) may still come. */
  pause(): void;
  resume(): void;
  /** `byteCount` delivered bytes have left the reader: the peer may send as many more. Plain sockets ignore it. */
  credit(byteCount: number): void;
  /** Half-close: what was written is delivered, then the peer sees the end. Idempotent. */
  end(): void;
  /** Ends both directions at once (RST, RST_STREAM). Idempotent. `onClose` follows. */
  reset(error?: Error): void;
}
