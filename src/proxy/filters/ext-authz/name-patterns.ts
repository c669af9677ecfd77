/** Lists of header names as providers give them: exact, `prefix*` or `*suffix`, whatever the case. */

export type NameTest = (name: string) => boolean;

/** `name` is in lower case. Undefined: the list is empty. */
export function compileNames(patterns: readonly string[]): NameTest | undefined {
  if (patterns.length === 0) return undefined;
  const exact = new Set<string>();
  const prefixes: string[] = [];
  const suffixes: string[] = [];
  for (const pattern of patterns.map((text) => text.toLowerCase())) {
    if (pattern.endsWith('*')) prefixes.push(pattern.slice(0, -1));
    else if (pattern.startsWith('*')) suffixes.push(pattern.slice(1));
    else exact.add(pattern);
  }
  return (name) =>
    exact.has(name) ||
    prefixes.some((prefix) => name.startsWith(prefix)) ||
    suffixes.some((suffix) => name.endsWith(suffix));
}
