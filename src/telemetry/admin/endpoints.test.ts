import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { openLog, silentLog } from '../../lib/log.ts';
import { systemClock } from '../../lib/clock.ts';
import { MetricsRegistry, profileThread } from '../index.ts';
import { dumpPage, loggingPage, profilePages, quitPage, serveAdmin } from './admin-endpoint.ts';
import type { RunningEndpoint } from './http-server.ts';
import { createLogLevels } from './log-levels.ts';
import { negotiateEncoding, serveMetrics } from './metrics-endpoint.ts';
import { Readiness } from './readiness.ts';
import { serveReadiness } from './readiness-endpoint.ts';

const log = silentLog();

/** A connection of its own: one that idled while a test held the thread is ended by the server just when it is used again. */
const alone = { connection: 'close' };

describe('admin port', () => {
  let admin: RunningEndpoint;
  let base: string;
  let quits = 0;
  const lines: string[] = [];
  const levels = createLogLevels(
    openLog({ scope: 'z', level: 'debug', write: (line) => void lines.push(line) }),
    'warn',
    { process: 'z', names: ['dns'] },
  );

  before(async () => {
    admin = await serveAdmin({
      port: 0,
      log,
      name: 'ztunnel',
      version: '1.2.3',
      pages: [
        dumpPage('everything', async () =>
          (async function* () {
            yield '{"a":';
            yield '1}';
          })(),
        ),
        loggingPage(levels),
        quitPage(() => quits++),
        ...profilePages('ztunnel', async (kind, durationMs, gone) => [
          { thread: 'control', recorded: await profileThread(kind, durationMs, gone) },
        ]),
      ],
    });
    base = `http://127.0.0.1:${admin.port}`;
  });
  after(() => admin.close());

  async function call(path: string, method = 'GET'): Promise<{ status: number; text: string }> {
    const response = await fetch(`${base}${path}`, { method, headers: alone });
    return { status: response.status, text: await response.text() };
  }

  test('lists what there is, and answers only what was asked in its way', async () => {
    const { text } = await call('/');
    for (const path of ['/config_dump', '/logging', '/quitquitquit', '/debug/pprof/profile', '/debug/pprof/heap'])
      assert.ok(text.includes(path), path);
    assert.match(text, /Ambit 1\.2\.3/);
    assert.equal((await call('/nothing')).status, 404);
    assert.equal((await call('/quitquitquit')).status, 405);
    assert.equal((await call('/config_dump', 'POST')).status, 405);
    assert.deepEqual(await call('/config_dump'), { status: 200, text: '{"a":1}' });
    assert.equal(quits, 0);
    assert.equal((await call('/quitquitquit', 'POST')).text, 'shutdown now\n');
    assert.equal(quits, 1);
  });

  test('levels are read and set as istioctl does, and take effect at once', async () => {
    // What istioctl sends to ask.
    assert.equal((await call('/logging?level=', 'POST')).text, 'current log level is warn\n');
    levels.log.info('before');
    assert.equal((await call('/logging?level=info,dns:debug', 'POST')).text, 'current log level is info,dns:debug\n');
    levels.log.info('after');
    assert.equal((await call('/logging?level=loud', 'POST')).status, 400);
    assert.deepEqual(await call('/logging?level=nobody:debug', 'POST'), {
      status: 400,
      text: 'Unknown scope "nobody": there are dns\n',
    });
    assert.equal((await call('/logging?level=info&reset', 'POST')).text, 'current log level is info\n');
    assert.equal((await call('/logging?reset', 'POST')).text, 'current log level is warn\n');
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { message: string }).message),
      ['after'],
    );
  });

  test('is on loopback alone, and not for pages that come by another name', async (context) => {
    const request = `GET /config_dump HTTP/1.1\r\nhost: evil.example:${admin.port}\r\nconnection: close\r\n\r\n`;
    const socket = connect(admin.port, '127.0.0.1').end(request);
    const answer = (await Array.fromAsync(socket as AsyncIterable<Buffer>)).join('');
    assert.match(answer, /^HTTP\/1\.1 403 /);
    const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const outer = addresses.find(({ internal, family }) => !internal && family === 'IPv4');
    if (!outer) return context.diagnostic('this machine has no other address');
    await assert.rejects(fetch(`http://${outer.address}:${admin.port}/`), { name: 'TypeError' });
  });

  /** What `go tool pprof` says of a profile; undefined without Go. */
  function pprof(context: TestContext, profile: Uint8Array, ...options: string[]): string | undefined {
    if (spawnSync('go', ['version']).status !== 0) {
      context.diagnostic('go is not installed: its pprof is not asked');
      return undefined;
    }
    const folder = mkdtempSync(join(tmpdir(), 'ambit-pprof-'));
    const file = join(folder, 'profile.pb.gz');
    writeFileSync(file, profile);
    const { stdout, stderr, status } = spawnSync('go', ['tool', 'pprof', ...options, file], { encoding: 'utf8' });
    rmSync(folder, { recursive: true });
    assert.equal(status, 0, stderr);
    return stdout;
  }

  test('processor time is told by function, for go tool pprof and for Chrome', async (context) => {
    let isDone = false;
    context.after(() => void (isDone = true));
    const burnProcessorTime = (): void => {
      const until = performance.now() + 5;
      while (performance.now() < until);
      if (!isDone) setImmediate(burnProcessorTime);
    };
    burnProcessorTime();
    const first = fetch(`${base}/debug/pprof/profile?seconds=0.2`, { headers: alone });
    const response = await first;
    const body = await response.bytes();
    assert.match(gunzipSync(body).toString('latin1'), /burnProcessorTime/);
    const top = pprof(context, body, '-top');
    if (top !== undefined) assert.match(top, /Type: cpu\n[^]*burnProcessorTime/);
    const chrome = await call('/debug/pprof/profile?seconds=0.1&format=cpuprofile');
    isDone = true;
    assert.ok((JSON.parse(chrome.text) as { nodes: object[] }).nodes.length > 1);
    assert.equal((await call('/debug/pprof/profile?seconds=0.01&format=cpuprofile&thread=x')).status, 404);
    assert.equal((await call('/debug/pprof/profile?seconds=1000')).status, 400);
  });

  test('one profile at a time, ended by who leaves', async () => {
    const leave = new AbortController();
    const long = fetch(`${base}/debug/pprof/profile?seconds=60`, { signal: leave.signal }).catch(() => 'left');
    while ((await call('/debug/pprof/profile?seconds=0.001')).status !== 409);
    leave.abort();
    assert.equal(await long, 'left');
    while ((await call('/debug/pprof/profile?seconds=0.001')).status === 409);
  });

  test('memory that is still held is told by function', async (context) => {
    const held: object[][] = [];
    const timer = setInterval(() => held.push(Array.from({ length: 50_000 }, (_, i) => ({ i }))), 5);
    const response = await fetch(`${base}/debug/pprof/heap?seconds=0.2`, { headers: alone });
    clearInterval(timer);
    const body = await response.bytes();
    assert.ok(held.length > 0);
    assert.match(gunzipSync(body).toString('latin1'), /inuse_space/);
    const top = pprof(context, body, '-top');
    if (top !== undefined) assert.match(top, /Type: inuse_space/);
  });
});

test('metrics come compressed to who takes it', async () => {
  const registry = new MetricsRegistry({ clock: systemClock, log });
  registry.gauge('ambit_up', 'Up', () => 1);
  const endpoint = await serveMetrics({ host: '127.0.0.1', port: 0, log, snapshot: async () => registry.snapshot() });
  const text = '# HELP ambit_up Up\n# TYPE ambit_up gauge\nambit_up 1\n';
  for (const path of ['/metrics', '/stats/prometheus']) {
    for (const encoding of ['gzip', 'zstd', 'identity']) {
      const response = await fetch(`http://127.0.0.1:${endpoint.port}${path}`, {
        headers: { 'accept-encoding': encoding, accept: 'application/openmetrics-text' },
      });
      assert.equal(response.headers.get('content-encoding'), encoding === 'identity' ? null : encoding);
      assert.equal(response.headers.get('content-type'), 'application/openmetrics-text; version=1.0.0; charset=utf-8');
      if (encoding !== 'zstd') assert.equal(await response.text(), `${text}# EOF\n`);
      else await response.body?.cancel();
    }
  }
  await endpoint.close();
  assert.equal(negotiateEncoding('gzip;q=0, deflate'), 'identity');
  assert.equal(negotiateEncoding('br, gzip;q=0.5'), 'gzip');
});

test('readiness names what is pending', async () => {
  const readiness = new Readiness(['state manager', 'workload proxy manager']);
  const endpoint = await serveReadiness({ host: '127.0.0.1', port: 0, log, readiness });
  const ask = async (): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${endpoint.port}/healthz/ready`);
    return [response.status, await response.text()];
  };
  assert.deepEqual(await ask(), [500, 'not ready, pending: state manager, workload proxy manager\n']);
  readiness.set('state manager', true);
  readiness.set('workload proxy manager', true);
  assert.deepEqual(await ask(), [200, 'ready\n']);
  // The node agent went away.
  readiness.set('workload proxy manager', false);
  assert.deepEqual(await ask(), [500, 'not ready, pending: workload proxy manager\n']);
  await endpoint.close();
});

test('connections that are held open keep nobody out', async () => {
  const readiness = new Readiness([]);
  const endpoint = await serveReadiness({ port: 0, log, readiness });
  const held = Array.from({ length: 300 }, () => connect(endpoint.port, '127.0.0.1').on('error', () => {}));
  try {
    await Promise.all(held.map((socket) => once(socket, 'connect')));
    const response = await fetch(`http://127.0.0.1:${endpoint.port}/healthz/ready`, { headers: alone });
    assert.equal(response.status, 200);
    assert.equal(await response.text(), 'ready\n');
  } finally {
    for (const socket of held) socket.destroy();
    await endpoint.close();
  }
});
