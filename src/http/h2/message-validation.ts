/** What makes a header list malformed in HTTP/2 (RFC 9113 section 8): each function gives the problem, or undefined. */
import { authorityPattern, targetPattern, tokenPattern } from '../h1/characters.ts';
import type { HeaderList } from '../header-list.ts';

const namePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
// Controls but tab, and space or tab at either end.
// oxlint-disable-next-line no-control-regex
const badValuePattern = /[\0-\x08\x0a-\x1f\x7f]|^[ \t]|[ \t]$/;

/** Whether a name is one of a regular field. */
export function isFieldName(name: string): boolean {
  return namePattern.test(name);
}

export function isFieldValue(value: string): boolean {
  return !badValuePattern.test(value);
}

/** Fields that speak about an HTTP/1 connection (section 8.2.2). */
const connectionFields = new Set(['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade']);
/** Each with a bit of its own, to find the second of a kind. */
type PseudoFields = ReadonlyMap<string, number>;
const requestPseudo: PseudoFields = new Map([
  [':method', 1],
  [':scheme', 2],
  [':authority', 4],
  [':path', 8],
]);
const extendedRequestPseudo: PseudoFields = new Map([...requestPseudo, [':protocol', 16]]);
const responsePseudo: PseudoFields = new Map([[':status', 1]]);
const noPseudo: PseudoFields = new Map();

/** What is known of a list before. */
export interface ListFacts {
  /** Every field has the name and the value of one: the decoder looked at what was new. */
  readonly sound: boolean;
  /** We offered RFC 8441, so that `:protocol` may come. */
  readonly extendedConnect?: boolean;
}

export function requestProblem(list: HeaderList, facts: ListFacts): string | undefined {
  const extendedConnect = facts.extendedConnect === true;
  const problem = fieldProblem(list, extendedConnect ? extendedRequestPseudo : requestPseudo, facts);
  if (problem !== undefined) return problem;
  const method = list.get(':method');
  const authority = list.get(':authority');
  if (method === undefined || !tokenPattern.test(method)) return 'no valid :method';
  const protocol = extendedConnect ? list.get(':protocol') : undefined;
  if (method === 'CONNECT' && protocol === undefined) {
    if (list.has(':scheme') || list.has(':path')) return 'CONNECT with :scheme or :path';
    if (authority === undefined || authority === '') return 'CONNECT without :authority';
    return hostProblem(list, authority);
  }
  if (protocol !== undefined && (method !== 'CONNECT' || !tokenPattern.test(protocol))) return ':protocol out of place';
  const scheme = list.get(':scheme');
  if (scheme === undefined) return 'no :scheme';
  if (scheme !== 'http' && scheme !== 'https') return ':scheme is neither http nor https';
  const path = list.get(':path') ?? '';
  if (path === '') return 'no :path';
  if (!isPath(path) && !(path === '*' && method === 'OPTIONS')) return ':path is no path';
  return hostProblem(list, authority);
}

/** Origin form: without spaces, which would end it in HTTP/1. */
function isPath(text: string): boolean {
  return text.charCodeAt(0) === 0x2f && targetPattern.test(text);
}

/** Section 8.3.1: one authority, by `:authority` or Host; where both are there, they agree. */
function hostProblem(list: HeaderList, pseudo: string | undefined): string | undefined {
  let authority = pseudo;
  const { fields } = list;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'host') continue;
    const host = fields[i + 1] as string;
    if (authority === undefined) authority = host;
    else if (authority !== host && authority.toLowerCase() !== host.toLowerCase())
      return 'host names another authority';
  }
  if (authority === undefined || authority === '') return 'no :authority';
  if (authority.includes('@')) return ':authority with user information';
  return authorityPattern.test(authority) ? undefined : ':authority with forbidden characters';
}

export function responseProblem(list: HeaderList, facts: ListFacts): string | undefined {
  const problem = fieldProblem(list, responsePseudo, facts);
  if (problem !== undefined) return problem;
  const status = list.get(':status');
  if (status === undefined || !/^[1-9][0-9][0-9]$/.test(status)) return 'no valid :status';
  return status === '101' ? 'status 101' : undefined;
}

export function trailersProblem(list: HeaderList, facts: ListFacts): string | undefined {
  return fieldProblem(list, noPseudo, facts);
}

/** The content-length of a message: undefined without one; -1 when it is no number, or there are two. */
export function contentLength(list: HeaderList): number | undefined {
  const { fields } = list;
  let length: number | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'content-length') continue;
    const value = fields[i + 1] as string;
    if (length !== undefined || !/^\d{1,15}$/.test(value)) return -1;
    length = Number(value);
  }
  return length;
}

function fieldProblem(list: HeaderList, allowedPseudo: PseudoFields, { sound }: ListFacts): string | undefined {
  const { fields } = list;
  let regularSeen = false;
  let pseudoSeen = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    if (!sound && !isFieldValue(fields[i + 1] as string)) return 'a field value with forbidden characters';
    if (name.charCodeAt(0) === 0x3a) {
      if (regularSeen) return 'a pseudo field behind a regular one';
      const bit = allowedPseudo.get(name);
      if (bit === undefined) return 'an unknown pseudo field';
      if ((pseudoSeen & bit) !== 0) return 'a repeated pseudo field';
      pseudoSeen |= bit;
      continue;
    }
    regularSeen = true;
    if (!sound && !isFieldName(name)) return 'a field name with forbidden characters';
    if (connectionFields.has(name)) return 'a connection-specific field';
    if (name === 'te' && fields[i + 1] !== 'trailers') return 'te other than trailers';
  }
  return undefined;
}
