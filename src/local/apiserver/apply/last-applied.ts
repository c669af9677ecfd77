/** kubectl's client-side apply annotation, in which it keeps what it applied. */
import { isJsonObject, type Json, type JsonObject } from '../merge-patch.ts';
import { compareFields } from './compare.ts';
import { difference, emptySet, type FieldSet } from './field-set.ts';
import { fieldsOf } from './fields-of.ts';
import type { Structure } from './structure.ts';

const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
/** Kubernetes' limit of all annotations together. */
const maxBytes = 256 * 1024;

/** The fields that client-side apply set and nobody changed since. */
export function allowedByLastApplied(live: JsonObject, structure: Structure): FieldSet {
  const text = annotationsOf(live)?.[annotation];
  if (typeof text !== 'string') return emptySet;
  let applied: Json;
  try {
    applied = JSON.parse(text) as Json;
  } catch {
    return emptySet;
  }
  if (!isJsonObject(applied) || applied['apiVersion'] !== live['apiVersion']) return emptySet;
  const { added, modified, removed } = compareFields(live, applied, structure);
  return difference(difference(difference(fieldsOf(applied, structure), modified), added), removed);
}

/** The object with the annotation brought up to date, where it has one: for kubectl's server-side apply. */
export function withLastApplied(object: JsonObject, config: JsonObject): JsonObject {
  const annotations = annotationsOf(object);
  if (annotations?.[annotation] === undefined) return object;
  const metadata = { ...(object['metadata'] as JsonObject) };
  const own = { ...annotationsOf(config) };
  delete own[annotation];
  const applied = { ...config, metadata: { ...(config['metadata'] as JsonObject), annotations: own } as JsonObject };
  if (Object.keys(own).length === 0) delete applied.metadata['annotations'];
  const text = `${JSON.stringify(applied)}\n`;
  const next = { ...annotations, [annotation]: text };
  if (Buffer.byteLength(text) > maxBytes) delete (next as JsonObject)[annotation];
  return { ...object, metadata: { ...metadata, annotations: next } };
}

function annotationsOf(object: JsonObject): JsonObject | undefined {
  const metadata = object['metadata'];
  const annotations = isJsonObject(metadata) ? metadata['annotations'] : undefined;
  return isJsonObject(annotations) ? annotations : undefined;
}
