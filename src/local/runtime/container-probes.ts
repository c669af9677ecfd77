/** The probes of one run of a container: startup first, then liveness and readiness beside each other. */
import type { Container, Probe } from '../../api/index.ts';
import { checkProbe, type ProbeOutcome, type ProbeTarget } from './probe-check.ts';
import { runProbeLoop } from './probe-loop.ts';

export interface ContainerProbesOptions {
  readonly container: Container;
  readonly target: () => ProbeTarget;
  /** It has started: its startup probe, if any, succeeded. Liveness and readiness begin with that. */
  readonly onStarted: () => void;
  /** By its readiness probe, or at once without one. */
  readonly onReady: (isReady: boolean) => void;
  /** A readiness probe is about to begin: until it succeeds the container is started, and not ready. */
  readonly onAwaitReady: () => void;
  /** A probe gave up on it. `graceSeconds` is the probe's own. */
  readonly onGivenUp: (kind: 'startup' | 'liveness', graceSeconds: number | undefined) => void;
  readonly onFailure: (kind: 'Startup' | 'Liveness' | 'Readiness', message: string) => void;
  /** The run is over. */
  readonly signal: AbortSignal;
}

/** Resolves when the run is over. */
export async function runContainerProbes(options: ContainerProbesOptions): Promise<void> {
  const { signal, onGivenUp, onFailure } = options;
  const { startupProbe, livenessProbe, readinessProbe } = options.container;
  const check = (probe: Probe) => (): Promise<ProbeOutcome> => checkProbe(probe, options.target());
  if (startupProbe) {
    const started = new AbortController();
    await runProbeLoop({
      probe: startupProbe,
      check: check(startupProbe),
      eager: true,
      signal: AbortSignal.any([signal, started.signal]),
      onFailure: (message) => onFailure('Startup', message),
      onVerdict(ok) {
        if (ok) started.abort();
        else onGivenUp('startup', startupProbe.terminationGracePeriodSeconds);
      },
    });
    if (signal.aborted) return;
  }
  options.onStarted();
  const loops: Promise<void>[] = [];
  if (livenessProbe) {
    loops.push(
      runProbeLoop({
        probe: livenessProbe,
        check: check(livenessProbe),
        eager: false,
        signal,
        onFailure: (message) => onFailure('Liveness', message),
        onVerdict: (ok) => {
          if (!ok) onGivenUp('liveness', livenessProbe.terminationGracePeriodSeconds);
        },
      }),
    );
  }
  if (readinessProbe) {
    loops.push(
      runProbeLoop({
        probe: readinessProbe,
        check: check(readinessProbe),
        eager: true,
        signal,
        onFailure: (message) => onFailure('Readiness', message),
        onVerdict: options.onReady,
      }),
    );
    options.onAwaitReady();
  } else {
    options.onReady(true);
  }
  await Promise.all(loops);
}
