/** The L7 rows: our gateway against nginx and Envoy on the same hop, in turn, in one run. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild, type Child } from '../lib/child.ts';
import type { LoadResult } from '../lib/load.ts';
import { compare, summarize, type RowResult } from '../lib/report.ts';
import { envoyHint, hasEnvoy, startEnvoy } from './envoy.ts';
import { httpLoad } from './http-load.ts';
import { startNginxProxy, startOrigin } from './origin.ts';

export interface L7Row {
  readonly key: string;
  readonly name: string;
  readonly reference: 'nginx' | 'envoy';
  readonly protocol: 'http1' | 'http2';
  readonly target: number;
}

export const l7Rows: readonly L7Row[] = [
  {
    key: 'http',
    name: 'gateway, HTTP/1.1 keep-alive, against nginx',
    reference: 'nginx',
    protocol: 'http1',
    target: 1.6,
  },
  {
    key: 'http-envoy',
    name: 'gateway, HTTP/1.1 keep-alive, against Envoy',
    reference: 'envoy',
    protocol: 'http1',
    target: 1,
  },
  { key: 'h2', name: 'gateway, HTTP/2 multiplexed, against Envoy', reference: 'envoy', protocol: 'http2', target: 1 },
];

/** The proxy has a core, the load and the origin the other one. */
const proxyCore = 1;
const loadCore = 0;
const originPort = 20080;

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
  const keep = async (child: Promise<Child>): Promise<Child> => {
    const started = await child;
    children.push(started);
    return started;
  };
  try {
    await keep(startOrigin({ dir, port: originPort, core: loadCore }));
    const results: RowResult[] = [];
    let port = 20100;
    for (const row of chosen) {
      if (row.reference === 'envoy' && !hasEnvoy()) {
        onStep(`skipped ${row.key}: ${envoyHint}`);
        continue;
      }
      const at = { dir, originPort, core: proxyCore };
      const ours = await keep(startGateway(++port));
      const oursPort = port;
      const referencePort = ++port;
      const reference = await keep(
        row.reference === 'nginx'
          ? startNginxProxy({ ...at, port: referencePort })
          : startEnvoy({ ...at, port: referencePort, protocol: 'http1' }),
      );
      const once = (which: 'ours' | 'reference', seconds: number): Promise<LoadResult> =>
        httpLoad({
          protocol: row.protocol,
          port: which === 'ours' ? oursPort : referencePort,
          seconds,
          core: loadCore,
          pid: which === 'ours' ? ours.pid : reference.pid,
        });
      const collected = { ours: [] as LoadResult[], reference: [] as LoadResult[] };
      for (const which of ['ours', 'reference'] as const) await once(which, plan.quick ? 1 : 5);
      for (let i = 0; i < plan.runs; i++) {
        for (const which of i % 2 === 0 ? (['ours', 'reference'] as const) : (['reference', 'ours'] as const)) {
          onStep(`${row.key} ${which} ${i + 1}/${plan.runs}`);
          collected[which].push(await once(which, plan.seconds));
        }
      }
      results.push(
        compare(
          { row: row.name, unit: 'request', target: row.target, measure: 'cpu' },
          summarize('ambit', collected.ours),
          summarize(row.reference, collected.reference),
        ),
      );
      await Promise.all([ours.stop(), reference.stop()]);
    }
    return results;
  } finally {
    for (const child of children) await child.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function startGateway(port: number): Promise<Child> {
  const script = join(import.meta.dirname, 'gateway-process.ts');
  const child = startChild({
    command: process.execPath,
    args: [script, String(port), String(originPort)],
    core: proxyCore,
  });
  await child.waitFor('listening');
  return child;
}
