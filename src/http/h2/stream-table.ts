/** The streams of one session by id, and what is known of the ids that are not there (RFC 9113 section 5.1.1). */
import { largestStreamId } from './constants.ts';
import type { Http2Role } from './limits.ts';
import { StreamMap } from './stream-map.ts';
import type { Http2Stream } from './stream.ts';

/** Resets of ours that are remembered: what the peer sent before it saw them is ignored. */
const rememberedResets = 256;
/** Streams that are remembered as ended in order: a peer that goes on on them is out of step. */
const rememberedEnds = 64;

export class StreamTable {
  readonly #role: Http2Role;
  readonly #streams = new StreamMap<Http2Stream>();
  #nextOwnId: number;
  /** Highest stream that the peer opened. */
  #lastPeerId = 0;
  /** The ids that the peer passed over last: from here on, below `#skippedTo`. */
  #skippedFrom = 0;
  #skippedTo = 0;
  readonly #resets: number[] = [];
  #nextReset = 0;
  readonly #ends: number[] = [];
  #nextEnd = 0;

  constructor(role: Http2Role) {
    this.#role = role;
    this.#nextOwnId = role === 'client' ? 1 : 2;
  }

  get size(): number {
    return this.#streams.size;
  }

  get lastPeerId(): number {
    return this.#lastPeerId;
  }

  /** No own id is left: the session cannot open more. */
  get exhausted(): boolean {
    return this.#nextOwnId > largestStreamId;
  }

  get(id: number): Http2Stream | undefined {
    return this.#streams.get(id);
  }

  /** Those that are open now, by id: meanwhile they may end. */
  values(): readonly Http2Stream[] {
    return this.#streams.values();
  }

  /** Takes the next id of our own. */
  takeId(): number {
    const id = this.#nextOwnId;
    this.#nextOwnId += 2;
    return id;
  }

  /** Whether a request of the peer may have this id: odd (it is the client) and higher than all before. */
  isNextOfPeer(id: number): boolean {
    return this.#role === 'server' && id % 2 === 1 && id > this.#lastPeerId;
  }

  notePeerId(id: number): void {
    const next = this.#lastPeerId === 0 ? 1 : this.#lastPeerId + 2;
    if (id > next) {
      this.#skippedFrom = next;
      this.#skippedTo = id;
    }
    this.#lastPeerId = id;
  }

  /** Whether the peer passed the id over, not long ago: it can never be opened. */
  wasSkipped(id: number): boolean {
    return id >= this.#skippedFrom && id < this.#skippedTo;
  }

  add(stream: Http2Stream): void {
    this.#streams.add(stream);
  }

  delete(id: number): void {
    this.#streams.delete(id);
  }

  /** Whether nobody has used the id yet. */
  isIdle(id: number): boolean {
    const own = id % 2 === this.#nextOwnId % 2;
    return own ? id >= this.#nextOwnId : this.#role === 'client' || id > this.#lastPeerId;
  }

  noteReset(id: number): void {
    this.#resets[this.#nextReset] = id;
    this.#nextReset = (this.#nextReset + 1) % rememberedResets;
  }

  noteEnded(id: number): void {
    this.#ends[this.#nextEnd] = id;
    this.#nextEnd = (this.#nextEnd + 1) % rememberedEnds;
  }

  wasEnded(id: number): boolean {
    return this.#ends.includes(id);
  }

  wasReset(id: number): boolean {
    return this.#resets.includes(id);
  }

  /** Fails all streams above `id`. */
  failAbove(id: number, error: Error): void {
    for (const stream of this.#streams.values()) if (stream.id > id) stream.fail(error);
  }
}
