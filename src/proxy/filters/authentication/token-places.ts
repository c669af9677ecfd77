/** Where a request carries its tokens: headers, query parameters, cookies. */
import type { JwtRule } from '../../../api/l7/index.ts';
import type { RequestHead } from '../../../http/message.ts';

export interface TokenPlaces {
  /** Every token at these places; usually one. */
  find(request: RequestHead): readonly string[];
  /** Takes the tokens away, so that the backend does not see them. */
  strip(request: RequestHead): void;
}

interface HeaderPlace {
  readonly name: string;
  readonly prefix: string;
  readonly ignoreCase: boolean;
}

/** Without a place in the rule: a bearer token (RFC 6750, 2.1 and 2.3; the scheme in any case, RFC 9110, 11.1). */
export function tokenPlaces(rule: Pick<JwtRule, 'fromHeaders' | 'fromParams' | 'fromCookies'>): TokenPlaces {
  const { fromHeaders, fromParams, fromCookies } = rule;
  const named = fromHeaders.length > 0 || fromParams.length > 0 || fromCookies.length > 0;
  const headers: readonly HeaderPlace[] = named
    ? fromHeaders.map(({ name, prefix }) => ({ name: name.toLowerCase(), prefix, ignoreCase: false }))
    : [{ name: 'authorization', prefix: 'Bearer ', ignoreCase: true }];
  const params = named ? fromParams : ['access_token'];
  return {
    find(request) {
      const found: string[] = [];
      for (const { name, prefix, ignoreCase } of headers) {
        const { fields } = request.headers;
        for (let i = 0; i < fields.length; i += 2) {
          const value = fields[i + 1] ?? '';
          if (fields[i] === name && startsWith(value, prefix, ignoreCase))
            add(found, value.slice(prefix.length).trim());
        }
      }
      if (params.length > 0 && request.path.includes('?')) {
        for (const part of partsOfQuery(request.path)) {
          if (params.includes(decoded(nameOf(part)))) add(found, decoded(valueOf(part)));
        }
      }
      if (fromCookies.length > 0) {
        for (const header of request.headers.getAll('cookie')) {
          for (const part of header.split(';')) {
            if (fromCookies.includes(nameOf(part).trim())) add(found, valueOf(part).trim());
          }
        }
      }
      return found;
    },
    strip(request) {
      for (const { name, prefix, ignoreCase } of headers) {
        const values = request.headers.getAll(name);
        const kept = values.filter((value) => !startsWith(value, prefix, ignoreCase));
        if (kept.length < values.length) replace(request, name, kept);
      }
      if (params.length > 0 && request.path.includes('?')) {
        const all = partsOfQuery(request.path);
        const kept = all.filter((part) => !params.includes(decoded(nameOf(part))));
        if (kept.length < all.length) request.path = withQuery(request.path, kept);
      }
      if (fromCookies.length > 0 && request.headers.has('cookie')) {
        const kept = request.headers.getAll('cookie').flatMap((header) => {
          const parts = header.split(';').filter((part) => !fromCookies.includes(nameOf(part).trim()));
          return parts.length > 0 ? [parts.join(';').trim()] : [];
        });
        replace(request, 'cookie', kept);
      }
    },
  };
}

function add(found: string[], token: string): void {
  if (token !== '' && !found.includes(token)) found.push(token);
}

function startsWith(value: string, prefix: string, ignoreCase: boolean): boolean {
  return ignoreCase ? value.slice(0, prefix.length).toLowerCase() === prefix.toLowerCase() : value.startsWith(prefix);
}

function replace({ headers }: RequestHead, name: string, values: readonly string[]): void {
  headers.remove(name);
  for (const value of values) headers.add(name, value);
}

function partsOfQuery(path: string): string[] {
  return path.slice(path.indexOf('?') + 1).split('&');
}

function withQuery(path: string, parts: readonly string[]): string {
  const bare = path.slice(0, path.indexOf('?'));
  return parts.length > 0 ? `${bare}?${parts.join('&')}` : bare;
}

function nameOf(part: string): string {
  const equals = part.indexOf('=');
  return equals < 0 ? part : part.slice(0, equals);
}

function valueOf(part: string): string {
  const equals = part.indexOf('=');
  return equals < 0 ? '' : part.slice(equals + 1);
}

function decoded(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
