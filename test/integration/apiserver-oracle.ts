/** Kubernetes' own API server over etcd, as the oracle of what an answer should be; and raw requests to any API server. */
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { request, type Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../support/free-port.ts';
import { adminToken } from './apiserver-process.ts';

export interface Oracle {
  readonly port: number;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly warnings: readonly string[];
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body, where it is a JSON object. */
  readonly body: Record<string, unknown>;
}

export interface Call {
  readonly body?: unknown;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Keeps connections; else each request has one of its own. */
  readonly agent?: Agent;
}

/** Starts `binary kube-apiserver` on an etcd of its own. Throws when it is not ready within a minute. */
export async function startOracle(binary: string): Promise<Oracle> {
  const dir = mkdtempSync(join(tmpdir(), 'ambit-oracle-'));
  const [clientPort, peerPort, port] = [await freePort(), await freePort(), await freePort()];
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(join(dir, 'sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
  writeFileSync(join(dir, 'tokens.csv'), `${adminToken},ambit:admin,admin,"system:masters"\n`);
  const log = openSync(join(dir, 'log'), 'a');
  const run = (command: string, args: readonly string[]): ChildProcess =>
    spawn(command, args, { cwd: dir, stdio: ['ignore', log, log] });
  const client = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const etcd = run('etcd', [
    '--data-dir',
    'etcd',
    '--listen-client-urls',
    client,
    '--advertise-client-urls',
    client,
    '--listen-peer-urls',
    peer,
    '--initial-advertise-peer-urls',
    peer,
    '--initial-cluster',
    `default=${peer}`,
  ]);
  const server = run(binary, [
    'kube-apiserver',
    `--etcd-servers=${client}`,
    '--service-account-key-file=sa.key',
    '--service-account-signing-key-file=sa.key',
    '--service-account-issuer=https://kubernetes.default.svc',
    '--token-auth-file=tokens.csv',
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112',
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    '--cert-dir=certs',
  ]);
  const close = async (): Promise<void> => {
    for (const child of [server, etcd]) {
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(dir, { recursive: true, force: true });
  };
  for (let attempt = 0; attempt < 300; attempt++) {
    const answer = await send(port, 'GET', '/api/v1/namespaces/default').catch(() => undefined);
    if (answer?.status === 200) return { port, close };
    await sleep(200);
  }
  await close();
  throw new Error('The real API server was not ready within a minute');
}

/** One request as the administrator; the server's certificate is taken as it is. */
export function send(port: number, method: string, path: string, call: Call = {}): Promise<Answer> {
  const { body, type = 'application/json', headers = {}, agent = false } = call;
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = request({
      host: '127.0.0.1',
      port,
      method,
      path,
      agent,
      rejectUnauthorized: false,
      headers: {
        authorization: `Bearer ${adminToken}`,
        'user-agent': 'tester/1.0',
        accept: 'application/json',
        ...(text !== undefined && { 'content-type': type, 'content-length': Buffer.byteLength(text) }),
        ...headers,
      },
    });
    sent.on('error', reject);
    sent.on('response', async (response) => {
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
      } catch (error) {
        return reject(error as Error);
      }
      const answered = Buffer.concat(chunks).toString();
      resolve({
        status: response.statusCode ?? 0,
        warnings: [response.headers['warning'] ?? []].flat(),
        headers: response.headers,
        text: answered,
        body: answered.startsWith('{') ? (tryParse(answered) ?? {}) : {},
      });
    });
    sent.end(text);
  });
}

function tryParse(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
