/**
 * Header blocks of SPDY/3 (draft 3, section 2.6.10): name/value pairs, compressed by one zlib stream a direction, each block
 * ended by Z_SYNC_FLUSH.
 */
import { inflateRawSync, constants } from 'node:zlib';
import { AmbitError } from '../../lib/errors.ts';

export type HeaderBlock = ReadonlyMap<string, string>;

const maxBlockBytes = 64 * 1024;
const maxPairs = 100;
/** How far back zlib refers. */
const windowBytes = 32 * 1024;

const dictionaryWords =
  'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow authorization cache-control connection content-base content-encoding content-language content-length content-location content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin'
    .split(' ')
    .map((word) => word.replace('_', ' '));
const dictionaryEnd =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.';

/** The dictionary that both ends start from (section 2.6.10.1); its Adler-32, which streams name it by, is e3c6a7c2. */
export const headerDictionary: Buffer = Buffer.concat([
  ...dictionaryWords.map((word) => withLength(Buffer.from(word))),
  Buffer.from(dictionaryEnd),
]);
const dictionaryId = 0xe3c6a7c2;

/**
 * Reads the blocks of one direction, in their order. A block ends at a byte, so that each is inflated by itself with what came
 * before as its dictionary: no state of zlib lives between two.
 */
export class HeaderReader {
  #history: Buffer | undefined;

  /** Throws `kube.spdy` when a block is malformed or larger than any that we serve. */
  read(compressed: Buffer): HeaderBlock {
    const deflated = this.#history === undefined ? this.#open(compressed) : compressed;
    const history = this.#history ?? Buffer.alloc(0);
    let block: Buffer;
    try {
      block = inflateRawSync(deflated, {
        finishFlush: constants.Z_SYNC_FLUSH,
        maxOutputLength: maxBlockBytes,
        ...(history.length === 0 ? {} : { dictionary: history }),
      });
    } catch {
      throw spdyError('a header block cannot be decompressed');
    }
    this.#history = Buffer.concat([history, block]).subarray(-windowBytes);
    return parseBlock(block);
  }

  /** The header of a zlib stream (RFC 1950, section 2.2); gives what follows it. */
  #open(compressed: Buffer): Buffer {
    if (compressed.length < 2 || (compressed[0] ?? 0) % 16 !== 8 || compressed.readUInt16BE(0) % 31 !== 0)
      throw spdyError('a header block is no zlib stream');
    const hasDictionary = ((compressed[1] ?? 0) & 0x20) !== 0;
    if (!hasDictionary) {
      this.#history = Buffer.alloc(0);
      return compressed.subarray(2);
    }
    if (compressed.length < 6 || compressed.readUInt32BE(2) !== dictionaryId)
      throw spdyError('a header block has another dictionary');
    this.#history = headerDictionary;
    return compressed.subarray(6);
  }
}

/** An empty stored block, as Z_SYNC_FLUSH ends a block: readers give out what they have when they see it. */
const syncFlush = Buffer.from([0, 0, 0, 0xff, 0xff]);

/** Writes the blocks of one direction. They are few and short: stored (RFC 1951, section 3.2.4), not compressed. */
export class HeaderWriter {
  #isOpen = false;

  write(headers: HeaderBlock): Buffer {
    const count = Buffer.alloc(4);
    count.writeUInt32BE(headers.size);
    const pairs = [...headers].flatMap(([name, value]) => [
      withLength(Buffer.from(name)),
      withLength(Buffer.from(value)),
    ]);
    const block = Buffer.concat([count, ...pairs]);
    const stored = Buffer.alloc(5);
    stored.writeUInt16LE(block.length, 1);
    stored.writeUInt16LE(~block.length & 0xffff, 3);
    const start = this.#isOpen ? [] : [Buffer.from([0x78, 0x01])];
    this.#isOpen = true;
    return Buffer.concat([...start, stored, block, syncFlush]);
  }
}

export function spdyError(problem: string): AmbitError {
  return new AmbitError(`Cannot read a SPDY connection: ${problem}`, { code: 'kube.spdy', blame: 'downstream' });
}

function parseBlock(block: Buffer): HeaderBlock {
  const headers = new Map<string, string>();
  let at = 0;
  const number = (): number => {
    if (at + 4 > block.length) throw spdyError('a header block ends too early');
    at += 4;
    return block.readUInt32BE(at - 4);
  };
  const text = (): string => {
    const length = number();
    if (at + length > block.length) throw spdyError('a header block ends too early');
    at += length;
    return block.toString('utf8', at - length, at);
  };
  const pairs = number();
  if (pairs > maxPairs) throw spdyError('a header block has too many pairs');
  for (let i = 0; i < pairs; i++) headers.set(text().toLowerCase(), text());
  return headers;
}

function withLength(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
