/** HPACK decoder (RFC 7541): one header block in, one header list out. */
import { latin1Text } from '../h1/characters.ts';
import { HeaderList } from '../header-list.ts';
import { errorCode } from './constants.ts';
import { connectionError, type Http2Error } from './errors.ts';
import { huffmanDecode } from './hpack-huffman.ts';
import { isFieldName, isFieldValue } from './message-validation.ts';
import { DynamicTable, entryOverhead, staticCount, staticNames, staticValues } from './hpack-tables.ts';

export interface HpackDecoderOptions {
  /** Our SETTINGS_HEADER_TABLE_SIZE: what the peer may use at most. */
  readonly maxTableSize: number;
  /** Our SETTINGS_MAX_HEADER_LIST_SIZE: names, values and 32 a field. */
  readonly maxListSize: number;
}

/** Decodes the header blocks of one direction of one connection, in order and each whole. */
export class HpackDecoder {
  readonly #options: HpackDecoderOptions;
  readonly #table: DynamicTable;
  #at = 0;
  /** An entry of the table is no proper field. */
  #tableUnsound = false;
  /** Of the list decoded last: names and values are those of fields. What comes from the tables was looked at before. */
  sound = true;

  constructor(options: HpackDecoderOptions) {
    this.#options = options;
    this.#table = new DynamicTable(options.maxTableSize);
  }

  /**
   * The fields of the block `source[start, end)`; undefined when the list is over `maxListSize` (the tables are in step all
   * the same). Throws `h2.compression-error` (connection).
   */
  decode(source: Uint8Array, start: number, end: number): HeaderList | undefined {
    const list = new HeaderList();
    const { fields } = list;
    const table = this.#table;
    let listSize = 0;
    let fieldSeen = false;
    this.#at = start;
    this.sound = !this.#tableUnsound;
    while (this.#at < end) {
      const first = source[this.#at] as number;
      let name: string;
      let value: string;
      if ((first & 0x80) !== 0) {
        const index = this.#integer(source, 7, end);
        name = this.#nameAt(index);
        value =
          index <= staticCount ? (staticValues[index] as string) : (table.value(index - staticCount - 1) as string);
      } else if ((first & 0x40) !== 0) {
        const index = this.#integer(source, 6, end);
        name = index === 0 ? this.#name(source, end) : this.#nameAt(index);
        value = this.#value(source, end);
        if (!this.sound) this.#tableUnsound = true;
        table.insert(name, value);
      } else if ((first & 0x20) !== 0) {
        if (fieldSeen) throw compressionError('table size update after a field');
        const size = this.#integer(source, 5, end);
        if (size > this.#options.maxTableSize) throw compressionError('table size update over the limit');
        table.resize(size);
        continue;
      } else {
        const index = this.#integer(source, 4, end);
        name = index === 0 ? this.#name(source, end) : this.#nameAt(index);
        value = this.#value(source, end);
        if ((first & 0x10) !== 0) (list.neverIndexed ??= new Set()).add(name);
      }
      fieldSeen = true;
      listSize += name.length + value.length + entryOverhead;
      if (listSize <= this.#options.maxListSize) fields.push(name, value);
    }
    return listSize <= this.#options.maxListSize ? list : undefined;
  }

  #nameAt(index: number): string {
    const name = index <= staticCount ? staticNames[index] : this.#table.name(index - staticCount - 1);
    if (index === 0 || name === undefined) throw compressionError('index outside the tables');
    return name;
  }

  /** A prefixed integer (section 5.1) of at most 32 bits. */
  #integer(source: Uint8Array, prefixBits: number, end: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = (source[this.#at++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= end) throw compressionError('integer is cut off');
      const byte = source[this.#at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (shift > 28 || value > 0xffff_ffff) throw compressionError('integer is too large');
      if ((byte & 0x80) === 0) return value;
    }
  }

  #name(source: Uint8Array, end: number): string {
    const name = this.#string(source, end);
    if (this.sound && !isFieldName(name)) this.sound = false;
    return name;
  }

  #value(source: Uint8Array, end: number): string {
    const value = this.#string(source, end);
    if (this.sound && !isFieldValue(value)) this.sound = false;
    return value;
  }

  #string(source: Uint8Array, end: number): string {
    if (this.#at >= end) throw compressionError('string is cut off');
    const huffman = ((source[this.#at] as number) & 0x80) !== 0;
    const length = this.#integer(source, 7, end);
    const start = this.#at;
    if (length > end - start) throw compressionError('string is cut off');
    this.#at = start + length;
    return huffman ? huffmanDecode(source, start, start + length) : latin1Text(source, start, start + length);
  }
}

function compressionError(problem: string): Http2Error {
  return connectionError(errorCode.compressionError, `Cannot decode header block: ${problem}`);
}
