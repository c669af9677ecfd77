/** Requests of python3-h2 to our HTTP/2 server over TLS: what it bears, what it refuses, and whom that hurts. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { TLSSocket } from 'node:tls';
import { errorCode } from '../../src/http/h2/constants.ts';
import { ReceiveBudget, serveHttp2 } from '../../src/http/h2/index.ts';
import { HeaderList } from '../../src/http/header-list.ts';
import type { RequestListener, ServerExchange } from '../../src/http/message.ts';
import { writeResult } from '../../src/net/channel.ts';
import { tlsChannel } from '../../src/net/tls-channel.ts';
import { eventually } from '../support/run.ts';

const program = join(import.meta.dirname, '../support/programs/h2_peer.py');
const pemFile = join(import.meta.dirname, '../../src/net/channel.test.pem');
/** Debian's own Python, where its package python3-h2 is. */
const hasPeer = spawnSync('/usr/bin/python3', ['-c', 'import h2']).status === 0;

interface Outcome {
  readonly statuses: readonly string[];
  readonly resets: readonly number[];
  readonly goaway: number | null;
  readonly closed: boolean;
  readonly bytes: number;
  readonly equal?: boolean;
  readonly ended?: boolean;
}

/** Sends the body back as it comes; `/wait` is never answered, `/gone` without a body. */
function answer(exchange: ServerExchange): void {
  let owed = 0;
  exchange.read({
    onData(bytes) {
      if (exchange.write(bytes) === writeResult.done) exchange.credit(bytes.length);
      else owed += bytes.length;
    },
    onEnd: () => exchange.end(),
    onDrain() {
      exchange.credit(owed);
      owed = 0;
    },
    onClose() {},
  });
  const { path } = exchange.request;
  if (path === '/gone') exchange.respond({ status: 404, headers: new HeaderList() }, true);
  else if (path !== '/wait') exchange.respond({ status: 200, headers: new HeaderList() }, false);
}

describe('requests of another make', { skip: !hasPeer && 'no h2 for /usr/bin/python3: install python3-h2' }, () => {
  const budget = new ReceiveBudget();
  /** Little, so that not much more than the kernel's buffers has to be filled. */
  const limits = { maxUnreadBytes: 64 * 1024 };
  const ends: (string | undefined)[] = [];
  let requests = 0;
  let server: Server;

  before(async () => {
    const pem = readFileSync(pemFile);
    const listener: RequestListener = {
      onRequest(exchange) {
        requests++;
        answer(exchange);
      },
      onClose: (error) => void ends.push(error?.message),
    };
    server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      const secure = new TLSSocket(socket, { isServer: true, key: pem, cert: pem, ALPNProtocols: ['h2'] });
      secure.on('error', () => {});
      secure.once('secure', () => serveHttp2(tlsChannel(secure), { listener, budget, limits }));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
  });
  after(async () => {
    server.close();
    await once(server, 'close');
  });

  function start(scenario: string, path: string): ChildProcessByStdio<Writable, Readable, null> {
    const { port } = server.address() as AddressInfo;
    const args = [program, scenario, '127.0.0.1', String(port), pemFile, pemFile, pemFile, `https://shop${path}`];
    return spawn('/usr/bin/python3', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  }

  async function run(scenario: string, path = '/'): Promise<Outcome> {
    const child = start(scenario, path);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await once(child, 'close');
    assert.notEqual(output, '', `${scenario} says what became of it`);
    return JSON.parse(output.trim().split('\n').at(-1) ?? '') as Outcome;
  }

  /** Everybody else is served as before. */
  async function expectUnharmed(): Promise<void> {
    const { bytes, equal } = await run('echo');
    assert.deepEqual({ bytes, equal }, { bytes: 200_000, equal: true });
  }

  it('get every byte back through windows of 1,000 bytes, with padding and priorities', async () => {
    const { statuses, bytes, equal, ended, resets } = await run('echo');
    assert.deepEqual(
      { statuses, bytes, equal, ended, resets },
      { statuses: ['200'], bytes: 200_000, equal: true, ended: true, resets: [] },
    );
  });

  it('may end before they are answered, and with trailers', async () => {
    const early = await run('half-close');
    assert.deepEqual([early.statuses, early.bytes, early.ended], [['200'], 5, true]);
    const trailers = await run('trailers');
    assert.deepEqual([trailers.statuses, trailers.bytes, trailers.resets], [['200'], 10, []]);
  });

  for (const [scenario, reason] of [
    ['rapid-reset', /too many resets of requests under way/],
    ['settings-flood', /too many SETTINGS/],
    ['ping-flood', /too many PING/],
    ['priority-flood', /too many PRIORITY/],
    ['unknown-flood', /too many unknown frames/],
    ['window-update-flood', /too many WINDOW_UPDATE/],
    ['ping-ack-flood', /too many PING acknowledgements/],
    ['settings-ack-flood', /too many SETTINGS acknowledgements/],
    ['empty-data-flood', /too many empty DATA/],
    ['goaway-flood', /too many GOAWAY/],
    ['continuation-flood', /header block over the limit/],
  ] as const) {
    it(`that come with ${scenario} end their connection, and no other`, async () => {
      const before = requests;
      const endsBefore = ends.length;
      const { goaway, closed } = await run(scenario, '/wait');
      assert.ok(closed);
      assert.ok(goaway === null || goaway === errorCode.enhanceYourCalm);
      // The client may hear of its end before we do.
      const isTold = async (): Promise<boolean> => ends.slice(endsBefore).some((message) => reason.test(message ?? ''));
      await eventually(isTold, `${reason} in ${ends.join()}`);
      assert.ok(requests - before < 2_000, `${requests - before} requests came through`);
      await expectUnharmed();
    });
  }

  it('whose answers nobody reads end their connection, and no other', async () => {
    const endsBefore = ends.length;
    const { closed } = await run('unread', '/gone');
    assert.ok(closed);
    await eventually(
      async () => ends.slice(endsBefore).some((message) => /does not read the answers/.test(message ?? '')),
      `the reason in ${ends.join()}`,
    );
    await expectUnharmed();
  });

  it('that unpack to more than they say are refused before they are unpacked', async () => {
    const { statuses, closed } = await run('hpack-bomb');
    assert.ok(closed || statuses.includes('431'), JSON.stringify({ statuses, closed }));
    await expectUnharmed();
  });

  it('with too large a head are refused alone', async () => {
    const { statuses, closed } = await run('metadata');
    assert.deepEqual({ statuses, closed }, { statuses: ['431', '200'], closed: false });
  });

  it('whose answers have nowhere to go hold little, and slow nobody down', async () => {
    const child = start('no-window', '/');
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    assert.deepEqual(JSON.parse(line.toString()), { stalled: 100 });
    await expectUnharmed();
    assert.ok(budget.heldBytes <= 100 * 600, `${budget.heldBytes} bytes are held`);
    child.stdin.end();
    await once(child, 'close');
  });
});
