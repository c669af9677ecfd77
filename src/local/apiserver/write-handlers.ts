/** POST, PUT, PATCH and DELETE of objects: from HTTP to a store transaction and back. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { hasStrategicMerge, type KindInfo } from '../../api/index.ts';
import { addWarning, mediaTypeOf, parseObjectBody, readBody, sendJson } from './http-messages.ts';
import { applyMergePatch, isJsonObject, type Json, type JsonObject } from './merge-patch.ts';
import type { ApiObject } from './object-fields.ts';
import { selectorOf, sendList, sendObject, type ReadContext, type ReadRequest } from './reads.ts';
import { groupVersion, storageOf } from './served-kinds.ts';
import { badRequest, deletedStatus, unsupportedMediaType } from './status-error.ts';
import type { Transaction } from './store.ts';
import { applyStrategicMergePatch } from './strategic-merge.ts';
import type { User } from './user.ts';
import {
  createObject,
  deleteObject,
  updateObject,
  type DeleteChoice,
  type WriteContext,
  type WriteOutcome,
} from './writes.ts';

export interface WriteRequest extends ReadRequest {
  readonly user: User;
  readonly subresource: string;
  readonly http: IncomingMessage;
  /** Checked again for a create, with the name that the body holds. Throws 403. */
  authorizeName(name: string): void;
}

export async function handleCreate(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
): Promise<void> {
  const { kind } = request;
  const object = toApiObject(parseObjectBody(await readBody(request.http), mediaTypeOf(request.http)), kind);
  request.authorizeName(object.metadata.name ?? '');
  const write = writeContext(context, request, response);
  const stored = await commit(context, request, (tx) => createObject(tx, write, object));
  sendObject(context, request, stored, response, 201);
}

export async function handleUpdate(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
): Promise<void> {
  const { kind, name = '', subresource } = request;
  const object = toApiObject(parseObjectBody(await readBody(request.http), mediaTypeOf(request.http)), kind);
  const write = writeContext(context, request, response);
  const outcome = await commit(context, request, (tx) => updateObject(tx, write, { name, subresource }, () => object));
  sendObject(context, request, outcome.stored, response);
}

export async function handlePatch(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
): Promise<void> {
  const { kind, name = '', subresource } = request;
  const change = await readPatch(request.http, kind);
  const write = writeContext(context, request, response);
  const outcome = await commit(context, request, (tx) =>
    updateObject(tx, write, { name, subresource }, (current) => {
      const versioned = { ...current, apiVersion: groupVersion(kind.group, kind.version) };
      return toApiObject(change(versioned as unknown as JsonObject), kind);
    }),
  );
  sendObject(context, request, outcome.stored, response);
}

export async function handleDelete(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
): Promise<void> {
  const { kind, name = '' } = request;
  const { choice, dryRun } = await readDeleteOptions(request);
  const write = writeContext(context, request, response);
  const outcome = await commit(context, request, (tx) => deleteObject(tx, write, name, choice), dryRun);
  if (outcome.gone) sendJson(response, 200, deletedStatus(kind, name, outcome.stored.object.metadata.uid));
  else sendObject(context, request, outcome.stored, response);
}

export async function handleDeleteCollection(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
): Promise<void> {
  const { kind, namespace } = request;
  const { choice, dryRun } = await readDeleteOptions(request);
  const selects = selectorOf(kind, request.query);
  const base = writeContext(context, request, response);
  const outcomes = await commit(
    context,
    request,
    (tx): WriteOutcome[] =>
      tx
        .list(storageOf(kind), namespace)
        .filter((stored) => selects(stored.object))
        .map(({ object: { metadata } }) => {
          return deleteObject(tx, { ...base, namespace: metadata.namespace ?? '' }, metadata.name ?? '', choice);
        }),
    dryRun,
  );
  const found = outcomes.map((outcome) => outcome.stored);
  sendList(context, request, found, response, request.form);
}

/** The function that applies the patch in the body to an object. Throws 400 and 415. */
export async function readPatch(
  http: IncomingMessage,
  kind: KindInfo | undefined,
): Promise<(current: JsonObject) => Json> {
  const mediaType = mediaTypeOf(http);
  const body = await readBody(http);
  switch (mediaType) {
    case 'application/merge-patch+json': {
      const patch = parseObjectBody(body, mediaType) as JsonObject;
      return (current) => applyMergePatch(current, patch);
    }
    case 'application/strategic-merge-patch+json': {
      if (kind && !hasStrategicMerge(kind)) break;
      const patch = parseObjectBody(body, mediaType) as JsonObject;
      return (current) => applyStrategicMergePatch(current, patch, kind?.schema);
    }
    default:
      break;
  }
  throw unsupportedMediaType(
    `the body of the request was in an unknown format - accepted media types include: application/merge-patch+json${
      kind && !hasStrategicMerge(kind) ? '' : ', application/strategic-merge-patch+json'
    }`,
  );
}

/** Whether `dryRun=All` was asked for. Throws 400 for other values. */
export function isDryRun(query: URLSearchParams): boolean {
  const values = query.getAll('dryRun').filter((value) => value !== '');
  if (values.some((value) => value !== 'All'))
    throw badRequest(`Invalid value: ${JSON.stringify(values)}: dryRun must be All`);
  return values.length > 0;
}

export function writeContext(context: ReadContext, request: WriteRequest, response: ServerResponse): WriteContext {
  const validation = request.query.get('fieldValidation') ?? 'Warn';
  if (validation !== 'Ignore' && validation !== 'Warn' && validation !== 'Strict') {
    throw badRequest(`Invalid value: ${JSON.stringify(validation)}: fieldValidation must be Ignore, Warn or Strict`);
  }
  return {
    kind: request.kind,
    namespace: request.namespace ?? '',
    user: request.user,
    nowMs: context.clock.nowMs(),
    validation,
    warn: (message) => addWarning(response, message),
  };
}

/** Runs the plan for real, or as the dry run that the query or the body asks for. */
export async function commit<T>(
  context: ReadContext,
  request: { readonly query: URLSearchParams },
  plan: (tx: Transaction) => T,
  dryRun = false,
): Promise<T> {
  return dryRun || isDryRun(request.query) ? context.store.dryRun(plan) : context.store.write(plan);
}

/** Checks apiVersion and kind of a body against the request's; what is missing is filled in. Throws 400. */
function toApiObject(body: Json | Record<string, unknown>, kind: KindInfo): ApiObject {
  if (!isJsonObject(body)) throw badRequest('the object provided is unrecognized (must be an object)');
  const expected = groupVersion(kind.group, kind.version);
  const { apiVersion = expected, kind: kindName = kind.kind, metadata = {} } = body;
  if (apiVersion !== expected) {
    throw badRequest(
      `the API version in the data (${JSON.stringify(apiVersion)}) does not match the expected API version (${expected})`,
    );
  }
  if (kindName !== kind.kind) {
    throw badRequest(
      `the kind in the data (${JSON.stringify(kindName)}) does not match the expected kind (${kind.kind})`,
    );
  }
  if (!isJsonObject(metadata)) throw badRequest('metadata must be an object');
  for (const field of ['spec', 'status']) {
    if (body[field] === null) delete body[field];
    else if (body[field] !== undefined && !isJsonObject(body[field])) throw badRequest(`${field} must be an object`);
  }
  checkMetadata(metadata);
  return { ...body, apiVersion, kind: kindName, metadata } as unknown as ApiObject;
}

/** The types of the metadata that this server computes with; their values are validated later. */
function checkMetadata(metadata: JsonObject): void {
  for (const field of ['name', 'generateName', 'namespace', 'uid', 'resourceVersion']) {
    const value = metadata[field];
    if (value !== undefined && value !== null && typeof value !== 'string')
      throw badRequest(`metadata.${field} must be a string`);
  }
  for (const field of ['labels', 'annotations']) {
    const value = metadata[field];
    if (value === undefined || value === null) continue;
    const isMap =
      isJsonObject(value) && Object.values(value).every((item) => typeof item === 'string' || item === null);
    if (!isMap) throw badRequest(`metadata.${field} must be a map of strings`);
  }
  for (const field of ['finalizers', 'ownerReferences']) {
    const value = metadata[field];
    if (value !== undefined && value !== null && !Array.isArray(value))
      throw badRequest(`metadata.${field} must be a list`);
  }
}

async function readDeleteOptions(request: WriteRequest): Promise<{ choice: DeleteChoice; dryRun: boolean }> {
  const body = await readBody(request.http);
  const options = body.length === 0 ? {} : parseObjectBody(body, mediaTypeOf(request.http));
  const { query } = request;
  const grace =
    options['gracePeriodSeconds'] ??
    (query.has('gracePeriodSeconds') ? Number(query.get('gracePeriodSeconds')) : undefined);
  if (grace !== undefined && (typeof grace !== 'number' || !Number.isInteger(grace))) {
    throw badRequest('gracePeriodSeconds must be a whole number');
  }
  const policy = options['propagationPolicy'] ?? query.get('propagationPolicy') ?? 'Background';
  if (policy !== 'Background' && policy !== 'Foreground' && policy !== 'Orphan') {
    throw badRequest(
      `Invalid value: ${JSON.stringify(policy)}: propagationPolicy must be Background, Foreground or Orphan`,
    );
  }
  const { uid, resourceVersion } = isJsonObject(options['preconditions']) ? options['preconditions'] : {};
  return {
    choice: {
      ...(grace !== undefined && { gracePeriodSeconds: grace }),
      orphan: policy === 'Orphan',
      preconditions: {
        ...(typeof uid === 'string' && { uid }),
        ...(typeof resourceVersion === 'string' && { resourceVersion }),
      },
    },
    dryRun: Array.isArray(options['dryRun']) && options['dryRun'].includes('All'),
  };
}
