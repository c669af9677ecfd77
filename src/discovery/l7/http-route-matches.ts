/** Matches of HTTPRoute in the terms of the model. Pure. */
import type { HTTPRoute } from '../../api/gateway.ts';
import type { HttpMatch, NamedMatch, PathMatch, TextMatch } from '../../api/l7/index.ts';

export type HttpRouteMatch = NonNullable<NonNullable<HTTPRoute['spec']['rules']>[number]['matches']>[number];
type Named = NonNullable<HttpRouteMatch['headers']>[number];

export function httpMatch(match: HttpRouteMatch): HttpMatch {
  const { method, headers = [], queryParams = [] } = match;
  return {
    path: pathMatch(match.path),
    ...(method === undefined ? {} : { method: { kind: 'exact', value: method } }),
    ...(headers.length > 0 ? { headers: headerMatches(headers) } : {}),
    ...(queryParams.length > 0
      ? { query: firstOfEach(queryParams, (name) => name).map((one) => named(one.name, one)) }
      : {}),
  };
}

/** Of entries that name one header, the first counts, as the Gateway API has it. */
export function headerMatches(headers: readonly Named[]): NamedMatch[] {
  return firstOfEach(headers, (name) => name.toLowerCase()).map((one) => named(one.name.toLowerCase(), one));
}

/** Every regular expression of a match, for whoever checks them. */
export function regexesOf({ path, headers = [], query = [] }: HttpMatch): string[] {
  const texts = [...headers, ...query].map(({ match }) => match).filter((match) => match.kind === 'regex');
  return [...(path?.kind === 'regex' ? [path.value] : []), ...texts.map(({ value }) => value)];
}

function pathMatch({ type = 'PathPrefix', value = '/' }: NonNullable<HttpRouteMatch['path']> = {}): PathMatch {
  switch (type) {
    case 'Exact':
      return { kind: 'exact', value };
    case 'PathPrefix':
      return { kind: 'path-prefix', value };
    case 'RegularExpression':
      return { kind: 'regex', value };
  }
}

function named(name: string, { type = 'Exact', value }: Pick<Named, 'type' | 'value'>): NamedMatch {
  const match: TextMatch = type === 'Exact' ? { kind: 'exact', value } : { kind: 'regex', value };
  return { name, match, invert: false };
}

function firstOfEach<T extends { readonly name: string }>(entries: readonly T[], keyOf: (name: string) => string): T[] {
  const seen = new Map<string, T>();
  for (const entry of entries) {
    const key = keyOf(entry.name);
    if (!seen.has(key)) seen.set(key, entry);
  }
  return [...seen.values()];
}
