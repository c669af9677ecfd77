/** Ports of Services as WDS tells them: TCP only, named target ports resolved against a pod's containers. */
import type { Pod, Service } from '../api/core.ts';
import type { EndpointSlice } from '../api/discovery.ts';
import type { ServiceEntry, WorkloadEntry } from '../api/istio.ts';
import type { AppProtocol, ServicePort } from '../api/workload.ts';

/** A port of a Service or ServiceEntry, before it is known who serves it. */
export interface NamedPort {
  readonly name: string;
  readonly port: number;
  /** A number, or the name that each endpoint has for it. */
  readonly targetPort: number | string;
  readonly appProtocol: AppProtocol;
}

export function portsOfService(service: Service): NamedPort[] {
  return (service.spec?.ports ?? [])
    .filter((port) => (port.protocol ?? 'TCP') === 'TCP')
    .map((port) => ({
      name: port.name ?? '',
      port: port.port,
      targetPort: port.targetPort || port.port,
      appProtocol: appProtocolOf(port.appProtocol, port.name),
    }));
}

export function portsOfEntry(entry: ServiceEntry): NamedPort[] {
  return (entry.spec.ports ?? []).map((port) => ({
    name: port.name,
    port: port.number,
    targetPort: port.targetPort || port.number,
    appProtocol: appProtocolOf(port.protocol, port.name),
  }));
}

/** The ports of the service itself: `targetPort` 0 where each endpoint decides. */
export function servicePorts(ports: readonly NamedPort[]): ServicePort[] {
  return ports.map(({ port, targetPort, appProtocol }) => ({
    servicePort: port,
    targetPort: typeof targetPort === 'string' ? (tryPortNumber(targetPort) ?? 0) : targetPort,
    appProtocol,
  }));
}

/** The ports that a pod serves. A named target port that no container has is left out: nobody listens there. */
export function podServicePorts(ports: readonly NamedPort[], pod: Pod): ServicePort[] {
  return resolved(ports, ({ targetPort }) =>
    typeof targetPort === 'string' ? (namedContainerPort(pod, targetPort) ?? tryPortNumber(targetPort)) : targetPort,
  );
}

/** The ports that an endpoint of a slice serves: joined to the Service by port name. */
export function sliceServicePorts(ports: readonly NamedPort[], slice: EndpointSlice): ServicePort[] {
  return resolved(
    ports,
    ({ name }) =>
      (slice.ports ?? []).find((one) => (one.name ?? '') === name && (one.protocol ?? 'TCP') === 'TCP')?.port,
  );
}

/** The ports that a WorkloadEntry or an endpoint of a ServiceEntry serves: its own, by the name of the port or of its target. */
export function entryServicePorts(
  ports: readonly NamedPort[],
  own: WorkloadEntry['spec']['ports'] = {},
): ServicePort[] {
  return resolved(ports, ({ name, targetPort }) => {
    if (typeof targetPort === 'string') return own[targetPort] ?? own[name] ?? tryPortNumber(targetPort);
    return own[name] ?? targetPort;
  });
}

function resolved(ports: readonly NamedPort[], targetOf: (port: NamedPort) => number | undefined): ServicePort[] {
  return ports.flatMap((port) => {
    const targetPort = targetOf(port);
    return targetPort === undefined ? [] : [{ servicePort: port.port, targetPort, appProtocol: port.appProtocol }];
  });
}

function namedContainerPort(pod: Pod, name: string): number | undefined {
  const sidecars = (pod.spec.initContainers ?? []).filter((container) => container.restartPolicy === 'Always');
  for (const container of [...pod.spec.containers, ...sidecars]) {
    const port = (container.ports ?? []).find((one) => one.name === name && (one.protocol ?? 'TCP') === 'TCP');
    if (port) return port.containerPort;
  }
  return undefined;
}

function tryPortNumber(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port > 0 && port <= 65535 ? port : undefined;
}

/** What is declared if it is known, else the prefix of the port's name (`http-web`, `grpc`). */
function appProtocolOf(declared: string | undefined, name = ''): AppProtocol {
  return protocols[declared?.toLowerCase() ?? ''] ?? protocols[name.toLowerCase().split('-')[0] ?? ''] ?? 'unknown';
}

const protocols: Readonly<Record<string, AppProtocol>> = {
  http: 'http11',
  'kubernetes.io/ws': 'http11',
  http2: 'http2',
  h2c: 'http2',
  'kubernetes.io/h2c': 'http2',
  grpc: 'grpc',
  'grpc-web': 'http11',
  tcp: 'tcp',
  mongo: 'tcp',
  mysql: 'tcp',
  redis: 'tcp',
  tls: 'tls',
  https: 'tls',
};
