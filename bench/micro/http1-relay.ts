/**
 * `node bench/micro/http1-relay.ts [seconds] [body bytes]`: CPU microseconds a request of a relay that is nothing but the two HTTP/1.1 codecs, beside nginx as
 * a plain proxy, in turn. Needs nginx and wrk.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dial } from '../../src/net/dial.ts';
import { tcpChannel } from '../../src/net/tcp-channel.ts';
import { createRelay, listenRelay } from '../../test/support/http1-relay.ts';
import { startChild } from '../lib/child.ts';
import { cpuTimeNs } from '../lib/cpu.ts';

const backendPort = 22081;
const nginxPort = 22082;
const relayPort = 22083;
const proxyCore = 1;
const loadCore = 0;
const runs = 5;

if (process.argv[2] === 'serve') await serve();
else await compare();

async function serve(): Promise<void> {
  const relay = createRelay({
    connect: async () => tcpChannel(await dial({ host: '127.0.0.1', port: backendPort, timeoutMs: 5000 })),
  });
  await listenRelay(relay, relayPort);
  process.stdout.write('listening\n');
}

async function compare(): Promise<void> {
  const seconds = Number(process.argv[2] ?? 3);
  const bodyBytes = Number(process.argv[3] ?? 256);
  const dir = mkdtempSync(join(tmpdir(), 'ambit-relay-'));
  writeFileSync(join(dir, 'body'), 'x'.repeat(bodyBytes));
  const nginx = (name: string, core: number, http: string): ReturnType<typeof startChild> => {
    const path = join(dir, `${name}.conf`);
    writeFileSync(
      path,
      `daemon off; master_process off; worker_processes 1; pid ${dir}/${name}.pid; error_log /dev/null crit;
events { worker_connections 4096; }
http { access_log off; sendfile on; open_file_cache max=10; client_body_temp_path ${dir}/b; proxy_temp_path ${dir}/p; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
keepalive_requests 100000000; ${http} }
`,
    );
    return startChild({ command: '/usr/sbin/nginx', args: ['-p', dir, '-c', path, '-e', '/dev/null'], core });
  };
  const backend = nginx(
    'backend',
    loadCore,
    `server { listen 127.0.0.1:${backendPort}; default_type application/json;
add_header cache-control "no-cache"; add_header x-request-id "6d9b0c3e-6a55-4c70-9b1c-3a1f5a2e8b11";
root ${dir}; location / { try_files /body =404; } }`,
  );
  const proxy = nginx(
    'proxy',
    proxyCore,
    `upstream b { server 127.0.0.1:${backendPort}; keepalive 256; keepalive_requests 100000000; }
server { listen 127.0.0.1:${nginxPort}; location / { proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection ""; } }`,
  );
  const relay = startChild({
    command: process.execPath,
    args: [import.meta.filename, 'serve'],
    core: proxyCore,
  });
  await relay.waitFor('listening');
  await new Promise((resolve) => setTimeout(resolve, 500));
  const costs: Record<string, number[]> = { nginx: [], relay: [] };
  for (let run = 0; run <= runs; run++) {
    for (const [name, port, pid] of [
      ['nginx', nginxPort, proxy.pid],
      ['relay', relayPort, relay.pid],
    ] as const) {
      const cost = await load(port, pid, seconds);
      if (run > 0) costs[name]?.push(cost);
    }
  }
  await Promise.all([relay.stop(), proxy.stop(), backend.stop()]);
  rmSync(dir, { recursive: true });
  const median = (values: readonly number[]): number =>
    values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
  for (const [name, values] of Object.entries(costs)) {
    process.stdout.write(
      `${name.padEnd(8)} ${median(values).toFixed(1).padStart(6)} us a request (min ${Math.min(...values).toFixed(1)}, n=${values.length})\n`,
    );
  }
  process.stdout.write(
    `ratio    ${(median(costs['relay'] ?? []) / median(costs['nginx'] ?? [])).toFixed(2).padStart(6)}\n`,
  );
}

/** CPU microseconds a request of process `pid`. */
async function load(port: number, pid: number, seconds: number): Promise<number> {
  const headers = [
    'Accept: application/json, text/plain, */*',
    'Accept-Encoding: gzip, deflate, br',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
    'Cookie: session=abcdef0123456789; theme=dark',
    'X-Request-Id: 6d9b0c3e-6a55-4c70-9b1c-3a1f5a2e8b11',
    'Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'Cache-Control: no-cache',
  ].flatMap((header) => ['-H', header]);
  const wrk = startChild({
    command: 'wrk',
    args: ['-t1', '-c64', `-d${seconds}s`, ...headers, `http://127.0.0.1:${port}/api/v1/products/42`],
    core: loadCore,
  });
  let requests = 0;
  wrk.onLine = (line) => {
    const found = /^ *(\d+) requests in/.exec(line)?.[1];
    if (found !== undefined) requests = Number(found);
    if (/Non-2xx|Socket errors/.test(line)) process.stdout.write(`${line}\n`);
  };
  const before = cpuTimeNs(pid);
  await wrk.ended;
  return (cpuTimeNs(pid) - before) / 1000 / Math.max(1, requests);
}
