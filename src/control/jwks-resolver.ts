/**
 * Keeps the key sets of issuers fresh that RequestAuthentications need (ambient-l7, 3.4): fetched at once, again every 20 minutes.
 *
 * While fetches fail the last good set goes on; without one every token fails. A set that nobody needs is kept for a week.
 */
import type { Collection, Source } from '../collection/index.ts';
import type { KeyNeed, KeySet } from '../discovery/index.ts';
import { createBackoff, type Backoff } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { shownUrl } from '../lib/shown-url.ts';
import type { MetricsRegistry } from '../telemetry/index.ts';
import { AskedPace } from './asked-pace.ts';
import type { JwksFetcher } from './jwks-fetcher.ts';

export interface JwksResolverOptions {
  /** What is needed, by key. Heard of with the first flush after the start. */
  readonly needed: Collection<KeyNeed>;
  /** Where it goes, under the same keys. */
  readonly keySets: Source<KeySet>;
  readonly fetcher: JwksFetcher;
  readonly clock: Clock;
  readonly registry: MetricsRegistry;
  readonly log: Log;
  /** Ends it. */
  readonly signal: AbortSignal;
}

export interface JwksResolver {
  /** Resolves when every set that is needed now was fetched or tried once: what proxies are told first should be whole. */
  tried(): Promise<void>;
  /**
   * Fetches a set soon, whoever asks as seldom as `AskedPace` says: a token named a key that is not in it. False: nobody needs such a set.
   */
  refresh(key: string): boolean;
}

const refreshMs = 20 * 60_000;
/** Without any set every token fails: these tries are quick. */
const quickTries = 3;
const quickMs = 1000;
const retryMs = 60_000;
const maxRetryMs = 60 * 60_000;
const keepMs = 7 * 24 * 60 * 60_000;
/** Sets are small, but policies come and go. */
const maxIdle = 1000;

interface Entry {
  source: KeyNeed;
  json: string | undefined;
  failures: number;
  readonly backoff: Backoff;
  cancelTimer: () => void;
  /** When the timer is due. */
  dueMs: number;
  readonly pace: AskedPace;
  /** Of the fetch that a proxy asked for and that waits for its moment. */
  cancelAsked: () => void;
  /** Aborts the fetch that is under way. */
  abort: (() => void) | undefined;
  /** Of the last fetch. */
  startedMs: number;
  /** A proxy has asked, and the fetch waits for its moment. */
  isAsked: boolean;
  /** When the last who needed it went. */
  idleSinceMs: number | undefined;
  /** Settles with the first fetch, whatever comes of it. */
  firstTry: Promise<void>;
}

export function startJwksResolver(options: JwksResolverOptions): JwksResolver {
  const { needed, keySets, fetcher, clock, registry, log, signal } = options;
  const entries = new Map<string, Entry>();
  const fetches = registry.group({
    labelNames: [],
    neverExpires: true,
    metrics: {
      succeeded: {
        name: 'pilot_jwks_resolver_network_fetch_success',
        help: 'Fetches of key sets that succeeded',
        kind: 'counter',
      },
      failed: {
        name: 'pilot_jwks_resolver_network_fetch_fail',
        help: 'Fetches of key sets that failed',
        kind: 'counter',
      },
    },
  });
  const counted = fetches.acquire([]);
  registry.gauge('ambit_jwks_sets', 'Key sets that policies need', () => count(entries, isNeeded));
  registry.gauge('ambit_jwks_sets_unavailable', 'Key sets that policies need and that nobody could fetch yet', () =>
    count(entries, (entry) => isNeeded(entry) && entry.json === undefined),
  );

  let asked = 0;
  registry.counter(
    'ambit_jwks_sets_asked_for',
    'Fetches of key sets that proxies asked for, as tokens named a key that is not known',
    () => asked,
  );

  const fetchNow = async (key: string, entry: Entry, isAsked = false): Promise<void> => {
    entry.cancelTimer();
    entry.cancelAsked();
    entry.abort?.();
    const stop = new AbortController();
    entry.abort = () => stop.abort();
    entry.startedMs = clock.nowMs();
    entry.isAsked = false;
    const { source } = entry;
    const url = shownUrl(source.url);
    let again = refreshMs;
    try {
      const json = await fetcher.fetch(source, AbortSignal.any([signal, stop.signal]));
      if (stop.signal.aborted || signal.aborted) return;
      counted.values.succeeded++;
      if (entry.failures > 0) log.info('key set fetched again', { url, failures: entry.failures });
      if (isAsked) entry.pace.fetched(json !== entry.json);
      entry.failures = 0;
      entry.backoff.reset();
      entry.json = json;
      keySets.set(key, { kind: 'jwks', json });
    } catch (error) {
      if (stop.signal.aborted || signal.aborted) return;
      counted.values.failed++;
      entry.failures++;
      const reason = messageOf(error);
      if (isAsked) entry.pace.fetched(false);
      const isQuick = entry.json === undefined && entry.failures <= quickTries;
      // Who asks does not put off what would have happened without.
      if (isAsked) again = Math.min(Math.max(entry.dueMs - clock.nowMs(), 0), maxRetryMs);
      else again = isQuick ? quickMs : entry.backoff.next();
      const keeps = entry.json === undefined ? 'every token of the issuer is refused' : 'the last one goes on';
      log.warn('key set cannot be fetched', { url, error: reason, keeps, retryInMs: Math.round(again) });
      if (entry.json === undefined) keySets.set(key, { kind: 'unavailable', reason });
    }
    entry.abort = undefined;
    entry.dueMs = clock.nowMs() + again;
    entry.cancelTimer = clock.after(again, () => void fetchNow(key, entry));
  };

  const need = (key: string, source: KeyNeed): void => {
    const known = entries.get(key);
    if (known && isNeeded(known)) {
      known.source = source;
      return;
    }
    const entry: Entry = known ?? {
      source,
      json: undefined,
      failures: 0,
      backoff: createBackoff({ initialMs: retryMs, maxMs: maxRetryMs }),
      cancelTimer: () => {},
      dueMs: 0,
      pace: new AskedPace(),
      cancelAsked: () => {},
      abort: undefined,
      startedMs: 0,
      isAsked: false,
      idleSinceMs: undefined,
      firstTry: Promise.resolve(),
    };
    entry.source = source;
    entry.idleSinceMs = undefined;
    entries.set(key, entry);
    entry.firstTry = fetchNow(key, entry);
  };
  const release = (key: string): void => {
    const entry = entries.get(key);
    if (!entry) return;
    entry.cancelTimer();
    entry.cancelAsked();
    entry.isAsked = false;
    entry.abort?.();
    entry.abort = undefined;
    entry.idleSinceMs = clock.nowMs();
    // Who fails has nothing to keep.
    if (entry.json === undefined) return forget(key);
    entry.cancelTimer = clock.after(keepMs, () => forget(key));
    const idle = [...entries].filter(([, one]) => !isNeeded(one));
    const oldest = idle.toSorted(([, a], [, b]) => (a.idleSinceMs ?? 0) - (b.idleSinceMs ?? 0));
    for (const [other] of oldest.slice(0, Math.max(0, idle.length - maxIdle))) forget(other);
  };
  const forget = (key: string): void => {
    entries.get(key)?.cancelTimer();
    entries.delete(key);
    keySets.delete(key);
  };

  for (const [key, source] of needed.entries()) need(key, source);
  const unsubscribe = needed.subscribe((changes) => {
    for (const [key, { after }] of changes) {
      if (after) need(key, after);
      else release(key);
    }
  });
  const stop = (): void => {
    unsubscribe();
    for (const { cancelTimer, cancelAsked } of entries.values()) {
      cancelTimer();
      cancelAsked();
    }
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  return {
    refresh(key) {
      const entry = entries.get(key);
      if (!entry || !isNeeded(entry)) return false;
      const pauseMs = entry.pace.pauseFor(clock.nowMs());
      if (entry.isAsked || entry.abort) return true;
      entry.isAsked = true;
      asked++;
      const leftMs = entry.startedMs + pauseMs - clock.nowMs();
      // A clock that was set back must not hold it up.
      entry.cancelAsked = clock.after(Math.min(Math.max(leftMs, 0), pauseMs), () => void fetchNow(key, entry, true));
      return true;
    },
    async tried() {
      await Promise.all([...entries.values()].map(({ firstTry }) => firstTry));
    },
  };
}

function isNeeded({ idleSinceMs }: Entry): boolean {
  return idleSinceMs === undefined;
}

function count(entries: ReadonlyMap<string, Entry>, holds: (entry: Entry) => boolean): number {
  let total = 0;
  for (const entry of entries.values()) if (holds(entry)) total++;
  return total;
}
