/** A simulated cluster: Services, pods, slices and policies of any number, and the changes that a real one would see. */
import {
  kinds,
  type EndpointSlice,
  type KindRef,
  type KubeObject,
  type Pod,
  type Service,
} from '../../src/api/index.ts';
import type { ObjectStore } from './object-store.ts';

export interface ClusterSize {
  readonly services: number;
  readonly pods: number;
  readonly nodes: number;
}

export interface SimulatedCluster {
  /** Turns one pod's readiness, and its endpoint's. Returns the pod's `namespace/name`. */
  flipPod(index: number): string;
  /** Deletes the pod and makes another in its place, with a new address, as a rollout would. Returns both names. */
  replacePod(index: number): readonly [gone: string, born: string];
}

const namespaceCount = 50;
const systemNamespace = 'istio-system';

export function fillCluster(store: ObjectStore, { services, pods, nodes }: ClusterSize): SimulatedCluster {
  const generations = new Map<number, number>();
  const readiness = new Map<number, boolean>();
  let nextAddress = pods;

  const namespaceOf = (service: number): string => `ns-${service % namespaceCount}`;
  const serviceOf = (pod: number): number => pod % services;
  const nameOf = (pod: number): string => `svc-${serviceOf(pod)}-${pod}-${generations.get(pod) ?? 0}`;
  const addresses = new Map<number, number>();
  const addressOf = (pod: number): string => {
    const n = addresses.get(pod) ?? pod;
    return `10.${128 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
  };

  const podObject = (pod: number): Pod => ({
    metadata: {
      namespace: namespaceOf(serviceOf(pod)),
      name: nameOf(pod),
      uid: `uid-${nameOf(pod)}`,
      labels: { app: `svc-${serviceOf(pod)}`, version: 'v1', 'pod-template-hash': '5d4f7c9b8' },
      annotations: { 'ambient.istio.io/redirection': 'enabled' },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `svc-${serviceOf(pod)}-5d4f7c9b8`,
          uid: 'rs',
          controller: true,
        },
      ],
    },
    spec: {
      nodeName: `node-${pod % nodes}`,
      serviceAccountName: `svc-${serviceOf(pod)}`,
      containers: [{ name: 'app', image: 'example/app:1', ports: [{ containerPort: 8080 }] }],
    },
    status: {
      phase: 'Running',
      podIP: addressOf(pod),
      podIPs: [{ ip: addressOf(pod) }],
      conditions: [{ type: 'Ready', status: readiness.get(pod) === false ? 'False' : 'True' }],
    },
  });
  const serviceObject = (service: number): Service => ({
    metadata: { namespace: namespaceOf(service), name: `svc-${service}`, uid: `uid-svc-${service}` },
    spec: {
      clusterIP: `10.96.${service >> 8}.${service & 255}`,
      clusterIPs: [`10.96.${service >> 8}.${service & 255}`],
      selector: { app: `svc-${service}` },
      ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }],
    },
  });
  const sliceObject = (service: number): EndpointSlice => ({
    metadata: {
      namespace: namespaceOf(service),
      name: `svc-${service}-abcde`,
      uid: `uid-slice-${service}`,
      labels: { 'kubernetes.io/service-name': `svc-${service}` },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: podsOf(service).map((pod) => ({
      addresses: [addressOf(pod)],
      conditions: { ready: readiness.get(pod) !== false },
      nodeName: `node-${pod % nodes}`,
      targetRef: { kind: 'Pod', namespace: namespaceOf(service), name: nameOf(pod) },
    })),
  });
  const podsOf = (service: number): number[] => {
    const found: number[] = [];
    for (let pod = service; pod < pods; pod += services) found.push(pod);
    return found;
  };
  const put = <T extends KubeObject>(kind: KindRef<T>, object: T): void => void store.put(kind, object);

  put(kinds.Namespace, { metadata: { name: systemNamespace, uid: 'uid-system' } });
  for (let i = 0; i < namespaceCount; i++) {
    const labels = { 'istio.io/dataplane-mode': 'ambient' };
    put(kinds.Namespace, { metadata: { name: `ns-${i}`, uid: `uid-ns-${i}`, labels } });
    put(kinds.AuthorizationPolicy, {
      metadata: { namespace: `ns-${i}`, name: 'allow-mesh', uid: `uid-policy-${i}`, generation: 1 },
      spec: { action: 'ALLOW', rules: [{ from: [{ source: { namespaces: [`ns-${i}`, 'ns-0'] } }] }] },
    });
  }
  for (let i = 0; i < nodes; i++) {
    const labels = { 'topology.kubernetes.io/region': 'r1', 'topology.kubernetes.io/zone': `z${i % 3}` };
    put(kinds.Node, { metadata: { name: `node-${i}`, uid: `uid-node-${i}`, labels } });
  }
  for (let i = 0; i < services; i++) put(kinds.Service, serviceObject(i));
  for (let i = 0; i < pods; i++) put(kinds.Pod, podObject(i));
  for (let i = 0; i < services; i++) put(kinds.EndpointSlice, sliceObject(i));

  return {
    flipPod(pod) {
      readiness.set(pod, readiness.get(pod) === false);
      const object = podObject(pod);
      put(kinds.Pod, object);
      put(kinds.EndpointSlice, sliceObject(serviceOf(pod)));
      return `${object.metadata.namespace}/${object.metadata.name}`;
    },
    replacePod(pod) {
      const before = podObject(pod);
      store.delete(kinds.Pod, before.metadata.namespace ?? '', before.metadata.name ?? '');
      generations.set(pod, (generations.get(pod) ?? 0) + 1);
      addresses.set(pod, nextAddress++);
      const after = podObject(pod);
      put(kinds.Pod, after);
      put(kinds.EndpointSlice, sliceObject(serviceOf(pod)));
      return [
        `${before.metadata.namespace}/${before.metadata.name}`,
        `${after.metadata.namespace}/${after.metadata.name}`,
      ];
    },
  };
}
