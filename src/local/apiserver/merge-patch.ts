/** JSON merge patch (RFC 7386). */

import { isJsonObject, setOwn, type Json, type JsonObject } from '../../lib/json.ts';

export { isJsonObject, setOwn, type Json, type JsonObject };

/** The patched value; neither argument is changed. */
export function applyMergePatch(target: Json | undefined, patch: Json): Json {
  if (!isJsonObject(patch)) return structuredClone(patch);
  const result: JsonObject = isJsonObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else setOwn(result, key, applyMergePatch(Object.hasOwn(result, key) ? result[key] : undefined, value));
  }
  return result;
}
