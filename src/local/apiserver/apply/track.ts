/** The two ways in which a write changes `metadata.managedFields`: as an update, or as an apply. */
import type { KindInfo, ObjectMeta } from '../../../api/index.ts';
import { isJsonObject, type Json, type JsonObject } from '../merge-patch.ts';
import type { ApiObject } from '../object-fields.ts';
import { badRequest, StatusError } from '../status-error.ts';
import { configProblems } from './check-config.ts';
import { decodeFields, type FieldSet } from './field-set.ts';
import { withLastApplied } from './last-applied.ts';
import {
  encodeManagedFields,
  isReset,
  sameOwnership,
  tryDecodeManagedFields,
  type ManagedFields,
  type Manager,
} from './managed-fields.ts';
import { applyConfig, ownersAfterUpdate } from './ownership.ts';
import { structureOf } from './structure.ts';
import { zeroObject } from './zero-objects.ts';

type Entries = ObjectMeta['managedFields'];

export interface WriteManager {
  readonly name: string;
  /** `apps/v1`: the version that the request speaks. */
  readonly apiVersion: string;
  /** "" for none. */
  readonly subresource: string;
  /** `metav1.Time` of the write; undefined where it is not kept. */
  readonly now: string | undefined;
}

export interface TrackedUpdate {
  readonly kind: KindInfo;
  /** Undefined for a create. */
  readonly before: ApiObject | undefined;
  /** With its defaults; what the server itself writes into it afterwards has no manager. */
  readonly after: ApiObject;
  /** `metadata.managedFields` of the request's body, which may reset or replace the stored ones. */
  readonly sent: unknown;
}

/** The entries after a create, update or patch. */
export function trackUpdate(update: TrackedUpdate, by: WriteManager): Entries {
  const { kind, before, after } = update;
  const stored = tryDecodeManagedFields(before?.metadata.managedFields) ?? [];
  const managed = managedOf(update, by, stored);
  // What nobody tracked so far stays so, until somebody applies.
  if (managed.length === 0 && before) return undefined;
  const owners = ownersAfterUpdate({
    before: (before ?? zeroObject(kind)) as JsonObject,
    after: after as JsonObject,
    structure: structureOf(kind),
    ignored: ignoredBy(kind, by.subresource),
    managed,
    manager: managerOf(by, 'Update'),
    now: by.now,
  });
  return owners === stored ? before?.metadata.managedFields : encodeManagedFields(owners);
}

export interface ApplyRequest {
  readonly kind: KindInfo;
  /** The stored object in the request's version; undefined when the apply creates it. */
  readonly live: ApiObject | undefined;
  readonly config: JsonObject;
  readonly force: boolean;
}

/** The applied object with its managedFields. Throws 400 and 500 for a configuration that cannot be read, 409 for conflicts. */
export function applyConfiguration(request: ApplyRequest, by: WriteManager): ApiObject {
  const { kind, live, config, force } = request;
  const metadata = isJsonObject(config['metadata']) ? config['metadata'] : {};
  if (metadata['managedFields'] !== undefined && metadata['managedFields'] !== null) {
    throw badRequest('metadata.managedFields must be nil');
  }
  const structure = structureOf(kind);
  const problems = configProblems(config, structure);
  if (problems.length > 0) throw unreadable(config, metadata, problems);

  const { managedFields: storedEntries, ...liveMetadata } = live?.metadata ?? {};
  const stored = tryDecodeManagedFields(storedEntries) ?? [];
  const { object, managed } = applyConfig({
    live: live ? ({ ...live, metadata: liveMetadata } as unknown as JsonObject) : {},
    config,
    structure,
    ignored: ignoredBy(kind, by.subresource),
    managed: stored,
    manager: managerOf(by, 'Apply'),
    force,
    now: by.now,
  });
  const applied = (by.name === 'kubectl' ? withLastApplied(object, config) : object) as unknown as ApiObject;
  const entries = encodeManagedFields(managed);
  return { ...applied, metadata: { ...applied.metadata, ...(entries && { managedFields: entries }) } };
}

/** Whether two lists of entries differ at most in their times. */
export function sameManagers(a: Entries, b: Entries): boolean {
  if (a === b) return true;
  return sameOwnership(tryDecodeManagedFields(a) ?? [], tryDecodeManagedFields(b) ?? []);
}

/** A body may carry the owners itself, unless it is that of a subresource; without any, the stored ones hold. */
function managedOf({ before, sent }: TrackedUpdate, by: WriteManager, stored: ManagedFields): ManagedFields {
  if (by.subresource !== '' || sent === before?.metadata.managedFields) return stored;
  if (isReset(sent)) return [];
  const own = tryDecodeManagedFields(sent);
  return own === undefined || own.length === 0 ? stored : own;
}

function managerOf(by: WriteManager, operation: Manager['operation']): Manager {
  return { name: by.name, operation, apiVersion: by.apiVersion, subresource: by.subresource };
}

const statusOnly = decodeFields({ 'f:status': {} });
const allButStatus = decodeFields({
  'f:spec': {},
  'f:metadata': { 'f:deletionTimestamp': {}, 'f:ownerReferences': {} },
});
const nothing = decodeFields({});

/** The fields that a write to this (sub)resource leaves alone (`GetResetFields`). */
function ignoredBy(kind: Pick<KindInfo, 'hasStatus'>, subresource: string): FieldSet {
  if (subresource === 'status') return allButStatus;
  return kind.hasStatus ? statusOnly : nothing;
}

function unreadable(config: JsonObject, metadata: JsonObject, problems: readonly string[]): StatusError {
  const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
  const apiVersion = text(config['apiVersion']);
  const id = `${text(metadata['namespace'])}/${text(metadata['name'])}; ${apiVersion.includes('/') ? '' : '/'}${apiVersion}, Kind=${text(config['kind'])}`;
  const list = problems.length === 1 ? problems[0] : `errors:\n${problems.map((problem) => `  ${problem}`).join('\n')}`;
  return new StatusError({ code: 500, reason: '', message: `failed to create typed patch object (${id}): ${list}` });
}
