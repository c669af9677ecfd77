/** One watch: events of a kind through selectors, as JSON lines, to a client that must keep up. */
import type { ServerResponse } from 'node:http';
import type { KindInfo, KubeObject } from '../../api/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { groupVersion, jsonInVersion, objectInVersion, storageOf } from './served-kinds.ts';
import { statusOf } from './status-error.ts';
import type { ObjectStore, Stored, StoreEvent } from './store.ts';
import { partialMetadata, renderTable, type IncludeObject } from './table.ts';

export interface WatchOptions {
  readonly kind: KindInfo;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly selects: (object: KubeObject) => boolean;
  /** `undefined`: send what there is as ADDED, then what changes. */
  readonly fromRevision: number | undefined;
  readonly form: 'object' | 'table' | 'metadata';
  readonly include: IncludeObject;
  readonly bookmarks: boolean;
  /** Mark the end of the initial ADDED events by a bookmark (`sendInitialEvents`). */
  readonly markInitialEnd: boolean;
  /** The watch ends by itself after this time. */
  readonly timeoutMs: number;
  /** How many watches share the memory for what clients leave unread. Default 1. */
  readonly watchCount?: () => number;
}

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';

const bookmarkIntervalMs = 30_000;
/** What is there already, and what was missed, is sent no faster than the client reads: this much ahead. */
const maxAheadBytes = 1024 * 1024;
/** A client that reads nothing of that for so long is dropped. */
const maxStallMs = 60_000;
/** What all watches together may leave unread of live events, and what each may in any case. */
const maxUnsentBytes = 64 * 1024 * 1024;
const minUnsentBytes = 256 * 1024;
const maxUnsentBytesEach = 8 * 1024 * 1024;

/**
 * Streams until the client leaves, the time is up, or `stop` (returned) is called. `onEnd` is called once.
 * A client that falls too far behind is dropped: it lists again.
 */
export function startWatch(response: ServerResponse, options: WatchOptions, onEnd: () => void): () => void {
  const { kind, store, clock, fromRevision } = options;
  const resource = storageOf(kind);
  const initial = fromRevision === undefined ? store.list(resource) : [];
  let nextInitial = 0;
  let isMarked = !options.markInitialEnd;
  /** Every event up to this revision was looked at. */
  let seenRevision = fromRevision ?? store.revision;
  let isLive = false;
  let ended = false;
  let stopListening: (() => void) | undefined;
  let stopBookmarks: (() => void) | undefined;
  let stopStall: (() => void) | undefined;

  const end = (): void => {
    if (ended) return;
    ended = true;
    stopListening?.();
    stopBookmarks?.();
    stopStall?.();
    stopTimeout();
    response.end();
    onEnd();
  };
  const drop = (): void => {
    response.destroy();
    end();
  };
  const write = (line: Buffer | string): void => {
    if (ended) return;
    response.write(line);
    if (isLive && response.writableLength > unsentLimit(options.watchCount?.() ?? 1)) drop();
  };
  const sendBookmark = (annotations?: Record<string, string>): void => {
    const metadata = { resourceVersion: String(seenRevision), ...(annotations && { annotations }) };
    const object = { kind: kind.kind, apiVersion: groupVersion(kind.group, kind.version), metadata };
    const text = options.form === 'table' ? render(options, undefined, object) : JSON.stringify(object);
    write(lineOf('BOOKMARK', text));
  };
  const deliver = (event: StoreEvent): void => {
    seenRevision = event.revision;
    const type = eventTypeOf(event, options.selects);
    if (type !== undefined) write(eventLine(options, type, event));
  };
  const isAhead = (): boolean => response.writableLength > maxAheadBytes;

  /** Sends what there is and what was missed, at the pace of the client; then follows. */
  const pump = (): void => {
    stopStall?.();
    stopStall = undefined;
    while (nextInitial < initial.length && !ended && !isAhead()) {
      const stored = initial[nextInitial++];
      if (stored && options.selects(stored.object)) write(lineOf('ADDED', render(options, stored, stored.object)));
    }
    if (nextInitial === initial.length && !isMarked && !isAhead()) {
      isMarked = true;
      sendBookmark({ 'k8s.io/initial-events-end': 'true' });
    }
    if (nextInitial === initial.length && isMarked) {
      for (const event of store.replay(resource, seenRevision)) {
        if (ended || isAhead()) break;
        deliver(event);
      }
    }
    if (ended) return;
    if (isAhead()) {
      stopStall = clock.after(maxStallMs, drop);
      response.once('drain', resume);
      return;
    }
    isLive = true;
    stopListening = store.watch(resource, seenRevision, deliver);
    if (options.bookmarks) bookmarkLater();
  };
  const resume = (): void => {
    if (ended) return;
    try {
      pump();
    } catch (error) {
      // Kubernetes reports an expired revision inside the stream.
      write(lineOf('ERROR', JSON.stringify(statusOf(error))));
      end();
    }
  };
  const bookmarkLater = (): void => {
    stopBookmarks = clock.after(bookmarkIntervalMs, () => {
      // All events up to the store's revision went through the listener.
      seenRevision = Math.max(seenRevision, store.revision);
      sendBookmark();
      if (!ended) bookmarkLater();
    });
  };

  const stopTimeout = clock.after(options.timeoutMs, end);
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  response.flushHeaders();
  response.on('close', end);
  response.on('error', end);
  resume();
  return end;
}

function unsentLimit(watches: number): number {
  return Math.min(maxUnsentBytesEach, Math.max(minUnsentBytes, maxUnsentBytes / Math.max(1, watches)));
}

function lineOf(type: EventType, objectJson: string): string {
  return `{"type":"${type}","object":${objectJson}}\n`;
}

/** Lines of whole objects by event: many watches of a kind share one buffer, also those that do not read. */
const sharedLines = new WeakMap<StoreEvent, Map<string, Buffer>>();

function eventLine(options: WatchOptions, type: EventType, event: StoreEvent): Buffer | string {
  const textOf = (): string =>
    type === 'DELETED'
      ? render(options, undefined, lastState(event))
      : render(options, event.current, event.current.object);
  if (options.form !== 'object') return lineOf(type, textOf());
  let lines = sharedLines.get(event);
  if (!lines) sharedLines.set(event, (lines = new Map()));
  const key = `${type} ${options.kind.version}`;
  let line = lines.get(key);
  if (!line) lines.set(key, (line = Buffer.from(lineOf(type, textOf()))));
  return line;
}

/** What an event is for a client that sees only what the selector selects. */
function eventTypeOf(event: StoreEvent, selects: (object: KubeObject) => boolean): EventType | undefined {
  const before = event.previous !== undefined && selects(event.previous.object);
  if (event.kind === 'deleted') return before ? 'DELETED' : undefined;
  const after = selects(event.current.object);
  if (after) return before ? 'MODIFIED' : 'ADDED';
  return before ? 'DELETED' : undefined;
}

/** The last selected state, with the revision of the event that ended it. */
function lastState(event: StoreEvent): KubeObject {
  const object = event.kind === 'deleted' ? event.current.object : (event.previous?.object ?? event.current.object);
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(event.revision) } };
}

function render(options: WatchOptions, stored: Stored | undefined, object: KubeObject): string {
  const { kind, form, include, clock } = options;
  switch (form) {
    case 'object':
      return stored ? jsonInVersion(stored, kind) : JSON.stringify(objectInVersion(object, kind));
    case 'metadata':
      return JSON.stringify(partialMetadata(object));
    case 'table': {
      const metadata = { resourceVersion: object.metadata.resourceVersion };
      return JSON.stringify(
        renderTable(kind, [objectInVersion(object, kind)], { include, nowMs: clock.nowMs(), metadata }),
      );
    }
  }
}
