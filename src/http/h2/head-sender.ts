/** Heads that a session sends: encoded, and cut into HEADERS and CONTINUATION frames. */
import type { HeaderList } from '../header-list.ts';
import { frameFlag, frameType } from './constants.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import type { Outbox } from './outbox.ts';

export class HeadSender {
  readonly #outbox: Outbox;
  readonly #encoder = new HpackEncoder();

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setPeerTableSize(size: number): void {
    this.#encoder.setPeerTableSize(size);
  }

  /** Stages the frames in one go, each with at most `maxFrameSize` bytes of payload: nothing may come between them. */
  send(streamId: number, headers: HeaderList, endStream: boolean, maxFrameSize: number): void {
    const block = this.#encoder.encode(headers);
    let at = Math.min(block.length, maxFrameSize);
    const flags = (endStream ? frameFlag.endStream : 0) | (at === block.length ? frameFlag.endHeaders : 0);
    this.#outbox.frameOf(frameType.headers, flags, streamId, block, 0, at);
    while (at < block.length) {
      const to = Math.min(block.length, at + maxFrameSize);
      this.#outbox.frameOf(
        frameType.continuation,
        to === block.length ? frameFlag.endHeaders : 0,
        streamId,
        block,
        at,
        to,
      );
      at = to;
    }
  }
}
