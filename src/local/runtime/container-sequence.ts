/** In which order the containers of a pod run: init containers one after another, sidecars from then on, the main ones together. */
import type { Clock } from '../../lib/clock.ts';
import type { ContainerSupervisor } from './container-supervisor.ts';

export interface ContainerSequenceOptions {
  readonly init: readonly ContainerSupervisor[];
  readonly main: readonly ContainerSupervisor[];
  /** The init containers came through. */
  readonly onInitialized: () => void;
  /** What the containers have to end, when `signal` aborts. */
  readonly graceMs: () => number;
  readonly clock: Clock;
  /** They must end. */
  readonly signal: AbortSignal;
}

/** Those that go on, and when each has ended. */
type Sidecars = Map<ContainerSupervisor, Promise<void>>;

/** Resolves when all of them have ended. */
export async function runContainers(options: ContainerSequenceOptions): Promise<void> {
  const { init, main, signal, graceMs, onInitialized } = options;
  const sidecars: Sidecars = new Map();
  // Main containers end first; sidecars serve them to the last.
  const stopOthers = (): void => {
    for (const each of [...init, ...main]) if (!sidecars.has(each)) each.stop(graceMs());
  };
  if (signal.aborted) stopOthers();
  else signal.addEventListener('abort', stopOthers, { once: true });
  try {
    if (!(await initialize(init, sidecars, signal))) return;
    onInitialized();
    const runs: Promise<void>[] = [];
    for (const each of main) {
      runs.push(each.run());
      // kubelet starts the next one after that: proxies hold their applications back with it.
      if (each.container.lifecycle?.postStart) await each.firstHook;
    }
    await Promise.all(runs);
  } finally {
    signal.removeEventListener('abort', stopOthers);
    await stopSidecars(sidecars, options);
  }
}

/** Those that go on are put into `sidecars`. Resolves to whether all came through. */
async function initialize(
  init: readonly ContainerSupervisor[],
  sidecars: Sidecars,
  signal: AbortSignal,
): Promise<boolean> {
  for (const each of init) {
    if (signal.aborted) return false;
    if (each.container.restartPolicy === 'Always') {
      sidecars.set(each, each.run());
      if (!(await Promise.race([each.firstStart, aborted(signal).then(() => false)]))) return false;
      continue;
    }
    await each.run();
    if (each.end?.exitCode !== 0) return false;
  }
  return !signal.aborted;
}

/** In the reverse order of their start, so that what one needs is there while it stops; all in one grace period. */
async function stopSidecars(
  sidecars: Sidecars,
  { clock, graceMs }: Pick<ContainerSequenceOptions, 'clock' | 'graceMs'>,
): Promise<void> {
  const deadlineMs = clock.nowMs() + graceMs();
  for (const [each, ended] of [...sidecars].reverse()) {
    each.stop(Math.max(deadlineMs - clock.nowMs(), 0));
    await ended;
  }
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
