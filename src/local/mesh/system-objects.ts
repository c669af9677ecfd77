/** What a mesh's API holds from the start: the system namespace, the accounts of its components, and the control plane's Service. */
import { join } from 'node:path';
import { kinds, systemNamespace, type KindRef, type KubeObject } from '../../api/index.ts';
import { KubeError, type KubeClient } from '../../kube/index.ts';
import { applyManifests, readManifests } from './manifests.ts';

/** Address of init's bridge: the API server and the control plane listen there. */
export const controlAddress = '172.30.0.1';
export const controlServiceName = 'istiod';

const rolesFile = join(import.meta.dirname, '../../../charts/ambit/files/roles.yaml');

export interface Wanted {
  readonly kind: KindRef<KubeObject>;
  readonly object: KubeObject & Record<string, unknown>;
}

/** The objects, in the order in which they must be created. */
export function systemObjects(): readonly Wanted[] {
  const namespaced = (name: string): KubeObject['metadata'] => ({ name, namespace: systemNamespace });
  const serviceAccount = (name: string): Wanted => ({
    kind: kinds.ServiceAccount,
    object: { metadata: namespaced(name) },
  });
  return [
    { kind: kinds.Namespace, object: { metadata: { name: 'default' } } },
    { kind: kinds.Namespace, object: { metadata: { name: systemNamespace } } },
    serviceAccount('istiod'),
    serviceAccount('istio-cni'),
    serviceAccount('ztunnel'),
    {
      kind: kinds.Service,
      object: {
        metadata: { ...namespaced(controlServiceName), labels: { app: 'istiod' } },
        spec: {
          ports: [
            { name: 'https-dns', port: 15012, protocol: 'TCP', targetPort: 15012 },
            { name: 'http-monitoring', port: 15014, protocol: 'TCP', targetPort: 15014 },
          ],
        },
      },
    },
    {
      kind: kinds.EndpointSlice,
      object: {
        metadata: { ...namespaced(controlServiceName), labels: { 'kubernetes.io/service-name': controlServiceName } },
        addressType: 'IPv4',
        endpoints: [{ addresses: [controlAddress], conditions: { ready: true } }],
        ports: [
          { name: 'https-dns', port: 15012, protocol: 'TCP' },
          { name: 'http-monitoring', port: 15014, protocol: 'TCP' },
        ],
      },
    },
  ];
}

/**
 * Creates those that are missing; what exists, and may have been changed by its owner, stays. The roles of the components
 * are those of the chart, whatever the server.
 */
export async function ensureSystemObjects(client: KubeClient): Promise<void> {
  for (const wanted of systemObjects()) await createIfMissing(client, wanted);
  await applyManifests(client, readManifests([rolesFile]));
}

/** Resolves to whether it was missing. */
export async function createIfMissing(client: KubeClient, { kind, object }: Wanted): Promise<boolean> {
  const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
  try {
    await client.create(kind, { apiVersion, kind: kind.kind, ...object });
    return true;
  } catch (error) {
    if (error instanceof KubeError && error.status === 409) return false;
    throw error;
  }
}
