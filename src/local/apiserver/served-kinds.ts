/** The kinds this server serves, found by path; and how objects of several versions share one storage. */
import { allKinds, type KindInfo, type KubeObject } from '../../api/index.ts';
import type { Stored } from './store.ts';

const byResource = new Map<string, KindInfo>(allKinds.map((kind) => [`${kind.group}/${kind.plural}`, kind]));

/** The kind at a path, with `version` set to the requested one; undefined when none is served there. */
export function findKind(group: string, version: string, plural: string): KindInfo | undefined {
  const kind = byResource.get(`${group}/${plural}`);
  if (!kind?.versions.includes(version)) return undefined;
  return kind.version === version ? kind : { ...kind, version };
}

export interface ServedGroup {
  readonly group: string;
  /** Preferred first. */
  readonly versions: readonly string[];
}

/** Every group with the versions that any of its kinds has. */
export function servedGroups(): ServedGroup[] {
  const groups = new Map<string, Set<string>>();
  for (const kind of allKinds) {
    const versions = groups.get(kind.group) ?? new Set();
    groups.set(kind.group, versions);
    for (const version of kind.versions) versions.add(version);
  }
  return [...groups].map(([group, versions]) => ({ group, versions: [...versions].toSorted(byPriority) }));
}

export function kindsOf(group: string, version: string): KindInfo[] {
  return allKinds.filter((kind) => kind.group === group && kind.versions.includes(version));
}

/** The store's name of a kind, the same for all its versions. */
export function storageOf(kind: { readonly group: string; readonly plural: string }): string {
  return kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`;
}

/** `v1`, `apps/v1` */
export function groupVersion(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}

/** The object as JSON text in the requested version. */
export function jsonInVersion(stored: Stored, kind: KindInfo): string {
  return isStorageVersion(kind) ? stored.json : JSON.stringify(objectInVersion(stored.object, kind));
}

/** The object with the requested apiVersion; the stored one itself when that is the same. */
export function objectInVersion(object: KubeObject, kind: KindInfo): KubeObject {
  return isStorageVersion(kind) ? object : { ...object, apiVersion: groupVersion(kind.group, kind.version) };
}

function isStorageVersion(kind: KindInfo): boolean {
  return kind.version === kind.versions[0];
}

/** Kubernetes' order: stable versions first, then beta, then alpha; higher numbers first. */
function byPriority(a: string, b: string): number {
  return priority(b) - priority(a);
}

function priority(version: string): number {
  const [, major = '0', stage, minor = '0'] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version) ?? [];
  const stages = { alpha: 0, beta: 1 } as const;
  const rank = stage === undefined ? 2 : stages[stage as keyof typeof stages];
  return rank * 1e6 + Number(major) * 1e3 + Number(minor);
}
