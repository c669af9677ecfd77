/** Paths in the one form that routes and policies see, and that the backend gets (`meshConfig.pathNormalization`; ambient-l7, 2.5). */
import type { ProxySettings } from '../api/l7/index.ts';

export type PathNormalization = ProxySettings['pathNormalization'];

/**
 * The path and query of a request in the form of `mode`; undefined: the request is to be refused (400), because the path has a NUL.
 * All modes cut the fragment, and none touches the query. Doing it twice changes nothing more.
 */
export function normalizePath(path: string, mode: PathNormalization): string | undefined {
  // Most paths are in every form already: one search.
  if (!suspectPattern.test(path)) return path;
  const fragment = path.indexOf('#');
  const whole = fragment < 0 ? path : path.slice(0, fragment);
  const query = whole.indexOf('?');
  const bare = query < 0 ? whole : whole.slice(0, query);
  const rest = query < 0 ? '' : whole.slice(query);
  if (bare.includes('%00') || bare.includes('\0')) return undefined;
  if (mode === 'none' || !bare.startsWith('/')) return bare + rest;
  let text = bare.includes('%') ? decode(bare, mode === 'decode-and-merge-slashes') : bare;
  text = resolveDots(text.replaceAll('\\', '/'));
  if (mode !== 'base') text = text.replaceAll(/\/{2,}/g, '/');
  return text + rest;
}

/** Whatever some mode may change. */
// oxlint-disable-next-line no-control-regex
const suspectPattern = /[%\\#\0]|\/[./]/;

const escapePattern = /%([0-9A-Fa-f]{2})/g;
const unreservedPattern = /[A-Za-z0-9\-._~]/;
const unfinishedEscape = /%[0-9A-Fa-f]?$/;

/** Decodes escapes of unreserved characters, and of slashes where asked for. What it decodes never becomes part of a new escape. */
function decode(path: string, slashes: boolean): string {
  let decoded = '';
  let last = 0;
  for (const { 0: escape, 1: digits = '', index } of path.matchAll(escapePattern)) {
    decoded += path.slice(last, index);
    last = index + escape.length;
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    const isSlash = character === '/' || character === '\\';
    const isDecoded = isSlash ? slashes : unreservedPattern.test(character) && !unfinishedEscape.test(decoded);
    decoded += isDecoded ? character : escape;
  }
  return decoded + path.slice(last);
}

/** Removes `.` and `..` (RFC 3986 section 5.2.4). An empty segment counts as one. */
function resolveDots(path: string): string {
  if (!path.includes('/.')) return path;
  const segments = path.split('/').slice(1);
  const kept: string[] = [];
  segments.forEach((segment, i) => {
    const isLast = i === segments.length - 1;
    if (segment === '.' || segment === '..') {
      if (segment === '..') kept.pop();
      if (isLast) kept.push('');
    } else {
      kept.push(segment);
    }
  });
  return `/${kept.join('/')}`;
}
