/** Programs that change a network namespace (nft, iptables-restore): run inside it, a few at a time. */
import { spawn } from 'node:child_process';
import { AmbitError } from '../lib/errors.ts';

export interface NamespaceOptions {
  /** Descriptor of the namespace; absent: the process's own. */
  readonly netns?: number;
  readonly signal?: AbortSignal;
}

export interface NamespaceToolOptions extends NamespaceOptions {
  readonly command: readonly [program: string, ...args: string[]];
  readonly input?: string;
  /** Of the error when it fails. */
  readonly code: string;
}

const maxChildren = 4;
let running = 0;
const waiting: (() => void)[] = [];

/** Resolves to its output. Throws an AmbitError with the program's own words. */
export async function runNamespaceTool(options: NamespaceToolOptions): Promise<string> {
  if (running >= maxChildren) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    return await spawnTool(options);
  } finally {
    // The place goes to the next in line, or becomes free.
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

function spawnTool(options: NamespaceToolOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const { netns, signal, command, input = '', code } = options;
    const [program, ...args] = command;
    const fail = (reason: string, cause?: unknown): void =>
      reject(new AmbitError(`Cannot run ${command.join(' ')}: ${reason}`, { code, blame: 'internal', cause }));
    // The namespace travels as descriptor 3, so that no path and no pid has to mean the same to the child.
    const child =
      netns === undefined
        ? spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], ...(signal ? { signal } : {}) })
        : spawn('nsenter', ['--net=/proc/self/fd/3', program, ...args], {
            stdio: ['pipe', 'pipe', 'pipe', netns],
            ...(signal ? { signal } : {}),
          });
    let output = '';
    let errors = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
    child.on('error', (error) => fail(error.message, error));
    child.on('close', (exitCode, killedBy) => {
      if (exitCode === 0) resolve(output);
      else fail(errors.trim().replaceAll(/\s*\n\s*/g, '; ') || `exit ${exitCode ?? killedBy}`);
    });
    // It may end before it read everything: its exit tells.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}
