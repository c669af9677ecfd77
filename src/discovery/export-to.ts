/** `exportTo`: which namespaces see a service. */
import type { MeshService } from '../api/workload.ts';

export type Exported = 'nobody' | Pick<MeshService, 'visibility' | 'exportTo'>;

/** `own` is the namespace of the object, which `.` stands for. */
export function exported(exportTo: readonly string[] | undefined, own: string): Exported {
  if (!exportTo || exportTo.length === 0 || exportTo.includes('*')) return { visibility: 'public' };
  const namespaces = new Set(exportTo.filter((entry) => entry !== '~').map((entry) => (entry === '.' ? own : entry)));
  if (namespaces.size === 0) return 'nobody';
  if (namespaces.size === 1 && namespaces.has(own)) return { visibility: 'namespace' };
  // Other data planes know two kinds of visibility alone, and must go on to reach it.
  return { visibility: 'public', exportTo: [...namespaces].toSorted() };
}

/** The annotation that says it of a Service. */
export function exportToOfService(annotations: Readonly<Record<string, string>> | undefined): string[] | undefined {
  return annotations?.['networking.istio.io/exportTo']
    ?.split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}
