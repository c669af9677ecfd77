/** REST paths of the Kubernetes API: core kinds under /api/v1, every other group under /apis/GROUP/VERSION. */
import type { KindRef } from '../api/index.ts';

export interface ResourcePath {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly subresource?: string | undefined;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>> | undefined;
}

/** Path with query of a collection, an object or a subresource. */
export function resourcePath(kind: KindRef, { namespace, name, subresource, query }: ResourcePath = {}): string {
  const parts = [kind.group === '' ? '/api' : `/apis/${kind.group}`, kind.version];
  if (kind.namespaced && namespace !== undefined) parts.push('namespaces', encodeURIComponent(namespace));
  parts.push(kind.plural);
  if (name !== undefined) parts.push(encodeURIComponent(name));
  if (subresource !== undefined) parts.push(subresource);
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) if (value !== undefined) search.set(key, String(value));
  const text = search.toString();
  return parts.join('/') + (text === '' ? '' : `?${text}`);
}

/** `v1` or `group/version`. */
export function apiVersionOf(kind: KindRef): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
}
