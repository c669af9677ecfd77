/**
 * The last parameters of a Gateway that it could be deployed by, kept on the Gateway itself: a control plane that starts, or comes to
 * lead, while those of now make no sense goes on by them. Pure.
 */
import type { ConfigMap } from '../../api/core.ts';
import type { Gateway } from '../../api/gateway.ts';
import { isJsonObject } from '../../lib/json.ts';
import { deployedParts } from './parts.ts';

export const parametersAnnotation = 'gateway.ambit.dev/last-parameters';

/** All annotations of an object may have 256 KiB together. */
const maxLength = 64 * 1024;

/** What a ConfigMap says of parts that are deployed, as `namespace/name` and texts by part. */
interface KeptMap {
  readonly source: string;
  readonly data: Readonly<Record<string, string>>;
}

/** Value of the annotation. Null: there are no parameters; undefined: they are too long for it. */
export function parametersToKeep({ metadata }: Gateway, maps: readonly ConfigMap[]): string | null | undefined {
  if (maps.length === 0) return null;
  const kept = maps.map(({ metadata: { namespace, name }, data = {} }): KeptMap => {
    const parts = deployedParts.filter((part) => Object.hasOwn(data, part));
    return {
      source: `${namespace}/${name}`,
      data: Object.fromEntries(parts.map((part) => [part, data[part] ?? ''])),
    };
  });
  const text = JSON.stringify({ uid: metadata.uid, maps: kept });
  return text.length > maxLength ? undefined : text;
}

/** In the order in which they apply. Undefined: none are known, or those of another Gateway, from which this one was copied. */
export function keptParameters({ metadata }: Gateway): ConfigMap[] | undefined {
  const kept = tryParse(metadata.annotations?.[parametersAnnotation] ?? '');
  if (!isJsonObject(kept) || kept['uid'] !== metadata.uid || !Array.isArray(kept['maps'])) return undefined;
  const maps = kept['maps'].flatMap((one: unknown) => readMap(one) ?? []);
  return maps.length === kept['maps'].length ? maps : undefined;
}

function readMap(value: unknown): ConfigMap | undefined {
  if (!isJsonObject(value) || typeof value['source'] !== 'string' || !isJsonObject(value['data'])) return undefined;
  const [namespace = '', name = ''] = value['source'].split('/');
  const data: Record<string, string> = {};
  for (const [part, text] of Object.entries(value['data'])) {
    if (typeof text !== 'string') return undefined;
    data[part] = text;
  }
  return { metadata: { namespace, name }, data };
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
