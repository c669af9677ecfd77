/** Kinds that are stored and that nothing acts on: their statuses say so, and whoever writes one is told. */
import type { AdmissionRequest } from '../api/admission.ts';
import { kinds } from '../api/kinds.ts';
import type { KindRef } from '../api/meta.ts';
import type { Collection } from '../collection/index.ts';
import { unservedKinds, type Discovery, type UnservedKind } from '../discovery/index.ts';
import type { StatusKind, StatusObject } from './status-writer.ts';

const acceptedType = 'WaypointAccepted';

const names = Object.keys(unservedKinds) as UnservedKind[];

export function unservedStatusKinds(
  { unserved }: Pick<Discovery, 'unserved'>,
  keyOf: (name: string) => string,
): StatusKind[] {
  return names.map((kind) => ({
    kind: kinds[kind] as KindRef<StatusObject>,
    fieldManager: 'istio-waypoint-rules',
    distributedAs: 'untold',
    conditionTypes: [acceptedType],
    current: (name) => unserved[kind].get(keyOf(name)),
    judged(name) {
      const found = unserved[kind].get(keyOf(name));
      const verdict = { status: 'False', reason: 'UnsupportedKind', message: unservedKinds[kind] } as const;
      return found && { generation: found.metadata.generation, conditions: { [acceptedType]: verdict } };
    },
  }));
}

/** For whoever writes the object; none: it is of another kind. */
export function unservedWarnings({ kind }: Pick<AdmissionRequest, 'kind'>): string[] {
  const name = names.find((one) => kinds[one].group === kind.group && kinds[one].kind === kind.kind);
  return name ? [`${kind.kind}: ${unservedKinds[name]}`] : [];
}

export function followUnserved(
  { unserved }: Pick<Discovery, 'unserved'>,
  follow: (kind: KindRef, ...collections: readonly Collection<unknown>[]) => void,
): void {
  for (const kind of names) follow(kinds[kind], unserved[kind]);
}
