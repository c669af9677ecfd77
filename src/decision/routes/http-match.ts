/** What a rule demands of a request, compiled once a configuration (ambient-l7, 2.1 and 2.3). Pure. */
import type { HttpMatch, NamedMatch, PathMatch } from '../../api/l7/index.ts';
import type { HeaderList } from '../../http/header-list.ts';
import { claimTexts } from '../../policy/http-claims.ts';
import { compileText, type TextTest } from '../../policy/text-match.ts';

/** A request as routes see it. */
export interface RouteRequest {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  /** Path and query, normalised. */
  readonly path: string;
  readonly headers: HeaderList;
  /** Port that the client asked for. */
  readonly port: number;
  readonly sourceNamespace: string | undefined;
  /** Of a verified token. */
  readonly claims: Readonly<Record<string, unknown>> | undefined;
}

/** A request with what several rules look at, found once. */
export interface RouteSubject {
  readonly request: RouteRequest;
  /** Without query. */
  readonly path: string;
  /** Decoded on first use. */
  query(name: string): string | undefined;
}

export type RequestTest = (subject: RouteSubject) => boolean;

/** @throws AmbitError `policy.bad-regex`. */
export function compileMatch(match: HttpMatch): RequestTest {
  const tests: RequestTest[] = [];
  // What is cheap and often fails comes first.
  if (match.port !== undefined) tests.push(({ request }) => request.port === match.port);
  if (match.method) tests.push(field(compileText(match.method), ({ method }) => method));
  if (match.path) tests.push(compilePath(match.path));
  if (match.scheme) tests.push(field(compileText(match.scheme), ({ scheme }) => scheme));
  if (match.authority) tests.push(field(compileText(match.authority), ({ authority }) => authority));
  if (match.sourceNamespace !== undefined) {
    tests.push(({ request }) => request.sourceNamespace === match.sourceNamespace);
  }
  for (const header of match.headers ?? []) tests.push(compileHeader(header));
  for (const parameter of match.query ?? []) tests.push(compileQuery(parameter));
  for (const { path, match: wanted, invert } of match.claims ?? []) {
    const test = compileText(wanted);
    tests.push(({ request }) => (request.claims ? claimTexts(request.claims, path).some(test) : false) !== invert);
  }
  const [first, ...rest] = tests;
  if (!first) return () => true;
  if (rest.length === 0) return first;
  return (subject) => {
    for (const test of tests) if (!test(subject)) return false;
    return true;
  };
}

function field(test: TextTest, of: (request: RouteRequest) => string): RequestTest {
  return ({ request }) => test(of(request));
}

/** @throws AmbitError `policy.bad-regex`. */
function compilePath(match: PathMatch): RequestTest {
  if (match.kind === 'path-prefix') {
    const prefix = match.value.endsWith('/') ? match.value.slice(0, -1) : match.value;
    if (prefix === '') return () => true;
    return ({ path }) => path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
  }
  const test = compileText(match, match.ignoreCase ? { ignoreCase: true } : {});
  return ({ path }) => test(path);
}

/** Several fields of one name count as one, joined by a comma (RFC 9110, 5.2). */
function compileHeader({ name, match, invert }: NamedMatch): RequestTest {
  if (match.kind === 'present') return ({ request }) => request.headers.has(name) !== invert;
  const test = compileText(match);
  return ({ request }) => {
    const { headers } = request;
    const value = headers.get(name);
    // Absent: an inverted match sees the empty text, a plain one fails.
    if (value === undefined) return invert && !test('');
    const all = headers.getAll(name);
    return test(all.length > 1 ? all.join(',') : value) !== invert;
  };
}

function compileQuery({ name, match, invert }: NamedMatch): RequestTest {
  if (match.kind === 'present') return (subject) => (subject.query(name) !== undefined) !== invert;
  const test = compileText(match);
  return (subject) => {
    const value = subject.query(name);
    if (value === undefined) return invert && !test('');
    return test(value) !== invert;
  };
}

export class Subject implements RouteSubject {
  readonly request: RouteRequest;
  readonly path: string;
  readonly #query: string | undefined;
  #parameters: URLSearchParams | undefined;

  constructor(request: RouteRequest) {
    this.request = request;
    const { path } = request;
    const mark = path.indexOf('?');
    this.path = mark < 0 ? path : path.slice(0, mark);
    this.#query = mark < 0 ? undefined : path.slice(mark + 1);
  }

  /** The first value of a parameter that is given several times. */
  query(name: string): string | undefined {
    if (this.#query === undefined) return undefined;
    this.#parameters ??= new URLSearchParams(this.#query);
    return this.#parameters.get(name) ?? undefined;
  }
}
