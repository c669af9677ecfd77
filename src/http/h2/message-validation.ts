/** What makes a header list malformed in HTTP/2 (RFC 9113 section 8): each function gives the problem, or undefined. */
import type { HeaderList } from '../header-list.ts';

const namePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
// Controls but tab, and space or tab at either end.
// oxlint-disable-next-line no-control-regex
const badValuePattern = /[\0-\x08\x0a-\x1f\x7f]|^[ \t]|[ \t]$/;

/** Fields that speak about an HTTP/1 connection (section 8.2.2). */
const connectionFields = new Set(['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade']);
const requestPseudo = new Set([':method', ':scheme', ':authority', ':path']);
const responsePseudo = new Set([':status']);
const noPseudo: ReadonlySet<string> = new Set();

export function requestProblem(list: HeaderList): string | undefined {
  const problem = fieldProblem(list, requestPseudo);
  if (problem !== undefined) return problem;
  const method = list.get(':method');
  const authority = list.get(':authority');
  if (method === undefined || !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(method)) return 'no valid :method';
  if (method === 'CONNECT') {
    if (list.has(':scheme') || list.has(':path')) return 'CONNECT with :scheme or :path';
    if (authority === undefined || authority === '') return 'CONNECT without :authority';
    return undefined;
  }
  if (!list.has(':scheme')) return 'no :scheme';
  if ((list.get(':path') ?? '') === '') return 'no :path';
  if (authority?.includes('@') === true) return ':authority with user information';
  return undefined;
}

export function responseProblem(list: HeaderList): string | undefined {
  const problem = fieldProblem(list, responsePseudo);
  if (problem !== undefined) return problem;
  const status = list.get(':status');
  if (status === undefined || !/^[1-9][0-9][0-9]$/.test(status)) return 'no valid :status';
  return status === '101' ? 'status 101' : undefined;
}

export function trailersProblem(list: HeaderList): string | undefined {
  return fieldProblem(list, noPseudo);
}

/** The content-length of a message: undefined without one; -1 when its fields make no sense together. */
export function contentLength(list: HeaderList): number | undefined {
  const first = list.get('content-length');
  if (first === undefined) return undefined;
  if (!/^\d{1,15}$/.test(first)) return -1;
  return list.getAll('content-length').every((value) => value === first) ? Number(first) : -1;
}

function fieldProblem(list: HeaderList, allowedPseudo: ReadonlySet<string>): string | undefined {
  const { fields } = list;
  let regularSeen = false;
  let pseudoSeen = '';
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    if (badValuePattern.test(value)) return 'a field value with forbidden characters';
    if (name.charCodeAt(0) === 0x3a) {
      if (regularSeen) return 'a pseudo field behind a regular one';
      if (!allowedPseudo.has(name)) return 'an unknown pseudo field';
      if (pseudoSeen.includes(`${name};`)) return 'a repeated pseudo field';
      pseudoSeen += `${name};`;
      continue;
    }
    regularSeen = true;
    if (!namePattern.test(name)) return 'a field name with forbidden characters';
    if (connectionFields.has(name)) return 'a connection-specific field';
    if (name === 'te' && value !== 'trailers') return 'te other than trailers';
  }
  return undefined;
}
