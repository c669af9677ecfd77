/** The L7 rows: our gateway against nginx and Envoy on the same hop, in turn, in one run. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SpiffeId } from '../../src/api/names.ts';
import { startChild, type Child } from '../lib/child.ts';
import type { LoadResult } from '../lib/load.ts';
import { writeBundle, writeRoot } from '../lib/pki.ts';
import { compare, summarize, type RowResult } from '../lib/report.ts';
import { envoyGateway, envoyHint, hasEnvoy, startEnvoy } from './envoy.ts';
import { envoyWaypoint } from './envoy-waypoint.ts';
import { httpLoad } from './http-load.ts';
import { startNginxProxy, startOrigin } from './origin.ts';

export interface L7Row {
  readonly key: string;
  readonly name: string;
  readonly place: 'gateway' | 'waypoint';
  readonly reference: 'nginx' | 'envoy';
  /** What clients speak. */
  readonly protocol: 'http1' | 'http2';
  readonly target: number;
}

export const l7Rows: readonly L7Row[] = [
  {
    key: 'http',
    name: 'gateway, HTTP/1.1 keep-alive, against nginx',
    place: 'gateway',
    reference: 'nginx',
    protocol: 'http1',
    target: 1.6,
  },
  {
    key: 'http-envoy',
    name: 'gateway, HTTP/1.1 keep-alive, against Envoy',
    place: 'gateway',
    reference: 'envoy',
    protocol: 'http1',
    target: 1,
  },
  {
    key: 'h2',
    name: 'gateway, HTTP/2 multiplexed, against Envoy',
    place: 'gateway',
    reference: 'envoy',
    protocol: 'http2',
    target: 1,
  },
  {
    key: 'waypoint',
    name: 'waypoint, HBONE in and out, HTTP/1.1, against Envoy',
    place: 'waypoint',
    reference: 'envoy',
    protocol: 'http1',
    target: 1,
  },
  {
    key: 'waypoint-h2',
    name: 'waypoint, HBONE in and out, HTTP/2 (as gRPC), against Envoy',
    place: 'waypoint',
    reference: 'envoy',
    protocol: 'http2',
    target: 1,
  },
];

/** The proxy has a core, the load, the origin and the ends of tunnels the other one. */
const proxyCore = 1;
const loadCore = 0;
const originPort = 20080;

/** Where the application is: behind a waypoint it speaks what its clients do. */
function originOf({ place, protocol }: L7Row): number {
  return place === 'waypoint' && protocol === 'http2' ? originPort + 1 : originPort;
}

/** A proxy to measure, and where its load goes. */
interface Candidate {
  readonly pid: number;
  readonly port: number;
  readonly children: readonly Child[];
}

interface Setting {
  readonly dir: string;
  /** Ports from here on are free. */
  readonly base: number;
}

export async function measureL7(
  chosen: readonly L7Row[],
  plan: { readonly runs: number; readonly seconds: number; readonly quick: boolean },
  onStep: (step: string) => void,
): Promise<RowResult[]> {
  const missing = ['nginx', 'wrk', 'h2load'].filter((name) => spawnSync('which', [name]).status !== 0);
  if (missing.length > 0) {
    onStep(`skipped the L7 rows: no ${missing.join(', ')}. Run: apt-get install nginx-light wrk nghttp2-client`);
    return [];
  }
  const dir = mkdtempSync(join(tmpdir(), 'ambit-bench-'));
  const children: Child[] = [];
  try {
    await writeRoot(dir);
    children.push(await startOrigin({ dir, port: originPort, core: loadCore }));
    const results: RowResult[] = [];
    for (const [i, row] of chosen.entries()) {
      if (row.reference === 'envoy' && !hasEnvoy()) {
        onStep(`skipped ${row.key}: ${envoyHint}`);
        continue;
      }
      const ours = await startOurs(row, { dir, base: 20_100 + 20 * i });
      children.push(...ours.children);
      const reference = await startReference(row, { dir, base: 20_110 + 20 * i });
      children.push(...reference.children);
      results.push(await measureRow(row, { ours, reference }, plan, onStep));
      for (const child of [...ours.children, ...reference.children]) await child.stop();
    }
    return results;
  } finally {
    for (const child of children) await child.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function measureRow(
  row: L7Row,
  candidates: { readonly ours: Candidate; readonly reference: Candidate },
  plan: { readonly runs: number; readonly seconds: number; readonly quick: boolean },
  onStep: (step: string) => void,
): Promise<RowResult> {
  const once = (which: 'ours' | 'reference', seconds: number): Promise<LoadResult> => {
    const { port, pid } = candidates[which];
    return httpLoad({ protocol: row.protocol, port, seconds, core: loadCore, pid });
  };
  const collected = { ours: [] as LoadResult[], reference: [] as LoadResult[] };
  // A proxy lives for weeks: its compiler is done by then.
  for (const which of ['ours', 'reference'] as const) await once(which, plan.quick ? 1 : 6);
  for (let i = 0; i < plan.runs; i++) {
    for (const which of i % 2 === 0 ? (['ours', 'reference'] as const) : (['reference', 'ours'] as const)) {
      onStep(`${row.key} ${which} ${i + 1}/${plan.runs}`);
      collected[which].push(await once(which, plan.seconds));
    }
  }
  return compare(
    { row: row.name, unit: 'request', target: row.target, measure: 'cpu' },
    summarize('ambit', collected.ours),
    summarize(row.reference, collected.reference),
  );
}

async function startOurs(row: L7Row, { dir, base }: Setting): Promise<Candidate> {
  const { place, protocol } = row;
  const script = join(import.meta.dirname, 'ambit-process.ts');
  const upstreamProtocol = place === 'gateway' ? 'http1' : protocol;
  const args = [script, place, dir, String(base), String(originOf(row)), upstreamProtocol, String(base + 1)];
  const proxy = startChild({ command: process.execPath, args, core: proxyCore });
  await proxy.waitFor('listening');
  return place === 'gateway' ? { pid: proxy.pid, port: base, children: [proxy] } : withEnds(proxy, row, { dir, base });
}

async function startReference(row: L7Row, { dir, base }: Setting): Promise<Candidate> {
  const { place, reference, protocol } = row;
  const common = { dir, port: base, core: proxyCore };
  if (reference === 'nginx') {
    const proxy = await startNginxProxy({ ...common, originPort });
    return { pid: proxy.pid, port: base, children: [proxy] };
  }
  if (place === 'gateway') {
    const proxy = await startEnvoy({ ...common, configuration: envoyGateway({ port: base, originPort }) });
    return { pid: proxy.pid, port: base, children: [proxy] };
  }
  const pem = await writeBundle(dir, 'envoy-waypoint', 'spiffe://cluster.local/ns/bench/sa/waypoint' as SpiffeId);
  const configuration = envoyWaypoint({
    port: base,
    hbonePort: base + 1,
    originPort: originOf(row),
    protocol,
    certificate: pem,
    key: pem,
    root: join(dir, 'root-cert.pem'),
  });
  return withEnds(await startEnvoy({ ...common, configuration }), row, { dir, base });
}

/** The client's and the server's ztunnel, as far as the waypoint sees them. */
async function withEnds(proxy: Child, row: L7Row, { dir, base }: Setting): Promise<Candidate> {
  const script = join(import.meta.dirname, 'hbone-ends.ts');
  const ports = [base + 2, base, base + 1, originOf(row)].map(String);
  const ends = startChild({ command: process.execPath, args: [script, dir, ...ports], core: loadCore });
  await ends.waitFor('listening');
  return { pid: proxy.pid, port: base + 2, children: [proxy, ends] };
}
