/** DNS messages as bytes (RFC 1035, EDNS of RFC 6891): reads queries strictly, writes answers of addresses, compares an answer with its query. */
import { parseIp } from '../lib/ip.ts';

export const dnsCode = { success: 0, formatError: 1, serverFailure: 2, refused: 5 } as const;

export const dnsType = { A: 1, CNAME: 5, AAAA: 28, OPT: 41, TSIG: 250, IXFR: 251, AXFR: 252 } as const;

/** Largest answer over UDP for a client that says nothing of itself. */
export const plainDnsBytes = 512;
/** What we take and give over UDP with EDNS: it never leaves the machine, so fragments are no concern. */
const ednsBytes = 4096;

export interface DnsQuery {
  /** Lower case, without the last dot; "" is the root. Bytes that no host name has are written as `\ddd`. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Absent without EDNS. */
  readonly edns?: { readonly version: number; readonly payloadBytes: number; readonly dnssecOk: boolean };
  /** Carries a signature over the whole message (TSIG, SIG(0)): only who has the key may answer. */
  readonly isSigned: boolean;
  /** Length of header and question. */
  readonly questionEnd: number;
}

export type ParsedDnsMessage =
  /** Shorter than a header, or an answer: whoever answers that may start a loop. */
  | { readonly kind: 'noise' }
  | { readonly kind: 'malformed'; readonly problem: string }
  /** NOTIFY, UPDATE and the like: their sections mean other things. */
  | { readonly kind: 'other-opcode'; readonly opcode: number }
  | { readonly kind: 'query'; readonly query: DnsQuery };

const headerBytes = 12;
const maxNameBytes = 255;
const typeSig = 24;
const classAny = 255;

/** Reads one message. Never throws. */
export function parseDnsMessage(message: Uint8Array): ParsedDnsMessage {
  if (message.length < headerBytes) return { kind: 'noise' };
  const flags = u16(message, 2);
  if ((flags & 0x8000) !== 0) return { kind: 'noise' };
  const opcode = (flags >> 11) & 0xf;
  if (opcode !== 0) return { kind: 'other-opcode', opcode };
  const malformed = (problem: string): ParsedDnsMessage => ({ kind: 'malformed', problem });
  const questionCount = u16(message, 4);
  if (questionCount !== 1) return malformed(`${questionCount} questions`);
  const question = readQuestion(message);
  if (!question) return malformed('the question cannot be read');
  let at = question.end;
  let edns: DnsQuery['edns'];
  let isSigned = false;
  const recordCount = u16(message, 6) + u16(message, 8) + u16(message, 10);
  for (let i = 0; i < recordCount; i++) {
    const record = readRecord(message, at);
    if (!record) return malformed('a record cannot be read');
    at = record.end;
    if (record.type === dnsType.TSIG || (record.type === typeSig && record.class === classAny)) isSigned = true;
    if (record.type !== dnsType.OPT) continue;
    if (edns) return malformed('two OPT records');
    const { class: payloadBytes, ttl } = record;
    edns = { payloadBytes, version: (ttl >>> 16) & 0xff, dnssecOk: (ttl & 0x8000) !== 0 };
  }
  const { name, type, class: questionClass, end } = question;
  const query = { name, type, class: questionClass, isSigned, questionEnd: end };
  return { kind: 'query', query: edns ? { ...query, edns } : query };
}

/** How long an answer may be that goes to the client over UDP. */
export function maxUdpAnswerBytes(query: DnsQuery | undefined): number {
  return Math.max(plainDnsBytes, Math.min(query?.edns?.payloadBytes ?? plainDnsBytes, ednsBytes));
}

export interface AddressAnswer {
  /** Canonical text, all of the family that was asked for. */
  readonly addresses: readonly string[];
  readonly ttlSeconds: number;
  /** The name asked for is an alias of this one, whose addresses they are. */
  readonly alias?: string | undefined;
  /** What does not fit is left out, and said so. */
  readonly maxBytes: number;
}

/** The answer with authority to a query that `parseDnsMessage` read from `message`. */
export function writeAddressAnswer(message: Uint8Array, query: DnsQuery, answer: AddressAnswer): Uint8Array {
  const { alias, ttlSeconds, maxBytes } = answer;
  const aliasName = alias === undefined ? undefined : tryEncodeName(alias);
  const opt = query.edns ? optRecord(query.edns.dnssecOk) : noBytes;
  const records: Uint8Array[] = [];
  let size = query.questionEnd + opt.length;
  // The question's name is at offset 12; that of the alias is the data of the first record.
  let owner = headerBytes;
  if (aliasName) {
    records.push(record({ owner, type: dnsType.CNAME, ttlSeconds, data: aliasName }));
    owner = query.questionEnd + recordHeadBytes;
    size += recordHeadBytes + aliasName.length;
  }
  let isTruncated = false;
  for (const address of answer.addresses) {
    const data = parseIp(address);
    size += recordHeadBytes + data.length;
    if (size > maxBytes) {
      isTruncated = true;
      break;
    }
    records.push(record({ owner, type: data.length === 4 ? dnsType.A : dnsType.AAAA, ttlSeconds, data }));
  }
  const counts = { answers: records.length, additionals: query.edns ? 1 : 0 };
  const flags = 0x8480 | (isTruncated ? 0x200 : 0);
  return join([
    header(message, { flags, questions: 1, ...counts }),
    question(message, query.questionEnd),
    ...records,
    opt,
  ]);
}

/** An answer without records. The question is repeated where it could be read. Wants at least a header. */
export function writeErrorAnswer(message: Uint8Array, code: number): Uint8Array {
  const parsed = parseDnsMessage(message);
  const query = parsed.kind === 'query' ? parsed.query : undefined;
  const opt = query?.edns ? optRecord(query.edns.dnssecOk) : noBytes;
  const flags = 0x8080 | (u16(message, 2) & 0x7800) | code;
  const counts = { questions: query ? 1 : 0, answers: 0, additionals: query?.edns ? 1 : 0 };
  return join([header(message, { flags, ...counts }), query ? question(message, query.questionEnd) : noBytes, opt]);
}

/** Says that there is more: an answer cut to its question, TC set. */
export function cutAnswer(answer: Uint8Array): Uint8Array {
  const read = readQuestion(answer);
  const cut = Buffer.from(answer.subarray(0, read && u16(answer, 4) === 1 ? read.end : headerBytes));
  cut.writeUInt16BE(cut.readUInt16BE(2) | 0x200, 2);
  if (cut.length === headerBytes) cut.writeUInt16BE(0, 4);
  cut.fill(0, 6, headerBytes);
  return cut;
}

export function isTruncatedAnswer(answer: Uint8Array): boolean {
  return (u16(answer, 2) & 0x200) !== 0;
}

export function dnsId(message: Uint8Array): number {
  return u16(message, 0);
}

/** A copy under another id. */
export function withDnsId(message: Uint8Array, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

/**
 * Whether `answer` is one to `query`: the id, the kind, and the question if there is one. Only an error may come without its question.
 */
export function answersQuery(query: Uint8Array, answer: Uint8Array): boolean {
  if (answer.length < headerBytes || u16(answer, 0) !== u16(query, 0)) return false;
  const flags = u16(answer, 2);
  if ((flags & 0x8000) === 0 || ((flags ^ u16(query, 2)) & 0x7800) !== 0) return false;
  if ((u16(query, 2) & 0x7800) !== 0) return true;
  if (u16(answer, 4) === 0) return (flags & 0xf) !== 0;
  const end = readQuestion(query)?.end;
  if (end === undefined || u16(answer, 4) !== 1 || answer.length < end) return false;
  // Case is the server's to change. Lengths of labels are below 64, hence never taken for letters.
  for (let i = headerBytes; i < end - 4; i++) {
    if (lowerCase(answer[i] ?? 0) !== lowerCase(query[i] ?? 0)) return false;
  }
  return u16(answer, end - 4) === u16(query, end - 4) && u16(answer, end - 2) === u16(query, end - 2);
}

const typeNames: ReadonlyMap<number, string> = new Map([
  [1, 'A'],
  [2, 'NS'],
  [5, 'CNAME'],
  [6, 'SOA'],
  [12, 'PTR'],
  [13, 'HINFO'],
  [15, 'MX'],
  [16, 'TXT'],
  [28, 'AAAA'],
  [33, 'SRV'],
  [35, 'NAPTR'],
  [39, 'DNAME'],
  [43, 'DS'],
  [44, 'SSHFP'],
  [46, 'RRSIG'],
  [47, 'NSEC'],
  [48, 'DNSKEY'],
  [50, 'NSEC3'],
  [51, 'NSEC3PARAM'],
  [52, 'TLSA'],
  [64, 'SVCB'],
  [65, 'HTTPS'],
  [251, 'IXFR'],
  [252, 'AXFR'],
  [255, 'ANY'],
  [257, 'CAA'],
]);

/** The name of a record type. All others are one name: clients must not make up metric labels. */
export function dnsTypeName(type: number): string {
  return typeNames.get(type) ?? 'OTHER';
}

interface ReadQuestion {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly end: number;
}

/** The question behind the header. Its name cannot be compressed: nothing comes before it. */
function readQuestion(message: Uint8Array): ReadQuestion | undefined {
  const labels: string[] = [];
  let at = headerBytes;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63) return undefined;
    at++;
    if (length === 0) break;
    if (at + length > message.length || at + length - headerBytes >= maxNameBytes) return undefined;
    labels.push(labelText(message.subarray(at, at + length)));
    at += length;
  }
  if (at + 4 > message.length) return undefined;
  return { name: labels.join('.'), type: u16(message, at), class: u16(message, at + 2), end: at + 4 };
}

function labelText(label: Uint8Array): string {
  let text = '';
  for (const byte of label) {
    const lower = lowerCase(byte);
    const isPlain = lower > 0x20 && lower < 0x7f && lower !== 0x2e && lower !== 0x5c;
    text += isPlain ? String.fromCharCode(lower) : `\\${String(lower).padStart(3, '0')}`;
  }
  return text;
}

interface ReadRecord {
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly end: number;
}

function readRecord(message: Uint8Array, start: number): ReadRecord | undefined {
  let at = start;
  for (;;) {
    const length = message[at];
    if (length === undefined) return undefined;
    if ((length & 0xc0) === 0xc0) {
      // A pointer ends a name; where it leads does not matter here.
      at += 2;
      break;
    }
    if (length > 63) return undefined;
    at += 1 + length;
    if (length === 0) break;
  }
  if (at + 10 > message.length) return undefined;
  const end = at + 10 + u16(message, at + 8);
  if (end > message.length) return undefined;
  const ttl = u16(message, at + 4) * 65_536 + u16(message, at + 6);
  return { type: u16(message, at), class: u16(message, at + 2), ttl, end };
}

/** Name as a pointer, type, class, TTL, length of the data. */
const recordHeadBytes = 12;
const noBytes = new Uint8Array(0);

function record(parts: { owner: number; type: number; ttlSeconds: number; data: Uint8Array }): Uint8Array {
  const bytes = Buffer.alloc(recordHeadBytes + parts.data.length);
  bytes.writeUInt16BE(0xc000 | parts.owner, 0);
  bytes.writeUInt16BE(parts.type, 2);
  bytes.writeUInt16BE(1, 4);
  bytes.writeUInt32BE(parts.ttlSeconds, 6);
  bytes.writeUInt16BE(parts.data.length, 10);
  bytes.set(parts.data, recordHeadBytes);
  return bytes;
}

/** No copy of the client's options: those speak to the server that it thinks we are. */
function optRecord(dnssecOk: boolean): Uint8Array {
  const bytes = Buffer.alloc(11);
  bytes.writeUInt16BE(dnsType.OPT, 1);
  bytes.writeUInt16BE(ednsBytes, 3);
  bytes.writeUInt16BE(dnssecOk ? 0x8000 : 0, 7);
  return bytes;
}

function header(
  message: Uint8Array,
  parts: { flags: number; questions: number; answers: number; additionals: number },
): Uint8Array {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt16BE(u16(message, 0), 0);
  // RD and CD are the client's.
  bytes.writeUInt16BE(parts.flags | (u16(message, 2) & 0x0110), 2);
  bytes.writeUInt16BE(parts.questions, 4);
  bytes.writeUInt16BE(parts.answers, 6);
  bytes.writeUInt16BE(parts.additionals, 10);
  return bytes;
}

/** As it was sent: clients look whether it is, in every letter. */
function question(message: Uint8Array, end: number): Uint8Array {
  return message.subarray(headerBytes, end);
}

/** Undefined for what is no host name. */
function tryEncodeName(name: string): Uint8Array | undefined {
  if (!/^[\w-]{1,63}(\.[\w-]{1,63})*$/.test(name) || name.length > maxNameBytes - 2) return undefined;
  const parts = name.split('.').map((label) => Buffer.from(label, 'latin1'));
  return join([...parts.flatMap((part) => [Uint8Array.of(part.length), part]), Uint8Array.of(0)]);
}

function join(parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat(parts);
}

function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte;
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
