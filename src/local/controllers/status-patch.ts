/** A merge patch of a status, in which counts of zero are absent, as Go leaves them out. */
import { isDeepStrictEqual } from 'node:util';

/** What differs between the stored status and the one that should be; undefined when nothing does. `kept` stay when they are 0. */
export function statusPatch<T extends object>(
  before: T | undefined,
  after: T,
  kept: readonly (keyof T & string)[],
): Record<string, unknown> | undefined {
  const stored = (before ?? {}) as Record<string, unknown>;
  const changed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(after)) {
    const shown: unknown = value === 0 && !(kept as readonly string[]).includes(name) ? undefined : value;
    if (!isDeepStrictEqual(stored[name], shown)) changed[name] = shown ?? null;
  }
  return Object.keys(changed).length > 0 ? changed : undefined;
}
