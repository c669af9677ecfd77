/**
 * The last parameters of a Gateway that it could be deployed by, as they are kept: a control plane that starts, or comes to lead, while
 * those of now make no sense goes on by them. Pure.
 *
 * They are in a ConfigMap of the control plane's own namespace: what they say is deployed with the control plane's rights, so whoever
 * may write Gateways and no ConfigMaps must not write them. Their text is an annotation, as of data little is kept (`slim.ts`).
 */
import { hash } from 'node:crypto';
import type { ConfigMap } from '../../api/core.ts';
import type { Gateway } from '../../api/gateway.ts';
import { isJsonObject } from '../../lib/json.ts';
import { deployedParts } from './parts.ts';

const parametersAnnotation = 'gateway.ambit.dev/last-parameters';
const gatewayAnnotation = 'gateway.ambit.dev/gateway';
const keptLabel = 'gateway.ambit.dev/keeps';

/** All annotations of an object may have 256 KiB together. */
const maxLength = 64 * 1024;

/** What a ConfigMap says of parts that are deployed, as `namespace/name` and texts by part. */
interface KeptMap {
  readonly source: string;
  readonly data: Readonly<Record<string, string>>;
}

/** What is kept of them. Null: there are no parameters; undefined: they are too long. */
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

/** The ConfigMap that keeps `text` for the Gateway `namespace/name`. */
export function keptMap(gateway: string, namespace: string, text: string): ConfigMap {
  return {
    metadata: {
      name: keptName(gateway),
      namespace,
      labels: { [keptLabel]: 'gateway-parameters' },
      annotations: { [gatewayAnnotation]: gateway, [parametersAnnotation]: text },
    },
  };
}

/** Its name: those of Gateways and their namespaces may be longer together than a name. */
export function keptName(gateway: string): string {
  return `gateway-parameters-${hash('sha256', gateway).slice(0, 32)}`;
}

/** The Gateway, `namespace/name`, for which a ConfigMap keeps parameters; undefined: it keeps none. */
export function keeperOf({ metadata: { labels, annotations } }: ConfigMap): string | undefined {
  return labels?.[keptLabel] === undefined ? undefined : annotations?.[gatewayAnnotation];
}

/** As `parametersToKeep` made it. */
export function keptText(map: ConfigMap | undefined): string | undefined {
  return map?.metadata.annotations?.[parametersAnnotation];
}

/** In the order in which they apply. Undefined: none are known, or those of an earlier Gateway of the name. */
export function keptParameters(map: ConfigMap | undefined, { metadata }: Gateway): ConfigMap[] | undefined {
  const kept = tryParse(keptText(map) ?? '');
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
