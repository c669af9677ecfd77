/**
 * Keeps an object store equal to what the server has: lists, watches, and when either fails does what the failure asks for.
 *
 * The list comes as the beginning of a watch where the server streams lists (WatchList): nothing larger than one object is
 * ever held twice. Else it comes in pages. Either way objects go into the store as they arrive, and what was not named is
 * taken out at the end: handlers hear the difference only, whatever was missed.
 */
import type { KindRef, KubeObject } from '../api/index.ts';
import type { Backoff } from '../lib/backoff.ts';
import { sleep } from '../lib/clock.ts';
import { AmbitError, codeOf, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { KubeClient } from './client.ts';
import type { InformerMeter } from './informer-metrics.ts';
import { listPages } from './list-pages.ts';
import type { ObjectStore } from './object-store.ts';
import { remedyFor, type FailureContext } from './reflector-remedy.ts';
import { resourcePath } from './resource-path.ts';
import { isOlder } from './resource-version.ts';
import { followWatch, type WatchEvent } from './watch-events.ts';

export interface Selection {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: KubeClient;
  readonly kind: KindRef<T>;
  readonly selection: Selection;
  readonly store: ObjectStore<T>;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly backoff: Backoff;
  readonly watchTimeoutSeconds: () => number;
  readonly streamsLists: boolean;
  readonly pageSize: number;
  readonly maxSilenceMs: number;
  /** A server ends watches by itself; one that is late by this has nobody behind it. */
  readonly overdueMs: number;
  readonly maxLineBytes?: number | undefined;
  readonly meter?: InformerMeter | undefined;
  /** After every whole list. */
  readonly onListed: () => void;
  /** The server does not know the kind, which is nothing to complain of: its definition may come. */
  readonly onUnknown?: () => void;
}

/** Where a reflector stands. */
export type ReflectorPhase = 'listing' | 'watching' | 'waiting';

/** A server says nothing while it gets ready to stream a list: kube-apiserver waits 3 s at most for its cache. */
const streamPatienceMs = 10_000;
const maxCutStreams = 5;
/** A list this soon after another one is a failure, however well it is explained. */
const relistPauseMs = 1000;

export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #log: Log;
  phase: ReflectorPhase = 'listing';
  /** Failures since the server last did what we asked. */
  failures = 0;
  lastHeardMs: number | undefined;
  /** Everything up to here is in the store. Undefined: it must be listed. */
  #place: string | undefined;
  /** The newest version that we ever had; lists may go behind it when storage was set back. */
  #newest: string | undefined;
  #streamsLists: boolean;
  #pageSize: number;
  /** This server sends bookmarks, so that its silence means something. */
  #hasBookmarks = false;
  #listedAtMs = -Infinity;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#log = options.log;
    this.#streamsLists = options.streamsLists;
    this.#pageSize = options.pageSize;
  }

  get resourceVersion(): string | undefined {
    return this.#place;
  }

  /** Resolves when the signal aborts; nothing else ends it. */
  async run(): Promise<void> {
    const { signal, backoff } = this.#options;
    while (!signal.aborted) {
      const context: { -readonly [K in keyof FailureContext]: FailureContext[K] } = { phase: 'list', isOpen: false };
      const startedAtMs = performance.now();
      let events = 0;
      try {
        if (this.#place === undefined) this.phase = 'listing';
        if (this.#place === undefined && !this.#streamsLists) await this.#list();
        context.phase = this.#place === undefined ? 'stream' : 'watch';
        await this.#watch({
          onOpen: () => {
            context.isOpen = true;
            if (this.#place !== undefined) this.#isWatching();
          },
          onEvent: (event) => {
            // The initial events are a list: what a server does after them shows whether it can watch.
            if (context.phase === 'watch') events++;
            this.#apply(event);
            if (this.#place !== undefined) context.phase = 'watch';
          },
        });
        if (context.phase === 'stream') throw unstreamed('the watch ended before its initial events did');
        // A server that ends every watch at once must not be asked in a tight loop.
        if (events > 0 || performance.now() - startedAtMs > 1000) backoff.reset();
        else await this.#wait(backoff.next());
      } catch (error) {
        if (signal.aborted) break;
        if (events > 0) backoff.reset();
        await this.#remedy(error, context);
      }
    }
    this.#options.meter?.close();
  }

  async #remedy(error: unknown, context: FailureContext): Promise<void> {
    const { backoff, meter, onUnknown } = this.#options;
    const { kind, waitMs = 0, isExpected } = remedyFor(error, context);
    const code = codeOf(error);
    this.failures++;
    meter?.failed(code ?? 'unknown');
    const isUnknown = onUnknown !== undefined && this.#place === undefined && code === 'kube.not-found';
    const fields = { code, error: messageOf(error), failures: this.failures, place: this.#place, remedy: kind };
    // One line for each outage at warn level, not one for each try.
    if (isUnknown && this.failures === 1) this.#log.info('the server does not know the kind yet', fields);
    else if (isExpected) this.#log.info('listing again', fields);
    else if (this.failures === 1) this.#log.warn('cannot list or watch, trying again', fields);
    else this.#log.debug('cannot list or watch, trying again', fields);

    if (isUnknown) onUnknown();
    if (kind !== 'resume') this.#place = undefined;
    // A stream that is cut again and again, perhaps for its length, begins at its start each time; a page is short.
    const isTired = context.phase === 'stream' && context.isOpen && this.failures >= maxCutStreams;
    if (kind === 'relist-in-pages' || isTired) this.#streamsLists = false;
    this.#pageSize = kind === 'relist-at-once' ? Infinity : this.#options.pageSize;
    const isRepeated = this.failures > 1 || performance.now() - this.#listedAtMs < relistPauseMs;
    const delayMs = isExpected && !isRepeated ? 0 : backoff.next();
    await this.#wait(Math.max(delayMs, waitMs * (1 + Math.random() / 4)));
  }

  async #wait(delayMs: number): Promise<void> {
    if (delayMs <= 0) return;
    this.phase = 'waiting';
    await sleep(delayMs, this.#options.signal);
  }

  async #list(): Promise<void> {
    const { client, kind, selection, store, signal } = this.#options;
    store.beginList();
    let version: string | undefined;
    for await (const page of listPages(client, kind, { ...selection, pageSize: this.#pageSize, signal })) {
      // All pages have the version of the first; should a server differ, the older one loses nothing.
      version ??= page.metadata.resourceVersion;
      for (const item of page.items ?? []) store.putListed(item);
      this.#heard();
    }
    this.#pageSize = this.#options.pageSize;
    this.#isListed(version ?? '');
  }

  /** The store holds all that the server had at `version`, once what is gone is taken out. */
  #isListed(version: string): void {
    const { store, meter, onListed } = this.#options;
    store.endList();
    if (isOlder(version, this.#newest)) {
      this.#log.warn("the server's resource version went back: its storage was restored", {
        from: this.#newest,
        to: version,
      });
    }
    this.#place = this.#newest = version;
    this.#listedAtMs = performance.now();
    this.#heard();
    meter?.listed(store.objects.size);
    onListed();
  }

  async #watch(on: { onOpen: () => void; onEvent: (event: WatchEvent<T>) => void }): Promise<void> {
    const { client, kind, selection, store, signal, maxSilenceMs, maxLineBytes, meter } = this.#options;
    const { namespace, ...selectors } = selection;
    const timeoutSeconds = this.#options.watchTimeoutSeconds();
    const from =
      this.#place === undefined
        ? { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' }
        : { resourceVersion: this.#place };
    if (this.#place === undefined) store.beginList();
    await followWatch<T>({
      client,
      path: resourcePath(kind, {
        namespace,
        query: { watch: true, allowWatchBookmarks: true, ...from, timeoutSeconds, ...selectors },
      }),
      signal,
      onOpen: () => {
        meter?.watching();
        on.onOpen();
      },
      onEvent: on.onEvent,
      maxSilenceMs: () => {
        if (this.#place === undefined) return Math.min(streamPatienceMs, maxSilenceMs);
        return this.#hasBookmarks ? maxSilenceMs : Infinity;
      },
      maxLifeMs: timeoutSeconds * 1000 + this.#options.overdueMs,
      maxLineBytes,
    });
  }

  #apply(event: WatchEvent<T>): void {
    const { meter } = this.#options;
    meter?.event(event.type);
    if (this.#place === undefined) this.#applyInitial(event);
    else this.#applyChange(event, this.#place);
    this.#heard();
  }

  #applyInitial(event: WatchEvent<T>): void {
    const { store } = this.#options;
    if (event.type === 'DELETED') store.remove(event.object);
    else if (event.type !== 'BOOKMARK') store.putListed(event.object);
    else if (!event.isInitialEnd) throw unstreamed('a bookmark came before the end of the initial events was told');
    else {
      this.#isListed(event.resourceVersion);
      this.#isWatching();
    }
  }

  #applyChange(event: WatchEvent<T>, place: string): void {
    const version = event.type === 'BOOKMARK' ? event.resourceVersion : event.object.metadata.resourceVersion;
    if (isOlder(version, place)) {
      // Watches go forward. An event that came twice is harmless, but storage that was set back looks the same.
      throw new AmbitError(`The watch went back from version ${place} to ${version}`, {
        code: 'kube.backward-watch',
        blame: 'upstream',
      });
    }
    const { store } = this.#options;
    switch (event.type) {
      case 'ADDED':
      case 'MODIFIED':
        store.put(event.object);
        break;
      case 'DELETED':
        store.remove(event.object);
        break;
      case 'BOOKMARK':
        this.#hasBookmarks = true;
        break;
    }
    if (version) this.#place = this.#newest = version;
  }

  #isWatching(): void {
    if (this.failures > 0) this.#log.info('watching again', { failures: this.failures });
    this.failures = 0;
    this.phase = 'watching';
  }

  #heard(): void {
    this.lastHeardMs = Date.now();
    this.#options.meter?.heard(this.#options.store.objects.size);
  }
}

function unstreamed(what: string): AmbitError {
  return new AmbitError(`The server does not stream lists: ${what}`, {
    code: 'kube.no-streamed-list',
    blame: 'upstream',
  });
}
