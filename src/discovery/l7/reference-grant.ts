/** ReferenceGrant: what of a namespace may be named from another one. Pure. */
import type { ReferenceGrant } from '../../api/gateway.ts';

export interface ReferenceFrom {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
}

export interface ReferenceTo {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
}

/** `grants` are those of the namespace that is named. Inside of a namespace nobody needs one. */
export function permits(grants: Iterable<ReferenceGrant>, from: ReferenceFrom, to: ReferenceTo): boolean {
  for (const { spec } of grants) {
    const isFrom = spec.from.some(
      ({ group, kind, namespace }) => group === from.group && kind === from.kind && namespace === from.namespace,
    );
    const isTo = spec.to.some(
      ({ group, kind, name }) => group === to.group && kind === to.kind && (!name || name === to.name),
    );
    if (isFrom && isTo) return true;
  }
  return false;
}
