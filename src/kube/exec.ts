/**
 * A command in a container through `pods/exec`, over a WebSocket (subprotocols v5 and v4.channel.k8s.io): each message leads with
 * its channel, 0 stdin, 1 stdout, 2 stderr, 3 the outcome, 4 the terminal's size; in v5, 255 and a channel close that one.
 */
import { Readable, Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import { AmbitError } from '../lib/errors.ts';
import type { KubeClient } from './client.ts';

export interface ExecOptions {
  readonly namespace: string;
  readonly pod: string;
  /** Absent: the server chooses; it refuses (`kube.bad-request`) where there are several. */
  readonly container?: string;
  readonly command: readonly string[];
  readonly stdin: boolean;
  /** On a terminal: all output comes as stdout. */
  readonly tty: boolean;
}

export interface RemoteCommand {
  /** Ending it ends the command's input, where the server speaks v5 (Kubernetes 1.29). */
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Its exit code, after the outputs have ended. Rejects with `kube.exec` when it could not run or the connection broke. */
  readonly exitCode: Promise<number>;
  resize(columns: number, rows: number): void;
  /** Ends the connection; what runs is the server's to end. */
  close(): void;
}

const channels = { stdin: 0, stdout: 1, stderr: 2, outcome: 3, resize: 4, close: 255 } as const;

interface Outcome {
  readonly status?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}

/** Resolves when the command is being run. Throws the server's refusal as KubeError. */
export async function openExec(client: KubeClient, options: ExecOptions): Promise<RemoteCommand> {
  const { namespace, pod, container, command, stdin, tty } = options;
  const query = new URLSearchParams({ stdout: 'true' });
  if (stdin) query.set('stdin', 'true');
  if (tty) query.set('tty', 'true');
  else query.set('stderr', 'true');
  if (container !== undefined) query.set('container', container);
  for (const word of command) query.append('command', word);
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/exec?${query}`;
  return startSession(await client.openWebSocket(path, ['v5.channel.k8s.io', 'v4.channel.k8s.io']));
}

function startSession(socket: WebSocket): RemoteCommand {
  const send = (channel: number, data: Uint8Array, done?: (error?: Error) => void): void =>
    socket.send(Buffer.concat([Buffer.from([channel]), data]), { binary: true }, done);
  const stdout = new Readable({ read: () => socket.resume() });
  const stderr = new Readable({ read: () => socket.resume() });
  const stdin = new Writable({
    write: (chunk: Buffer, _encoding, done) => send(channels.stdin, chunk, done),
    final(done) {
      if (socket.protocol === 'v5.channel.k8s.io') send(channels.close, Buffer.from([channels.stdin]), done);
      else done();
    },
  });
  // A command may end without reading its input; its exit code tells.
  stdin.on('error', () => {});
  const exit = Promise.withResolvers<number>();
  let outcome = '';
  socket.on('message', (message: Buffer | ArrayBuffer | Buffer[]) => {
    const frame = Array.isArray(message) ? Buffer.concat(message) : Buffer.from(message as Buffer);
    const data = frame.subarray(1);
    if (data.length === 0) return;
    if (frame[0] === channels.stdout && !stdout.push(data)) socket.pause();
    if (frame[0] === channels.stderr && !stderr.push(data)) socket.pause();
    if (frame[0] === channels.outcome) outcome += data.toString();
  });
  socket.on('error', () => socket.terminate());
  socket.on('close', () => {
    stdout.push(null);
    stderr.push(null);
    stdin.destroy();
    try {
      exit.resolve(parseOutcome(outcome));
    } catch (error) {
      exit.reject(error);
    }
  });
  // It may be that nobody asks.
  exit.promise.catch(() => {});
  return {
    stdin,
    stdout,
    stderr,
    exitCode: exit.promise,
    resize(columns, rows) {
      if (socket.readyState === socket.OPEN)
        send(channels.resize, Buffer.from(JSON.stringify({ Width: columns, Height: rows })));
    },
    close: () => socket.terminate(),
  };
}

function parseOutcome(text: string): number {
  if (text === '') throw execError('the connection ended before the command did');
  let outcome: Outcome;
  try {
    outcome = JSON.parse(text) as Outcome;
  } catch {
    throw execError(text);
  }
  if (outcome.status === 'Success') return 0;
  const code = outcome.details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message;
  if (code !== undefined && /^\d+$/.test(code)) return Number(code);
  throw execError(outcome.message ?? text);
}

function execError(detail: string): AmbitError {
  return new AmbitError(`Cannot run the command: ${detail}`, { code: 'kube.exec', blame: 'upstream' });
}
