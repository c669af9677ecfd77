/** Which pods belong to the mesh: labels of pod and namespace, as Istio reads them (ambient-l4 section 2.1). */
import type { Namespace, Pod } from '../api/index.ts';
import { systemNamespace } from '../api/names.ts';

export const dataplaneModeLabel = 'istio.io/dataplane-mode';
/** `enabled`: redirected, and ztunnel serves it; `pending`: ztunnel does not yet. */
export const redirectionAnnotation = 'ambient.istio.io/redirection';
const sidecarAnnotation = 'sidecar.istio.io/status';
const bypassInboundAnnotation = 'ambient.istio.io/bypass-inbound-capture';

export const defaultExcludedNamespaces: readonly string[] = ['kube-system'];

/** Whether the pod should be captured. The pod's label wins over the namespace's, both ways. */
export function wantsMesh(pod: Pod, namespace: Namespace | undefined, excludedNamespaces: readonly string[]): boolean {
  const { labels = {}, annotations = {}, namespace: namespaceName = '' } = pod.metadata;
  if (pod.spec.hostNetwork === true) return false;
  if (annotations[sidecarAnnotation] !== undefined) return false;
  if (excludedNamespaces.includes(namespaceName)) return false;
  if (namespaceName === systemNamespace && labels['app'] === 'ztunnel') return false;
  const mode = labels[dataplaneModeLabel];
  if (mode === 'ambient') return true;
  return mode !== 'none' && namespace?.metadata.labels?.[dataplaneModeLabel] === 'ambient';
}

/** Whether the pod is over: its containers ended and none will start again. */
export function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** Whether plaintext to the pod is left alone (ingress mode). */
export function bypassesInbound(pod: Pod): boolean {
  return pod.metadata.annotations?.[bypassInboundAnnotation] === 'true';
}

export function redirectionOf(pod: Pod): string | undefined {
  return pod.metadata.annotations?.[redirectionAnnotation];
}

export function podIpsOf(pod: Pod): string[] {
  const ips = (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  const { podIP } = pod.status ?? {};
  return podIP !== undefined && podIP !== '' && !ips.includes(podIP) ? [podIP, ...ips] : ips;
}
