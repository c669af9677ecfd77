/** An abort signal with a time limit, tied to a longer-lived one without leaving anything on it. */

export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
  /** Starts the time again; for limits between signs of life. */
  restart(ms: number): void;
}

/** Aborts with `Error(what)` after `ms`, or with the parent's reason. Dispose it: the parent outlives many of these. */
export function openDeadline(parent: AbortSignal | undefined, ms: number, what: string): Deadline {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(parent?.reason);
  if (parent?.aborted) onAbort();
  else parent?.addEventListener('abort', onAbort, { once: true });
  let timer: NodeJS.Timeout | undefined;
  const start = (delayMs: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => controller.abort(new Error(what)), delayMs);
    timer.unref();
  };
  start(ms);
  return {
    signal: controller.signal,
    restart: start,
    [Symbol.dispose]() {
      clearTimeout(timer);
      parent?.removeEventListener('abort', onAbort);
    },
  };
}
