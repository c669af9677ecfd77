/** Packet rules through the `nft` program: one atomic transaction a call, in any network namespace. */
import { spawn } from 'node:child_process';
import { AmbitError } from '../lib/errors.ts';

export interface NftOptions {
  /** Descriptor of the namespace; absent: the process's own. */
  readonly netns?: number;
  readonly signal?: AbortSignal;
}

export interface NftApplyOptions extends NftOptions {
  /** Input of `nft -f -`; all of it takes effect or nothing. */
  readonly script: string;
}

/** Applies a script. Throws `net.nft-failed` with nft's own words. */
export async function applyNft(options: NftApplyOptions): Promise<void> {
  await runNft(['-f', '-'], options, options.script);
}

/** `nft list table FAMILY NAME`, or undefined when there is no such table. */
export async function listNftTable(
  family: string,
  name: string,
  options: NftOptions = {},
): Promise<string | undefined> {
  try {
    return await runNft(['list', 'table', family, name], options);
  } catch (error) {
    if (
      error instanceof AmbitError &&
      error.message.includes('No such file or directory') &&
      !error.message.includes('nsenter')
    ) {
      return undefined;
    }
    throw error;
  }
}

const maxChildren = 4;
let running = 0;
const waiting: (() => void)[] = [];

async function runNft(args: readonly string[], options: NftOptions, input = ''): Promise<string> {
  if (running >= maxChildren) await new Promise<void>((resolve) => waiting.push(resolve));
  running++;
  try {
    return await spawnNft(args, options, input);
  } finally {
    running--;
    waiting.shift()?.();
  }
}

function spawnNft(args: readonly string[], options: NftOptions, input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { netns, signal } = options;
    const fail = (reason: string, cause?: unknown): void =>
      reject(
        new AmbitError(`Cannot run nft ${args.join(' ')}: ${reason}`, {
          code: 'net.nft-failed',
          blame: 'internal',
          cause,
        }),
      );
    // The namespace travels as descriptor 3, so that no path and no pid has to mean the same to the child.
    const child =
      netns === undefined
        ? spawn('nft', args, { stdio: ['pipe', 'pipe', 'pipe'], ...(signal ? { signal } : {}) })
        : spawn('nsenter', ['--net=/proc/self/fd/3', 'nft', ...args], {
            stdio: ['pipe', 'pipe', 'pipe', netns],
            ...(signal ? { signal } : {}),
          });
    let output = '';
    let errors = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
    child.on('error', (error) => fail(error.message, error));
    child.on('close', (code, killedBy) => {
      if (code === 0) resolve(output);
      else fail(errors.trim().replaceAll(/\s*\n\s*/g, '; ') || `exit ${code ?? killedBy}`);
    });
    // nft may end before it read everything: its exit tells.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}
