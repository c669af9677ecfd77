/** Discovery over sources written by hand, for tests. */
import type { Gateway, GatewayClass } from '../api/gateway.ts';
import type { ServiceEntry, Sidecar, WorkloadEntry } from '../api/istio.ts';
import type { Namespace, Pod, Service } from '../api/core.ts';
import type { KubeObject, ObjectMeta } from '../api/meta.ts';
import { defaultClusterId } from '../api/names.ts';
import type { MeshService, MeshWorkload } from '../api/workload.ts';
import { createGraph, type Source } from '../collection/index.ts';
import { codeOf } from '../lib/errors.ts';
import { createDiscovery, type Discovery, type DiscoveryOptions } from './discovery.ts';
import { keyOfObject } from './object-key.ts';

export interface World extends Discovery {
  put<T extends KubeObject>(source: Source<T>, ...objects: T[]): void;
  remove<T extends KubeObject>(source: Source<T>, object: T): void;
  /** Sets `outboundTrafficPolicy` of the mesh. */
  setOutbound(mode: 'allow-any' | 'registry-only'): void;
  /** By uid, or the name of a pod of namespace `shop`. */
  workload(name: string): MeshWorkload | undefined;
  service(key: string): MeshService | undefined;
  /** Names on the wire that changed since the last call. */
  changes(): string[];
}

export interface WorldOptions extends DiscoveryOptions {
  /** Code of errors that derivations may throw; default: none. */
  readonly tolerated?: string;
}

export function openWorld(options: WorldOptions = {}): World {
  const graph = createGraph({
    onError: (collection, key, error) => {
      if (options.tolerated !== undefined && codeOf(error) === options.tolerated) return;
      throw new Error(`${collection} ${key}`, { cause: error });
    },
  });
  const discovery = createDiscovery(graph, options);
  const changed = new Set<string>();
  discovery.addresses.subscribe((changes) => {
    for (const key of changes.keys()) changed.add(key);
  });
  return {
    ...discovery,
    put(source, ...objects) {
      for (const object of objects) source.set(keyOfObject(defaultClusterId, object), object);
      graph.flush();
    },
    remove(source, object) {
      source.delete(keyOfObject(defaultClusterId, object));
      graph.flush();
    },
    setOutbound(outboundTrafficPolicy) {
      discovery.sources.meshConfigs.set(defaultClusterId, { discoverySelectors: [], outboundTrafficPolicy });
      graph.flush();
    },
    workload(name) {
      const address = discovery.addresses.get(name) ?? discovery.addresses.get(`Kubernetes//Pod/shop/${name}`);
      return address?.kind === 'workload' ? address.workload : undefined;
    },
    service(key) {
      const address = discovery.addresses.get(key);
      return address?.kind === 'service' ? address.service : undefined;
    },
    changes() {
      const names = [...changed].toSorted();
      changed.clear();
      return names;
    },
  };
}

type Meta = Omit<ObjectMeta, 'name'>;

/** A ready pod of namespace `shop` with the label `app: <name>`. */
export function pod(name: string, more: Meta & { readonly ip?: string } = {}): Pod {
  const { ip = '10.244.1.2', ...metadata } = more;
  return {
    metadata: { name, namespace: 'shop', labels: { app: name }, ...metadata },
    spec: { nodeName: 'node-1', containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080 }] }] },
    status: { phase: 'Running', podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

/** Port 80 to the target port `http` of pods with the label `app: <name>`. */
export function service(name: string, spec: Service['spec'] = {}, more: Meta = {}): Service {
  const ports = [{ name: 'http', port: 80, targetPort: 'http' }];
  return {
    metadata: { name, namespace: 'shop', ...more },
    spec: { clusterIP: '10.96.0.9', selector: { app: name }, ports, ...spec },
  };
}

export function namespace(name: string, labels: Record<string, string> = {}, more: Meta = {}): Namespace {
  return { metadata: { name, labels, ...more } };
}

/** Host `api.example.com`, port 443 of TLS. */
export function serviceEntry(name: string, spec: Partial<ServiceEntry['spec']> = {}, more: Meta = {}): ServiceEntry {
  return {
    metadata: { name, namespace: 'shop', generation: 1, ...more },
    spec: { hosts: ['api.example.com'], ports: [{ number: 443, name: 'tls', protocol: 'TLS' }], ...spec },
  };
}

export function workloadEntry(name: string, spec: WorkloadEntry['spec'], more: Meta = {}): WorkloadEntry {
  return { metadata: { name, namespace: 'shop', generation: 1, ...more }, spec };
}

export function sidecar(name: string, spec: Sidecar['spec'], more: Meta = {}): Sidecar {
  return { metadata: { name, namespace: 'shop', ...more }, ...(spec ? { spec } : {}) };
}

export function gatewayClass(name: string, controllerName: string, more: Meta = {}): GatewayClass {
  return { metadata: { name, ...more }, spec: { controllerName } };
}

/** A waypoint of namespace `shop` with the usual listener and, unless told otherwise, an address. */
export function waypoint(
  name: string,
  more: Meta & {
    readonly className?: string;
    readonly from?: 'All' | 'Same' | 'Selector';
    readonly matchLabels?: Record<string, string>;
    readonly addresses?: NonNullable<Gateway['status']>['addresses'];
  } = {},
): Gateway {
  const { className = 'istio-waypoint', from, matchLabels, addresses, ...metadata } = more;
  const own = metadata.namespace ?? 'shop';
  const namespaces = { ...(from ? { from } : {}), ...(matchLabels ? { selector: { matchLabels } } : {}) };
  return {
    metadata: { name, namespace: own, ...metadata },
    spec: {
      gatewayClassName: className,
      listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE', allowedRoutes: { namespaces } }],
    },
    status: { addresses: addresses ?? [{ type: 'Hostname', value: `${name}.${own}.svc.cluster.local` }] },
  };
}
