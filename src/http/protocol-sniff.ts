/** Which protocol a client speaks, from the first bytes that it sends. Nothing is consumed. */

export type SniffedProtocol =
  | { readonly kind: 'http/1' }
  /** With prior knowledge: its preface. */
  | { readonly kind: 'http/2' }
  | ({ readonly kind: 'tls' } & ClientHello)
  | { readonly kind: 'other' };

/** What a TLS client says of where it wants to go. */
export interface ClientHello {
  /** In lower case. */
  readonly sni: string | undefined;
  /** In the order of preference. */
  readonly alpn: readonly string[];
}

/** With so many bytes there always is an answer. */
export const maxSniffBytes: number = 32 * 1024;

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** A request line that is longer than this is taken for one. */
const maxRequestLineBytes = 8 * 1024;
const maxMethodLength = 32;

/** `bytes` are all that came so far. The answer does not change with what follows. */
export function sniffProtocol(bytes: Uint8Array): SniffedProtocol | 'need-more' {
  const first = bytes[0];
  if (first === undefined) return 'need-more';
  if (first === 0x16) return sniffTls(bytes);
  if (first === preface[0]) {
    const length = Math.min(bytes.length, preface.length);
    if (preface.compare(bytes, 0, length, 0, length) === 0)
      return length < preface.length ? 'need-more' : { kind: 'http/2' };
  }
  return sniffHttp1(bytes);
}

/** A request line, or as much of it as there is (RFC 9112 section 3). One empty line may come before. */
function sniffHttp1(bytes: Uint8Array): SniffedProtocol | 'need-more' {
  let start = 0;
  if (bytes[0] === 0x0d) {
    if (bytes.length === 1) return 'need-more';
    if (bytes[1] !== 0x0a) return { kind: 'other' };
    start = 2;
  }
  let at = start;
  while (at < bytes.length && isMethodByte(bytes[at] as number)) at++;
  if (at - start > maxMethodLength) return { kind: 'other' };
  if (at === bytes.length) return 'need-more';
  if (at === start || bytes[at] !== 0x20) return { kind: 'other' };
  const lineEnd = bytes.indexOf(0x0a, at);
  const line = Buffer.from(bytes.buffer, bytes.byteOffset + at, (lineEnd < 0 ? bytes.length : lineEnd + 1) - at);
  for (const byte of line) if (byte < 0x20 && byte !== 0x0d && byte !== 0x0a && byte !== 0x09) return { kind: 'other' };
  if (lineEnd >= 0)
    return / HTTP\/1\.[0-9]\r?\n$/.test(line.toString('latin1')) ? { kind: 'http/1' } : { kind: 'other' };
  return line.length > maxRequestLineBytes ? { kind: 'http/1' } : 'need-more';
}

/** Letters and what else methods have in practice. */
function isMethodByte(byte: number): boolean {
  const letter = byte | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || byte === 0x2d || byte === 0x5f;
}

const handshakeRecord = 22;
const clientHelloType = 1;
const maxRecordBytes = 16 * 1024 + 256;
const unnamed: SniffedProtocol = { kind: 'tls', sni: undefined, alpn: [] };

/** The ClientHello in as many records as it takes (RFC 8446 sections 4.1.2 and 5.1). */
function sniffTls(bytes: Uint8Array): SniffedProtocol | 'need-more' {
  if (bytes.length >= 2 && bytes[1] !== 3) return { kind: 'other' };
  if (bytes.length >= 6 && bytes[5] !== clientHelloType) return { kind: 'other' };
  const fragments: Uint8Array[] = [];
  let gathered = 0;
  for (let at = 0; ;) {
    if (at + 5 > bytes.length) break;
    const length = ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number);
    if (bytes[at] !== handshakeRecord || bytes[at + 1] !== 3 || length === 0 || length > maxRecordBytes) {
      return at === 0 ? { kind: 'other' } : unnamed;
    }
    const fragment = bytes.subarray(at + 5, at + 5 + length);
    fragments.push(fragment);
    gathered += fragment.length;
    if (fragment.length < length) break;
    at += 5 + length;
  }
  const hello = Buffer.concat(fragments, gathered);
  if (hello.length >= 4) {
    const length = hello.readUIntBE(1, 3);
    if (length > maxSniffBytes) return unnamed;
    if (hello.length >= 4 + length) return { kind: 'tls', ...readClientHello(hello.subarray(4, 4 + length)) };
  }
  return bytes.length >= maxSniffBytes ? unnamed : 'need-more';
}

const serverNameExtension = 0;
const alpnExtension = 16;

/** One that makes no sense names nothing. */
function readClientHello(hello: Buffer): ClientHello {
  let sni: string | undefined;
  let alpn: readonly string[] = [];
  try {
    // Version and random, then session id, cipher suites, compression methods.
    let at = 34;
    at += 1 + hello.readUInt8(at);
    at += 2 + hello.readUInt16BE(at);
    at += 1 + hello.readUInt8(at);
    if (at === hello.length) return { sni, alpn };
    const end = at + 2 + hello.readUInt16BE(at);
    if (end !== hello.length) return { sni, alpn };
    at += 2;
    while (at < end) {
      const kind = hello.readUInt16BE(at);
      const length = hello.readUInt16BE(at + 2);
      at += 4;
      if (at + length > end) return { sni: undefined, alpn: [] };
      const content = hello.subarray(at, at + length);
      if (kind === serverNameExtension) sni = readServerName(content);
      else if (kind === alpnExtension) alpn = readProtocols(content);
      at += length;
    }
    return { sni, alpn };
  } catch (error) {
    if (error instanceof RangeError) return { sni: undefined, alpn: [] };
    throw error;
  }
}

/** The one host name of RFC 6066 section 3. */
function readServerName(content: Buffer): string | undefined {
  if (content.readUInt16BE(0) !== content.length - 2 || content.readUInt8(2) !== 0) return undefined;
  if (content.readUInt16BE(3) !== content.length - 5) return undefined;
  const name = content.toString('latin1', 5).toLowerCase();
  return /^[a-z0-9._-]{1,255}$/.test(name) ? name : undefined;
}

function readProtocols(content: Buffer): string[] {
  const names: string[] = [];
  for (let at = 2; at < content.length;) {
    const length = content.readUInt8(at);
    if (length === 0 || at + 1 + length > content.length) return [];
    names.push(content.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return names;
}
