/** The endpoints of a Service: which pods serve it, on which ports, in which state. Decisions only. */
import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import {
  kinds,
  matchesLabels,
  serviceNameLabel,
  sliceManagedByLabel,
  type Container,
  type Endpoint,
  type EndpointPort,
  type EndpointSlice,
  type Pod,
  type Service,
  type ServicePortSpec,
} from '../../api/index.ts';
import { controllerReference, isFinished, isReady } from './ownership.ts';

export const sliceManager = 'endpointslice-controller.k8s.io';
const headlessLabel = 'service.kubernetes.io/headless';
const maxEndpoints = 100;

/** The slices that a Service should have, by name. The names follow from ports and position, so that no pass makes a second copy. */
export function planSlices(service: Service, pods: Iterable<Pod>): Map<string, EndpointSlice> {
  const { selector, type } = service.spec ?? {};
  const slices = new Map<string, EndpointSlice>();
  if (!selector || Object.keys(selector).length === 0 || type === 'ExternalName') return slices;
  const { namespace } = service.metadata;
  const selected = [...pods].filter(
    ({ metadata }) => metadata.namespace === namespace && matchesLabels(metadata.labels, selector),
  );
  for (const family of service.spec?.ipFamilies ?? ['IPv4']) planFamily(service, selected, family, slices);
  return slices;
}

type IpFamily = 'IPv4' | 'IPv6';

function planFamily(
  service: Service,
  pods: readonly Pod[],
  family: IpFamily,
  slices: Map<string, EndpointSlice>,
): void {
  const groups = new Map<string, { ports: EndpointPort[]; endpoints: Endpoint[] }>();
  for (const pod of pods) {
    const endpoint = endpointOf(service, pod, family);
    const ports = portsOf(service, pod);
    if (!endpoint || !ports) continue;
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    group.endpoints.push(endpoint);
    groups.set(key, group);
  }
  // A Service without pods still says that it is known.
  if (groups.size === 0) groups.set('[]', { ports: [], endpoints: [] });
  for (const [key, { ports, endpoints }] of groups) {
    const sorted = endpoints.toSorted((a, b) => ((a.targetRef?.name ?? '') < (b.targetRef?.name ?? '') ? -1 : 1));
    for (let start = 0; start === 0 || start < sorted.length; start += maxEndpoints) {
      const slice = sliceOf(service, family, `${key}/${start}`, {
        ports,
        endpoints: sorted.slice(start, start + maxEndpoints),
      });
      slices.set(slice.metadata.name ?? '', slice);
    }
  }
}

/** Undefined while the pod has no address of the family, and when it has ended. */
function endpointOf(service: Service, pod: Pod, family: IpFamily): Endpoint | undefined {
  const address = addressesOf(pod).find((ip) => (isIPv6(ip) ? 'IPv6' : 'IPv4') === family);
  if (address === undefined || isFinished(pod)) return undefined;
  const serving = isReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const { name = '', namespace = '', uid = '' } = pod.metadata;
  const named = pod.spec.hostname && pod.spec.subdomain === service.metadata.name;
  return {
    addresses: [address],
    conditions: {
      ready: service.spec?.publishNotReadyAddresses === true || (serving && !terminating),
      serving,
      terminating,
    },
    ...(named && pod.spec.hostname && { hostname: pod.spec.hostname }),
    targetRef: { kind: 'Pod', name, namespace, uid },
    ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
  };
}

function addressesOf({ status }: Pod): string[] {
  const { podIP, podIPs = [] } = status ?? {};
  if (podIPs.length > 0) return podIPs.map(({ ip }) => ip);
  return podIP ? [podIP] : [];
}

/** The Service's ports as this pod serves them; undefined when it serves none of them. */
function portsOf(service: Service, pod: Pod): EndpointPort[] | undefined {
  const wanted = service.spec?.ports ?? [];
  const found = wanted.flatMap((port): EndpointPort[] => {
    const number = targetPortOf(port, pod);
    if (number === undefined) return [];
    const { name = '', protocol = 'TCP', appProtocol } = port;
    return [{ name, protocol, port: number, ...(appProtocol !== undefined && { appProtocol }) }];
  });
  return wanted.length > 0 && found.length === 0 ? undefined : found;
}

function targetPortOf({ targetPort, port, protocol = 'TCP' }: ServicePortSpec, pod: Pod): number | undefined {
  if (typeof targetPort === 'number') return targetPort === 0 ? port : targetPort;
  if (targetPort === undefined || targetPort === '') return port;
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const containers: Container[] = [...pod.spec.containers, ...sidecars];
  const ports = containers.flatMap((container) => container.ports ?? []);
  return ports.find((each) => each.name === targetPort && (each.protocol ?? 'TCP') === protocol)?.containerPort;
}

function sliceOf(
  service: Service,
  family: IpFamily,
  key: string,
  content: { ports: EndpointPort[]; endpoints: Endpoint[] },
): EndpointSlice {
  const { name = '', namespace = '', labels = {} } = service.metadata;
  const suffix = createHash('sha256')
    .update(family === 'IPv4' ? key : `${family}/${key}`)
    .digest('hex')
    .slice(0, 5);
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-${suffix}`,
      namespace,
      labels: {
        ...labels,
        [serviceNameLabel]: name,
        [sliceManagedByLabel]: sliceManager,
        ...(service.spec?.clusterIP === 'None' && { [headlessLabel]: '' }),
      },
      ownerReferences: [controllerReference(kinds.Service, service)],
    },
    addressType: family,
    ...content,
  };
}
