/** Paths and URLs as rules rewrite and redirect them (ambient-l7, 2.1 and 2.3). Pure. */
import type { HttpAction, HttpMatch, PathRewrite } from '../../api/l7/index.ts';
import { parseRegex } from '../../policy/text-match.ts';

/** The new path with its query. `match` is the alternative that fitted. */
export function rewritePath(path: string, rewrite: PathRewrite, match: HttpMatch | undefined): string {
  const mark = path.indexOf('?');
  const bare = mark < 0 ? path : path.slice(0, mark);
  const query = mark < 0 ? '' : path.slice(mark);
  switch (rewrite.kind) {
    case 'full':
      return rewrite.value + query;
    case 'prefix':
      return replacePrefix(bare, rewrite, match) + query;
    case 'regex':
      return replaceAll(bare, rewrite.pattern, rewrite.value) + query;
  }
}

function replacePrefix(
  path: string,
  { value, bySegments }: Extract<PathRewrite, { kind: 'prefix' }>,
  match: HttpMatch | undefined,
): string {
  const matched = match?.path;
  // After an exact match, the whole path is what matched; without a prefix, the root is.
  const prefix = matched && matched.kind !== 'regex' ? matched.value : '/';
  if (!bySegments) return value + path.slice(prefix.length);
  const rest = path.slice(prefix.endsWith('/') ? prefix.length - 1 : prefix.length);
  const base = value.endsWith('/') ? value.slice(0, -1) : value;
  return base + rest || '/';
}

const regexes = new Map<string, ReturnType<typeof parseRegex>>();
const maxRegexes = 1000;

function replaceAll(text: string, pattern: string, replacement: string): string {
  let regex = regexes.get(pattern);
  if (!regex) {
    if (regexes.size >= maxRegexes) regexes.clear();
    regex = parseRegex(pattern);
    regexes.set(pattern, regex);
  }
  return regex
    .matcher(text)
    .replaceAll((...groups: unknown[]) =>
      replacement.replaceAll(/\\(\d)/g, (_, index: string) => textOf(groups[Number(index)])),
    );
}

function textOf(group: unknown): string {
  return typeof group === 'string' ? group : '';
}

export interface RedirectRequest {
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  /** Port that the request came to. */
  readonly port: number;
}

/** The value of Location. */
export function redirectLocation(
  request: RedirectRequest,
  redirect: Extract<HttpAction, { kind: 'redirect' }>,
  match: HttpMatch | undefined,
): string {
  const scheme = redirect.scheme ?? request.scheme;
  const { host, port: askedPort } = splitAuthority(request.authority);
  const port = redirectPort(request, redirect, scheme, askedPort);
  const isDefault = (scheme === 'http' && port === 80) || (scheme === 'https' && port === 443);
  const path = redirect.path ? rewritePath(request.path, redirect.path, match) : request.path;
  const name = redirect.hostname ?? host;
  // A host that names its port itself (VirtualService's authority) has said it.
  const hasPort = redirect.hostname !== undefined && splitAuthority(redirect.hostname).port !== undefined;
  return `${scheme}://${name}${hasPort || port === undefined || isDefault ? '' : `:${port}`}${path}`;
}

function redirectPort(
  request: RedirectRequest,
  redirect: Extract<HttpAction, { kind: 'redirect' }>,
  scheme: string,
  askedPort: number | undefined,
): number | undefined {
  const { port } = redirect;
  if (typeof port === 'number') return port;
  // The client's own word goes first: a published port may be another one than that of the listener.
  if (port === 'from-request') return askedPort ?? request.port;
  const schemePort = scheme === 'https' ? 443 : 80;
  if (port === 'from-scheme' || redirect.scheme !== undefined) return schemePort;
  return askedPort;
}

function splitAuthority(authority: string): { readonly host: string; readonly port: number | undefined } {
  const found = /^(.*):(\d+)$/.exec(authority);
  if (!found || (authority.includes(']') && !authority.includes(']:'))) return { host: authority, port: undefined };
  return { host: found[1] ?? '', port: Number(found[2]) };
}
