/** One container of a pod from its first start to its last end: starts, probes, restarts, stops. */
import type { Container, ContainerStatus, LifecycleHandler, RestartPolicy } from '../../api/index.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import { codeOf, messageOf } from '../../lib/errors.ts';
import { runContainerProbes } from './container-probes.ts';
import type { ContainerExit, ContainerProcess } from './container-process.ts';
import { containerStatus, endOf, type ContainerEnd, type ContainerPhase } from './container-status.ts';
import { postStartTimeoutMs, runLifecycleHook } from './lifecycle-hook.ts';
import type { ProbeTarget } from './probe-check.ts';
import { RestartBackoff, type RestartBackoffOptions } from './restart-backoff.ts';

/** What a container is made from. Its image may change while it runs, and its command with it. */
export interface ContainerDefinition {
  readonly container: Container;
  /** Undefined: the image is in the table. Otherwise why the container can never run. */
  readonly imageProblem: string | undefined;
}

export interface ContainerSupervisorOptions {
  readonly definition: ContainerDefinition;
  readonly podUid: string;
  /** It is meant to end: then it is ready. */
  readonly isInit: boolean;
  /** `Always` for the sidecars among init containers. */
  readonly restartPolicy: RestartPolicy;
  readonly backoff: RestartBackoffOptions;
  /** Restarts that the API already knows of. */
  readonly restartCount: number;
  /** The grace of its pod, which a probe may have another of. */
  readonly graceMs: number;
  /** Starts the container for the n-th time. Rejects with `runtime.config` when something it refers to is missing. */
  readonly start: (attempt: number) => Promise<ContainerProcess>;
  readonly probeTarget: () => ProbeTarget;
  /** Who it is, as it sees itself. */
  readonly user: (container: Container) => { readonly user: number; readonly group: number };
  /** What the container left to be read after its end, "" for nothing. */
  readonly endMessage: (exit: ContainerExit) => Promise<string>;
  readonly clock: Clock;
  readonly onChange: () => void;
  readonly onEvent: (type: 'Normal' | 'Warning', reason: string, message: string) => void;
}

/** How long a container waits for something it refers to before it looks again. */
const configRetryMs = 1_000;
export class ContainerSupervisor {
  readonly #options: ContainerSupervisorOptions;
  #definition: ContainerDefinition;
  /** Aborts when there is another definition to run. */
  #changed = new AbortController();
  readonly #backoff: RestartBackoff;
  readonly #stopping = new AbortController();
  readonly #firstStart = Promise.withResolvers<boolean>();
  readonly #firstHook = Promise.withResolvers<void>();
  #phase: ContainerPhase = { kind: 'waiting', reason: 'PodInitializing' };
  #last: ContainerEnd | undefined;
  #restartCount: number;
  #hasStarted = false;
  #isReady = false;
  #graceMs: number;

  constructor(options: ContainerSupervisorOptions) {
    this.#options = options;
    this.#definition = options.definition;
    this.#graceMs = options.graceMs;
    this.#backoff = new RestartBackoff(options.backoff);
    this.#restartCount = options.restartCount;
  }

  /** Resolves to true once it runs and its startup probe, if any, succeeded; to false when it never will. */
  get firstStart(): Promise<boolean> {
    return this.#firstStart.promise;
  }

  /** Resolves once it was started and its postStart is over, however both went: the next container of a pod waits for that. */
  get firstHook(): Promise<void> {
    return this.#firstHook.promise;
  }

  get container(): Container {
    return this.#definition.container;
  }

  get isRunning(): boolean {
    return this.#phase.kind === 'running';
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Its end, once it will not run again. */
  get end(): { readonly exitCode: number } | undefined {
    return this.#phase.kind === 'terminated' ? this.#phase.end : undefined;
  }

  /** Process 1 of the container, while it runs. */
  get pid(): number | undefined {
    return this.#phase.kind === 'running' ? this.#phase.process.pid : undefined;
  }

  /** The container's command, while it runs. */
  get commandPid(): number | undefined {
    return this.#phase.kind === 'running' ? this.#phase.process.commandPid() : undefined;
  }

  /** Number of the current, or else the last, run: the name of its log. */
  get attempt(): number {
    return this.#restartCount;
  }

  /** Resolves when the container will not run again. */
  async run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const startedAtMs = this.#options.clock.nowMs();
      const end = await this.#runOnce();
      if (this.#changed.signal.aborted && !signal.aborted) {
        this.#changed = new AbortController();
        if (end === undefined) continue;
        this.#last = end;
        this.#restartCount++;
        continue;
      }
      if (end === undefined) break;
      if (signal.aborted || !this.#restarts(end)) {
        this.#set({ kind: 'terminated', end });
        break;
      }
      this.#last = end;
      const delayMs = this.#backoff.next(end.finishedAtMs - startedAtMs);
      if (delayMs > 0) await this.#waitToRestart(delayMs, end);
      if (!signal.aborted) this.#restartCount++;
      else this.#set({ kind: 'terminated', end });
    }
    this.#firstStart.resolve(false);
    this.#firstHook.resolve();
  }

  /** Ends the container: preStop, SIGTERM, and SIGKILL after the grace. `run` resolves then. */
  stop(graceMs: number): void {
    this.#graceMs = graceMs;
    this.#stopping.abort();
  }

  /** It is another container from now on: what runs ends with its grace, and the new one starts, whatever the policy. */
  change(definition: ContainerDefinition): void {
    const { name } = this.container;
    if (this.end === undefined) {
      this.#options.onEvent('Normal', 'Killing', `Container ${name} definition changed, will be restarted`);
    }
    this.#definition = definition;
    this.#changed.abort();
  }

  /** Ends it now; it restarts as its policy says. */
  kill(): void {
    if (this.#phase.kind === 'running') this.#phase.process.kill();
  }

  status(): ContainerStatus {
    const { podUid, isInit, user } = this.#options;
    return containerStatus({
      container: this.container,
      podUid,
      isInit,
      phase: this.#phase,
      last: this.#last,
      restartCount: this.#restartCount,
      hasStarted: this.#hasStarted,
      isReady: this.#isReady,
      user,
    });
  }

  /** Starts it and follows it. Undefined when it was stopped before it could start. */
  async #runOnce(): Promise<ContainerEnd | undefined> {
    const { clock, onEvent } = this.#options;
    const { container, imageProblem } = this.#definition;
    const signal = AbortSignal.any([this.#stopping.signal, this.#changed.signal]);
    if (imageProblem !== undefined) {
      this.#firstHook.resolve();
      onEvent('Warning', 'Failed', `Failed to pull image "${container.image}": ${imageProblem}`);
      this.#set({ kind: 'waiting', reason: 'ErrImagePull', message: imageProblem });
      await sleep(configRetryMs, signal);
      this.#set({ kind: 'waiting', reason: 'ImagePullBackOff', message: imageProblem });
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      return undefined;
    }
    for (;;) {
      if (signal.aborted) return undefined;
      const startedAtMs = clock.nowMs();
      try {
        const process = await this.#options.start(this.#restartCount);
        onEvent('Normal', 'Started', `Started container ${container.name}`);
        return await this.#follow(process, startedAtMs);
      } catch (error) {
        this.#firstHook.resolve();
        const message = messageOf(error);
        onEvent('Warning', 'Failed', `Error: ${message}`);
        if (codeOf(error) !== 'runtime.config') {
          const finishedAtMs = clock.nowMs();
          return { exitCode: 128, reason: 'StartError', message, startedAtMs, finishedAtMs };
        }
        this.#set({ kind: 'waiting', reason: 'CreateContainerConfigError', message });
        await sleep(configRetryMs, signal);
      }
    }
  }

  /** From `running` to its end. */
  async #follow(process: ContainerProcess, startedAtMs: number): Promise<ContainerEnd> {
    const { clock, onEvent } = this.#options;
    const { container } = this;
    const over = new AbortController();
    let stopped: Promise<void> = Promise.resolve();
    const onStop = (): void => {
      if (this.#stopping.signal.aborted) onEvent('Normal', 'Killing', `Stopping container ${container.name}`);
      this.#setReady(false);
      stopped = this.#stopProcess(process, this.#graceMs, over.signal);
    };
    this.#set({ kind: 'running', startedAtMs, process });
    const exited = process.exited.then((exit) => {
      over.abort();
      return exit;
    });
    // They end with `over`, after the check that runs just then; nobody has to wait for that.
    void this.#postStart(process, over.signal).then(async (isDone) => {
      this.#firstHook.resolve();
      if (isDone) await this.#runProbes(process, over.signal);
    });
    const ending = AbortSignal.any([this.#stopping.signal, this.#changed.signal]);
    if (ending.aborted) onStop();
    else ending.addEventListener('abort', onStop, { once: true });

    const exit = await exited;
    ending.removeEventListener('abort', onStop);
    await stopped;
    this.#hasStarted = false;
    this.#isReady = false;
    const message = await this.#options.endMessage(exit);
    return {
      ...endOf(exit),
      ...(message === '' ? {} : { message }),
      startedAtMs,
      finishedAtMs: clock.nowMs(),
    };
  }

  #runProbes(process: ContainerProcess, signal: AbortSignal): Promise<void> {
    const { onEvent, onChange, probeTarget } = this.#options;
    const { container } = this;
    return runContainerProbes({
      container,
      target: probeTarget,
      onStarted: () => {
        this.#hasStarted = true;
        this.#firstStart.resolve(true);
      },
      onReady: (isReady) => this.#setReady(isReady && !this.#stopping.signal.aborted),
      onAwaitReady: onChange,
      onGivenUp: (kind, graceSeconds) => {
        onEvent('Normal', 'Killing', `Container ${container.name} failed ${kind} probe, will be restarted`);
        void this.#stopProcess(process, (graceSeconds ?? this.#graceMs / 1000) * 1000, signal);
      },
      onFailure: (kind, message) => onEvent('Warning', 'Unhealthy', `${kind} probe failed: ${message}`),
      signal,
    });
  }

  /** Resolves once SIGKILL was sent, or the container ended by itself (`over`). */
  async #stopProcess(process: ContainerProcess, graceMs: number, over: AbortSignal): Promise<void> {
    const deadlineMs = this.#options.clock.nowMs() + graceMs;
    const preStop = this.container.lifecycle?.preStop;
    if (preStop && graceMs > 0)
      await this.#runHook(preStop, graceMs, over).catch((error: unknown) => {
        this.#options.onEvent('Warning', 'FailedPreStopHook', `PreStopHook failed: ${messageOf(error)}`);
      });
    if (over.aborted) return;
    if (graceMs > 0) {
      process.signal('SIGTERM');
      // What preStop used up comes off; two seconds are always left, as kubelet does it.
      await sleep(Math.max(deadlineMs - this.#options.clock.nowMs(), Math.min(2_000, graceMs)), over);
    }
    if (!over.aborted) process.kill();
  }

  /** Resolves to whether the container may be probed: its hook, if it has one, succeeded, and it runs on. */
  async #postStart(process: ContainerProcess, over: AbortSignal): Promise<boolean> {
    const hook = this.container.lifecycle?.postStart;
    if (!hook) return true;
    const { onEvent } = this.#options;
    try {
      await this.#runHook(hook, postStartTimeoutMs(hook), over);
      return !over.aborted;
    } catch (error) {
      // What ends takes its hook along.
      if (over.aborted || this.#stopping.signal.aborted || this.#changed.signal.aborted) return false;
      onEvent('Warning', 'FailedPostStartHook', `PostStartHook failed: ${messageOf(error)}`);
      onEvent('Normal', 'Killing', 'FailedPostStartHook');
      await this.#stopProcess(process, this.#graceMs, over);
      return false;
    }
  }

  #runHook(hook: LifecycleHandler, timeoutMs: number, signal: AbortSignal): Promise<void> {
    return runLifecycleHook({ hook, target: this.#options.probeTarget(), timeoutMs, signal });
  }

  async #waitToRestart(delayMs: number, end: ContainerEnd): Promise<void> {
    const { onEvent } = this.#options;
    const { container } = this;
    const message = `back-off ${Math.round(delayMs / 1000)}s restarting failed container=${container.name}`;
    onEvent('Warning', 'BackOff', `Back-off restarting failed container ${container.name}`);
    this.#set({
      kind: 'waiting',
      reason: 'CrashLoopBackOff',
      message: end.message ? `${message}: ${end.message}` : message,
    });
    await sleep(delayMs, AbortSignal.any([this.#stopping.signal, this.#changed.signal]));
  }

  #restarts(end: ContainerEnd): boolean {
    switch (this.#options.restartPolicy) {
      case 'Always':
        return true;
      case 'OnFailure':
        return end.exitCode !== 0;
      case 'Never':
        return false;
    }
  }

  #set(phase: ContainerPhase): void {
    this.#phase = phase;
    this.#options.onChange();
  }

  #setReady(ready: boolean): void {
    if (this.#isReady === ready) return;
    this.#isReady = ready;
    this.#options.onChange();
  }
}
