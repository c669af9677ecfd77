/** The kinds this server serves, found by path; and how objects of several versions share one storage. */
import type { KindInfo, KubeObject } from '../../api/index.ts';
import { builtinKinds } from '../../api/serving.ts';
import type { CustomKinds } from './custom/custom-kinds.ts';
import type { Stored } from './store.ts';

export interface ServedGroup {
  readonly group: string;
  /** Preferred first. */
  readonly versions: readonly string[];
}

const builtinByResource: ReadonlyMap<string, KindInfo> = new Map(
  builtinKinds.map((kind) => [`${kind.group}/${kind.plural}`, kind]),
);

/** One of Kubernetes' own kinds at a path. */
export function findBuiltin(group: string, version: string, plural: string): KindInfo | undefined {
  const kind = builtinByResource.get(`${group}/${plural}`);
  return kind?.version === version ? kind : undefined;
}

/** Kubernetes' own kinds, and those of the CustomResourceDefinitions that are there now. */
export class ServedKinds {
  readonly #custom: CustomKinds;

  constructor(custom: CustomKinds) {
    this.#custom = custom;
  }

  /** Grows with every change of the definitions: what was made from the kinds before is out of date. */
  get generation(): number {
    return this.#custom.generation;
  }

  /** The kind at a path, with `version` set to the requested one; undefined when none is served there. */
  find(group: string, version: string, plural: string): KindInfo | undefined {
    return findBuiltin(group, version, plural) ?? this.#custom.find(group, version, plural);
  }

  /** Every group with the versions that any of its kinds has: those of definitions by name, so that of equal names of kinds clients always find the same first. */
  groups(): ServedGroup[] {
    const groups = new Map<string, Set<string>>();
    const custom = [...this.#custom.all()].toSorted((a, b) => (a.group < b.group ? -1 : Number(a.group > b.group)));
    for (const { group, version } of [...builtinKinds, ...custom])
      groups.set(group, (groups.get(group) ?? new Set()).add(version));
    return [...groups].map(([group, versions]) => ({ group, versions: [...versions].toSorted(byPriority) }));
  }

  of(group: string, version: string): KindInfo[] {
    return this.#all().filter((kind) => kind.group === group && kind.version === version);
  }

  /** Each kind once for each of its versions. */
  #all(): KindInfo[] {
    return [...builtinKinds, ...this.#custom.all()];
  }
}

/** The store's name of a kind, the same for all its versions. */
export function storageOf(of: Pick<KindInfo, 'group' | 'plural' | 'storage'>): string {
  const kind = of.storage ?? of;
  return kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`;
}

/** `v1`, `apps/v1` */
export function groupVersion(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}

/** The object as JSON text in the requested version. */
export function jsonInVersion(stored: Stored, kind: KindInfo): string {
  const object = objectInVersion(stored.object, kind);
  return object === stored.object ? stored.json : JSON.stringify(object);
}

/** The object with the requested apiVersion, and with defaults younger than itself; the stored one when that is the same. */
export function objectInVersion(object: KubeObject, kind: KindInfo): KubeObject {
  const read = kind.onRead?.(object) ?? object;
  const apiVersion = groupVersion(kind.group, kind.version);
  return read.apiVersion === apiVersion ? read : { ...read, apiVersion };
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
