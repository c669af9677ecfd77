/** Pure: the files of a ConfigMap, Secret, downward API or projected volume. */
import type { ConfigMap, KeyToPath, ResourceFieldSelector, Secret, Volume, VolumeProjection } from '../../api/index.ts';
import { fieldValue, resourceValue, type PodFacts } from './field-path.ts';

export interface VolumeFile {
  /** Relative, without `..`. */
  readonly path: string;
  readonly content: Buffer;
  readonly mode: number;
}

export interface TokenNeed {
  /** "" is the API server's own. */
  readonly audience: string;
  readonly expirationSeconds: number;
}

export interface VolumeFilesInput {
  readonly volume: Volume;
  readonly facts: PodFacts;
  /** What the node has: the limit of a container without one. */
  readonly capacity: Readonly<Record<string, number>>;
  readonly configMap: (name: string) => ConfigMap | undefined;
  readonly secret: (name: string) => Secret | undefined;
  /** A token for the pod; undefined while there is none. */
  readonly token: (need: TokenNeed) => string | undefined;
}

export type VolumeFilesResult =
  | { readonly kind: 'ready'; readonly files: readonly VolumeFile[] }
  | { readonly kind: 'missing'; readonly message: string };

const defaultTokenSeconds = 3600;

/** Whether the runtime writes the volume's files (and not the pod, or the host). */
export function hasRuntimeFiles(volume: Volume): boolean {
  return Boolean(volume.configMap ?? volume.secret ?? volume.projected ?? volume.downwardAPI);
}

/** The projections of a volume, whatever kind it is. */
export function projectionsOf(volume: Volume): (VolumeProjection & { mode: number })[] {
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap) return [{ configMap, mode: configMap.defaultMode ?? 0o644 }];
  if (secret) {
    const { secretName, items, optional } = secret;
    const source = {
      ...(secretName === undefined ? {} : { name: secretName }),
      ...(items ? { items } : {}),
      ...(optional === undefined ? {} : { optional }),
    };
    return [{ secret: source, mode: secret.defaultMode ?? 0o644 }];
  }
  if (downwardAPI) return [{ downwardAPI, mode: downwardAPI.defaultMode ?? 0o644 }];
  return (projected?.sources ?? []).map((source) => ({ ...source, mode: projected?.defaultMode ?? 0o644 }));
}

export function tokenNeedOf(source: NonNullable<VolumeProjection['serviceAccountToken']>): TokenNeed {
  return {
    audience: source.audience ?? '',
    expirationSeconds: source.expirationSeconds ?? defaultTokenSeconds,
  };
}

/** Every file of the volume, or the first thing that is not there yet. */
export function planVolumeFiles(input: VolumeFilesInput): VolumeFilesResult {
  const files: VolumeFile[] = [];
  for (const source of projectionsOf(input.volume)) {
    const found = filesOf(source, input);
    if (found.kind === 'missing') return found;
    files.push(...found.files);
  }
  const bad = files.find(({ path }) => path === '' || path.startsWith('/') || path.split('/').includes('..'));
  if (bad) return { kind: 'missing', message: `volume file path "${bad.path}" must stay inside the volume` };
  return { kind: 'ready', files };
}

function filesOf(source: VolumeProjection & { mode: number }, input: VolumeFilesInput): VolumeFilesResult {
  const { mode } = source;
  if (source.configMap) {
    const object = input.configMap(source.configMap.name ?? '');
    const data = object && {
      ...mapValues(object.data ?? {}, (text) => Buffer.from(text)),
      ...mapValues(object.binaryData ?? {}, (text) => Buffer.from(text, 'base64')),
    };
    return pick('configmap', source.configMap, data, mode);
  }
  if (source.secret) {
    const object = input.secret(source.secret.name ?? '');
    return pick(
      'secret',
      source.secret,
      object && mapValues(object.data ?? {}, (text) => Buffer.from(text, 'base64')),
      mode,
    );
  }
  if (source.serviceAccountToken) {
    const token = input.token(tokenNeedOf(source.serviceAccountToken));
    if (token === undefined) return { kind: 'missing', message: 'service account token is not issued yet' };
    return { kind: 'ready', files: [{ path: source.serviceAccountToken.path, content: Buffer.from(token), mode }] };
  }
  const files: VolumeFile[] = [];
  for (const item of source.downwardAPI?.items ?? []) {
    const value = item.fieldRef ? fieldValue(item.fieldRef.fieldPath, input.facts) : resourceOf(item, input);
    if (value === undefined)
      return { kind: 'missing', message: `downward API file "${item.path}" names a field that is not supported` };
    files.push({ path: item.path, content: Buffer.from(value), mode: item.mode ?? mode });
  }
  return { kind: 'ready', files };
}

/** What a file says of a container's resources; undefined when there is no such container or resource. */
function resourceOf(
  { resourceFieldRef }: { resourceFieldRef?: ResourceFieldSelector },
  { facts, capacity }: VolumeFilesInput,
): string | undefined {
  const { spec } = facts.pod;
  const container = [...(spec.initContainers ?? []), ...spec.containers].find(
    (each) => each.name === resourceFieldRef?.containerName,
  );
  if (!container || !resourceFieldRef) return undefined;
  return resourceValue(resourceFieldRef.resource, container, capacity, resourceFieldRef.divisor);
}

function pick(
  kind: string,
  reference: { name?: string; items?: KeyToPath[]; optional?: boolean },
  data: Readonly<Record<string, Buffer>> | undefined,
  mode: number,
): VolumeFilesResult {
  if (!data) {
    if (reference.optional) return { kind: 'ready', files: [] };
    return { kind: 'missing', message: `${kind} "${reference.name}" not found` };
  }
  if (!reference.items) {
    return { kind: 'ready', files: Object.entries(data).map(([path, content]) => ({ path, content, mode })) };
  }
  const files: VolumeFile[] = [];
  for (const item of reference.items) {
    const content = data[item.key];
    if (content) files.push({ path: item.path, content, mode: item.mode ?? mode });
    else if (!reference.optional)
      return { kind: 'missing', message: `${kind} "${reference.name}" has no key "${item.key}"` };
  }
  return { kind: 'ready', files };
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
