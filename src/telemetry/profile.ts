/** Profiles of the running thread, as V8 makes them: plain values that a worker can send. */
import type { HeapProfiler, Profiler } from 'node:inspector';

/** Where processor time went, or where memory came from that is still held. */
export type ProfileKind = 'cpu' | 'heap';

export type ThreadProfile =
  | { readonly kind: 'cpu'; readonly profile: Profiler.Profile }
  | { readonly kind: 'heap'; readonly profile: HeapProfiler.SamplingHeapProfile };

const samplingIntervalUs = 1000;
const samplingBytes = 32 * 1024;

/** Samples the thread that calls it, for so long or until `signal` aborts. Costs a few percent of its time meanwhile. */
export async function profileThread(
  kind: ProfileKind,
  durationMs: number,
  signal?: AbortSignal,
): Promise<ThreadProfile> {
  // Loaded when somebody asks: it takes memory.
  const { Session } = await import('node:inspector/promises');
  const session = new Session();
  session.connect();
  try {
    if (kind === 'cpu') {
      await session.post('Profiler.enable');
      await session.post('Profiler.setSamplingInterval', { interval: samplingIntervalUs });
      await session.post('Profiler.start');
      await wait(durationMs, signal);
      return { kind, profile: (await session.post('Profiler.stop')).profile };
    }
    await session.post('HeapProfiler.startSampling', { samplingInterval: samplingBytes });
    await wait(durationMs, signal);
    return { kind, profile: (await session.post('HeapProfiler.stopSampling')).profile };
  } finally {
    session.disconnect();
  }
}

function wait(durationMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, durationMs);
    signal?.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
  });
}
