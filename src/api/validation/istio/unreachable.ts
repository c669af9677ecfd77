/** Routes of a VirtualService that no request can come to, since an earlier one takes all that they match. */
import { isDeepStrictEqual } from 'node:util';
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';

/** Every pair of matches is compared: past this many, which nobody writes by hand, nothing is said. */
const maxMatches = 500;

interface Earlier {
  readonly route: number;
  readonly match: FieldView | undefined;
}

export function warnOfUnreachable(http: FieldView, found: Findings): void {
  const routes = http.items();
  if (routes.reduce((sum, route) => sum + Math.max(1, route.at('match').items().length), 0) > maxMatches) return;
  const earlier: Earlier[] = [];
  for (const [i, route] of routes.entries()) {
    const matches = route.at('match').items();
    const own: Earlier[] =
      matches.length === 0 ? [{ route: i, match: undefined }] : matches.map((match) => ({ route: i, match }));
    const taken = own.map(({ match }) => earlier.find((other) => covers(other.match, match)));
    const [first] = taken;
    if (first && taken.every((by) => by !== undefined)) {
      found.warn(route, `is never used: ${name(first)} takes all that it matches (IST0130)`);
    } else {
      for (const [k, by] of taken.entries()) {
        const match = own[k]?.match;
        if (by && match) found.warn(match, `has no effect: ${name(by)} takes all that it matches (IST0131)`);
      }
    }
    earlier.push(...own);
  }
}

function name({ route }: Earlier): string {
  return `http[${route}]`;
}

/** Whether `wide` matches whatever `narrow` matches. Without a match, all. False when it cannot be said. */
function covers(wide: FieldView | undefined, narrow: FieldView | undefined): boolean {
  return conditions(wide).every(([field, value]) => {
    if (field === 'uri' && takesAllPaths(value)) return true;
    if (!narrow) return false;
    const other = narrow.at(field);
    switch (field) {
      case 'uri':
        return (
          isDeepStrictEqual([value.value, ignoresCase(wide)], [other.value, ignoresCase(narrow)]) ||
          (!ignoresCase(wide) && !ignoresCase(narrow) && prefixCovers(value, other))
        );
      case 'headers':
      case 'withoutHeaders':
      case 'queryParams':
      case 'sourceLabels':
        return value
          .entries()
          .every(([key, item]) => other.exists && isDeepStrictEqual(item.value, other.at(key).value));
      default:
        return isDeepStrictEqual(value.value, other.value);
    }
  });
}

function conditions(match: FieldView | undefined): [string, FieldView][] {
  const named = new Set(['name', 'statPrefix', 'ignoreUriCase']);
  return (match?.entries() ?? []).filter(([field, value]) => !named.has(field) && value.exists);
}

function takesAllPaths(uri: FieldView): boolean {
  return uri.at('prefix').text === '/' || uri.at('regex').text === '.*';
}

function prefixCovers(uri: FieldView, other: FieldView): boolean {
  const prefix = uri.at('prefix').text;
  const narrower = other.at('prefix').text ?? other.at('exact').text;
  return prefix !== undefined && narrower !== undefined && narrower.startsWith(prefix);
}

function ignoresCase(match: FieldView | undefined): boolean {
  return match?.at('ignoreUriCase').boolean === true;
}
