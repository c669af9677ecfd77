/** `match` of a route of a VirtualService (ambient-l7, 2.1). Pure. */
import type { HttpMatch, NamedMatch, PathMatch, TextMatch } from '../../api/l7/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { parseRegex } from '../../policy/text-match.ts';
import type { RuleProblems } from './rule-problems.ts';
import type { VsHttpMatch, VsStringMatch } from './virtual-service-types.ts';

export interface MatchContext {
  /** Of the match, as in `spec.http[0].match[1]`. */
  readonly path: string;
  /** Port of the Service that the table is for. */
  readonly port: number;
  readonly problems: RuleProblems;
}

/** Undefined: it is not for this port, nor for clients inside the mesh, or nothing can match it. */
export function httpMatch(match: VsHttpMatch, context: MatchContext): HttpMatch | undefined {
  const { problems, path } = context;
  if (!isForMesh(match.gateways)) return undefined;
  if (match.port !== undefined && match.port !== context.port) return undefined;
  if (Object.keys(match.sourceLabels ?? {}).length > 0) {
    problems.fault(
      `${path}.sourceLabels`,
      'UnsupportedValue',
      'a waypoint does not know the labels of clients: the match is left out; sourceNamespace is known',
    );
    return undefined;
  }
  if (match.statPrefix !== undefined) problems.note(`${path}.statPrefix`, 'there are no statistics by prefix');
  try {
    return readMatch(match, context);
  } catch (error) {
    problems.fault(path, 'Invalid', `${messageOf(error)}: the match is left out`);
    return undefined;
  }
}

function readMatch(match: VsHttpMatch, { path, problems }: MatchContext): HttpMatch {
  const uri = pathMatch(match);
  const method = textMatch(match.method);
  const scheme = textMatch(match.scheme);
  const authority = textMatch(match.authority);
  const headers: NamedMatch[] = [];
  const claims: NonNullable<HttpMatch['claims']>[number][] = [];
  for (const [field, invert] of [
    ['headers', false],
    ['withoutHeaders', true],
  ] as const) {
    for (const [key, text] of byName(match[field])) {
      const claim = claimPath(key);
      if (claim) claims.push({ path: claim, match: presentOr(text), invert });
      else if (notHeaders.has(key.toLowerCase())) {
        problems.note(`${path}.${field}[${key}]`, `is no header: use the field ${key.toLowerCase()} of the match`);
      } else headers.push({ name: key.toLowerCase(), match: presentOr(text), invert });
    }
  }
  const query = byName(match.queryParams).map(([name, text]) => ({ name, match: presentOr(text), invert: false }));
  return {
    ...(uri ? { path: uri } : {}),
    ...(method ? { method } : {}),
    ...(scheme ? { scheme } : {}),
    ...(authority ? { authority } : {}),
    ...(headers.length > 0 ? { headers } : {}),
    ...(query.length > 0 ? { query } : {}),
    ...(claims.length > 0 ? { claims } : {}),
    ...(match.sourceNamespace ? { sourceNamespace: match.sourceNamespace } : {}),
  };
}

export function isForMesh(gateways: readonly string[] | undefined): boolean {
  return gateways === undefined || gateways.length === 0 || gateways.includes('mesh');
}

/** Istio passes over them among headers. */
const notHeaders: ReadonlySet<string> = new Set(['uri', 'scheme', 'method', 'authority']);

function pathMatch({ uri, ignoreUriCase }: VsHttpMatch): PathMatch | undefined {
  const text = textMatch(uri);
  if (!text || text.kind === 'present' || text.kind === 'suffix') return undefined;
  const isFolded = ignoreUriCase === true && text.kind !== 'regex';
  return isFolded ? { ...text, ignoreCase: true } : text;
}

/** Undefined: any text. @throws AmbitError `policy.bad-regex`. */
export function textMatch(text: VsStringMatch | undefined): TextMatch | undefined {
  if (text?.exact !== undefined) return { kind: 'exact', value: text.exact };
  if (text?.prefix !== undefined) return { kind: 'prefix', value: text.prefix };
  if (text?.regex === undefined) return undefined;
  // Not of RE2's syntax, and yet what many write for "anything".
  if (text.regex === '*') return { kind: 'present' };
  parseRegex(text.regex);
  return { kind: 'regex', value: text.regex };
}

function presentOr(text: VsStringMatch): TextMatch {
  return textMatch(text) ?? { kind: 'present' };
}

/** `@request.auth.claims.a.b` or `@request.auth.claims[a][b]`. */
function claimPath(key: string): string[] | undefined {
  const [, dotted, bracketed] = /^@request\.auth\.claims(?:\.(.+)|((?:\[[^\]]+\])+))$/i.exec(key) ?? [];
  if (dotted !== undefined) return dotted.split('.');
  return bracketed?.slice(1, -1).split('][');
}

/** In an order that does not depend on how the object was written. */
function byName<T>(entries: Readonly<Record<string, T>> | undefined): [string, T][] {
  return Object.entries(entries ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
