/** What the control plane keeps of an object: of a pod, less than half of what the API server sends. */
import type { KubeObject } from '../api/meta.ts';
import { deployedParts } from './deployer/parts.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What discovery reads of a container: its ports, and whether it is a sidecar. */
const containerFields: ReadonlySet<string> = new Set(['name', 'image', 'ports', 'restartPolicy']);
/** What of a Secret or a ConfigMap can say something of TLS; everything else in them is none of our business. */
const tlsKeys: ReadonlySet<string> = new Set([
  'tls.crt',
  'tls.key',
  'ca.crt',
  'ca.crl',
  'cert',
  'key',
  'cacert',
  'crl',
]);
/** Modules that a ProxyExtension may name. */
const moduleName = /\.(?:ts|js|mjs)$/;
/** What of a ConfigMap may change the objects that are deployed for a Gateway. */
const overlayKeys: ReadonlySet<string> = new Set(deployedParts);
/** Long, and read by nobody here. */
const drops: Readonly<Record<string, ReadonlySet<string>>> = {
  'Pod spec': new Set(['volumes', 'tolerations', 'affinity', 'ephemeralContainers', 'topologySpreadConstraints']),
  'Pod status': new Set(['containerStatuses', 'initContainerStatuses', 'ephemeralContainerStatuses']),
  'Node status': new Set(['images', 'volumesInUse', 'volumesAttached', 'nodeInfo', 'capacity', 'allocatable']),
};

/**
 * Managed fields are gone before (`kube/object-store.ts`). Objects are copied, not deleted from: V8 keeps the memory of
 * deleted properties and makes a hash table of the rest (10,000 pods: 82 MiB of heap whole, 58 by deleting, 33 by copying).
 */
export function slim<T extends KubeObject>(object: T): T {
  delete object.metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration'];
  if (object.kind === 'Secret' || object.kind === 'ConfigMap') return slimData(object);
  if (object.kind !== 'Pod' && object.kind !== 'Node') return object;
  const { spec, status } = object as { readonly spec?: Fields; readonly status?: Fields };
  return {
    ...object,
    ...(spec ? { spec: slimSpec(object.kind, spec) } : {}),
    ...(status ? { status: without(status, drops[`${object.kind} status`]) } : {}),
  };
}

function slimData<T extends KubeObject>(object: T): T {
  const { apiVersion, kind, metadata, type, data } = object as KubeObject & {
    readonly type?: string;
    readonly data?: Fields;
  };
  const kept = Object.fromEntries(
    Object.entries(data ?? {}).filter(
      ([name]) => tlsKeys.has(name) || (kind === 'ConfigMap' && (overlayKeys.has(name) || moduleName.test(name))),
    ),
  );
  return { apiVersion, kind, metadata, ...(type === undefined ? {} : { type }), data: kept } as KubeObject as T;
}

function slimSpec(kind: 'Pod' | 'Node', spec: Fields): Fields {
  if (kind === 'Node') return spec;
  const { containers, initContainers } = spec;
  return {
    ...without(spec, drops['Pod spec']),
    ...(Array.isArray(containers) ? { containers: containers.map(slimContainer) } : {}),
    ...(Array.isArray(initContainers) ? { initContainers: initContainers.map(slimContainer) } : {}),
  };
}

function slimContainer(container: Fields): Fields {
  return Object.fromEntries(Object.entries(container).filter(([name]) => containerFields.has(name)));
}

function without(fields: Fields, names: ReadonlySet<string> | undefined): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names?.has(name)));
}
