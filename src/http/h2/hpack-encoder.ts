/** HPACK encoder (RFC 7541): repeated fields cost one byte, unique ones are sent plain. */
import type { HeaderList } from '../header-list.ts';
import { huffmanEncode, huffmanLength } from './hpack-huffman.ts';
import { entryOverhead, staticCount, staticNames, staticValues } from './hpack-tables.ts';

/** What we use of the peer's table at most, whatever it offers. */
const ownMaxTableSize = 4096;

/** Values that differ in every message: indexing them would only evict the useful ones. */
const plainNames = [
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
];
/** Secrets: never in a table, here or at the next hop (section 7.1.3). */
const secretNames = ['authorization', 'proxy-authorization', 'cookie', 'set-cookie'];

/** What is known of a name beforehand. One look-up a field decides most of it. */
interface NameFacts {
  /** Index in the static table; 0 when it is not there. */
  readonly staticIndex: number;
  /** Its values in the static table. */
  readonly staticByValue: Map<string, number> | undefined;
  readonly treatment: 'index' | 'plain' | 'secret';
}

const unknownName: NameFacts = { staticIndex: 0, staticByValue: undefined, treatment: 'index' };
const factsByName = new Map<string, NameFacts>();
for (let index = staticCount; index >= 1; index--) {
  const name = staticNames[index] as string;
  const staticByValue = factsByName.get(name)?.staticByValue ?? new Map<string, number>();
  staticByValue.set(staticValues[index] as string, index);
  factsByName.set(name, { staticIndex: index, staticByValue, treatment: 'index' });
}
for (const name of plainNames) factsByName.set(name, { ...(factsByName.get(name) ?? unknownName), treatment: 'plain' });
for (const name of secretNames)
  factsByName.set(name, { ...(factsByName.get(name) ?? unknownName), treatment: 'secret' });

/** All encoders of the thread write here; `encode` lends a part of it. */
let scratch = Buffer.allocUnsafeSlow(4096);

interface Entry {
  readonly name: string;
  readonly value: string;
  readonly size: number;
}

/** The entries of one name: insertion numbers. */
interface NameEntries {
  newest: number;
  readonly byValue: Map<string, number>;
}

/** Encodes the header blocks of one direction of one connection. Blocks go on the wire in the order of the calls. */
export class HpackEncoder {
  #maxSize = ownMaxTableSize;
  #size = 0;
  /** Insertion number of the newest entry; the first has 1. */
  #inserted = 0;
  readonly #entries: Entry[] = [];
  readonly #byName = new Map<string, NameEntries>();
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
      this.#field(name, fields[i + 1] as string, neverIndexed?.has(name) === true);
    }
    return scratch.subarray(0, this.#at);
  }

  #field(name: string, value: string, neverIndexed: boolean): void {
    const facts = factsByName.get(name) ?? unknownName;
    const secret = neverIndexed || facts.treatment === 'secret';
    const known = secret ? undefined : facts.staticByValue?.get(value);
    if (known !== undefined) {
      this.#integer(0x80, 7, known);
      return;
    }
    const entries = this.#byName.get(name);
    const insertion = secret ? undefined : entries?.byValue.get(value);
    if (insertion !== undefined) {
      this.#integer(0x80, 7, this.#dynamicIndex(insertion));
      return;
    }
    const nameIndex = facts.staticIndex || (entries ? this.#dynamicIndex(entries.newest) : 0);
    const text = wireText(value);
    const size = name.length + text.length + entryOverhead;
    // An entry of more than half of the table would push out all that repeat.
    const indexed = !secret && facts.treatment === 'index' && size <= this.#maxSize / 2;
    if (indexed) this.#integer(0x40, 6, nameIndex);
    else this.#integer(secret ? 0x10 : 0, 4, nameIndex);
    if (nameIndex === 0) this.#string(name, indexed);
    // Huffman costs CPU: it pays once for what will be indexed, and not at all for what is unique.
    this.#string(text, indexed);
    if (indexed) this.#insert({ name, value, size });
  }

  #dynamicIndex(insertion: number): number {
    return staticCount + 1 + this.#inserted - insertion;
  }

  #insert(entry: Entry): void {
    this.#evict(this.#maxSize - entry.size);
    this.#inserted++;
    this.#entries.push(entry);
    this.#size += entry.size;
    let entries = this.#byName.get(entry.name);
    if (!entries) this.#byName.set(entry.name, (entries = { newest: 0, byValue: new Map() }));
    entries.newest = this.#inserted;
    entries.byValue.set(entry.value, this.#inserted);
  }

  #evict(room: number): void {
    while (this.#size > room) {
      const oldest = this.#entries.shift();
      if (!oldest) return;
      const insertion = this.#inserted - this.#entries.length;
      this.#size -= oldest.size;
      const entries = this.#byName.get(oldest.name);
      if (!entries) continue;
      if (entries.byValue.get(oldest.value) === insertion) entries.byValue.delete(oldest.value);
      if (entries.newest === insertion) this.#byName.delete(oldest.name);
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

/** One character a byte: latin1 text as it is, anything else as its UTF-8 bytes. */
function wireText(value: string): string {
  // oxlint-disable-next-line no-control-regex
  return /^[\0-\xff]*$/.test(value) ? value : Buffer.from(value, 'utf8').toString('latin1');
}
