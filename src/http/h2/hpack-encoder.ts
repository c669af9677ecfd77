/** HPACK encoder (RFC 7541): repeated fields cost one byte, unique ones are sent plain. */
import type { HeaderList } from '../header-list.ts';
import { huffmanEncode, huffmanLength } from './hpack-huffman.ts';
import { entryOverhead, staticCount, staticNames, staticValues } from './hpack-tables.ts';

/** What we use of the peer's table at most, whatever it offers. */
const ownMaxTableSize = 4096;

/** Values that differ in every message: indexing them would only evict the useful ones. */
const unindexedNames = new Set([
  'forwarded',
  'traceparent',
  'tracestate',
  'x-request-id',
  'x-b3-traceid',
  'x-b3-spanid',
  ':path',
  'age',
  'content-length',
  'content-range',
  'date',
  'etag',
  'if-modified-since',
  'if-none-match',
  'last-modified',
  'location',
  'referer',
  'set-cookie',
]);
/** Secrets: never in a table, here or at the next hop (section 7.1.3). */
const secretNames = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie']);

const staticByField = new Map<string, number>();
const staticByName = new Map<string, number>();
for (let index = staticCount; index >= 1; index--) {
  staticByName.set(staticNames[index] as string, index);
  staticByField.set(fieldKey(staticNames[index] as string, staticValues[index] as string), index);
}

/** All encoders of the thread write here; `encode` lends a part of it. */
let scratch = Buffer.allocUnsafeSlow(4096);

interface Entry {
  readonly key: string;
  readonly name: string;
  readonly size: number;
}

/** Encodes the header blocks of one direction of one connection. Blocks go on the wire in the order of the calls. */
export class HpackEncoder {
  #maxSize = ownMaxTableSize;
  #size = 0;
  /** Insertion number of the newest entry; the first has 1. */
  #inserted = 0;
  readonly #entries: Entry[] = [];
  readonly #byField = new Map<string, number>();
  readonly #byName = new Map<string, number>();
  /** Smallest size since the last block, to be announced first (section 4.2); undefined when nothing changed. */
  #smallestPending: number | undefined;
  #at = 0;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setPeerTableSize(size: number): void {
    const maxSize = Math.min(size, ownMaxTableSize);
    if (maxSize === this.#maxSize) return;
    this.#smallestPending = Math.min(this.#smallestPending ?? maxSize, maxSize);
    this.#maxSize = maxSize;
    this.#evict(maxSize);
  }

  /** The block of `list`; lent until the next call of any encoder. */
  encode(list: HeaderList): Buffer {
    const { fields, neverIndexed } = list;
    this.#at = 0;
    if (this.#smallestPending !== undefined) {
      if (this.#smallestPending < this.#maxSize) this.#integer(0x20, 5, this.#smallestPending);
      this.#integer(0x20, 5, this.#maxSize);
      this.#smallestPending = undefined;
    }
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] as string;
      this.#field(name, wireText(fields[i + 1] as string), secretNames.has(name) || neverIndexed?.has(name) === true);
    }
    return scratch.subarray(0, this.#at);
  }

  #field(name: string, value: string, secret: boolean): void {
    if (secret) {
      this.#integer(0x10, 4, this.#nameIndex(name));
      if (this.#nameIndex(name) === 0) this.#string(name, true);
      this.#string(value, false);
      return;
    }
    const unindexed = unindexedNames.has(name);
    const key = fieldKey(name, value);
    const known = staticByField.get(key) ?? (unindexed ? undefined : this.#dynamicIndex(this.#byField.get(key)));
    if (known !== undefined) {
      this.#integer(0x80, 7, known);
      return;
    }
    const nameIndex = this.#nameIndex(name);
    const size = name.length + value.length + entryOverhead;
    // An entry of more than half of the table would push out all that repeat.
    const indexed = !unindexed && size <= this.#maxSize / 2;
    this.#integer(indexed ? 0x40 : 0, indexed ? 6 : 4, nameIndex);
    if (nameIndex === 0) this.#string(name, indexed);
    // Huffman costs CPU: it pays once for what will be indexed, and not at all for what is unique.
    this.#string(value, indexed);
    if (indexed) this.#insert({ key, name, size });
  }

  #nameIndex(name: string): number {
    return staticByName.get(name) ?? this.#dynamicIndex(this.#byName.get(name)) ?? 0;
  }

  #dynamicIndex(insertion: number | undefined): number | undefined {
    return insertion === undefined ? undefined : staticCount + 1 + this.#inserted - insertion;
  }

  #insert(entry: Entry): void {
    this.#evict(this.#maxSize - entry.size);
    this.#inserted++;
    this.#entries.push(entry);
    this.#size += entry.size;
    this.#byField.set(entry.key, this.#inserted);
    this.#byName.set(entry.name, this.#inserted);
  }

  #evict(room: number): void {
    while (this.#size > room) {
      const oldest = this.#entries.shift();
      if (!oldest) return;
      const insertion = this.#inserted - this.#entries.length;
      this.#size -= oldest.size;
      if (this.#byField.get(oldest.key) === insertion) this.#byField.delete(oldest.key);
      if (this.#byName.get(oldest.name) === insertion) this.#byName.delete(oldest.name);
    }
  }

  #integer(pattern: number, prefixBits: number, value: number): void {
    this.#reserve(8);
    const mask = (1 << prefixBits) - 1;
    if (value < mask) {
      scratch[this.#at++] = pattern | value;
      return;
    }
    scratch[this.#at++] = pattern | mask;
    let rest = value - mask;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) scratch[this.#at++] = (rest & 0x7f) | 0x80;
    scratch[this.#at++] = rest;
  }

  #string(text: string, mayHuffman: boolean): void {
    const coded = mayHuffman ? huffmanLength(text) : text.length;
    if (coded < text.length) {
      this.#integer(0x80, 7, coded);
      this.#reserve(coded);
      this.#at = huffmanEncode(text, scratch, this.#at);
    } else {
      this.#integer(0, 7, text.length);
      this.#reserve(text.length);
      this.#at += scratch.write(text, this.#at, 'latin1');
    }
  }

  #reserve(byteCount: number): void {
    if (this.#at + byteCount <= scratch.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(scratch.length * 2, this.#at + byteCount));
    larger.set(scratch.subarray(0, this.#at));
    scratch = larger;
  }
}

function fieldKey(name: string, value: string): string {
  return `${name}\0${value}`;
}

/** One character a byte: latin1 text as it is, anything else as its UTF-8 bytes. */
function wireText(value: string): string {
  // oxlint-disable-next-line no-control-regex
  return /^[\0-\xff]*$/.test(value) ? value : Buffer.from(value, 'utf8').toString('latin1');
}
