/** Parts of a status that have conditions of their own, merged with what is there: times stay, and so do others' entries. Pure. */
import type { BackendTLSPolicy, HTTPRoute } from '../api/gateway.ts';
import type { Condition } from '../api/meta.ts';
import type { AncestorVerdict, ListenerVerdict, ParentVerdict } from '../discovery/index.ts';
import { mergeConditions, type Verdict } from './conditions.ts';

interface About {
  readonly generation: number | undefined;
  readonly nowMs: number;
}

/** Of lists that several controllers write. */
interface AboutShared extends About {
  readonly isOwn: (controllerName: string) => boolean;
}

type ParentEntry = NonNullable<HTTPRoute['status']>['parents'][number];

/** As many as a status may have. */
const maxParents = 32;
const maxAncestors = 16;

/** Entries of ours whose parents the route no longer has go; others' go first where there is not room for all. */
export function mergeParents(before: unknown, wanted: readonly ParentVerdict[], about: AboutShared): ParentEntry[] {
  const entries = Array.isArray(before) ? (before as readonly ParentEntry[]) : [];
  const left = new Map(wanted.map((verdict) => [keyOf(verdict), verdict]));
  const merged = entries.flatMap((entry): ParentEntry[] => {
    if (!about.isOwn(entry.controllerName)) return [entry];
    const verdict = left.get(keyOf(entry));
    left.delete(keyOf(entry));
    return verdict ? [entryOf(verdict, entry.conditions, about)] : [];
  });
  const added = [...left.values()].map((verdict) => entryOf(verdict, [], about));
  return [...merged, ...added].slice(0, maxParents);
}

function entryOf(
  { parentRef, controllerName, conditions }: ParentVerdict,
  before: readonly Condition[],
  about: About,
): ParentEntry {
  return { parentRef, controllerName, conditions: merge(before, conditions, about) };
}

/** A reference says the same whether its defaults are written out or not. */
function keyOf({ parentRef, controllerName }: Pick<ParentEntry, 'parentRef' | 'controllerName'>): string {
  const { group = 'gateway.networking.k8s.io', kind = 'Gateway', namespace, name, sectionName, port } = parentRef;
  return JSON.stringify([controllerName, group, kind, namespace, name, sectionName, port]);
}

type AncestorEntry = NonNullable<BackendTLSPolicy['status']>['ancestors'][number];

export function mergeAncestors(
  before: unknown,
  wanted: readonly AncestorVerdict[],
  about: AboutShared,
): AncestorEntry[] {
  const entries = Array.isArray(before) ? (before as readonly AncestorEntry[]) : [];
  const asParents = mergeParents(
    entries.map(({ ancestorRef, ...entry }) => ({ ...entry, parentRef: ancestorRef })),
    wanted.map(({ ancestorRef, ...verdict }) => ({ ...verdict, parentRef: ancestorRef })),
    about,
  );
  return asParents.slice(0, maxAncestors).map(({ parentRef, ...entry }) => ({ ancestorRef: parentRef, ...entry }));
}

interface ListenerEntry {
  readonly name: string;
  readonly conditions: readonly Condition[];
}

export function mergeListeners(before: unknown, wanted: readonly ListenerVerdict[], about: About): ListenerEntry[] {
  const entries = Array.isArray(before) ? (before as readonly ListenerEntry[]) : [];
  return wanted.map(({ name, attachedRoutes, supportedKinds, conditions }) => ({
    name,
    attachedRoutes,
    supportedKinds,
    conditions: merge(entries.find((entry) => entry.name === name)?.conditions ?? [], conditions, about),
  }));
}

/** All conditions of the part are ours: those that no longer apply go. */
function merge(before: readonly Condition[], wanted: Readonly<Record<string, Verdict>>, about: About): Condition[] {
  const own = before.filter(({ type }) => Object.hasOwn(wanted, type));
  return mergeConditions(own, wanted, about) ?? own;
}
