/** The control plane under a simulated cluster: how long a change takes to every ztunnel, what it costs, and that it costs no more in a larger mesh. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild, type Child } from '../lib/child.ts';
import { cpuTimeNs } from '../lib/cpu.ts';
import { fillCluster, type ClusterSize, type SimulatedCluster } from './cluster.ts';
import { ObjectStore } from './object-store.ts';
import { serveApi } from './simulated-api.ts';
import { startSubscribers, type Subscribers } from './subscribers.ts';

export interface ControlPlan {
  readonly size: ClusterSize;
  /** ztunnels that subscribe to everything. */
  readonly subscribers: number;
  /** Changes of each kind. */
  readonly changes: number;
  /** Between two changes; 0 waits for each to arrive first. */
  readonly intervalMs: number;
}

export interface ControlResult {
  readonly plan: ControlPlan;
  /** From the start of the process until it serves. */
  readonly readyMs: number;
  /** From then until every subscriber has the mesh. */
  readonly firstPushMs: number;
  readonly firstPushCpuMs: number;
  readonly residentMb: number;
  readonly changes: readonly ChangeResult[];
}

export interface ChangeResult {
  readonly name: string;
  readonly n: number;
  /** From the write until the last subscriber has it. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU of the control plane per change, for all its subscribers. */
  readonly cpuUs: number;
  /** What one subscriber was sent per change, and what it had to be sent. */
  readonly resources: number;
  readonly wanted: number;
  readonly bytes: number;
}

const controlPort = 15012;
const controlCore = 0;

export async function measureControl(plan: ControlPlan, progress: (step: string) => void): Promise<ControlResult> {
  const dir = mkdtempSync(join(tmpdir(), 'ambit-bench-control-'));
  const stop = new AbortController();
  const store = new ObjectStore();
  const cluster = fillCluster(store, plan.size);
  const api = await serveApi(store);
  let control: Child | undefined;
  try {
    progress(`starting the control plane (${plan.size.pods} pods, ${plan.size.services} Services)`);
    const startedMs = performance.now();
    control = startControlProcess(dir, api.url);
    await ready(control);
    const readyMs = performance.now() - startedMs;

    progress(`${plan.subscribers} subscribers`);
    const root = store.get('secrets', 'istio-system', 'istio-ca-secret') as
      | { data?: Record<string, string> }
      | undefined;
    const rootCertPath = join(dir, 'root.pem');
    const tokenPath = join(dir, 'token');
    writeFileSync(rootCertPath, Buffer.from(root?.data?.['ca-cert.pem'] ?? '', 'base64'));
    writeFileSync(tokenPath, 'token');
    const cpuBefore = cpuTimeNs(control.pid);
    const connectedMs = performance.now();
    const subscribers = await startSubscribers({
      count: plan.subscribers,
      address: `https://127.0.0.1:${controlPort}`,
      rootCertPath,
      tokenPath,
      signal: stop.signal,
    });
    const firstPushMs = performance.now() - connectedMs;
    const firstPushCpuMs = (cpuTimeNs(control.pid) - cpuBefore) / 1e6;

    const context = { plan, cluster, subscribers, pid: control.pid, progress };
    const changes = [
      await measureChange(context, 'a pod turns unready', (i) => [cluster.flipPod(podOf(plan, i))]),
      await measureChange(context, 'a pod is replaced', (i) => cluster.replacePod(podOf(plan, i))),
    ];
    return { plan, readyMs, firstPushMs, firstPushCpuMs, residentMb: residentMb(control.pid), changes };
  } finally {
    stop.abort();
    await control?.stop();
    api.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

interface ChangeContext {
  readonly plan: ControlPlan;
  readonly cluster: SimulatedCluster;
  readonly subscribers: Subscribers;
  readonly pid: number;
  readonly progress: (step: string) => void;
}

async function measureChange(
  { plan, subscribers, pid, progress }: ChangeContext,
  name: string,
  change: (i: number) => readonly string[],
): Promise<ChangeResult> {
  progress(`${plan.changes} times: ${name}`);
  const { received } = subscribers;
  const before = { ...received };
  const cpuBefore = cpuTimeNs(pid);
  const delays: number[] = [];
  const pending: Promise<unknown>[] = [];
  let wanted = 0;
  for (let i = 0; i < plan.changes; i++) {
    const nextMs = performance.now() + plan.intervalMs;
    const writtenMs = performance.now();
    // The write reaches the watch in a later turn of the loop: whoever asks now misses nothing.
    const names = change(i);
    wanted = names.length;
    const told = Promise.all(names.map((name) => subscribers.told(name)));
    pending.push(told.then(() => delays.push(performance.now() - writtenMs)));
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, nextMs - performance.now())));
  }
  await Promise.all(pending);
  const sorted = delays.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const each = plan.changes * plan.subscribers;
  return {
    name,
    n: plan.changes,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuUs: (cpuTimeNs(pid) - cpuBefore) / 1000 / plan.changes,
    resources: (received.resources - before.resources + received.removals - before.removals) / each,
    wanted,
    bytes: (received.bytes - before.bytes) / each,
  };
}

/** Pods of many Services and nodes, none twice. */
function podOf({ size }: ControlPlan, i: number): number {
  return (i * 7919) % size.pods;
}

function startControlProcess(dir: string, apiUrl: string): Child {
  const kubeconfig = join(dir, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'bench',
      contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
      clusters: [{ name: 'bench', cluster: { server: apiUrl } }],
      users: [{ name: 'bench', user: {} }],
    }),
  );
  const main = join(import.meta.dirname, '../../src/bin/control.ts');
  const env = [
    `KUBECONFIG=${kubeconfig}`,
    `LISTEN=127.0.0.1:${controlPort}`,
    'SERVING_IPS=127.0.0.1',
    'POD_NAME=istiod-0',
  ];
  return startChild({
    command: '/usr/bin/env',
    args: [...env, process.execPath, main],
    core: controlCore,
    outputFile: join(dir, 'control.log'),
  });
}

async function ready(control: Child): Promise<void> {
  const ended = control.ended.then(() => true);
  for (;;) {
    const response = await fetch('http://127.0.0.1:15014/readyz', { signal: AbortSignal.timeout(1000) }).catch(
      () => {},
    );
    if (response?.ok) return;
    const over = await Promise.race([ended, new Promise<false>((resolve) => setTimeout(() => resolve(false), 50))]);
    if (over) throw new Error('The control plane ended');
  }
}

function residentMb(pid: number): number {
  const [, kb] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kb) / 1024;
}

export function formatControl(result: ControlResult): string {
  const { plan, readyMs, firstPushMs, firstPushCpuMs, residentMb: resident, changes } = result;
  const { services, pods, nodes } = plan.size;
  const lines = changes.map(
    (change) =>
      `  ${change.name.padEnd(20)} p50 ${change.p50Ms.toFixed(0)} ms  p99 ${change.p99Ms.toFixed(0)} ms  ` +
      `CPU ${(change.cpuUs / 1000).toFixed(2)} ms  to each subscriber: ${change.resources.toFixed(2)} resources, ` +
      `${change.bytes.toFixed(0)} B  n=${change.n}`,
  );
  return [
    `control plane, ${services} Services, ${pods} pods, ${nodes} nodes, ${plan.subscribers} subscribers:`,
    `  ready after ${(readyMs / 1000).toFixed(1)} s; whole mesh to everybody in ${(firstPushMs / 1000).toFixed(1)} s ` +
      `(CPU ${(firstPushCpuMs / 1000).toFixed(1)} s); RSS ${resident.toFixed(0)} MB`,
    ...lines,
  ].join('\n');
}

export interface Growth {
  readonly name: string;
  readonly ratio: number;
}

/** CPU per change, large mesh to small one: 1 when cost follows the change alone. */
export function growthOf(small: ControlResult, large: ControlResult): Growth[] {
  return large.changes.map(({ name, cpuUs }, i) => ({ name, ratio: cpuUs / (small.changes[i]?.cpuUs ?? Number.NaN) }));
}

export function formatGrowth(growth: readonly Growth[]): string {
  const ratios = growth.map(({ name, ratio }) => `${name} ${ratio.toFixed(2)}`).join(', ');
  return `  CPU of a change in the large mesh to the small one: ${ratios} (flat is 1)`;
}

/** Changes that told a subscriber more than what changed. */
export function pushedTooMuch({ changes }: ControlResult): string[] {
  return changes
    .filter(({ resources, wanted }) => resources !== wanted)
    .map(({ name, resources, wanted }) => `FAILED: ${name}: ${resources} resources to each subscriber, not ${wanted}`);
}
