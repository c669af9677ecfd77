/** Claims of verified tokens as policies, routes and limits compare them. */

/**
 * The texts at `path` inside of the claims: one of a text, a number or a boolean, one for each such member of a list; none where
 * there is nothing to compare.
 */
export function claimTexts(claims: Readonly<Record<string, unknown>>, path: readonly string[]): readonly string[] {
  let value: unknown = claims;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return [];
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  if (Array.isArray(value)) {
    const members: readonly unknown[] = value;
    return isTexts(members) ? members : members.flatMap((member) => textOf(member) ?? []);
  }
  const text = textOf(value);
  return text === undefined ? [] : [text];
}

/** Nearly every list: it is used as it is. */
function isTexts(list: readonly unknown[]): list is readonly string[] {
  for (const member of list) if (typeof member !== 'string') return false;
  return true;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}
