/** What a request is hashed by: a header, a cookie, a query parameter or the client's address. */
import type { HashSource } from '../../api/l7/index.ts';
import type { RequestHead } from '../../http/message.ts';
import { hashText } from './hash.ts';

/** Undefined: the request has no such thing. */
export function requestHash(source: HashSource, head: RequestHead, clientAddress: string): number | undefined {
  const value = hashedValue(source, head, clientAddress);
  return value === undefined ? undefined : hashText(value);
}

function hashedValue(source: HashSource, head: RequestHead, clientAddress: string): string | undefined {
  switch (source.kind) {
    case 'source-ip':
      return clientAddress;
    case 'header':
      return headerValue(head, source.name.toLowerCase());
    case 'query':
      return queryValue(head.path, source.name);
    case 'cookie':
      return cookieValue(head, source.name);
  }
}

/** All values of the header, in any order the same. */
function headerValue({ headers, authority }: RequestHead, name: string): string | undefined {
  if (name === 'host' || name === ':authority') return authority;
  const values = headers.getAll(name);
  return values.length > 1 ? values.toSorted().join(',') : values[0];
}

function queryValue(path: string, name: string): string | undefined {
  const start = path.indexOf('?');
  if (start < 0) return undefined;
  return new URLSearchParams(path.slice(start + 1)).get(name) ?? undefined;
}

export function cookieValue({ headers }: RequestHead, name: string): string | undefined {
  const { fields } = headers;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'cookie') continue;
    for (const pair of (fields[i + 1] ?? '').split(';')) {
      const equals = pair.indexOf('=');
      if (equals > 0 && pair.slice(0, equals).trim() === name) return unquoted(pair.slice(equals + 1).trim());
    }
  }
  return undefined;
}

function unquoted(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}
