/** From an HTTP request to what answers it: authentication, authorization, then the handler of its path. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { KindInfo } from '../../api/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { authenticate, type AuthenticationContext } from './authentication.ts';
import type { ResourceAttributes, Verb } from './authorization.ts';
import { subresourcesOf } from './discovery.ts';
import { handleEviction } from './eviction.ts';
import { anonymousPaths, sendDocument, sendPublic } from './documents.ts';
import {
  addWarning,
  answerFormOf,
  mediaTypeOf,
  parseObjectBody,
  readBody,
  sendError,
  sendJson,
} from './http-messages.ts';
import type { JsonObject } from './merge-patch.ts';
import { proxyLog, proxyUpgrade, rawStatus, streamActions, type NodeProxyContext } from './node-proxy.ts';
import { authorizeNode } from './node-authorizer.ts';
import { getObject, isTrue, listObjects, watchObjects, type ReadContext } from './reads.ts';
import { parseResourcePath, type ResourcePath } from './request-path.ts';
import type { RequestLimiter } from './request-limiter.ts';
import { reviews, type Review } from './reviews.ts';
import { groupVersion } from './served-kinds.ts';
import { badRequest, methodNotAllowed, statusOf, unknownPath } from './status-error.ts';
import { handleBinding, handleScale, handleTokenRequest } from './subresources.ts';
import type { User } from './user.ts';
import {
  handleCreate,
  handleDelete,
  handleDeleteCollection,
  handlePatch,
  handleUpdate,
  type WriteRequest,
} from './write-handlers.ts';

export interface ApiContext extends ReadContext, NodeProxyContext, AuthenticationContext {
  readonly limiter: RequestLimiter;
}

/** Answers one request; never rejects. */
export async function handleRequest(
  context: ApiContext,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    await route(context, request, response);
  } catch (error) {
    if ((statusOf(error).code ?? 500) >= 500) {
      context.log.error('Request failed', {
        method: request.method,
        path: request.url?.split('?', 1)[0],
        error: messageOf(error),
      });
    }
    sendError(response, error);
  }
}

/** Answers an upgrade request (`pods/exec`, `pods/attach`, `pods/portforward`); never rejects. */
export async function handleUpgrade(
  context: ApiContext,
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
): Promise<void> {
  client.on('error', () => client.destroy());
  try {
    const user = await authenticate(context, request);
    const { pathname } = parseUrl(request);
    const path = parsePath(pathname);
    if (path?.group !== '' || path.plural !== 'pods' || path.name === undefined) throw unknownPath();
    const action = streamActions.get(path.subresource);
    if (action === undefined) throw unknownPath();
    // A WebSocket can only be opened by GET: as in Kubernetes, reading rights alone do not run commands.
    if (request.method === 'GET') context.authorizer.authorize(user, attributesOf(path, 'get'));
    else if (request.method !== 'POST') throw methodNotAllowed();
    context.authorizer.authorize(user, attributesOf(path, 'create'));
    proxyUpgrade(context, { namespace: path.namespace ?? '', name: path.name, action }, { request, client, head });
  } catch (error) {
    client.end(rawStatus(error));
  }
}

async function route(context: ApiContext, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams: query } = parseUrl(request);
  if (anonymousPaths.has(pathname) && request.headers.authorization === undefined)
    return sendPublic(pathname, response);
  const user = await authenticate(context, request);
  const path = parsePath(pathname);
  response.once('close', context.limiter.enter(user.username, isStream(path, query)));
  if (!path) {
    context.authorizer.authorizePath(user, request.method ?? 'GET', pathname);
    return sendDocument(context.kinds, pathname, request, response);
  }
  const review = reviews.find(
    ({ group, plural }) => path.group === group && path.plural === plural && path.version === 'v1',
  );
  if (review) return answerReview(context, user, review, path, request, response);
  const kind = context.kinds.find(path.group, path.version, path.plural);
  if (!kind) {
    context.authorizer.authorize(user, attributesOf(path, verbOf(request, path, query) ?? 'get', query));
    throw unknownPath();
  }
  await routeKind(context, { user, kind, path, query }, request, response);
}

interface KindRequest {
  readonly user: User;
  readonly kind: KindInfo;
  readonly path: ResourcePath;
  readonly query: URLSearchParams;
}

async function routeKind(
  context: ApiContext,
  target: KindRequest,
  http: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { user, kind, path, query } = target;
  const verb = verbOf(http, path, query);
  if (verb === undefined) throw methodNotAllowed();
  const attributes = attributesOf(path, verb, query);
  context.authorizer.authorize(user, attributes);
  authorizeNode({
    user,
    attributes,
    fieldSelector: query.get('fieldSelector') ?? '',
    findPod: (namespace, name) => context.store.get('pods', namespace, name)?.object,
    podsIn: (namespace) => context.store.list('pods', namespace).map(({ object }) => object),
  });
  checkScope(kind, path, verb);
  if (kind.deprecationWarning !== undefined) addWarning(response, kind.deprecationWarning);
  const request: WriteRequest = {
    kind,
    namespace: path.namespace,
    name: path.name,
    subresource: path.subresource,
    query,
    form: answerFormOf(http.headers.accept),
    user,
    http,
  };
  if (path.subresource !== '') return routeSubresource(context, request, verb, response);
  switch (verb) {
    case 'get':
      return getObject(context, request, response);
    case 'list':
      return listObjects(context, request, response);
    case 'watch':
      return watchObjects(context, request, response);
    case 'create':
      return handleCreate(context, request, response);
    case 'update':
      return handleUpdate(context, request, response);
    case 'patch':
      return handlePatch(context, request, response);
    case 'delete':
      return handleDelete(context, request, response);
    case 'deletecollection':
      return handleDeleteCollection(context, request, response);
  }
}

async function routeSubresource(
  context: ApiContext,
  request: WriteRequest,
  verb: Verb,
  response: ServerResponse,
): Promise<void> {
  const { kind, namespace = '', name = '', subresource } = request;
  const served = subresourcesOf(kind).find((sub) => sub.name === subresource);
  if (!served) throw unknownPath();
  if (!served.verbs.includes(verb)) throw methodNotAllowed();
  switch (subresource) {
    case 'log':
      return proxyLog(context, { namespace, name }, request.query, response);
    case 'binding':
      return handleBinding(context, request, response);
    case 'eviction':
      return handleEviction(context, request, response);
    case 'scale':
      return handleScale(context, request, response);
    case 'token':
      return handleTokenRequest(context, request, response);
    case 'status':
    case 'finalize':
      if (verb === 'get') return getObject(context, request, response);
      return verb === 'patch' ? handlePatch(context, request, response) : handleUpdate(context, request, response);
    default:
      throw badRequest('Upgrade request required');
  }
}

async function answerReview(
  context: ApiContext,
  user: User,
  review: Review,
  path: ResourcePath,
  http: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  context.authorizer.authorize(user, attributesOf(path, 'create'));
  if (http.method !== 'POST' || path.name !== undefined) throw methodNotAllowed();
  const body = parseObjectBody(await readBody(http), mediaTypeOf(http)) as JsonObject;
  const asked: JsonObject = {
    metadata: { creationTimestamp: null },
    ...body,
    kind: review.kind,
    apiVersion: groupVersion(review.group, 'v1'),
  };
  sendJson(response, 201, await review.answer(context, user, asked, context.clock.nowMs()));
}

interface RequestUrl {
  readonly pathname: string;
  readonly searchParams: URLSearchParams;
}

/** The path as it was sent: nothing in it is resolved, so that what is judged is what is served. */
function parseUrl(request: IncomingMessage): RequestUrl {
  const target = /^https?:\/\/[^/?#]*(.*)$/is.exec(request.url ?? '')?.[1] ?? request.url ?? '';
  const at = target.indexOf('?');
  const pathname = at < 0 ? target : target.slice(0, at);
  if (!pathname.startsWith('/')) throw badRequest('the request URL cannot be parsed');
  return { pathname, searchParams: new URLSearchParams(at < 0 ? '' : target.slice(at)) };
}

/** Watches and followed logs live long, and wait for most of it. */
function isStream(path: ResourcePath | undefined, query: URLSearchParams): boolean {
  return isTrue(query.get('watch')) || (path?.subresource === 'log' && isTrue(query.get('follow')));
}

function parsePath(pathname: string): ResourcePath | undefined {
  try {
    return parseResourcePath(pathname);
  } catch {
    throw badRequest('the request path cannot be parsed');
  }
}

function verbOf(request: IncomingMessage, path: ResourcePath, query: URLSearchParams): Verb | undefined {
  switch (request.method ?? '') {
    case 'GET':
    case 'HEAD':
      if (path.name === undefined) return isTrue(query.get('watch')) ? 'watch' : 'list';
      return isTrue(query.get('watch')) && path.subresource === '' ? 'watch' : 'get';
    case 'POST':
      return path.name === undefined || path.subresource !== '' ? 'create' : undefined;
    case 'PUT':
      return path.name === undefined ? undefined : 'update';
    case 'PATCH':
      return path.name === undefined ? undefined : 'patch';
    case 'DELETE':
      return path.name === undefined ? 'deletecollection' : path.subresource === '' ? 'delete' : undefined;
    default:
      return undefined;
  }
}

function attributesOf(path: ResourcePath, verb: Verb, query?: URLSearchParams): ResourceAttributes {
  const { group, plural, subresource, namespace } = path;
  const name = path.name ?? nameSelected(verb, query);
  // As in Kubernetes, a Namespace is judged in its own scope.
  const scope = namespace ?? (group === '' && plural === 'namespaces' ? name : '');
  return { verb, group, resource: plural, subresource, namespace: scope, name };
}

/** A collection of which one name is asked for is judged by that name. */
function nameSelected(verb: Verb, query: URLSearchParams | undefined): string {
  if (verb === 'create') return '';
  return /^metadata\.name=([^,=]+)$/.exec(query?.get('fieldSelector') ?? '')?.[1] ?? '';
}

/** Throws 404 where path and kind disagree about namespaces, 400 for a create without one. */
function checkScope(kind: KindInfo, path: ResourcePath, verb: Verb): void {
  if (!kind.namespaced) {
    if (path.namespace !== undefined) throw unknownPath();
    return;
  }
  if (path.namespace !== undefined || (path.name === undefined && (verb === 'list' || verb === 'watch'))) return;
  if (verb === 'create') throw badRequest('an empty namespace may not be set during creation');
  throw path.name === undefined ? methodNotAllowed() : unknownPath();
}
