/** Manifests as users write them: read from files and folders, and applied as `kubectl apply` does on the client's side. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { loadAll, YAMLException } from 'js-yaml';
import type { KindRef, KubeObject } from '../../api/index.ts';
import { isKubeError, type KubeClient } from '../../kube/index.ts';
import { sleep } from '../../lib/clock.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { findServedKind } from './served-kinds.ts';

type Fields = Record<string, unknown>;

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly object: KubeObject;
  /** `FILE, document N`, for messages. */
  readonly source: string;
}

/** As the admission plugin ServiceAccount says it. */
const missingAccount = /error looking up service account \S+: serviceaccount "default" not found/;
const patienceMs = 5_000;
const pollMs = 100;
const definitionKind = 'CustomResourceDefinition';
const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';
const manifestName = /\.(ya?ml|json)$/;

/** Reads every document of the files, and of the .yaml, .yml and .json files of the folders. Throws one `local.manifest` for all problems. */
export function readManifests(paths: readonly string[]): Manifest[] {
  const problems: string[] = [];
  const manifests = paths.flatMap((path) => listFiles(path, problems)).flatMap((file) => readFile(file, problems));
  if (problems.length > 0) {
    throw new AmbitError(`Cannot use the manifests: ${problems.join('; ')}`, {
      code: 'local.manifest',
      blame: 'downstream',
    });
  }
  // Definitions and namespaces first, then what pods refer to, then the rest; stable within.
  const order = [definitionKind, 'Namespace', 'ServiceAccount', 'ConfigMap', 'Secret', 'Service'];
  const rank = (manifest: Manifest): number => {
    const found = order.indexOf(manifest.kind);
    return found < 0 ? order.length : found;
  };
  return manifests.toSorted((a, b) => rank(a) - rank(b));
}

/** Applies in order. Returns the objects as stored. Throws `local.manifest` naming the document that the API refused. */
export async function applyManifests(client: KubeClient, manifests: readonly Manifest[]): Promise<KubeObject[]> {
  const stored: KubeObject[] = [];
  const known = new Map<string, KindRef<KubeObject>>();
  const defines = manifests.some(({ kind }) => kind === definitionKind);
  for (const manifest of manifests) {
    try {
      const key = `${manifest.apiVersion} ${manifest.kind}`;
      const kind = known.get(key) ?? (await findServedKind(client, manifest, defines));
      if (!kind) throw new Error(`the mesh's API has no kind ${manifest.kind} in ${manifest.apiVersion}`);
      known.set(key, kind);
      stored.push(await applyOne(client, kind, manifest.object));
    } catch (error) {
      throw new AmbitError(
        `Cannot apply ${manifest.kind} "${manifest.object.metadata.name}" (${manifest.source}): ${messageOf(error)}`,
        {
          code: 'local.manifest',
          blame: 'downstream',
          cause: error,
        },
      );
    }
  }
  return stored;
}

async function applyOne(client: KubeClient, kind: KindRef<KubeObject>, object: KubeObject): Promise<KubeObject> {
  const wanted = withNamespace(kind, object);
  const lastApplied = `${JSON.stringify(wanted)}\n`;
  const annotated = structuredClone(wanted);
  annotated.metadata.annotations = { ...annotated.metadata.annotations, [lastAppliedAnnotation]: lastApplied };
  let existing = await tryGet(client, kind, wanted);
  if (!existing) {
    try {
      return await createPatiently(client, kind, annotated);
    } catch (error) {
      // A controller may have made it meanwhile, as with the default ServiceAccount: then that one is patched.
      existing = isKubeError(error) && error.status === 409 ? await tryGet(client, kind, wanted) : undefined;
      if (!existing) throw error;
    }
  }
  const before = existing.metadata.annotations?.[lastAppliedAnnotation];
  const previous = before === undefined ? {} : (JSON.parse(before) as Fields);
  const patch = threeWayMergePatch(previous, annotated as unknown as Fields, existing as unknown as Fields);
  if (Object.keys(patch).length === 0) return existing;
  return client.patch(kind, wanted.metadata.name ?? '', wanted.metadata.namespace, patch, { type: 'merge' });
}

/** A namespace that was just made gets its account `default` a moment later, and Pods are refused until then. */
async function createPatiently(client: KubeClient, kind: KindRef<KubeObject>, object: KubeObject): Promise<KubeObject> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    try {
      return await client.create(kind, object);
    } catch (error) {
      const isEarly = isKubeError(error) && error.status === 403 && missingAccount.test(error.message);
      if (!isEarly || performance.now() > deadlineMs) throw error;
      await sleep(pollMs);
    }
  }
}

async function tryGet(client: KubeClient, kind: KindRef, wanted: KubeObject): Promise<KubeObject | undefined> {
  try {
    return await client.get(kind, wanted.metadata.name ?? '', wanted.metadata.namespace);
  } catch (error) {
    if (isKubeError(error) && error.status === 404) return undefined;
    throw error;
  }
}

/**
 * A merge patch (RFC 7386) that sets what is wanted and differs, and removes what was applied before and is wanted no
 * more. What others set beside it stays; a list is replaced as a whole, unless it is wanted as it was applied before and has
 * all that still.
 */
export function threeWayMergePatch(previous: Fields, wanted: Fields, current: Fields): Fields {
  const patch: Fields = {};
  for (const [key, value] of Object.entries(wanted)) {
    const was = ownField(current, key);
    // Null stands for absent, as in a merge patch.
    if (value === null && (was === undefined || was === null)) continue;
    if (isFields(value) && isFields(was)) {
      const before = ownField(previous, key);
      const nested = threeWayMergePatch(isFields(before) ? before : {}, value, was);
      if (Object.keys(nested).length > 0) setField(patch, key, nested);
    } else if (!isDeepStrictEqual(value, was)) {
      // What the server added to a list (a pod's token, above all) may not be taken out again.
      if (Array.isArray(value) && isDeepStrictEqual(value, ownField(previous, key)) && covers(was, value)) continue;
      setField(patch, key, value);
    }
  }
  for (const key of Object.keys(previous)) {
    if (!Object.hasOwn(wanted, key) && Object.hasOwn(current, key)) setField(patch, key, null);
  }
  return patch;
}

/** Whether `current` is `wanted` and perhaps more: fields, and elements of lists anywhere between. */
function covers(current: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    if (!Array.isArray(current)) return false;
    let at = 0;
    return wanted.every((element: unknown) => {
      const found = current.findIndex((each: unknown, index) => index >= at && covers(each, element));
      at = found + 1;
      return found >= 0;
    });
  }
  if (!isFields(wanted)) return isDeepStrictEqual(current, wanted);
  return isFields(current) && Object.entries(wanted).every(([key, value]) => covers(ownField(current, key), value));
}

/** Keys are the user's: a label may be called `constructor`, or worse. */
function ownField(fields: Fields, key: string): unknown {
  return Object.hasOwn(fields, key) ? fields[key] : undefined;
}

function setField(fields: Fields, key: string, value: unknown): void {
  Object.defineProperty(fields, key, { value, enumerable: true, configurable: true, writable: true });
}

function withNamespace(kind: KindRef, manifest: KubeObject): KubeObject {
  const object = structuredClone(manifest);
  if (kind.namespaced) object.metadata.namespace ??= 'default';
  return object;
}

function listFiles(path: string, problems: string[]): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    const files = readdirSync(path)
      .filter((name) => manifestName.test(name))
      .toSorted();
    if (files.length === 0) problems.push(`${path} has no .yaml, .yml or .json file`);
    return files.map((name) => join(path, name));
  } catch {
    problems.push(`there is no file or folder ${path}`);
    return [];
  }
}

function readFile(file: string, problems: string[]): Manifest[] {
  let documents: unknown[];
  try {
    documents = loadAll(readFileSync(file, 'utf8'));
  } catch (error) {
    const where = error instanceof YAMLException && error.mark ? `${file}, line ${error.mark.line + 1}` : file;
    problems.push(`${where}: ${error instanceof YAMLException ? error.reason : messageOf(error)}`);
    return [];
  }
  return documents.flatMap((document, index) => {
    const source = `${file}, document ${index + 1}`;
    if (document === null || document === undefined) return [];
    const items =
      isFields(document) && document['kind'] === 'List' && Array.isArray(document['items'])
        ? document['items']
        : [document];
    return items.flatMap((item: unknown) => toManifest(item, source, problems) ?? []);
  });
}

function toManifest(item: unknown, source: string, problems: string[]): Manifest | undefined {
  if (!isFields(item) || typeof item['apiVersion'] !== 'string' || typeof item['kind'] !== 'string') {
    problems.push(`${source}: it has no apiVersion and kind`);
    return undefined;
  }
  const metadata = item['metadata'];
  if (!isFields(metadata) || typeof metadata['name'] !== 'string') {
    problems.push(`${source}: ${item['kind']} has no metadata.name`);
    return undefined;
  }
  const apiVersion = item['apiVersion'];
  return { apiVersion, kind: item['kind'], object: item as unknown as KubeObject, source };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
