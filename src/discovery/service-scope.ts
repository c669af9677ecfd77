/** Which Services other networks may reach (ambient-l7, 9). Pure. */
import type { Namespace, Service } from '../api/core.ts';
import type { MeshConfig, ServiceScope } from '../api/mesh-config.ts';
import { matchesSelector } from '../api/selector.ts';

const byLabel: readonly ServiceScope[] = [
  { services: { matchLabels: { 'istio.io/global': 'true' } }, namespaces: {}, scope: 'global' },
];

/** One match is enough. What is said to be local says nothing: everything else is. */
export function isGlobalService(
  service: Service,
  namespace: Namespace | undefined,
  config: MeshConfig | undefined,
): boolean {
  if (!namespace) return false;
  return (config?.serviceScopes ?? byLabel).some(
    ({ scope, services, namespaces }) =>
      scope === 'global' &&
      matchesSelector(service.metadata.labels ?? {}, services) &&
      matchesSelector(namespace.metadata.labels ?? {}, namespaces),
  );
}
