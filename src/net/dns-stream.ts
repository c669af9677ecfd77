/** DNS over a byte stream: each message has its length in two bytes before it (RFC 1035, section 4.2.2). */

/** One message as it goes over TCP. */
export function frameDnsMessage(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(2 + message.length);
  framed.writeUInt16BE(message.length, 0);
  framed.set(message, 2);
  return framed;
}

/** Cuts a stream into messages, however its bytes arrive. Holds at most one message that is not whole. */
export class DnsStreamReader {
  #chunks: Uint8Array[] = [];
  #size = 0;
  /** Bytes without which nothing can be told. */
  #wanted = 2;

  /** The messages that are whole with `chunk`, which is the reader's from now on. */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const messages: Uint8Array[] = [];
    if (this.#size < this.#wanted) return messages;
    const held = Buffer.concat(this.#chunks);
    let at = 0;
    this.#wanted = 2;
    while (held.length >= at + 2) {
      const length = held.readUInt16BE(at);
      this.#wanted = 2 + length;
      if (held.length < at + 2 + length) break;
      messages.push(held.subarray(at + 2, at + 2 + length));
      at += 2 + length;
      this.#wanted = 2;
    }
    this.#chunks = at === held.length ? [] : [held.subarray(at)];
    this.#size = held.length - at;
    return messages;
  }

  /** Whether a message has begun and not ended. */
  get isWithinMessage(): boolean {
    return this.#size > 0;
  }
}
