/** Ports of Services as WDS tells them: TCP only, named target ports resolved against a pod's containers. */
import type { Pod, Service, ServicePortSpec } from '../api/core.ts';
import type { EndpointSlice } from '../api/discovery.ts';
import type { AppProtocol, ServicePort } from '../api/workload.ts';

/** The ports of the Service itself: `targetPort` 0 where each endpoint decides. */
export function servicePorts(service: Service): ServicePort[] {
  return tcpPorts(service).map((port) => ({
    servicePort: port.port,
    targetPort:
      typeof port.targetPort === 'string' ? (tryPortNumber(port.targetPort) ?? 0) : (port.targetPort ?? port.port),
    appProtocol: appProtocolOf(port),
  }));
}

/** The ports that a pod serves for a Service. A named target port that no container has is left out: nobody listens there. */
export function podServicePorts(service: Service, pod: Pod): ServicePort[] {
  return tcpPorts(service).flatMap((port) => {
    const targetPort =
      typeof port.targetPort === 'string'
        ? (namedContainerPort(pod, port.targetPort) ?? tryPortNumber(port.targetPort))
        : port.targetPort || port.port;
    return targetPort === undefined ? [] : [{ servicePort: port.port, targetPort, appProtocol: appProtocolOf(port) }];
  });
}

/** The ports that an endpoint of a slice serves: joined to the Service by port name. */
export function sliceServicePorts(service: Service, slice: EndpointSlice): ServicePort[] {
  return tcpPorts(service).flatMap((port) => {
    const found = (slice.ports ?? []).find(
      (one) => (one.name ?? '') === (port.name ?? '') && (one.protocol ?? 'TCP') === 'TCP',
    );
    return found?.port === undefined
      ? []
      : [{ servicePort: port.port, targetPort: found.port, appProtocol: appProtocolOf(port) }];
  });
}

function tcpPorts(service: Service): ServicePortSpec[] {
  return (service.spec?.ports ?? []).filter((port) => (port.protocol ?? 'TCP') === 'TCP');
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

/** `appProtocol` if it is known, else the prefix of the port's name (`http-web`, `grpc`). */
function appProtocolOf(port: ServicePortSpec): AppProtocol {
  const declared = port.appProtocol?.toLowerCase();
  return (
    (declared && protocols[declared]) || protocols[(port.name ?? '').toLowerCase().split('-')[0] ?? ''] || 'unknown'
  );
}

const protocols: Readonly<Record<string, AppProtocol>> = {
  http: 'http11',
  'kubernetes.io/ws': 'http11',
  http2: 'http2',
  h2c: 'http2',
  'kubernetes.io/h2c': 'http2',
  grpc: 'grpc',
  tcp: 'tcp',
  mongo: 'tcp',
  mysql: 'tcp',
  redis: 'tcp',
  tls: 'tls',
  https: 'tls',
};
