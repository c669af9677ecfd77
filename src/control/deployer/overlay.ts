/**
 * What users change in the objects of a Gateway: a ConfigMap with a strategic merge patch for each, as `kubectl patch`
 * takes it (ambient-l7, 1.4). Heavy, for the schemas: imported where there is one.
 */
import { loadAll, YAMLException } from 'js-yaml';
import type { ConfigMap } from '../../api/core.ts';
import { apiVersionOf } from '../../api/kinds.ts';
import type { KubeObject } from '../../api/meta.ts';
import { applyStrategicMergePatch, kindInfo } from '../../api/serving.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import { deployedParts, partKinds, type DeployedPart, type Overlay } from './parts.ts';

/** Throws `control.overlay`, naming the key at fault. */
export function readOverlay({ metadata, data = {} }: ConfigMap): Overlay {
  const source = `${metadata.namespace}/${metadata.name}`;
  const patches = new Map<DeployedPart, JsonObject>();
  for (const part of deployedParts) {
    if (Object.hasOwn(data, part)) patches.set(part, readPatch(data[part] ?? '', source, part));
  }
  return {
    has: (part) => patches.has(part),
    apply(object, part) {
      const patch = patches.get(part);
      return patch ? merge(object, patch, { source, part }) : object;
    },
  };
}

function readPatch(text: string, source: string, part: DeployedPart): JsonObject {
  let documents: unknown[];
  try {
    documents = loadAll(text);
  } catch (error) {
    // The exception's message is a picture of many lines.
    const { line, reason } =
      error instanceof YAMLException
        ? { line: error.mark ? `, line ${error.mark.line + 1},` : '', reason: error.reason }
        : { line: '', reason: messageOf(error) };
    throw overlayError(`ConfigMap ${source}: ${part}${line} is no YAML: ${reason}`);
  }
  if (documents.length > 1) throw fault({ source, part }, 'has several documents');
  // An empty text asks for the object as it is.
  const patch = documents[0] ?? {};
  if (!isJsonObject(patch)) throw fault({ source, part }, 'is no object');
  return patch;
}

interface Place {
  readonly source: string;
  readonly part: DeployedPart;
}

/** What an object is, and what it belongs to, cannot be changed. */
function merge(object: KubeObject, patch: JsonObject, place: Place): KubeObject {
  const kind = partKinds[place.part];
  const metadata = isJsonObject(patch['metadata']) ? patch['metadata'] : {};
  const fixed = [
    ['apiVersion', patch['apiVersion'], apiVersionOf(kind)],
    ['kind', patch['kind'], kind.kind],
    ['metadata.name', metadata['name'], object.metadata.name],
    ['metadata.namespace', metadata['namespace'], object.metadata.namespace],
  ] as const;
  for (const [path, wanted, is] of fixed) {
    if (wanted !== undefined && wanted !== is) {
      throw fault(place, `may not change ${path} to ${JSON.stringify(wanted)}`);
    }
  }
  try {
    const base = structuredClone(object) as unknown as JsonObject;
    const merged = applyStrategicMergePatch(base, patch, kindInfo(kind)?.schema) as unknown as KubeObject;
    const { labels = {}, ...rest } = merged.metadata ?? {};
    const { ownerReferences = [] } = object.metadata;
    return { ...merged, metadata: { ...rest, labels: { ...labels, ...ownLabels(object) }, ownerReferences } };
  } catch (error) {
    throw fault(place, messageOf(error));
  }
}

/** By these we know our own objects again. */
function ownLabels({ metadata }: KubeObject): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata.labels ?? {}).filter(([key]) => /^gateway\.(networking\.k8s|istio)\.io\//.test(key)),
  );
}

/** About parameters that cannot be read at all. */
export function overlayError(message: string): AmbitError {
  return new AmbitError(message, { code: 'control.overlay', blame: 'downstream' });
}

function fault({ source, part }: Place, reason: string): AmbitError {
  return overlayError(`ConfigMap ${source}: ${part} ${reason}`);
}
