/** Kubernetes' own API server on an etcd of its own, both on the loopback and as ordinary processes. */
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';
import { freePort } from './free-port.ts';

export interface KubernetesApiServer extends AsyncDisposable {
  /** `https://127.0.0.1:port`; its certificate is self-signed. */
  readonly url: string;
  /** Of a member of system:masters. */
  readonly token: string;
  readonly stateDir: string;
}

const token = 'admin-token-of-this-test';

/** Starts both and waits until the server is ready. `binary` is a multi-call one: `BINARY kube-apiserver FLAGS`. */
export async function startKubernetesApiServer(binary: string): Promise<KubernetesApiServer> {
  const stateDir = mkdtempSync(join(tmpdir(), 'ambit-kube-apiserver-'));
  const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()];
  const keyPath = join(stateDir, 'service-accounts.key');
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(keyPath, privateKey.export({ type: 'sec1', format: 'pem' }));
  writeFileSync(join(stateDir, 'tokens.csv'), `${token},admin,admin,system:masters\n`);
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const etcd = start('etcd', [
    `--data-dir=${join(stateDir, 'etcd')}`,
    '--unsafe-no-fsync',
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    '--log-level=error',
  ]);
  const server = start(binary, [
    'kube-apiserver',
    `--etcd-servers=${etcdUrl}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${join(stateDir, 'pki')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${keyPath}`,
    `--service-account-signing-key-file=${keyPath}`,
    `--token-auth-file=${join(stateDir, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--disable-admission-plugins=ServiceAccount',
    '--enable-priority-and-fairness=false',
  ]);
  const stop = async (): Promise<void> => {
    for (const child of [server, etcd]) await end(child);
    rmSync(stateDir, { recursive: true, force: true });
  };
  const url = `https://127.0.0.1:${port}`;
  try {
    await ready(url, [server, etcd]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, token, stateDir, [Symbol.asyncDispose]: stop };
}

function start(command: string, args: readonly string[]): ChildProcess & { readonly said: string[] } {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const said: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.push(text);
    if (said.length > 50) said.shift();
  });
  child.on('error', (error) => said.push(error.message));
  return Object.assign(child, { said });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function ready(url: string, children: readonly (ChildProcess & { readonly said: string[] })[]): Promise<void> {
  const agent = new Agent({ connect: { rejectUnauthorized: false } });
  const deadlineMs = performance.now() + 60_000;
  try {
    while (performance.now() < deadlineMs) {
      const dead = children.find(({ exitCode }) => exitCode !== null);
      if (dead) throw new Error(`${dead.spawnfile} ended:\n${dead.said.join('')}`);
      const response = await agent
        .request({ origin: url, path: '/readyz', method: 'GET', headers: { authorization: `Bearer ${token}` } })
        .catch(() => undefined);
      await response?.body.dump();
      if (response?.statusCode === 200) return;
      await delay(100);
    }
    throw new Error(`kube-apiserver is not ready:\n${children[0]?.said.join('')}`);
  } finally {
    await agent.close();
  }
}
