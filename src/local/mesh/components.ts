/** A process that the supervisor keeps running: started again with backoff, its output in a log file. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, statSync, renameSync } from 'node:fs';
import { createBackoff, type Backoff } from '../../lib/backoff.ts';
import { sleep } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';

export interface ComponentSpec {
  readonly component: string;
  readonly node?: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logPath: string;
  /** Whether it does its work; asked again and again. Rejecting means no. */
  readonly isReady: () => Promise<boolean>;
}

/** How `ambit status -o json` shows a process. `pid` is the caller's view of it. */
export interface ComponentStatus {
  readonly component: string;
  readonly node: string;
  readonly pid: number;
  readonly ready: boolean;
  /** When the process started, ISO 8601. */
  readonly since: string;
}

/** A log file that grew past this is kept once as `.1` when its process starts again. */
const rotateAtBytes = 16 * 1024 * 1024;
/** A process that lived this long had no crash loop. */
const healthyAfterMs = 30_000;

export class Component {
  readonly spec: ComponentSpec;
  readonly #log: Log;
  readonly #backoff: Backoff = createBackoff({ initialMs: 100, maxMs: 10_000 });
  #child: ChildProcess | undefined;
  #sinceMs = 0;
  #stopping = false;
  #loop: Promise<void> | undefined;

  constructor(spec: ComponentSpec, log: Log) {
    this.spec = spec;
    this.#log = log;
  }

  start(): void {
    this.#loop = this.#keepRunning();
  }

  async status(): Promise<ComponentStatus> {
    const running = this.#child?.exitCode === null && this.#child.signalCode === null;
    return {
      component: this.spec.component,
      node: this.spec.node ?? '',
      pid: running ? (this.#child?.pid ?? 0) : 0,
      ready: running && (await this.isReady()),
      since: new Date(this.#sinceMs).toISOString(),
    };
  }

  async isReady(): Promise<boolean> {
    try {
      return await this.spec.isReady();
    } catch {
      return false;
    }
  }

  /** SIGTERM, then SIGKILL after the grace. Resolves when the process is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#child?.kill('SIGTERM');
    const grace = new AbortController();
    const killer = sleep(graceMs, grace.signal).then(() => grace.signal.aborted || this.#child?.kill('SIGKILL'));
    await this.#loop;
    grace.abort();
    await killer;
  }

  async #keepRunning(): Promise<void> {
    while (!this.#stopping) {
      const startedMs = Date.now();
      const outcome = await this.#runOnce();
      if (this.#stopping) return;
      if (Date.now() - startedMs > healthyAfterMs) this.#backoff.reset();
      const delayMs = this.#backoff.next();
      this.#log.warn('Component ended, starting it again', {
        component: this.spec.component,
        node: this.spec.node,
        outcome,
        delayMs: Math.round(delayMs),
      });
      await sleep(delayMs);
    }
  }

  #runOnce(): Promise<string> {
    rotate(this.spec.logPath);
    const output = openSync(this.spec.logPath, 'a', 0o600);
    const [program = '', ...args] = this.spec.command;
    const child = spawn(program, args, { stdio: ['ignore', output, output], cwd: '/', env: { ...this.spec.env } });
    closeSync(output);
    this.#child = child;
    this.#sinceMs = Date.now();
    return new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
  }
}

function rotate(path: string): void {
  try {
    if (statSync(path).size > rotateAtBytes) renameSync(path, `${path}.1`);
  } catch {
    // No file: nothing to rotate.
  }
}
