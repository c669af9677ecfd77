/** Keys of objects in the collections of discovery: every key carries its cluster. */
import type { ClusterId } from '../api/names.ts';
import type { KubeObject } from '../api/meta.ts';

declare const brand: unique symbol;
/** `<cluster>/<namespace>/<name>`; cluster-scoped objects have an empty namespace. */
export type ObjectKey = string & { readonly [brand]: 'ObjectKey' };

export function objectKey(cluster: ClusterId, namespace: string, name: string): ObjectKey {
  return `${cluster}/${namespace}/${name}` as ObjectKey;
}

export function keyOfObject(cluster: ClusterId, object: KubeObject): ObjectKey {
  return objectKey(cluster, object.metadata.namespace ?? '', object.metadata.name ?? '');
}

export function clusterOfKey(key: string): ClusterId {
  return key.slice(0, key.indexOf('/')) as ClusterId;
}

/**
 * The index keys under which a selector is found by the labels of what it selects: one pair stands for all, so that a
 * reader looks up each of its own labels and then compares in full.
 */
export function selectorIndexKey(
  cluster: string,
  namespace: string,
  selector: Readonly<Record<string, string>>,
): string[] {
  const [first] = Object.keys(selector).toSorted();
  return first === undefined ? [] : [labelIndexKey(cluster, namespace, first, selector[first] ?? '')];
}

/** The index keys of an object's own labels. */
export function labelIndexKeys(
  cluster: string,
  namespace: string,
  labels: Readonly<Record<string, string>> = {},
): string[] {
  return Object.entries(labels).map(([name, value]) => labelIndexKey(cluster, namespace, name, value));
}

function labelIndexKey(cluster: string, namespace: string, name: string, value: string): string {
  return `${cluster}/${namespace}/${name}=${value}`;
}
