/** `metadata.managedFields`: who set which fields, read from and written to its entries (apimachinery `managedfields`). */
import type { ObjectMeta } from '../../../api/index.ts';
import { isJsonObject, type Json, type JsonObject } from '../merge-patch.ts';
import { decodeFields, encodeFields, isEmpty, setsEqual, union, type FieldSet } from './field-set.ts';

export interface Manager {
  readonly name: string;
  readonly operation: 'Apply' | 'Update';
  /** Of the last request, `apps/v1`. */
  readonly apiVersion: string;
  /** "" for none. */
  readonly subresource: string;
}

export interface ManagerFields extends Manager {
  /** `2024-01-31T09:00:00Z`; undefined when nobody said. */
  readonly time: string | undefined;
  readonly fields: FieldSet;
}

/** Never two entries of one manager. */
export type ManagedFields = readonly ManagerFields[];

/** As many entries of updates an object keeps apart. */
const maxUpdateManagers = 10;
const ancientName = 'ancient-changes';
const maxNameBytes = 128;

/** Appliers are one manager whatever the version; updaters one by version. */
export function isSameManager(a: Manager, b: Manager): boolean {
  return (
    a.name === b.name &&
    a.operation === b.operation &&
    a.subresource === b.subresource &&
    (a.operation === 'Apply' || a.apiVersion === b.apiVersion)
  );
}

/** The manager that a request names by `fieldManager`, or else by its User-Agent. */
export function managerNameOf(fieldManager: string | null, userAgent: string | undefined): string {
  if (fieldManager) return fieldManager;
  let name = '';
  for (const letter of (userAgent ?? '').split('/', 1)[0] ?? '') {
    if (!/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(letter)) continue;
    if (Buffer.byteLength(name + letter) > maxNameBytes) break;
    name += letter;
  }
  return name === '' ? 'unknown' : name;
}

/** The entries of an object; undefined when they cannot be read. */
export function tryDecodeManagedFields(entries: unknown): ManagedFields | undefined {
  if (entries === undefined || entries === null) return [];
  if (!Array.isArray(entries)) return undefined;
  try {
    return (entries as unknown[]).map(decodeEntry);
  } catch {
    return undefined;
  }
}

/** Whether a client asks to forget all managers: a list of one empty entry. */
export function isReset(entries: unknown): boolean {
  return (
    Array.isArray(entries) &&
    entries.length === 1 &&
    isJsonObject(entries[0]) &&
    Object.values(entries[0]).every((value) => value === null || value === '')
  );
}

/** Sorted as Kubernetes sorts them. Undefined when there are none. */
export function encodeManagedFields(managed: ManagedFields): ObjectMeta['managedFields'] {
  if (managed.length === 0) return undefined;
  return managed.toSorted(compareEntries).map(({ name, operation, apiVersion, subresource, time, fields }) => ({
    manager: name,
    operation,
    apiVersion,
    ...(time !== undefined && { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: encodeFields(fields),
    ...(subresource !== '' && { subresource }),
  }));
}

/** Whether both say the same of the same fields; times do not count. */
export function sameOwnership(a: ManagedFields, b: ManagedFields): boolean {
  return (
    a.length === b.length &&
    a.every((entry) => {
      const other = b.find((one) => isSameManager(entry, one));
      return other?.apiVersion === entry.apiVersion && setsEqual(entry.fields, other.fields);
    })
  );
}

/** At most ten updaters: the oldest of each version are united. Appliers are never touched. */
export function capUpdaters(managed: ManagedFields): ManagedFields {
  const updaters = managed
    .filter((entry) => entry.operation === 'Update')
    .toSorted((a, b) => (a.time ?? '').localeCompare(b.time ?? '') || (a.name < b.name ? -1 : 1));
  let excess = updaters.length - maxUpdateManagers;
  if (excess <= 0) return managed;
  const result = new Set(managed);
  const oldest = new Map<string, ManagerFields>();
  for (const entry of updaters) {
    if (excess <= 0) break;
    const bucket = oldest.get(entry.apiVersion);
    if (!bucket) {
      oldest.set(entry.apiVersion, entry);
      continue;
    }
    result.delete(bucket);
    result.delete(entry);
    const united: ManagerFields = {
      name: ancientName,
      operation: 'Update',
      apiVersion: entry.apiVersion,
      subresource: '',
      time: entry.time,
      fields: union(bucket.fields, entry.fields),
    };
    result.add(united);
    oldest.set(entry.apiVersion, united);
    excess--;
  }
  return [...result];
}

export function withoutEmpty(managed: ManagedFields): ManagedFields {
  return managed.filter((entry) => !isEmpty(entry.fields));
}

function decodeEntry(entry: unknown): ManagerFields {
  if (!isJsonObject(entry)) throw new TypeError('an entry of managedFields must be an object');
  const { operation, fieldsType } = entry;
  if (operation !== 'Apply' && operation !== 'Update') throw new TypeError('operation must be Apply or Update');
  if (fieldsType !== 'FieldsV1') throw new TypeError('fieldsType must be FieldsV1');
  return {
    name: textOf(entry, 'manager'),
    operation,
    apiVersion: textOf(entry, 'apiVersion'),
    subresource: textOf(entry, 'subresource'),
    time: textOf(entry, 'time') || undefined,
    fields: decodeFields(entry['fieldsV1'] ?? ({} as Json)),
  };
}

function textOf(entry: JsonObject, field: string): string {
  const value = entry[field];
  return typeof value === 'string' ? value : '';
}

function compareEntries(a: ManagerFields, b: ManagerFields): number {
  const order = [
    [a.operation, b.operation],
    [a.time ?? '', b.time ?? ''],
    [a.name, b.name],
    [a.apiVersion, b.apiVersion],
    [a.subresource, b.subresource],
  ];
  for (const [left = '', right = ''] of order) if (left !== right) return left < right ? -1 : 1;
  return 0;
}
