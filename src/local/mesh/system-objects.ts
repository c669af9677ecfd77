/** What a mesh's API holds from the start: the system namespace, the accounts of its components, and the control plane's Service. */
import { join } from 'node:path';
import { kinds, systemNamespace, type KindRef, type KubeObject } from '../../api/index.ts';
import { KubeError, type KubeClient } from '../../kube/index.ts';
import { applyManifests, readManifests } from './manifests.ts';

/** Address of init's bridge: the API server and the control plane listen there. */
export const controlAddress = '172.30.0.1';
export const controlServiceName = 'istiod';

const chartFiles = join(import.meta.dirname, '../../../charts/ambit/files');

export interface Wanted {
  readonly kind: KindRef<KubeObject>;
  readonly object: KubeObject & Record<string, unknown>;
}

export const defaultNamespace: Wanted = { kind: kinds.Namespace, object: { metadata: { name: 'default' } } };

/** The objects, in the order in which they must be created. */
export function systemObjects(): readonly Wanted[] {
  const namespaced = (name: string): KubeObject['metadata'] => ({ name, namespace: systemNamespace });
  const serviceAccount = (name: string): Wanted => ({
    kind: kinds.ServiceAccount,
    object: { metadata: namespaced(name) },
  });
  return [
    defaultNamespace,
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
            { name: 'https-webhook', port: 443, protocol: 'TCP', targetPort: 15017 },
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
          { name: 'https-webhook', port: 15017, protocol: 'TCP' },
          { name: 'http-monitoring', port: 15014, protocol: 'TCP' },
        ],
      },
    },
  ];
}

/**
 * Creates what is missing. Where the control plane is found is told again by every version; other objects that exist, and
 * may have been changed by their owner, stay. Roles and the webhook are those of the chart, whatever the server.
 */
export async function ensureSystemObjects(client: KubeClient): Promise<void> {
  for (const wanted of systemObjects()) {
    if ((await createIfMissing(client, wanted)) || wanted.kind.kind === 'Namespace') continue;
    if (wanted.kind.kind !== 'ServiceAccount') await applyOwn(client, wanted);
  }
  await applyManifests(client, readManifests([join(chartFiles, 'roles.yaml')]));
  for (const { object } of readManifests([join(chartFiles, 'webhook.yaml')])) {
    await createIfMissing(client, { kind: kinds.ValidatingWebhookConfiguration, object: { ...object } });
  }
}

async function applyOwn(client: KubeClient, { kind, object }: Wanted): Promise<void> {
  const { name = '', namespace } = object.metadata;
  const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
  const configuration = { ...object, apiVersion, kind: kind.kind };
  await client.patch(kind, name, namespace, configuration, { type: 'apply', fieldManager: 'ambit', force: true });
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
