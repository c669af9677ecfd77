/** Which labels of its Node a kubelet may set (`k8s.io/kubelet/pkg/apis`, and NodeRestriction). */

const ownLabels = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/instance-type',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
]);
const ownNamespaces = ['kubelet.kubernetes.io', 'node.kubernetes.io'];
/** Kubernetes keeps these for itself, but for the above. */
const keptNamespaces = ['kubernetes.io', 'k8s.io'];
const restricted = 'node-restriction.kubernetes.io';

/** Those that differ between the two and are not a node's to change, sorted. */
export function forbiddenNodeLabels(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): string[] {
  const changed = Object.keys({ ...before, ...after }).filter((label) => before[label] !== after[label]);
  return changed.filter(isForbidden).toSorted();
}

function isForbidden(label: string): boolean {
  const slash = label.indexOf('/');
  const namespace = slash < 0 ? '' : label.slice(0, slash);
  const isIn = (domain: string): boolean => namespace === domain || namespace.endsWith(`.${domain}`);
  if (isIn(restricted)) return true;
  return keptNamespaces.some(isIn) && !ownLabels.has(label) && !ownNamespaces.some(isIn);
}
