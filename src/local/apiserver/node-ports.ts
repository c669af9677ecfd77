/** Node ports of Services: allocated when a Service needs them, kept through updates, each given to one Service a protocol. */
import { randomInt } from 'node:crypto';
import type { ApiObject } from './object-fields.ts';
import { invalid, StatusError } from './status-error.ts';

const first = 30_000;
const last = 32_767;

interface PortFields {
  name?: string;
  protocol?: string;
  port?: number;
  nodePort?: number;
}

/**
 * Writes `nodePort` into the ports of a Service of type NodePort or LoadBalancer (unless `allocateLoadBalancerNodePorts` is
 * false), and takes them out when an update changes the type to one without. `services` are all the others. Throws 422,
 * or 500 when none is left.
 */
export function assignNodePorts(
  service: ApiObject,
  before: ApiObject | undefined,
  services: Iterable<ApiObject>,
): void {
  const ports = portsOf(service);
  const old = portsOf(before);
  if (!needsNodePorts(service)) {
    const kept = new Set(old.flatMap(({ nodePort }) => nodePort ?? []));
    if (before && needsNodePorts(before))
      for (const port of ports) if (kept.has(port.nodePort ?? 0)) delete port.nodePort;
    return;
  }
  const isBalancer = service.spec?.['type'] === 'LoadBalancer';
  const allocates = !isBalancer || service.spec?.['allocateLoadBalancerNodePorts'] !== false;
  if (before && needsNodePorts(before)) {
    for (const port of ports) {
      port.nodePort ||= old.find((each) => sameKey(each, port))?.nodePort ?? 0;
      if (port.nodePort === 0) delete port.nodePort;
    }
  }
  const used = new Set<string>();
  for (const other of services) {
    for (const { protocol = 'TCP', nodePort } of portsOf(other)) if (nodePort) used.add(`${protocol} ${nodePort}`);
    const health = other.spec?.['healthCheckNodePort'];
    if (typeof health === 'number') used.add(`TCP ${health}`);
  }
  const problems: { reason: string; field: string; message: string }[] = [];
  ports.forEach(({ protocol = 'TCP', nodePort }, i) => {
    if (!nodePort) return;
    const why =
      nodePort < first || nodePort > last
        ? `provided port is not in the valid range. The range of valid ports is ${first}-${last}`
        : used.has(`${protocol} ${nodePort}`)
          ? 'provided port is already allocated'
          : undefined;
    used.add(`${protocol} ${nodePort}`);
    if (why === undefined) return;
    problems.push({
      reason: 'FieldValueInvalid',
      field: `spec.ports[${i}].nodePort`,
      message: `Invalid value: ${nodePort}: ${why}`,
    });
  });
  if (problems.length > 0) throw invalid('', 'Service', service.metadata.name ?? '', problems);
  if (isBalancer && service.spec?.['externalTrafficPolicy'] === 'Local') {
    const health =
      service.spec['healthCheckNodePort'] || before?.spec?.['healthCheckNodePort'] || pickFree('TCP', used);
    service.spec['healthCheckNodePort'] = health;
    used.add(`TCP ${health as number}`);
  }
  if (!allocates) return;
  for (const port of ports) {
    if (port.nodePort) continue;
    // One number for TCP and UDP of the same port, as Kubernetes gives it.
    const twin = ports.find((each) => each.port === port.port && each.nodePort)?.nodePort;
    const protocol = port.protocol ?? 'TCP';
    port.nodePort = twin !== undefined && !used.has(`${protocol} ${twin}`) ? twin : pickFree(protocol, used);
    used.add(`${protocol} ${port.nodePort}`);
  }
}

function pickFree(protocol: string, used: ReadonlySet<string>): number {
  const count = last - first + 1;
  const start = randomInt(count);
  for (let i = 0; i < count; i++) {
    const port = first + ((start + i) % count);
    if (!used.has(`${protocol} ${port}`)) return port;
  }
  throw new StatusError({
    code: 500,
    reason: 'InternalError',
    message: `Cannot allocate a node port: ${first}-${last} are all taken`,
  });
}

function needsNodePorts({ spec }: ApiObject): boolean {
  return spec?.['type'] === 'NodePort' || spec?.['type'] === 'LoadBalancer';
}

function sameKey(a: PortFields, b: PortFields): boolean {
  return (a.protocol ?? 'TCP') === (b.protocol ?? 'TCP') && a.port === b.port;
}

/** The objects themselves: what is written to them is written to the Service. */
function portsOf(service: ApiObject | undefined): PortFields[] {
  const ports = service?.spec?.['ports'];
  return Array.isArray(ports) ? (ports as PortFields[]) : [];
}
