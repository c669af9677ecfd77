/** Runs a system tool (`ip`, `nft`, `nsenter`) as a child process and gives its output, or one typed failure. */
import { spawn } from 'node:child_process';
import { AmbitError, messageOf } from '../../lib/errors.ts';

export interface ToolCall {
  readonly command: readonly string[];
  /** Written to standard input, which is then closed. */
  readonly input?: string;
  /** Default 10 s; then the tool is killed. */
  readonly timeoutMs?: number;
}

/** What tools see of the environment: nothing of ours but where programs are. */
export const toolEnvironment: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
};

/** Most bytes kept of what a tool says. */
const outputLimit = 4 * 1024 * 1024;

/** Standard output of the tool. Throws `network.tool-failed` when it cannot run, ends with another code than 0, or takes too long. */
export function runTool(call: ToolCall): Promise<string> {
  const [program = '', ...args] = call.command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: toolEnvironment, stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    let complaint = '';
    child.stdout.on('data', (chunk: Buffer) => {
      if (output.length < outputLimit) output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (complaint.length < outputLimit) complaint += chunk.toString();
    });
    // A tool may end without reading all of its input: its exit code tells.
    child.stdin.on('error', () => {});
    child.stdin.end(call.input ?? '');
    const timer = setTimeout(() => child.kill('SIGKILL'), call.timeoutMs ?? 10_000);
    const fail = (state: string): void => {
      clearTimeout(timer);
      const message = `Cannot run "${call.command.join(' ')}": ${state}`;
      reject(new AmbitError(message, { code: 'network.tool-failed', blame: 'internal' }));
    };
    child.on('error', (error) => fail(messageOf(error)));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(output);
      else fail(messageOf(complaint.trim() || `ended with ${code ?? signal}`));
    });
  });
}
