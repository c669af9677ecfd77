/**
 * Pure: the variables by which a container is told of Services (Kubernetes, "Service: environment variables"): the API
 * server's always, those of its own namespace unless the pod wants no links.
 */
import type { Pod, Service } from '../../api/index.ts';

/** `services`: those of all namespaces as they are now. */
export function serviceEnvironment(pod: Pod, services: Iterable<Service>): Record<string, string> {
  const environment: Record<string, string> = {};
  const hasLinks = pod.spec.enableServiceLinks ?? true;
  // The namespace's own go before: a Service there may be called kubernetes too.
  const ordered = [...services].toSorted((a, b) => Number(isApiServer(b)) - Number(isApiServer(a)));
  for (const service of ordered) {
    const isLinked = hasLinks && service.metadata.namespace === pod.metadata.namespace;
    if (isLinked || isApiServer(service)) Object.assign(environment, variablesOf(service));
  }
  return environment;
}

function isApiServer({ metadata }: Service): boolean {
  return metadata.namespace === 'default' && metadata.name === 'kubernetes';
}

/** None for a headless Service. */
function variablesOf({ metadata, spec }: Service): Record<string, string> {
  const { clusterIP = 'None', ports = [] } = spec ?? {};
  const [first] = ports;
  if (clusterIP === 'None' || clusterIP === '' || !first) return {};
  const host = clusterIP.includes(':') ? `[${clusterIP}]` : clusterIP;
  const prefix = upper(metadata.name ?? '');
  const environment: Record<string, string> = {
    [`${prefix}_SERVICE_HOST`]: clusterIP,
    [`${prefix}_SERVICE_PORT`]: String(first.port),
    [`${prefix}_PORT`]: urlOf(first, host),
  };
  for (const port of ports) {
    if (port.name) environment[`${prefix}_SERVICE_PORT_${upper(port.name)}`] = String(port.port);
    const protocol = port.protocol ?? 'TCP';
    const portPrefix = `${prefix}_PORT_${port.port}_${protocol}`;
    environment[portPrefix] = urlOf(port, host);
    environment[`${portPrefix}_PROTO`] = protocol.toLowerCase();
    environment[`${portPrefix}_PORT`] = String(port.port);
    environment[`${portPrefix}_ADDR`] = clusterIP;
  }
  return environment;
}

function urlOf({ protocol = 'TCP', port }: { protocol?: string; port: number }, host: string): string {
  return `${protocol.toLowerCase()}://${host}:${port}`;
}

function upper(name: string): string {
  return name.toUpperCase().replaceAll('-', '_');
}
