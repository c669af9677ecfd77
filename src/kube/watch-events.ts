/** One watch request: its events, and the ways in which it can stop without saying so. */
import type { KubeObject, KubeStatus } from '../api/index.ts';
import { AmbitError } from '../lib/errors.ts';
import type { KubeClient } from './client.ts';
import { createJsonLines } from './json-lines.ts';
import { errorOfStatus } from './kube-error.ts';

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  /** Nothing but a place to go on from; `isInitialEnd`: the initial events of a streamed list are all told. */
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string; readonly isInitialEnd: boolean };

export interface FollowWatchOptions<T extends KubeObject> {
  readonly client: KubeClient;
  readonly path: string;
  readonly signal: AbortSignal;
  /** The server accepted the watch. */
  readonly onOpen: () => void;
  readonly onEvent: (event: WatchEvent<T>) => void;
  /** How long there may be no byte; asked again all the time, as it depends on what was heard before. */
  readonly maxSilenceMs: () => number;
  /** The whole watch, however busy. */
  readonly maxLifeMs: number;
  readonly maxLineBytes?: number | undefined;
}

const checkIntervalMs = 1000;

/**
 * Resolves when the server ends the watch between two lines. Throws `KubeError` for refusals and ERROR events,
 * `kube.silent-watch`, `kube.overdue-watch`, those of `createJsonLines`, and network errors.
 *
 * A connection whose other end stopped, without closing it, looks like a quiet one. Three things tell it apart: the
 * kernel's keep-alive probes (transport.ts) when the peer's host is gone; silence where the server is known to send
 * bookmarks (kube-apiserver: every minute); and `timeoutSeconds`, after which a server ends every watch: one that lives on
 * has nobody behind it. The last also holds with a server that sends no bookmarks, through a proxy that keeps the
 * connection up.
 */
export async function followWatch<T extends KubeObject>(options: FollowWatchOptions<T>): Promise<void> {
  const { client, path, signal, onEvent, maxSilenceMs, maxLifeMs } = options;
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const openedAtMs = performance.now();
  let heardAtMs = openedAtMs;
  const check = (): void => {
    const nowMs = performance.now();
    const silenceMs = Math.round(nowMs - heardAtMs);
    if (nowMs - openedAtMs > maxLifeMs) stop.abort(deadWatch('overdue', 'it outlived its deadline'));
    else if (silenceMs > maxSilenceMs()) stop.abort(deadWatch('silent', `nothing was heard for ${silenceMs} ms`));
  };
  const timer = setInterval(check, Math.min(checkIntervalMs, maxLifeMs / 4, Math.max(1, maxSilenceMs() / 4)));
  timer.unref();
  try {
    const response = await client.raw({ method: 'GET', path, signal: stop.signal });
    heardAtMs = performance.now();
    options.onOpen();
    const lines = createJsonLines(options.maxLineBytes);
    try {
      for await (const chunk of response.body) {
        heardAtMs = performance.now();
        for (const line of lines.push(chunk)) {
          const event = readEvent<T>(line);
          if (event) onEvent(event);
        }
      }
    } finally {
      response.body.destroy();
    }
    lines.end();
  } finally {
    clearInterval(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

interface Line {
  readonly type?: unknown;
  readonly object?: KubeObject | null;
}

/** Undefined for types that are not known yet: they carry nothing that we could miss. */
function readEvent<T extends KubeObject>(value: unknown): WatchEvent<T> | undefined {
  const { type, object } = (value ?? {}) as Line;
  if (type === 'ERROR') {
    const status = (object ?? {}) as unknown as KubeStatus;
    throw errorOfStatus('Cannot watch on', { ...status, code: status.code ?? 500 });
  }
  const metadata = object?.metadata;
  if (typeof type !== 'string' || typeof metadata !== 'object' || metadata === null) {
    throw new AmbitError('Cannot read the watch: a line is no event', { code: 'kube.bad-stream', blame: 'upstream' });
  }
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type, object: object as T };
    case 'BOOKMARK':
      return {
        type,
        resourceVersion: metadata.resourceVersion ?? '',
        isInitialEnd: metadata.annotations?.['k8s.io/initial-events-end'] === 'true',
      };
    default:
      return undefined;
  }
}

function deadWatch(kind: 'silent' | 'overdue', what: string): AmbitError {
  return new AmbitError(`Gave a watch up: ${what}`, { code: `kube.${kind}-watch`, blame: 'upstream' });
}
