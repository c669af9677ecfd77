/** Query parameters of a path, set and removed: what is not named stays as it was written. */

export interface QueryChanges {
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

export function changeQuery(path: string, { set, remove }: QueryChanges): string {
  if (set.length === 0 && remove.length === 0) return path;
  const mark = path.indexOf('?');
  const written = mark < 0 ? [] : path.slice(mark + 1).split('&');
  const gone = new Set([...remove, ...set.map(([name]) => name)]);
  const kept = written.filter((parameter) => parameter !== '' && !gone.has(nameOf(parameter)));
  const added = set.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  const query = [...kept, ...added].join('&');
  const base = mark < 0 ? path : path.slice(0, mark);
  return query === '' ? base : `${base}?${query}`;
}

function nameOf(parameter: string): string {
  const equals = parameter.indexOf('=');
  const name = (equals < 0 ? parameter : parameter.slice(0, equals)).replaceAll('+', ' ');
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
