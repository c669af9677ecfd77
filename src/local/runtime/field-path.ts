/** Pure: the downward API's field paths, for environment variables and volume files. */
import type { Pod } from '../../api/index.ts';

/** What the runtime knows of a running pod beyond its object. */
export interface PodFacts {
  readonly pod: Pod;
  readonly podIp: string;
  readonly podIps?: readonly string[];
  readonly hostIp: string;
  readonly hostIps?: readonly string[];
  readonly nodeName: string;
}

/** The value of `fieldPath`, "" for a label or annotation that is not there; undefined for a path that is not supported. */
export function fieldValue(fieldPath: string, facts: PodFacts): string | undefined {
  const { metadata, spec } = facts.pod;
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath);
  if (subscript) return metadata[subscript[1] === 'labels' ? 'labels' : 'annotations']?.[subscript[2] ?? ''] ?? '';
  switch (fieldPath) {
    case 'metadata.name':
      return metadata.name ?? '';
    case 'metadata.namespace':
      return metadata.namespace ?? '';
    case 'metadata.uid':
      return metadata.uid ?? '';
    case 'metadata.labels':
      return formatMap(metadata.labels);
    case 'metadata.annotations':
      return formatMap(metadata.annotations);
    case 'spec.nodeName':
      return facts.nodeName;
    case 'spec.serviceAccountName':
      return spec.serviceAccountName ?? 'default';
    case 'status.podIP':
      return facts.podIp;
    case 'status.podIPs':
      return facts.podIps?.join(',') ?? facts.podIp;
    case 'status.hostIP':
      return facts.hostIp;
    case 'status.hostIPs':
      return facts.hostIps?.join(',') ?? facts.hostIp;
    default:
      return undefined;
  }
}

/** A container's own limits and requests as the downward API gives them: in units of the divisor, rounded up. */
export function resourceValue(
  resource: string,
  container: { resources?: { limits?: object; requests?: object } },
  capacity: Readonly<Record<string, number>>,
  divisor: string | number = 1,
): string | undefined {
  const found = /^(limits|requests)\.(cpu|memory|ephemeral-storage)$/.exec(resource);
  if (!found) return undefined;
  const [, group, name = ''] = found;
  const amounts = (group === 'limits' ? container.resources?.limits : container.resources?.requests) as
    | Record<string, string | number>
    | undefined;
  const amount = amounts?.[name];
  const unset = group === 'limits' ? (capacity[name] ?? 0) : 0;
  // A divisor of 0 is none, as Kubernetes has it.
  const unit = parseQuantity(divisor) || 1;
  return String(Math.ceil((amount === undefined ? unset : parseQuantity(amount)) / unit));
}

const suffixes: Readonly<Record<string, number>> = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

function parseQuantity(amount: string | number): number {
  const found = /^([\d.]+(?:e\d+)?)([a-zA-Z]*)$/.exec(String(amount));
  return found ? Number(found[1]) * (suffixes[found[2] ?? ''] ?? 1) : 0;
}

/** `key="value"` lines, sorted by key. */
function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}\n`)
    .join('');
}
