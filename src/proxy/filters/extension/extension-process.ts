/** One extension's process: started, asked, bounded in time and memory, started again when it ends. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Extension } from '../../../api/l7/index.ts';
import { createBackoff, type Backoff } from '../../../lib/backoff.ts';
import type { Clock } from '../../../lib/clock.ts';
import { AmbitError } from '../../../lib/errors.ts';
import type { Log } from '../../../lib/log.ts';
import { programPath } from '../../../lib/program.ts';
import type { RequestVerdict, ResponseVerdict } from './interface.ts';
import type { FromExtension, ToExtension, WireRequest } from './messages.ts';

export type ExtensionVerdict = RequestVerdict & ResponseVerdict;

export interface ExtensionProcessOptions {
  readonly extension: Pick<Extension, 'name' | 'source' | 'config' | 'timeoutMs' | 'memoryMb'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Which hooks the module has; until that is known, both are asked. */
interface Hooks {
  readonly onRequest: boolean;
  readonly onResponse: boolean;
}

interface Pending {
  readonly resolve: (verdict: ExtensionVerdict | undefined) => void;
  readonly reject: (error: Error) => void;
  readonly cancelTimeout: () => void;
  /** Not sent yet: the module is still being loaded. */
  unsent: ToExtension | undefined;
}

/** Calls at once; more are refused, as the process is behind already. */
const maxPending = 1000;
/** Node's own, besides what the module may take. */
const ownMemoryMb = 90;
const memoryCheckMs = 1000;
/** A module that has not loaded by then never will. */
const loadTimeoutMs = 10_000;
/** Who does not answer a ping by then is stuck. */
const pingTimeoutMs = 1000;
const host = programPath('bin/extension-host');

export class ExtensionProcess {
  readonly #options: ExtensionProcessOptions;
  readonly #log: Log;
  readonly #backoff: Backoff = createBackoff({ initialMs: 200, maxMs: 30_000 });
  readonly #pending = new Map<number, Pending>();
  #child: ChildProcess | undefined;
  #hooks: Hooks | undefined;
  /** Why the module cannot be used; it is not tried again. */
  #refusal: string | undefined;
  #nextId = 0;
  #answers = 0;
  #closed = false;
  #cancelRestart: (() => void) | undefined;
  #cancelCheck: (() => void) | undefined;
  #cancelPing: (() => void) | undefined;
  #restarts = 0;

  constructor(options: ExtensionProcessOptions) {
    this.#options = options;
    this.#log = options.log.child('extension');
    this.#start();
  }

  /** Undefined until the module was loaded. */
  get hooks(): Hooks | undefined {
    return this.#hooks;
  }

  /** Of the process of now. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** Rejects with `extension.<reason>` when there is no verdict in time. */
  onRequest(request: WireRequest): Promise<ExtensionVerdict | undefined> {
    return this.#call((id) => ({ kind: 'request', id, request }));
  }

  onResponse(
    response: { readonly status: number; readonly headers: Readonly<Record<string, string>> },
    request: WireRequest,
  ): Promise<ExtensionVerdict | undefined> {
    return this.#call((id) => ({ kind: 'response', id, ...response, request }));
  }

  /** Lets running calls end, then the process. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelRestart?.();
    this.#endIfIdle();
  }

  #call(message: (id: number) => ToExtension): Promise<ExtensionVerdict | undefined> {
    const { timeoutMs, name } = this.#options.extension;
    return new Promise((resolve, reject) => {
      if (this.#closed || this.#refusal !== undefined) {
        reject(failed('unusable', `extension ${name} cannot be used: ${this.#refusal ?? 'it was taken out'}`));
        return;
      }
      if (this.#pending.size >= maxPending) {
        reject(failed('overloaded', `extension ${name} has ${maxPending} calls to answer already`));
        return;
      }
      const id = this.#nextId++;
      const cancelTimeout = this.#options.clock.after(timeoutMs, () => {
        this.#settle(id)?.reject(failed('timeout', `extension ${name} gave no verdict within ${timeoutMs} ms`));
        this.#ping();
      });
      const pending: Pending = { resolve, reject, cancelTimeout, unsent: message(id) };
      this.#pending.set(id, pending);
      if (this.#hooks) this.#send(pending);
    });
  }

  #send(pending: Pending): void {
    if (pending.unsent) this.#child?.send(pending.unsent);
    pending.unsent = undefined;
  }

  /** A call may be slow for its own reasons. A process that does nothing else either would keep all the others waiting. */
  #ping(): void {
    const child = this.#child;
    if (!child || !this.#hooks || this.#cancelPing) return;
    const answersBefore = this.#answers;
    child.send({ kind: 'ping' } satisfies ToExtension);
    this.#cancelPing = this.#options.clock.after(pingTimeoutMs, () => {
      this.#cancelPing = undefined;
      if (child === this.#child && this.#answers === answersBefore) this.#kill('it does not answer any more');
    });
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    pending?.cancelTimeout();
    this.#pending.delete(id);
    return pending;
  }

  #start(): void {
    const { extension, clock } = this.#options;
    const { name, memoryMb } = extension;
    const child = spawn(
      process.execPath,
      [
        '--permission',
        `--allow-fs-read=${host}`,
        `--max-old-space-size=${memoryMb}`,
        '--disable-warning=ExperimentalWarning',
        host,
      ],
      { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], env: {}, cwd: '/', serialization: 'json' },
    );
    this.#child = child;
    let lastWords = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      lastWords = (lastWords + chunk.toString()).slice(-400);
    });
    child.on('error', (error) =>
      this.#log.error('cannot start an extension', { extension: name, error: error.message }),
    );
    child.on('message', (message: FromExtension) => {
      if (child === this.#child) this.#onMessage(message);
    });
    const cancelLoad = clock.after(loadTimeoutMs, () => {
      if (!this.#hooks && child === this.#child) this.#kill(`it was not loaded within ${loadTimeoutMs} ms`);
    });
    child.once('close', (code, signal) => {
      cancelLoad();
      if (child === this.#child) this.#onExit(code, signal, lastWords);
    });
    this.#checkMemory(child);
  }

  #onMessage(message: FromExtension): void {
    const { name, source, config } = this.#options.extension;
    this.#answers++;
    switch (message.kind) {
      case 'hello':
        this.#child?.send({ kind: 'load', source, config } satisfies ToExtension);
        return;
      case 'loaded': {
        this.#hooks = message;
        this.#backoff.reset();
        this.#log.info('extension loaded', { extension: name });
        for (const pending of this.#pending.values()) this.#send(pending);
        return;
      }
      case 'refused':
        this.#refusal = message.error;
        this.#log.error('extension refused', { extension: name, error: message.error });
        this.#fail(this.#pending.keys(), 'unusable', `extension ${name} cannot be used: ${message.error}`);
        this.#child?.kill('SIGKILL');
        return;
      case 'verdict':
        this.#settle(message.id)?.resolve((message.verdict as ExtensionVerdict | null) ?? undefined);
        break;
      case 'failed':
        this.#settle(message.id)?.reject(failed('threw', `extension ${name} failed: ${message.error}`));
        break;
      case 'pong':
        return;
    }
    this.#endIfIdle();
  }

  #onExit(code: number | null, signal: string | null, lastWords: string): void {
    const { name } = this.#options.extension;
    this.#child = undefined;
    this.#hooks = undefined;
    this.#cancelCheck?.();
    this.#cancelPing?.();
    this.#cancelPing = undefined;
    // What was not sent yet is for the next one.
    const lost = [...this.#pending].filter(([, { unsent }]) => unsent === undefined).map(([id]) => id);
    this.#fail(lost, 'ended', `the process of extension ${name} ended (${signal ?? `code ${code}`})`);
    if (this.#closed || this.#refusal !== undefined) return;
    const retryInMs = this.#backoff.next();
    this.#restarts++;
    this.#log.warn('the process of an extension ended', { extension: name, code, signal, lastWords, retryInMs });
    this.#cancelRestart = this.#options.clock.after(retryInMs, () => this.#start());
  }

  /** The heap has its limit from Node; what lies outside of it (buffers) has this one. */
  #checkMemory(child: ChildProcess): void {
    this.#cancelCheck = this.#options.clock.after(memoryCheckMs, () => {
      if (child !== this.#child) return;
      const { memoryMb } = this.#options.extension;
      if (residentMb(child.pid ?? 0) > memoryMb + ownMemoryMb) this.#kill(`it takes more than ${memoryMb} MB`);
      this.#checkMemory(child);
    });
  }

  #kill(reason: string): void {
    this.#log.warn('ending the process of an extension', { extension: this.#options.extension.name, reason });
    this.#hooks = undefined;
    this.#child?.kill('SIGKILL');
  }

  #fail(ids: Iterable<number>, reason: string, message: string): void {
    for (const id of ids) this.#settle(id)?.reject(failed(reason, message));
  }

  #endIfIdle(): void {
    if (!this.#closed || this.#pending.size > 0) return;
    this.#cancelCheck?.();
    this.#cancelPing?.();
    this.#child?.kill('SIGKILL');
  }
}

function residentMb(pid: number): number {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
    return (pages * 4096) / 1_048_576;
  } catch {
    // It has just ended.
    return 0;
  }
}

function failed(reason: string, message: string): AmbitError {
  return new AmbitError(message, { code: `extension.${reason}`, blame: 'internal' });
}
