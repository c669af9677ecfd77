/** Names of fields: what each means to the framing of a message, and one string for each common name. */
import { latin1Text, tokenFold } from './characters.ts';

/** What the codec does with a field. */
export const fieldKind = {
  plain: 0,
  /** Belongs to one hop, means nothing to us. */
  dropped: 1,
  host: 2,
  contentLength: 3,
  transferEncoding: 4,
  connection: 5,
  upgrade: 6,
  te: 7,
  expect: 8,
} as const;

export interface FieldName {
  /** In lower case. */
  readonly name: string;
  readonly kind: number;
  /** Not to be taken from a trailer section: framing, routing, credentials, or how the content is read (RFC 9110 section 6.5.1). */
  readonly noTrailer: boolean;
  readonly folded: Uint8Array;
  /** What stands before the value in a head that we write: the end of the line before, name, colon and space. */
  readonly lead: string;
  readonly next: FieldName | undefined;
}

const special: Readonly<Record<string, number>> = {
  host: fieldKind.host,
  'content-length': fieldKind.contentLength,
  'transfer-encoding': fieldKind.transferEncoding,
  connection: fieldKind.connection,
  'keep-alive': fieldKind.dropped,
  'proxy-connection': fieldKind.dropped,
  'http2-settings': fieldKind.dropped,
  upgrade: fieldKind.upgrade,
  te: fieldKind.te,
  expect: fieldKind.expect,
};

const neverTrailer =
  'age authorization cache-control content-encoding content-range content-type cookie date expires location max-forwards pragma ' +
  'proxy-authenticate proxy-authorization range retry-after set-cookie trailer vary warning www-authenticate ' +
  'if-match if-none-match if-modified-since if-unmodified-since if-range forwarded x-forwarded-for x-forwarded-host ' +
  'x-forwarded-proto x-forwarded-port x-forwarded-client-cert x-real-ip x-request-id';

const common =
  'accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials ' +
  'access-control-allow-headers access-control-allow-methods access-control-allow-origin access-control-expose-headers ' +
  'access-control-max-age access-control-request-headers access-control-request-method allow alt-svc b3 baggage ' +
  'content-disposition content-language content-location content-security-policy dnt end-user etag from grpc-accept-encoding ' +
  'grpc-encoding grpc-message grpc-status grpc-timeout jwt last-modified link origin priority referer refresh ' +
  'sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user ' +
  'sec-websocket-accept sec-websocket-extensions sec-websocket-key sec-websocket-protocol sec-websocket-version server ' +
  'server-timing strict-transport-security timing-allow-origin traceparent tracestate upgrade-insecure-requests user-agent via ' +
  'x-api-key x-b3-flags x-b3-parentspanid x-b3-sampled x-b3-spanid x-b3-traceid x-content-type-options ' +
  'x-envoy-attempt-count x-envoy-decorator-operation x-envoy-expected-rq-timeout-ms x-envoy-external-address ' +
  'x-envoy-original-path x-envoy-peer-metadata x-envoy-peer-metadata-id x-envoy-upstream-service-time x-frame-options ' +
  'x-powered-by x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset x-requested-with x-xss-protection';

const slots = 1024;
/** Chains of names that are always there. */
const known: (FieldName | undefined)[] = Array.from({ length: slots });
/** One name a slot, met on the way: the last one that was not known. */
const learned: (FieldName | undefined)[] = Array.from({ length: slots });
const maxLearnedBytes = 64;

const forbiddenInTrailers = new Set(neverTrailer.split(' '));
for (const name of [...Object.keys(special), ...forbiddenInTrailers, ...common.split(' ')]) {
  const folded = Buffer.from(name);
  const slot = slotOf(hashOf(folded));
  known[slot] = describe(name, folded, known[slot]);
}

function describe(name: string, folded: Uint8Array, next?: FieldName): FieldName {
  const kind = special[name] ?? fieldKind.plain;
  const noTrailer = kind !== fieldKind.plain || forbiddenInTrailers.has(name);
  // Flat: it is put together once and copied often.
  const lead = latin1Text(Buffer.from(`\r\n${name}: `, 'latin1'), 0, name.length + 4);
  return { name, kind, noTrailer, folded, lead, next };
}

function hashOf(folded: Uint8Array): number {
  let hash = 0;
  for (const byte of folded) hash = nextHash(hash, byte);
  return hash;
}

/** Adds the next byte of a name, in lower case; starts from 0. */
export function nextHash(hash: number, foldedByte: number): number {
  return (Math.imul(hash, 31) + foldedByte) | 0;
}

function slotOf(hash: number): number {
  return (hash ^ (hash >>> 10)) & (slots - 1);
}

/**
 * The name in `bytes[start..end)`, a token, whose `hash` is known. Common names come from a table by their bytes, which makes no
 * string (a Map of slices takes three times as long) and gives the same string each time, so that comparing is by pointer.
 */
export function fieldNameOf(bytes: Uint8Array, start: number, end: number, hash: number): FieldName {
  const slot = slotOf(hash);
  for (let entry = known[slot]; entry !== undefined; entry = entry.next) {
    if (isName(entry.folded, bytes, start, end)) return entry;
  }
  const last = learned[slot];
  if (last !== undefined && isName(last.folded, bytes, start, end)) return last;
  const name = latin1Text(bytes, start, end).toLowerCase();
  const met = describe(name, Buffer.from(name, 'latin1'));
  if (end - start <= maxLearnedBytes) learned[slot] = met;
  return met;
}

function isName(folded: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  const { length } = folded;
  if (length !== end - start) return false;
  for (let i = 0; i < length; i++) if (folded[i] !== tokenFold[bytes[start + i] as number]) return false;
  return true;
}

/** By name in lower case; undefined: it is not a name. For heads that we write. */
export function describeName(name: string): FieldName | undefined {
  let found = byText.get(name);
  if (found !== undefined) return found;
  if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) return undefined;
  found = describe(name, Buffer.from(name));
  if (byText.size < maxNamesByText) byText.set(name, found);
  return found;
}

const maxNamesByText = 2048;
const byText = new Map<string, FieldName>();
for (const first of known)
  for (let entry = first; entry !== undefined; entry = entry.next) byText.set(entry.name, entry);
