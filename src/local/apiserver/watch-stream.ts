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
}

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';

const bookmarkIntervalMs = 30_000;
/** A client that leaves this much unread is dropped: it lists again. */
const maxUnsentBytes = 8 * 1024 * 1024;

/** Streams until the client leaves, the time is up, or `stop` (returned) is called. `onEnd` is called once. */
export function startWatch(response: ServerResponse, options: WatchOptions, onEnd: () => void): () => void {
  const { kind, store, clock, fromRevision } = options;
  let stopListening: (() => void) | undefined;
  let stopBookmarks: (() => void) | undefined;
  let ended = false;
  /** The initial list may be longer than what a slow client may leave unread later. */
  let initial = true;
  let sentRevision = fromRevision ?? store.revision;

  const end = (): void => {
    if (ended) return;
    ended = true;
    stopListening?.();
    stopBookmarks?.();
    stopTimeout();
    response.end();
    onEnd();
  };
  const send = (type: EventType, objectJson: string): void => {
    if (ended) return;
    response.write(`{"type":"${type}","object":${objectJson}}\n`);
    if (initial || response.writableLength <= maxUnsentBytes) return;
    response.destroy();
    end();
  };
  const sendBookmark = (annotations?: Record<string, string>): void => {
    const metadata = { resourceVersion: String(sentRevision), ...(annotations && { annotations }) };
    const object = { kind: kind.kind, apiVersion: groupVersion(kind.group, kind.version), metadata };
    send('BOOKMARK', options.form === 'table' ? render(options, undefined, object) : JSON.stringify(object));
  };

  const stopTimeout = clock.after(options.timeoutMs, end);
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  response.flushHeaders();
  response.on('close', end);
  response.on('error', end);

  if (fromRevision === undefined) {
    for (const stored of store.list(storageOf(kind))) {
      if (options.selects(stored.object)) send('ADDED', render(options, stored, stored.object));
    }
    if (options.markInitialEnd) sendBookmark({ 'k8s.io/initial-events-end': 'true' });
  }
  initial = false;
  try {
    stopListening = store.watch(storageOf(kind), sentRevision, (event) => {
      const type = eventTypeOf(event, options.selects);
      if (type === undefined) return;
      sentRevision = event.revision;
      const text =
        type === 'DELETED'
          ? render(options, undefined, lastState(event))
          : render(options, event.current, event.current.object);
      send(type, text);
    });
    if (ended) stopListening();
  } catch (error) {
    // Kubernetes reports an expired revision inside the stream.
    send('ERROR', JSON.stringify(statusOf(error)));
    end();
    return end;
  }
  const bookmarkLater = (): void => {
    stopBookmarks = clock.after(bookmarkIntervalMs, () => {
      // All events up to the store's revision went through the listener above.
      sentRevision = Math.max(sentRevision, store.revision);
      sendBookmark();
      if (!ended) bookmarkLater();
    });
  };
  if (options.bookmarks && !ended) bookmarkLater();
  return end;
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
