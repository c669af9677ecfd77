/** Patch bodies: JSON patch, merge patch, strategic merge patch, and configurations to apply. */
import { applyPatch, type Operation } from 'rfc6902';
import type { KindInfo } from '../../api/index.ts';
import { applyStrategicMergePatch, hasStrategicMerge } from '../../api/serving.ts';
import { codeOf, messageOf } from '../../lib/errors.ts';
import { applyMergePatch, isJsonObject, type Json, type JsonObject } from './merge-patch.ts';
import type { FieldValidation } from './object-fields.ts';
import { groupVersion } from './served-kinds.ts';
import { badRequest, StatusError, unsupportedMediaType } from './status-error.ts';
import { parseJson, parseYaml } from './structured-body.ts';

export const applyMediaType = 'application/apply-patch+yaml';

/** Kubernetes' limit. */
const maxOperations = 10_000;

/** What a patch makes of an object, which it does not change. Throws 422 where the object does not fit. */
export type Change = (current: JsonObject) => Json;

/**
 * The change that a body asks for. `kind` undefined: a subresource with a type of its own. Throws 400, 413, and 415 for
 * media types that are no patch of this kind.
 */
export function parsePatch(body: Buffer, mediaType: string, kind: KindInfo | undefined): Change {
  const isStrategic = kind === undefined || hasStrategicMerge(kind);
  switch (mediaType) {
    case 'application/json-patch+json':
      return jsonPatch(parsePatchJson(body));
    case 'application/merge-patch+json': {
      const patch = objectOf(parsePatchJson(body));
      return (current) => applyMergePatch(current, patch);
    }
    case 'application/strategic-merge-patch+json': {
      if (!isStrategic) break;
      const patch = objectOf(parsePatchJson(body));
      return (current) => strategicMerge(current, patch, kind);
    }
    default:
      throw new StatusError({
        code: 415,
        reason: 'UnsupportedMediaType',
        message: '415: Unsupported Media Type',
        details: {},
      });
  }
  const accepted = ['application/json-patch+json', 'application/merge-patch+json', applyMediaType].join(', ');
  throw unsupportedMediaType(
    `the body of the request was in an unknown format - accepted media types include: ${accepted}`,
  );
}

function strategicMerge(current: JsonObject, patch: JsonObject, kind: KindInfo | undefined): JsonObject {
  try {
    return applyStrategicMergePatch(current, patch, kind?.schema);
  } catch (error) {
    throw codeOf(error) === 'api.strategic-merge' ? badRequest(messageOf(error)) : error;
  }
}

/** The configuration of an apply. `warn` hears of keys that are there twice, which Strict refuses. Throws 400. */
export function parseApplyConfig(
  body: Buffer,
  kind: KindInfo,
  validation: FieldValidation,
  warn: (message: string) => void,
): JsonObject {
  let config: Json;
  try {
    config = parseYaml(body, { allowRepeatedKeys: true });
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw badRequest(`error decoding YAML: ${firstLine(error)}`);
  }
  if (!isJsonObject(config)) throw badRequest('error decoding YAML: the configuration must be an object');
  if (validation !== 'Ignore') {
    const repeated = repeatedKeys(body);
    if (repeated !== undefined && validation === 'Strict') throw badRequest(`error strict decoding YAML: ${repeated}`);
    if (repeated !== undefined) warn(repeated);
  }
  const { apiVersion, kind: kindName } = config;
  const version = typeof apiVersion === 'string' ? apiVersion : '';
  if (version === groupVersion(kind.group, kind.version) && kindName === kind.kind) return config;
  const given = `${version.includes('/') ? '' : '/'}${version}, Kind=${typeof kindName === 'string' ? kindName : ''}`;
  throw badRequest(`invalid object type: ${given}`);
}

/** Operations on a copy, all or none. */
function jsonPatch(operations: Json): Change {
  if (!Array.isArray(operations)) throw badRequest('error decoding patch: a JSON patch must be a list of operations');
  if (operations.length > maxOperations) {
    const message = `Request entity too large: The allowed maximum operations in a JSON patch is ${maxOperations}, got ${operations.length}`;
    throw new StatusError({ code: 413, reason: 'RequestEntityTooLarge', message });
  }
  if (!operations.every(isOperation)) throw rejected();
  return (current) => {
    // The root is a field here, so that an operation may replace it.
    const holder = { root: structuredClone(current) as Json };
    for (const operation of operations) {
      const failures = applyPatch(holder, [atRoot(operation)]);
      if (failures.every((failure) => failure === null)) continue;
      // As Kubernetes' library does, replacing a key that a map lacks adds it.
      const isLenient = operation.op === 'replace' && failures[0]?.name === 'MissingError';
      if (!isLenient || !addsKey(holder.root, operation, holder)) throw rejected();
    }
    if (!isJsonObject(holder.root)) throw rejected();
    return holder.root;
  };
}

function addsKey(root: Json, operation: Operation & { path: string }, holder: { root: Json }): boolean {
  const parents = operation.path.split('/').slice(1, -1);
  let parent: Json | undefined = root;
  for (const token of parents) {
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~');
    parent = typeof parent === 'object' && parent !== null ? (parent as JsonObject)[name] : undefined;
  }
  if (!isJsonObject(parent)) return false;
  return applyPatch(holder, [{ ...atRoot(operation), op: 'add' } as Operation])[0] === null;
}

function atRoot(operation: Operation & { path: string }): Operation {
  const moved = { ...operation, path: `/root${operation.path}` };
  return ('from' in moved ? { ...moved, from: `/root${moved.from}` } : moved) as Operation;
}

function isOperation(item: Json): item is JsonObject & Operation & { path: string } {
  if (!isJsonObject(item)) return false;
  const { op, path, from, value } = item;
  if (!isPointer(path) || typeof op !== 'string') return false;
  switch (op) {
    case 'add':
    case 'replace':
    case 'test':
      return value !== undefined;
    case 'remove':
      return true;
    case 'move':
    case 'copy':
      return isPointer(from);
    default:
      return false;
  }
}

/** A JSON pointer (RFC 6901) that names no prototype. */
function isPointer(value: Json | undefined): value is string {
  return (
    typeof value === 'string' && (value === '' || value.startsWith('/')) && !value.split('/').includes('__proto__')
  );
}

function rejected(): StatusError {
  const message = 'the server rejected our request due to an error in our request';
  return new StatusError({ code: 422, reason: 'Invalid', message, details: {} });
}

function parsePatchJson(body: Buffer): Json {
  try {
    return parseJson(body);
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw badRequest(`error decoding patch: ${messageOf(error)}`);
  }
}

function objectOf(patch: Json): JsonObject {
  if (!isJsonObject(patch)) throw badRequest('error decoding patch: the patch must be an object');
  return patch;
}

/** What js-yaml says of the first key that is there twice. */
function repeatedKeys(body: Buffer): string | undefined {
  try {
    parseYaml(body, { allowRepeatedKeys: false });
    return undefined;
  } catch (error) {
    return firstLine(error);
  }
}

function firstLine(error: unknown): string {
  return messageOf(error).split('\n', 1)[0] ?? '';
}
