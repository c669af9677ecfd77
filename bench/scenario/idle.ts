/** What a ztunnel holds while it does nothing: by itself, and for each tunnelled connection that is open. */
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { bundle } from '../../scripts/bundle.ts';
import { root } from '../../scripts/run.ts';
import { startChild } from '../lib/child.ts';
import { processMemory } from '../lib/memory.ts';
import type { ProxyPair } from '../lib/pair.ts';

export interface MemoryRow {
  readonly row: string;
  readonly unit: 'KB' | 'MB';
  readonly value: number;
  readonly target: number;
}

const connectionCount = 4000;

/** Opens connections that pass a few bytes and stay; the two proxies' growth, by connection. */
export async function measureIdleConnections(pair: ProxyPair): Promise<MemoryRow[]> {
  const open: Socket[] = [];
  const dial = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(pair.port, '127.0.0.1');
      open.push(socket);
      socket.once('error', reject);
      socket.once('data', () => resolve());
      socket.write('hello');
    });
  // What the first connections cost is the process's own.
  for (let i = 0; i < 500; i++) await dial();
  await collect(pair);
  const before = pair.pids.map((pid) => processMemory(pid).rssKb);
  for (let i = 0; i < connectionCount / 50; i++) await Promise.all(Array.from({ length: 50 }, dial));
  await collect(pair);
  const rows = pair.pids.map((pid, i): MemoryRow => ({
    row: `idle tunnelled connection, ${i === 0 ? 'outbound' : 'inbound'}`,
    unit: 'KB',
    value: (processMemory(pid).rssKb - (before[i] ?? 0)) / connectionCount,
    target: 8,
  }));
  for (const socket of open) socket.destroy();
  return rows;
}

/** Twice: the first frees what the second finds unused. */
async function collect({ pids }: ProxyPair): Promise<void> {
  for (let i = 0; i < 2; i++) {
    for (const pid of pids) process.kill(pid, 'SIGUSR2');
    await settle();
  }
}

/** A whole ztunnel whose control plane and node agent are away, from a bundle, as the image has it. */
export async function measureIdleProcess(dir: string): Promise<MemoryRow[]> {
  const image = join(root, '.cache/bundle');
  await bundle(image);
  const ztunnel = startChild({
    command: process.execPath,
    args: [join(image, 'dist/bin/ambit.js'), 'ztunnel'],
    outputFile: join(dir, 'idle.log'),
    env: {
      NODE_NAME: 'bench',
      XDS_ADDRESS: 'https://127.0.0.1:9',
      CA_ADDRESS: 'https://127.0.0.1:9',
      XDS_ROOT_CA: join(dir, 'root-cert.pem'),
      CA_ROOT_CA: join(dir, 'root-cert.pem'),
      INPOD_UDS: join(dir, 'nobody.sock'),
    },
  });
  await settle();
  const { rssKb, privateDirtyKb } = processMemory(ztunnel.pid);
  await ztunnel.stop();
  return [
    { row: 'idle ztunnel, RSS', unit: 'MB', value: rssKb / 1024, target: 70 },
    { row: 'idle ztunnel, private dirty', unit: 'MB', value: privateDirtyKb / 1024, target: 25 },
  ];
}

export function formatMemory(rows: readonly MemoryRow[]): string {
  return rows
    .map(({ row, unit, value, target }) => {
      const verdict = value <= target ? 'met' : 'MISSED';
      return `${row}: ${value.toFixed(1)} ${unit} (target <= ${target}: ${verdict})`;
    })
    .join('\n');
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 3000));
}
