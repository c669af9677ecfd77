/** Waits until the mesh says something, for a bounded time. */
import type { Clock } from '../../lib/clock.ts';
import type { MeshState } from '../../mesh/index.ts';

/** The first value that `probe` gives, now or after a change; undefined at the deadline, or when `signal` aborts. */
export function waitForMesh<T>(options: {
  readonly mesh: MeshState;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly probe: () => T | undefined;
}): Promise<T | undefined> {
  const { mesh, clock, timeoutMs, signal, probe } = options;
  const now = probe();
  if (now !== undefined || signal.aborted) return Promise.resolve(now);
  return new Promise((resolve) => {
    const settle = (value: T | undefined): void => {
      unsubscribe();
      cancel();
      signal.removeEventListener('abort', onAbort);
      resolve(value);
    };
    const onAbort = (): void => settle(undefined);
    const unsubscribe = mesh.subscribe(() => {
      const value = probe();
      if (value !== undefined) settle(value);
    });
    const cancel = clock.after(timeoutMs, () => settle(undefined));
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
