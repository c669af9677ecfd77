/** POST, PUT, PATCH and DELETE of objects: from HTTP to a store transaction and back. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KindInfo } from '../../api/index.ts';
import { parseDeleteOptions, type DeleteChoice } from './delete-options.ts';
import { commitAdmitted } from './admission/admitted-commit.ts';
import { addWarning, mediaTypeOf, parseObjectBody, readBody, sendJson } from './http-messages.ts';
import { isJsonObject, type Json, type JsonObject } from './merge-patch.ts';
import type { ApiObject } from './object-fields.ts';
import { applyMediaType, parseApplyConfig, parsePatch } from './patches.ts';
import { selectorOf, sendList, sendObject, type ReadContext, type ReadRequest } from './reads.ts';
import { groupVersion, storageOf } from './served-kinds.ts';
import { badRequest, deletedStatus } from './status-error.ts';
import type { Transaction } from './store.ts';
import type { User } from './user.ts';
import { parseWriteOptions, type OptionsSource, type WriteOptions } from './write-options.ts';
import {
  applyObject,
  createObject,
  deleteObject,
  updateObject,
  type WriteContext,
  type WriteOutcome,
} from './writes.ts';

export interface WriteRequest extends ReadRequest {
  readonly user: User;
  readonly subresource: string;
  readonly http: IncomingMessage;
}

export async function handleCreate(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
): Promise<void> {
  const { kind } = request;
  const write = writeContext(context, request, response, optionsOf(request, 'CreateOptions'));
  const object = toApiObject(parseObjectBody(await readBody(request.http), mediaTypeOf(request.http)), kind);
  const stored = await commit(context, write, (tx) => createObject(tx, write, object));
  sendObject(context, request, stored, response, 201);
}

export async function handleUpdate(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
): Promise<void> {
  const { kind, name = '', subresource } = request;
  const write = writeContext(context, request, response, optionsOf(request, 'UpdateOptions'));
  const object = toApiObject(parseObjectBody(await readBody(request.http), mediaTypeOf(request.http)), kind);
  const outcome = await commit(context, write, (tx) => updateObject(tx, write, { name, subresource }, () => object));
  sendObject(context, request, outcome.stored, response);
}

export async function handlePatch(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
): Promise<void> {
  const { kind, name = '', subresource, http } = request;
  const mediaType = mediaTypeOf(http);
  if (mediaType === applyMediaType) return handleApply(context, request, response);
  const write = writeContext(context, request, response, optionsOf(request, 'PatchOptions'));
  const change = parsePatch(await readBody(http), mediaType, kind);
  const outcome = await commit(context, write, (tx) =>
    updateObject(tx, write, { name, subresource }, (current) =>
      toApiObject(change(current as unknown as JsonObject), kind),
    ),
  );
  sendObject(context, request, outcome.stored, response);
}

async function handleApply(context: ReadContext, request: WriteRequest, response: ServerResponse): Promise<void> {
  const { kind, name = '', subresource, http } = request;
  const options = optionsOf(request, 'PatchOptions', true);
  const write = writeContext(context, request, response, options);
  const object = parseApplyConfig(await readBody(http), kind, options.validation, write.warn);
  const outcome = await commit(context, write, (tx) =>
    applyObject(tx, write, { name, subresource }, { object, force: options.force }),
  );
  sendObject(context, request, outcome.stored, response, outcome.created ? 201 : 200);
}

export async function handleDelete(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
): Promise<void> {
  const { kind, name = '' } = request;
  const choice = await readDeleteChoice(request);
  const write = deleteContext(context, request, response, choice);
  const outcome = await commit(context, write, (tx) => deleteObject(tx, write, name, choice), 'DELETE');
  if (outcome.gone) sendJson(response, 200, deletedStatus(kind, name, outcome.stored.object.metadata.uid));
  else sendObject(context, request, outcome.stored, response);
}

export async function handleDeleteCollection(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
): Promise<void> {
  const { kind, namespace } = request;
  const choice = await readDeleteChoice(request);
  const selects = selectorOf(kind, request.query);
  const base = deleteContext(context, request, response, choice);
  const outcomes = await commit(
    context,
    base,
    (tx): WriteOutcome[] =>
      tx
        .list(storageOf(kind), namespace)
        .filter((stored) => selects(stored.object))
        .map(({ object: { metadata } }) => {
          return deleteObject(tx, { ...base, namespace: metadata.namespace ?? '' }, metadata.name ?? '', choice);
        }),
    'DELETE',
  );
  const items = outcomes.map((outcome) => outcome.stored);
  const page = { items, metadata: { resourceVersion: String(context.store.revision) } };
  sendList(context, request, page, response, request.form);
}

/** Throws 422 for options that Kubernetes does not know. */
export function optionsOf(
  request: Pick<WriteRequest, 'query' | 'http'>,
  kind: OptionsSource['kind'],
  isApply = false,
): WriteOptions {
  return parseWriteOptions({ kind, query: request.query, userAgent: request.http.headers['user-agent'], isApply });
}

export function writeContext(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
  options: Omit<WriteOptions, 'force'>,
): WriteContext {
  return {
    kind: request.kind,
    namespace: request.namespace ?? '',
    user: request.user,
    authorizer: context.authorizer,
    nowMs: context.clock.nowMs(),
    validation: options.validation,
    manager: options.manager,
    subresource: request.subresource,
    dryRun: options.dryRun,
    ...(context.serviceFamilies && { serviceFamilies: context.serviceFamilies }),
    warn: (message) => addWarning(response, message),
  };
}

/** Runs the plan for real, or as a dry run. */
export async function commit<T>(
  context: ReadContext,
  options: WriteContext,
  plan: (tx: Transaction) => T,
  operation?: 'DELETE',
): Promise<T> {
  const { store, admission } = context;
  if (admission.concerns(options.kind))
    return commitAdmitted(store, admission, { ...options, ...(operation && { operation }) }, plan);
  return options.dryRun ? context.store.dryRun(plan) : context.store.write(plan);
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

async function readDeleteChoice(request: WriteRequest): Promise<DeleteChoice> {
  const body = await readBody(request.http);
  const options = body.length === 0 ? undefined : parseObjectBody(body, mediaTypeOf(request.http));
  return parseDeleteOptions(options as JsonObject | undefined, request.query);
}

/** A delete has no field manager, and nothing to validate. */
function deleteContext(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
  { dryRun }: DeleteChoice,
): WriteContext {
  return writeContext(context, request, response, { validation: 'Ignore', manager: '', dryRun });
}
