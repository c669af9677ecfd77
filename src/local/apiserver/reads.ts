/** Get, list and watch. */
import type { ServerResponse } from 'node:http';
import { parseFieldSelector, parseLabelSelector, type KindInfo, type KubeObject } from '../../api/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { sendJson, sendJsonText, type AnswerForm } from './http-messages.ts';
import { checkGetRevision, planList, planWatch, readPage, type Page } from './list-options.ts';
import type { Admission } from './admission/admission.ts';
import type { RbacAuthorizer } from './rbac/authorizer.ts';
import type { CustomKinds } from './custom/custom-kinds.ts';
import { groupVersion, jsonInVersion, objectInVersion, storageOf, type ServedKinds } from './served-kinds.ts';
import { badRequest, notFound } from './status-error.ts';
import type { ObjectStore, Stored } from './store.ts';
import { partialMetadata, renderTable, type IncludeObject } from './table.ts';
import { startWatch } from './watch-stream.ts';

export interface ReadRequest {
  readonly kind: KindInfo;
  /** Undefined: all namespaces. "" never occurs: cluster-scoped kinds pass undefined. */
  readonly namespace: string | undefined;
  /** Undefined: the collection. */
  readonly name: string | undefined;
  readonly query: URLSearchParams;
  readonly form: AnswerForm;
}

export interface ReadContext {
  readonly store: ObjectStore;
  readonly kinds: ServedKinds;
  readonly customKinds: CustomKinds;
  readonly clock: Clock;
  readonly authorizer: RbacAuthorizer;
  /** IP families that Services can have; absent: both. */
  readonly serviceFamilies?: readonly ('IPv4' | 'IPv6')[];
  readonly admission: Admission;
  /** Running watches, by the function that ends each. */
  readonly watches: Set<() => void>;
}

const minWatchMs = 30 * 60 * 1000;

export function sendObject(
  context: ReadContext,
  request: ReadRequest,
  stored: Stored,
  response: ServerResponse,
  code = 200,
): void {
  const { kind, form } = request;
  switch (form) {
    case 'object':
      sendJsonText(response, code, jsonInVersion(stored, kind));
      break;
    case 'metadata':
      sendJson(response, code, partialMetadata(stored.object));
      break;
    case 'table':
      sendTable(
        context,
        request,
        [stored],
        response,
        { resourceVersion: stored.object.metadata.resourceVersion },
        code,
      );
      break;
  }
}

export function getObject(context: ReadContext, request: ReadRequest, response: ServerResponse): void {
  const { kind, namespace = '', name = '' } = request;
  checkGetRevision(request.query, context.store);
  const stored = context.store.get(storageOf(kind), namespace, name);
  if (!stored) throw notFound(kind, name);
  sendObject(context, request, stored, response);
}

export function listObjects(context: ReadContext, request: ReadRequest, response: ServerResponse): void {
  const { kind, namespace, query, form } = request;
  const selects = hasSelector(query) ? selectorOf(kind, query) : undefined;
  const plan = planList(query, context.store);
  const page = readPage(context.store, plan, { resource: storageOf(kind), namespace, selects });
  sendList(context, request, page, response, form);
}

export function sendList(
  context: ReadContext,
  request: ReadRequest,
  page: Page,
  response: ServerResponse,
  form: AnswerForm,
): void {
  const { kind } = request;
  const { items: found, metadata } = page;
  switch (form) {
    case 'object': {
      const head = JSON.stringify({
        kind: kind.listKind,
        apiVersion: groupVersion(kind.group, kind.version),
        metadata,
      });
      // The stored texts are joined as they are: nothing is serialised again.
      sendJsonText(
        response,
        200,
        `${head.slice(0, -1)},"items":[${found.map((stored) => jsonInVersion(stored, kind)).join(',')}]}`,
      );
      break;
    }
    case 'metadata': {
      const items = found.map((stored) => partialMetadata(stored.object));
      sendJson(response, 200, { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items });
      break;
    }
    case 'table':
      sendTable(context, request, found, response, metadata);
      break;
  }
}

export function watchObjects(context: ReadContext, request: ReadRequest, response: ServerResponse): void {
  const { kind, namespace, query, form } = request;
  const selects = selectorOf(kind, query);
  const timeoutSeconds = Number(query.get('timeoutSeconds') ?? 0);
  const { fromRevision, sendInitialEvents } = planWatch(query, context.store);
  const bookmarks = isTrue(query.get('allowWatchBookmarks'));
  // A watch of an expired revision has ended before there is anything to stop.
  let stop: (() => void) | undefined = undefined;
  let stopListening: (() => void) | undefined;
  const forget = (): void => {
    if (stop) context.watches.delete(stop);
    stopListening?.();
  };
  stop = startWatch(
    response,
    {
      ...context,
      kind,
      selects: (object) => inScope(object, namespace, request.name) && selects(object),
      fromRevision,
      form,
      include: includeOf(query),
      bookmarks,
      markInitialEnd: sendInitialEvents && bookmarks,
      watchCount: () => context.watches.size,
      timeoutMs: timeoutSeconds > 0 ? timeoutSeconds * 1000 : minWatchMs * (1 + Math.random()),
    },
    forget,
  );
  if (response.writableEnded) return;
  context.watches.add(stop);
  if (kind.isCustom) stopListening = context.customKinds.whenGone(storageOf(kind), stop);
}

function hasSelector(query: URLSearchParams): boolean {
  return Boolean(query.get('labelSelector') ?? '') || Boolean(query.get('fieldSelector') ?? '');
}

/** Whether an object passes the label and field selectors of a query. Throws 400. */
export function selectorOf(kind: KindInfo, query: URLSearchParams): (object: KubeObject) => boolean {
  if (!hasSelector(query)) return () => true;
  const labelText = query.get('labelSelector') ?? '';
  const fieldText = query.get('fieldSelector') ?? '';
  try {
    const labels = parseLabelSelector(labelText);
    const fields = parseFieldSelector(fieldText);
    const supported = kind.selectableFields ?? selectableFields[storageOf(kind)];
    for (const { path } of fields.requirements) {
      if (path === 'metadata.name' || path === 'metadata.namespace' || supported?.includes(path)) continue;
      throw badRequest(
        supported
          ? `field label not supported: ${path}`
          : `${JSON.stringify(path)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
      );
    }
    return (object) => (labelText === '' || labels.matches(object.metadata.labels)) && fields.matches(object);
  } catch (error) {
    throw badRequest(messageOf(error));
  }
}

export function isTrue(value: string | null): boolean {
  return value === 'true' || value === '1';
}

const involvedObject = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];

/** What Kubernetes lets field selectors name, besides the name and namespace of any object. */
const selectableFields: Readonly<Record<string, readonly string[]>> = {
  pods: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  events: [
    ...involvedObject.map((field) => `involvedObject.${field}`),
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  secrets: ['type'],
  namespaces: ['status.phase'],
  nodes: ['spec.unschedulable'],
  services: ['spec.clusterIP', 'spec.type'],
  'replicasets.apps': ['status.replicas'],
};

function sendTable(
  context: ReadContext,
  request: ReadRequest,
  found: readonly Stored[],
  response: ServerResponse,
  metadata: Record<string, unknown>,
  code = 200,
): void {
  const objects = found.map((stored) => objectInVersion(stored.object, request.kind));
  const options = { include: includeOf(request.query), nowMs: context.clock.nowMs(), metadata };
  sendJson(response, code, renderTable(request.kind, objects, options));
}

function includeOf(query: URLSearchParams): IncludeObject {
  const include = query.get('includeObject');
  return include === 'Object' || include === 'None' ? include : 'Metadata';
}

function inScope(object: KubeObject, namespace: string | undefined, name: string | undefined): boolean {
  return (
    (namespace === undefined || object.metadata.namespace === namespace) &&
    (name === undefined || object.metadata.name === name)
  );
}
