/** The admission plugin ServiceAccount: a pod has an account that is there, and its token where clients look for it. */
import type { ServiceAccount } from '../../../api/index.ts';
import { isJsonObject, type Json, type JsonObject } from '../merge-patch.ts';
import type { ApiObject } from '../object-fields.ts';
import { isMirror, isMeshMirror } from './mirror.ts';
import { itemsOf, referencesOf } from './references.ts';

export interface AccountAdmission {
  readonly pod: ApiObject;
  readonly findAccount: (name: string) => ServiceAccount | undefined;
  /** A name for the token's volume, with this prefix. */
  readonly generateName: (prefix: string) => string;
  /** Throws. */
  readonly refuse: (why: string) => never;
}

const tokenFolder = '/var/run/secrets/kubernetes.io/serviceaccount';
const volumePrefix = 'kube-api-access-';
/** Kubernetes asks for an hour and seven seconds, by which its servers know the volumes that it made. */
const tokenSeconds = 3607;

/** Changes `pod`. A mirror pod is left as the node made it: it may not have an account. */
export function admitServiceAccount(admission: AccountAdmission): void {
  const { pod, findAccount, refuse } = admission;
  const spec = (pod.spec ??= {});
  if (isMirror(pod)) {
    if (!isMeshMirror(pod)) refuseReferences(spec, refuse);
    return;
  }
  const given = spec['serviceAccountName'] ?? spec['serviceAccount'];
  const name = typeof given === 'string' && given !== '' ? given : 'default';
  spec['serviceAccountName'] = name;
  spec['serviceAccount'] = name;
  const account = findAccount(name);
  if (!account) {
    const { namespace = '' } = pod.metadata;
    return refuse(
      `error looking up service account ${namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`,
    );
  }
  const isMounted = spec['automountServiceAccountToken'] ?? account.automountServiceAccountToken ?? true;
  if (isMounted === true) mountToken(spec, admission.generateName);
  const pullSecrets = account.imagePullSecrets ?? [];
  if (pullSecrets.length > 0 && itemsOf(spec['imagePullSecrets']).length === 0) {
    spec['imagePullSecrets'] = pullSecrets.map(({ name: secret = '' }) => ({ name: secret }));
  }
}

function refuseReferences(spec: JsonObject, refuse: (why: string) => never): void {
  const { account, secrets, tokens } = referencesOf(spec);
  if (account !== undefined) refuse('a mirror pod may not reference service accounts');
  if (secrets.size > 0) refuse('a mirror pod may not reference secrets');
  if (tokens.length > 0) refuse('a mirror pod may not use ServiceAccountToken volume projections');
}

/** Mounts it into every container that has nothing there yet, and adds the volume if one of them needs it. */
function mountToken(spec: JsonObject, generateName: AccountAdmission['generateName']): void {
  const volumes = itemsOf(spec['volumes']);
  const existing = volumes.map((volume) => volume['name']).find(isTokenVolume);
  const name = existing ?? generateName(volumePrefix);
  let isNeeded = false;
  for (const list of ['initContainers', 'containers']) {
    for (const container of itemsOf(spec[list])) {
      const { volumeMounts = [] } = container;
      if (!Array.isArray(volumeMounts)) continue;
      if (volumeMounts.some((mount) => isJsonObject(mount) && mount['mountPath'] === tokenFolder)) continue;
      container['volumeMounts'] = [...volumeMounts, { name, readOnly: true, mountPath: tokenFolder }];
      isNeeded = true;
    }
  }
  const { volumes: all = [] } = spec;
  if (isNeeded && existing === undefined && Array.isArray(all)) spec['volumes'] = [...all, tokenVolume(name)];
}

function isTokenVolume(name: Json | undefined): name is string {
  return typeof name === 'string' && name.startsWith(volumePrefix);
}

function tokenVolume(name: string): JsonObject {
  const namespace = { path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } };
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        { downwardAPI: { items: [namespace] } },
      ],
      defaultMode: 0o644,
    },
  };
}
