/** `ListOptions` of lists and watches: revisions, pages, and what Kubernetes refuses of them. */
import type { KubeObject } from '../../api/index.ts';
import { isJsonObject, type Json } from './merge-patch.ts';
import { integerOf } from './delete-options.ts';
import {
  badRequest,
  inconsistentContinue,
  revisionTooLarge,
  revisionTooOld,
  type StatusCause,
} from './status-error.ts';
import { listKeyOf, type ObjectStore, type Stored } from './store.ts';
import { problem, refuseOptions } from './write-options.ts';

/** What of the state a list shows. */
export interface ListPlan {
  /** Undefined: the newest. */
  readonly revision: number | undefined;
  /** 0: no limit. */
  readonly limit: number;
  /** Items before this key were in earlier pages. */
  readonly startKey: string;
}

export interface Page {
  readonly items: readonly Stored[];
  readonly metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
}

type Match = 'Exact' | 'NotOlderThan' | '';

interface Token {
  /** -1: whatever is newest, when the first page's revision is gone. */
  readonly revision: number;
  readonly startKey: string;
}

/** Throws 400, 422, 410 and 504. */
export function planList(query: URLSearchParams, store: ObjectStore): ListPlan {
  refuseList(query, false);
  const limit = integerOf(query, 'limit') ?? 0;
  const token = query.get('continue') ?? '';
  const wanted = revisionOf(query);
  const match = query.get('resourceVersionMatch') as Match | null;
  if (token !== '') {
    if (query.get('resourceVersion') && wanted !== 0) {
      throw badRequest('specifying resource version is not allowed when using continue');
    }
    const { revision, startKey } = parseToken(token);
    return { revision: revision < 0 ? undefined : revision, limit, startKey };
  }
  if (wanted !== undefined && wanted > store.revision) throw revisionTooLarge(wanted, store.revision);
  // Without a match, a page of a named revision is one of just that revision.
  const isExact = match === 'Exact' || (match === null && limit > 0 && wanted !== undefined && wanted > 0);
  return { revision: isExact ? wanted : undefined, limit, startKey: '' };
}

export interface ListSelection {
  readonly resource: string;
  readonly namespace: string | undefined;
  /** Undefined: every object. */
  readonly selects: ((object: KubeObject) => boolean) | undefined;
}

/** One page of a consistent list. Throws 410 when its revision is gone, with a token that goes on without consistency. */
export function readPage(store: ObjectStore, plan: ListPlan, selection: ListSelection): Page {
  const { resource, namespace, selects } = selection;
  const revision = plan.revision ?? store.revision;
  let all: readonly Stored[];
  try {
    all = store.listAt(resource, namespace, revision);
  } catch {
    if (plan.startKey === '') throw revisionTooOld();
    throw inconsistentContinue(formatToken({ revision: -1, startKey: plan.startKey }));
  }
  const rest = plan.startKey === '' ? all : all.filter((stored) => listKeyOf(stored.object) >= plan.startKey);
  const found = selects ? rest.filter((stored) => selects(stored.object)) : rest;
  const metadata = { resourceVersion: String(revision) };
  const next = plan.limit > 0 ? found[plan.limit] : undefined;
  if (!next) return { items: found, metadata };
  return {
    items: found.slice(0, plan.limit),
    metadata: {
      ...metadata,
      continue: formatToken({ revision, startKey: listKeyOf(next.object) }),
      // Kubernetes does not count what a selector may hide.
      ...(!selects && { remainingItemCount: found.length - plan.limit }),
    },
  };
}

export interface WatchPlan {
  /** Undefined: begin with all there is. */
  readonly fromRevision: number | undefined;
  readonly sendInitialEvents: boolean;
}

/** Throws 400, 422 and 504. */
export function planWatch(query: URLSearchParams, store: ObjectStore): WatchPlan {
  refuseList(query, true);
  const wanted = revisionOf(query);
  const sendInitialEvents = isTrue(query.get('sendInitialEvents'));
  if (sendInitialEvents && wanted !== undefined && wanted > store.revision) {
    throw revisionTooLarge(wanted, store.revision);
  }
  const isAny = sendInitialEvents || wanted === undefined || wanted === 0;
  return { fromRevision: isAny ? undefined : wanted, sendInitialEvents };
}

/** A single object read at least as new as asked. Throws 400 and 504. */
export function checkGetRevision(query: URLSearchParams, store: ObjectStore): void {
  const wanted = revisionOf(query);
  if (wanted !== undefined && wanted > store.revision) throw revisionTooLarge(wanted, store.revision);
}

/** The problems that are Kubernetes' to name (`ValidateListOptions`). Throws 422. */
function refuseList(query: URLSearchParams, isWatch: boolean): void {
  const match = query.get('resourceVersionMatch') ?? '';
  const revision = query.get('resourceVersion') ?? '';
  const initial = query.get('sendInitialEvents');
  const causes: Required<StatusCause>[] = [];
  const forbid = (field: string, why: string): void => {
    causes.push(problem('FieldValueForbidden', field, `Forbidden: ${why}`));
  };
  const unsupported = (supported: string): void => {
    const message = `Unsupported value: ${JSON.stringify(match)}: supported values: ${supported}`;
    causes.push(problem('FieldValueNotSupported', 'resourceVersionMatch', message));
  };
  if (isWatch) {
    if (initial !== null && match === '') {
      forbid('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
    }
    if (initial === null && match !== '') {
      forbid(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      );
    }
    if (match !== '' && match !== 'NotOlderThan') unsupported('"NotOlderThan"');
  } else {
    if (initial !== null) forbid('sendInitialEvents', 'sendInitialEvents is forbidden for list');
    if (match !== '') {
      if (revision === '')
        forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided');
      if (query.get('continue'))
        forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided');
      if (match !== 'Exact' && match !== 'NotOlderThan') unsupported('"Exact", "NotOlderThan", ""');
      if (match === 'Exact' && revision === '0') {
        forbid('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
      }
    }
  }
  refuseOptions('ListOptions', causes);
}

/** Undefined for "". Throws 400. */
function revisionOf(query: URLSearchParams): number | undefined {
  const text = query.get('resourceVersion') ?? '';
  if (text === '') return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const why = `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`;
  throw badRequest(`invalid resource version: ${why}`);
}

/** Kubernetes' own form of the token: clients must not look into it, and need not. */
function formatToken({ revision, startKey }: Token): string {
  const text = JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start: startKey });
  return Buffer.from(text).toString('base64url');
}

function parseToken(text: string): Token {
  let token: Json;
  try {
    token = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as Json;
  } catch {
    throw badRequest('invalid continue token: continue key is not valid: it was not made by this server');
  }
  const { v, rv, start } = isJsonObject(token) ? token : {};
  const isWhole = typeof rv === 'number' && Number.isSafeInteger(rv) && (rv > 0 || rv === -1);
  if (v !== 'meta.k8s.io/v1' || !isWhole || typeof start !== 'string' || start === '') {
    throw badRequest('invalid continue token: continue key is not valid: incorrect encoded start or revision');
  }
  return { revision: rv, startKey: start };
}

function isTrue(value: string | null): boolean {
  return value === 'true' || value === '1';
}
