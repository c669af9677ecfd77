/** What a connection sends: head and small body leave in one write, pieces of one turn too. */
import { writeResult, type ByteChannel, type WriteResult } from '../../net/channel.ts';
import { returnStaging, stagingBytes, takeStaging } from '../../net/staging.ts';
import { atTurnEnd, type TurnEnd } from '../../net/turn.ts';
import { writeLatin1 } from './characters.ts';

export class Outbox implements TurnEnd {
  readonly #channel: ByteChannel;
  #staging: Uint8Array | undefined;
  #staged = 0;
  #due = false;
  #full = false;
  #writes = 0;

  constructor(channel: ByteChannel) {
    this.#channel = channel;
  }

  /**
   * Stages a head of `lines` lines, the empty one included. False, with nothing staged: some value holds a line end or another
   * control character. Looking at the bytes finds those too that only become one by the encoding.
   */
  head(text: string, lines: number): boolean {
    const { length } = text;
    if (length > stagingBytes) {
      const bytes = Buffer.from(text, 'latin1');
      if (controlsIn(bytes, 0, length) !== 2 * lines) return false;
      this.flush();
      this.#send(bytes);
      return true;
    }
    const memory = this.#room(length);
    writeLatin1(text, memory, this.#staged);
    if (controlsIn(memory, this.#staged, this.#staged + length) !== 2 * lines) return false;
    this.#staged += length;
    return true;
  }

  /** Stages text that is ours. */
  text(text: string): void {
    writeLatin1(text, this.#room(text.length), this.#staged);
    this.#staged += text.length;
  }

  /** Sends body bytes as they are, together with what is staged where that is cheap. */
  bytes(bytes: Uint8Array): WriteResult {
    if (this.#staged > 0 && this.#staged + bytes.length <= stagingBytes) {
      (this.#staging as Uint8Array).set(bytes, this.#staged);
      this.#staged += bytes.length;
      return this.flush();
    }
    this.flush();
    // Only channels that never keep memory get what is lent to us.
    this.#send(this.#channel.neverKeeps ? bytes : Uint8Array.prototype.slice.call(bytes));
    return this.#result();
  }

  /** Stages body bytes as chunks. They leave at the end of the turn, or with what ends the body. */
  chunk(bytes: Uint8Array): WriteResult {
    const { length } = bytes;
    for (let at = 0; at < length;) {
      if (stagingBytes - this.#staged < smallestRoom) this.flush();
      const memory = this.#room(0);
      const size = Math.min(length - at, stagingBytes - this.#staged - chunkFraming);
      this.#staged += writeLatin1(`${size.toString(16)}\r\n`, memory, this.#staged);
      memory.set(at === 0 && size === length ? bytes : bytes.subarray(at, at + size), this.#staged);
      this.#staged += size;
      memory[this.#staged++] = 0x0d;
      memory[this.#staged++] = 0x0a;
      at += size;
    }
    this.flushAtTurnEnd();
    return this.#result();
  }

  flush(): WriteResult {
    const memory = this.#staging;
    if (memory !== undefined) {
      const staged = this.#staged;
      this.#staging = undefined;
      this.#staged = 0;
      if (staged > 0) this.#send(memory.subarray(0, staged), memory);
      else returnStaging(memory);
    }
    return this.#result();
  }

  flushAtTurnEnd(): void {
    if (this.#due) return;
    this.#due = true;
    atTurnEnd(this);
  }

  onTurnEnd(): void {
    this.#due = false;
    this.flush();
  }

  /** The channel has drained. */
  drained(): void {
    this.#full = false;
  }

  /** Grows with whatever is sent. */
  get writes(): number {
    return this.#writes;
  }

  #result(): WriteResult {
    return this.#full ? writeResult.full : writeResult.done;
  }

  #room(length: number): Uint8Array {
    if (this.#staged + length > stagingBytes) this.flush();
    return (this.#staging ??= takeStaging());
  }

  #send(bytes: Uint8Array, staging?: Uint8Array): void {
    this.#writes++;
    const result = this.#channel.write(bytes);
    if (result !== writeResult.done) this.#full = true;
    if (staging !== undefined && result !== writeResult.kept) returnStaging(staging);
  }
}

/** Size line and line end of a chunk. */
const chunkFraming = 8;
/** Less is not worth a chunk. */
const smallestRoom = 256;

/** Control characters but tab. */
function controlsIn(bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) count++;
  }
  return count;
}
