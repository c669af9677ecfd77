/** The Service in front of a Gateway's proxies (ambient-l7, 1.4). Pure. */
import type { Service, ServicePortSpec, ServiceSpec } from '../../api/core.ts';
import type { Gateway } from '../../api/gateway.ts';
import type { GatewayObjects } from '../../discovery/index.ts';
import { gatewaySelector, ownedMetadata } from './gateway-metadata.ts';

const statusPort: ServicePortSpec = { name: 'status-port', port: 15021, protocol: 'TCP', appProtocol: 'tcp' };
const typeAnnotation = 'networking.istio.io/service-type';
const serviceTypes = ['ClusterIP', 'NodePort', 'LoadBalancer'] as const;
const longestPortName = 63;

export function proxyService(gateway: Gateway, objects: GatewayObjects): Service {
  const metadata = ownedMetadata(gateway, objects, objects.name);
  const type = serviceType(gateway, objects);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      ...metadata,
      annotations: { ...metadata.annotations, 'networking.istio.io/traffic-distribution': 'PreferClose' },
    },
    spec: {
      type,
      ipFamilyPolicy: 'PreferDualStack',
      ports: [statusPort, ...listenerPorts(gateway)],
      selector: gatewaySelector(gateway),
      ...fixedAddress(gateway, type),
    },
  };
}

function serviceType({ metadata }: Gateway, { role }: GatewayObjects): NonNullable<ServiceSpec['type']> {
  const wanted = serviceTypes.find((type) => type === metadata.annotations?.[typeAnnotation]);
  return wanted ?? (role === 'waypoint' ? 'ClusterIP' : 'LoadBalancer');
}

/** One for each number: listeners may share a port. Names are those of the first, and differ from one another. */
function listenerPorts({ spec }: Gateway): ServicePortSpec[] {
  const ports = new Map<number, ServicePortSpec>();
  const names = new Set([statusPort.name]);
  for (const { name, port, protocol } of spec.listeners) {
    if (ports.has(port) || port === statusPort.port || protocol === 'UDP') continue;
    const unique = uniqueName(name, names);
    names.add(unique);
    ports.set(port, { name: unique, port, protocol: 'TCP', appProtocol: protocol.toLowerCase() });
  }
  return [...ports.values()];
}

function uniqueName(listener: string, taken: ReadonlySet<string | undefined>): string {
  const name = listener.replaceAll('.', '-');
  for (let number = 1; ; number++) {
    const suffix = number === 1 ? '' : `-${number}`;
    const candidate = `${name.slice(0, longestPortName - suffix.length).replace(/-+$/, '')}${suffix}`;
    if (!taken.has(candidate)) return candidate;
  }
}

function fixedAddress({ spec }: Gateway, type: ServiceSpec['type']): Partial<ServiceSpec> {
  const ip = spec.addresses?.find(({ value }) => value !== undefined && value !== '')?.value;
  if (ip === undefined) return {};
  return type === 'LoadBalancer' ? { loadBalancerIP: ip } : { clusterIP: ip };
}
