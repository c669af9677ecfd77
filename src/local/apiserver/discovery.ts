/** Discovery documents: what kinds there are, unaggregated and aggregated (apidiscovery.k8s.io/v2). */
import type { KindInfo } from '../../api/index.ts';
import { reviews } from './reviews.ts';
import { groupVersion, type ServedGroup, type ServedKinds } from './served-kinds.ts';

const objectVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const partVerbs = ['get', 'patch', 'update'];

interface Subresource {
  readonly name: string;
  readonly verbs: readonly string[];
  /** Kind of its own, where it is not the parent's. */
  readonly kind?: { readonly group: string; readonly version: string; readonly kind: string };
}

/** The groups of reviews, which no stored kind has. */
const reviewGroups: readonly ServedGroup[] = [...new Set(reviews.map((review) => review.group))].map((group) => ({
  group,
  versions: ['v1'],
}));

export function allGroups(kinds: ServedKinds): ServedGroup[] {
  return [...kinds.groups(), ...reviewGroups];
}

/** `GET /api` */
export function coreVersions(address: string): unknown {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
  };
}

/** `GET /apis` */
export function groupList(kinds: ServedKinds): unknown {
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: allGroups(kinds)
      .filter(({ group }) => group !== '')
      .map(groupEntry),
  };
}

/** `GET /apis/GROUP`; undefined for an unknown group. */
export function groupDocument(kinds: ServedKinds, name: string): unknown {
  const found = allGroups(kinds).find(({ group }) => group === name && group !== '');
  return found && { kind: 'APIGroup', apiVersion: 'v1', ...groupEntry(found) };
}

/** `GET /api/v1`, `GET /apis/GROUP/VERSION`; undefined for an unknown pair. */
export function resourceList(kinds: ServedKinds, group: string, version: string): unknown {
  if (!allGroups(kinds).some((served) => served.group === group && served.versions.includes(version))) return undefined;
  const resources = kinds.of(group, version).flatMap((kind) => [
    {
      name: kind.plural,
      singularName: kind.singular,
      namespaced: kind.namespaced,
      kind: kind.kind,
      verbs: objectVerbs,
      ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
      ...(kind.categories.length > 0 && { categories: kind.categories }),
      storageVersionHash: '',
    },
    ...subresourcesOf(kind).map((sub) => ({
      name: `${kind.plural}/${sub.name}`,
      singularName: '',
      namespaced: kind.namespaced,
      ...(sub.kind && { group: sub.kind.group, version: sub.kind.version }),
      kind: sub.kind?.kind ?? kind.kind,
      verbs: sub.verbs,
    })),
  ]);
  const questions = reviews
    .filter((review) => review.group === group)
    .map((review) => ({
      name: review.plural,
      singularName: review.kind.toLowerCase(),
      namespaced: false,
      kind: review.kind,
      verbs: ['create'],
    }));
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: groupVersion(group, version),
    resources: [...resources, ...questions],
  };
}

/** The aggregated form of `/api` (core only) or `/apis` (all the rest), for `version` v2 or v2beta1 of apidiscovery. */
export function aggregatedDiscovery(kinds: ServedKinds, core: boolean, apiVersion: 'v2' | 'v2beta1'): unknown {
  const items = allGroups(kinds)
    .filter(({ group }) => (group === '') === core)
    .map(({ group, versions }) => ({
      metadata: { name: group, creationTimestamp: null },
      versions: versions.map((version) => ({
        version,
        freshness: 'Current',
        resources: aggregatedResources(kinds, group, version),
      })),
    }));
  return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${apiVersion}`, metadata: {}, items };
}

/** Which aggregated version a client accepts first; undefined for the plain documents. */
export function aggregatedVersionOf(accept: string | undefined): 'v2' | 'v2beta1' | undefined {
  for (const entry of (accept ?? '').split(',')) {
    const parameters = entry.split(';').map((part) => part.trim());
    if (!parameters.includes('as=APIGroupDiscoveryList') || !parameters.includes('g=apidiscovery.k8s.io')) continue;
    if (parameters.includes('v=v2')) return 'v2';
    if (parameters.includes('v=v2beta1')) return 'v2beta1';
  }
  return undefined;
}

export function subresourcesOf(kind: KindInfo): Subresource[] {
  const own = kind.isCustom ? (kind.scale ? [scale] : []) : (ownSubresources[kind.kind] ?? []);
  return [...own, ...(kind.hasStatus ? [{ name: 'status', verbs: partVerbs }] : [])];
}

const scale: Subresource = {
  name: 'scale',
  verbs: partVerbs,
  kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
};

const ownSubresources: Readonly<Record<string, readonly Subresource[]>> = {
  Pod: [
    { name: 'attach', verbs: ['create', 'get'], kind: { group: '', version: 'v1', kind: 'PodAttachOptions' } },
    { name: 'binding', verbs: ['create'], kind: { group: '', version: 'v1', kind: 'Binding' } },
    { name: 'eviction', verbs: ['create'], kind: { group: 'policy', version: 'v1', kind: 'Eviction' } },
    { name: 'exec', verbs: ['create', 'get'], kind: { group: '', version: 'v1', kind: 'PodExecOptions' } },
    { name: 'log', verbs: ['get'] },
    {
      name: 'portforward',
      verbs: ['create', 'get'],
      kind: { group: '', version: 'v1', kind: 'PodPortForwardOptions' },
    },
  ],
  Namespace: [{ name: 'finalize', verbs: ['update'] }],
  ServiceAccount: [
    { name: 'token', verbs: ['create'], kind: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' } },
  ],
  Deployment: [scale],
  ReplicaSet: [scale],
  StatefulSet: [scale],
};

function aggregatedResources(kinds: ServedKinds, group: string, version: string): unknown[] {
  const resources = kinds.of(group, version).map((kind) => ({
    resource: kind.plural,
    responseKind: { group, version, kind: kind.kind },
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: objectVerbs,
    ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
    ...(kind.categories.length > 0 && { categories: kind.categories }),
    subresources: subresourcesOf(kind).map((sub) => ({
      subresource: sub.name,
      responseKind: sub.kind ?? { group, version, kind: kind.kind },
      verbs: sub.verbs,
    })),
  }));
  const questions = reviews
    .filter((review) => review.group === group)
    .map((review) => ({
      resource: review.plural,
      responseKind: { group, version, kind: review.kind },
      scope: 'Cluster',
      singularResource: review.kind.toLowerCase(),
      verbs: ['create'],
    }));
  return [...resources, ...questions];
}

function groupEntry({ group, versions }: ServedGroup): Record<string, unknown> {
  const entries = versions.map((version) => ({ groupVersion: groupVersion(group, version), version }));
  return { name: group, versions: entries, preferredVersion: entries[0] };
}
