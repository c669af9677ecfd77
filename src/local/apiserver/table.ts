/** `meta.k8s.io/v1` Tables: what `kubectl get` prints. */
import type { KindInfo, KubeObject } from '../../api/index.ts';
import { tableOf } from '../../api/serving.ts';

/** What each row carries of its object (`includeObject`). */
export type IncludeObject = 'Metadata' | 'Object' | 'None';

export interface TableOptions {
  readonly include: IncludeObject;
  readonly nowMs: number;
  /** Of the Table itself. */
  readonly metadata: Record<string, unknown>;
}

export function renderTable(
  kind: KindInfo,
  objects: readonly KubeObject[],
  options: TableOptions,
): Record<string, unknown> {
  const { columnDefinitions, rows } = tableOf(kind, objects, options.nowMs);
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: options.metadata,
    columnDefinitions,
    rows: objects.map((object, i) => ({
      cells: rows[i]?.cells ?? [],
      ...(options.include !== 'None' && { object: options.include === 'Object' ? object : partialMetadata(object) }),
    })),
  };
}

export function partialMetadata(object: KubeObject): Record<string, unknown> {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}
