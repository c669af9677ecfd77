/** Runs the API server as a process of its own, on a state folder of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface ServerProcess {
  readonly pid: number;
  readonly port: number;
  readonly caPem: string;
  readonly kubeconfig: string;
  /** Resolves when the process is gone. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

export const adminToken = 'admin-token-of-this-test';
const root = join(import.meta.dirname, '../..');

/**
 * A state folder with an admin token, and with `token-of-user-NAME` for each further user, of these groups. The caller removes it by
 * `removeState`.
 */
export function createState(users: Readonly<Record<string, readonly string[]>> = {}): string {
  const stateDir = mkdtempSync(join(tmpdir(), 'ambit-apiserver-'));
  mkdirSync(join(stateDir, 'pki'));
  const tokens = [
    { token: adminToken, user: 'ambit:admin', groups: ['system:masters'] },
    ...Object.entries(users).map(([user, groups]) => ({ token: `token-of-user-${user}`, user, groups })),
  ];
  writeFileSync(join(stateDir, 'pki/tokens.json'), JSON.stringify(tokens));
  return stateDir;
}

export function removeState(stateDir: string): void {
  rmSync(stateDir, { recursive: true, force: true });
}

export interface ServerChoice {
  /** Default 0: a free one. */
  readonly port?: number;
  /** Whether the controllers run, too. Default true. */
  readonly controllers?: boolean;
  /** How long a client may take to send a request; only without controllers. */
  readonly requestTimeoutMs?: number;
}

/** Starts `src/bin/apiserver.ts` on the loopback and waits until it serves. */
export async function startServerProcess(stateDir: string, choice: ServerChoice = {}): Promise<ServerProcess> {
  const { port: listenPort = 0, controllers = true } = choice;
  const bin = controllers ? 'src/bin/apiserver.ts' : 'test/support/programs/apiserver-alone.ts';
  const args = ['--state', stateDir, '--listen', `127.0.0.1:${listenPort}`];
  if (choice.requestTimeoutMs !== undefined) args.push('--request-timeout', String(choice.requestTimeoutMs));
  const child = spawn(process.execPath, [join(root, bin), ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  const port = await new Promise<number>((resolve, reject) => {
    const lines: string[] = [];
    createInterface(child.stderr).on('line', (line) => {
      lines.push(line);
      const entry = line.startsWith('{') ? (JSON.parse(line) as { message?: string; port?: number }) : {};
      if (entry.message === 'Serving the API') resolve(entry.port ?? 0);
    });
    void ended.then(() => reject(new Error(`The API server ended:\n${lines.join('\n')}`)));
  });
  const kubeconfig = join(stateDir, 'kubeconfig');
  const caPath = join(stateDir, 'pki/apiserver-ca.pem');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority': caPath } }],
      users: [{ name: 'test', user: { token: adminToken } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      'current-context': 'test',
    }),
  );
  return {
    pid: child.pid ?? 0,
    port,
    caPem: readFileSync(caPath, 'utf8'),
    kubeconfig,
    async end(signal) {
      child.kill(signal);
      await ended;
    },
  };
}
