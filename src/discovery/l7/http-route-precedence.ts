/**
 * Which of several rules of the Gateway API comes first on one host (ambient-l7, 2.3): the more specific match, then the older
 * route, then the name of the route, then the order in it. A pure comparison, for sorting.
 */
import type { HttpMatch, HttpRule, PathMatch } from '../../api/l7/index.ts';
import type { BoundRoutes } from './contracts.ts';

/** A rule with what of its route decides between equals. Every rule has at most one match. */
export interface PlacedRule {
  readonly rule: HttpRule;
  readonly route: BoundRoutes['route'];
  readonly createdAt: string;
  /** Place in the route. */
  readonly order: number;
}

/** The rules of `routes`, which are all of one host, in the order in which they are to be tried. */
export function inOrderOfPrecedence(
  routes: Iterable<Pick<BoundRoutes, 'http' | 'route' | 'createdAt'>>,
): readonly HttpRule[] {
  const placed: PlacedRule[] = [];
  for (const { http, route, createdAt } of routes) {
    for (const [order, rule] of http.entries()) placed.push({ rule, route, createdAt, order });
  }
  return placed.toSorted(compareRules).map(({ rule }) => rule);
}

/** Negative: `a` comes first. */
export function compareRules(a: PlacedRule, b: PlacedRule): number {
  const [one = everything] = a.rule.matches;
  const [other = everything] = b.rule.matches;
  return (
    rank(one) - rank(other) ||
    pathLength(other.path) - pathLength(one.path) ||
    Number(one.method === undefined) - Number(other.method === undefined) ||
    (other.headers?.length ?? 0) - (one.headers?.length ?? 0) ||
    (other.query?.length ?? 0) - (one.query?.length ?? 0) ||
    compareAges(a.createdAt, b.createdAt) ||
    compareTexts(`${a.route.namespace}/${a.route.name}`, `${b.route.namespace}/${b.route.name}`) ||
    compareTexts(a.route.kind, b.route.kind) ||
    a.order - b.order
  );
}

const everything: HttpMatch = {};

/** A match that takes everything goes last, or no expression would be reached; as do calls of gRPC by their headers alone. */
function rank(match: HttpMatch): number {
  if (isCatchAll(match)) return 4;
  switch (match.path?.kind) {
    case 'exact':
      return 0;
    case 'prefix':
    case 'path-prefix':
      return 1;
    case 'regex':
      return 2;
    case undefined:
      return 3;
  }
}

function isCatchAll({ path, method, headers = [], query = [] }: HttpMatch): boolean {
  const takesAllPaths = !path || (path.kind === 'path-prefix' && path.value === '/');
  return takesAllPaths && method === undefined && headers.length === 0 && query.length === 0;
}

/** A trailing slash adds nothing to a prefix by segments; expressions are all alike. */
function pathLength(path: PathMatch | undefined): number {
  if (!path || path.kind === 'regex') return 0;
  return path.kind === 'path-prefix' && path.value.endsWith('/') ? path.value.length - 1 : path.value.length;
}

/** What has no time yet is the youngest. */
function compareAges(a: string, b: string): number {
  if (a === b) return 0;
  if (a === '' || b === '') return a === '' ? 1 : -1;
  return compareTexts(a, b);
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
