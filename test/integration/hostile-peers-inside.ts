/** A data part on loopback addresses, and python3-h2 in front of its 15008: what it bears, what it refuses, and whom that hurts. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { policyKey, type SpiffeId } from '../../src/api/names.ts';
import { createHbonePool } from '../../src/hbone/index.ts';
import { errorCode } from '../../src/http/h2/constants.ts';
import { connectTls } from '../../src/identity/index.ts';
import { meshWorkload } from '../../src/mesh/fixtures.ts';
import { tlsChannel } from '../../src/net/index.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { eventually } from '../support/run.ts';
import { startTestDataPart, type TestDataPart } from './ztunnel-fixture.ts';

const serverIp = '127.0.71.2';
const besiegedIp = '127.0.71.3';
const program = join(import.meta.dirname, '../support/programs/h2_peer.py');

interface Outcome {
  readonly alpn: string;
  readonly statuses: readonly string[];
  readonly resets: readonly number[];
  readonly goaway: number | null;
  readonly closed: boolean;
  readonly bytes: number;
  readonly equal?: boolean;
  readonly ended?: boolean;
}

describe('a peer of another make', () => {
  let folder: string;
  let authority: TestAuthority;
  let part: TestDataPart;
  let application: Server;
  let target: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ambit-hostile-'));
    authority = await createTestAuthority();
    await writeFiles();
    application = net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      socket.pipe(socket);
    });
    application.listen(0, serverIp);
    await once(application, 'listening');
    target = `${serverIp}:${(application.address() as AddressInfo).port}`;
    part = startTestDataPart(authority);
    part.setAddresses(meshWorkload({ name: 'web', serviceAccount: 'web', addresses: [serverIp] }));
    await part.serve({
      pod: { uid: 'web-uid', name: 'web', namespace: 'shop', serviceAccount: 'web' },
      listenAt: { host: serverIp, outboundPort: 15001, inboundPort: 15008, plaintextPort: 15006 },
    });
  });
  after(async () => {
    await part.drain(10);
    application.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function writeFiles(): Promise<void> {
    const certificate = await authority.certificate('front/caller');
    await writeFile(join(folder, 'cert.pem'), certificate.chainPem.join(''));
    await writeFile(join(folder, 'key.pem'), certificate.key.export({ type: 'pkcs8', format: 'pem' }));
    await writeFile(join(folder, 'root.pem'), certificate.rootsPem);
  }

  function start(scenario: string): ReturnType<typeof spawn> {
    const files = ['cert.pem', 'key.pem', 'root.pem'].map((name) => join(folder, name));
    const args = [program, scenario, serverIp, '15008', ...files, target];
    return spawn('/usr/bin/python3', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  }

  async function run(scenario: string): Promise<Outcome> {
    const child = start(scenario);
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await once(child, 'close');
    assert.notEqual(output, '', `${scenario} says what became of it`);
    return JSON.parse(output.trim().split('\n').at(-1) ?? '') as Outcome;
  }

  /** Everybody else is served as before. */
  async function expectUnharmed(): Promise<void> {
    const { bytes, equal } = await run('echo');
    assert.deepEqual({ bytes, equal }, { bytes: 200_000, equal: true });
  }

  test('gets every byte back through windows of 1,000 bytes, with padding and priorities', async () => {
    const { alpn, statuses, bytes, equal, ended } = await run('echo');
    assert.deepEqual(
      { alpn, statuses, bytes, equal, ended },
      { alpn: 'h2', statuses: ['200'], bytes: 200_000, equal: true, ended: true },
    );
  });

  test('that says everything before the answer, its end included, gets the whole answer', async () => {
    const { statuses, bytes, ended } = await run('half-close');
    assert.deepEqual({ statuses, bytes, ended }, { statuses: ['200'], bytes: 5, ended: true });
  });

  const enhanceYourCalm = { goaway: errorCode.enhanceYourCalm, closed: true };
  for (const [scenario, expected, logged] of [
    ['rapid-reset', enhanceYourCalm, /too many/],
    ['settings-flood', enhanceYourCalm, /too many SETTINGS/],
    ['ping-flood', enhanceYourCalm, /too many PING/],
    ['priority-flood', enhanceYourCalm, /too many PRIORITY/],
    ['unknown-flood', enhanceYourCalm, /too many unknown frames/],
    ['window-update-flood', enhanceYourCalm, /too many WINDOW_UPDATE/],
    ['ping-ack-flood', enhanceYourCalm, /too many PING acknowledgements/],
    ['settings-ack-flood', enhanceYourCalm, /too many SETTINGS acknowledgements/],
    ['empty-data-flood', enhanceYourCalm, /too many empty DATA/],
    ['goaway-flood', enhanceYourCalm, /too many GOAWAY/],
    ['continuation-flood', { closed: true }, /header block/],
  ] as const) {
    test(`with ${scenario} is cut off, in one line of the log, and nobody else is`, async () => {
      const before = part.log.length;
      const outcome = await run(scenario);
      for (const [name, value] of Object.entries(expected)) assert.equal(outcome[name as keyof Outcome], value, name);
      await part.logLine(logged);
      // A tunnel that ends with its connection has a line of its own.
      const isOwn = (line: string): boolean => logged.test(line) && !line.includes('dst.hbone_addr=');
      await eventually(async () => part.log.slice(before).some(isOwn), 'a line for the connection');
      const lines = part.log.slice(before).filter(isOwn);
      assert.equal(lines.length, 1, lines.join('\n'));
      assert.match(lines[0] ?? '', /src\.identity="spiffe:\/\/cluster\.local\/ns\/front\/sa\/caller"/);
      await expectUnharmed();
    });
  }

  test('with a HPACK bomb is refused before it is unpacked', async () => {
    const { statuses, closed } = await run('hpack-bomb');
    assert.ok(closed || statuses.includes('431'), JSON.stringify({ statuses, closed }));
    await expectUnharmed();
  });

  test('with too much metadata is refused that one stream', async () => {
    const { statuses, closed } = await run('metadata');
    assert.deepEqual({ statuses, closed }, { statuses: ['431', '200'], closed: false });
  });

  test('that ends a tunnel with trailers is heard to its end', async () => {
    const { statuses, bytes, resets } = await run('trailers');
    assert.deepEqual({ statuses, bytes, resets }, { statuses: ['200'], bytes: 10, resets: [] });
  });

  test('that begins handshakes and leaves them unfinished keeps nobody out', async () => {
    const besieged = startTestDataPart(authority, { maxHandshakes: 8 });
    besieged.setAddresses(meshWorkload({ name: 'besieged', serviceAccount: 'besieged', addresses: [besiegedIp] }));
    await besieged.serve({
      pod: { uid: 'besieged-uid', name: 'besieged', namespace: 'shop', serviceAccount: 'besieged' },
      listenAt: { host: besiegedIp, outboundPort: 15001, inboundPort: 15008, plaintextPort: 15006 },
    });
    const certificate = await authority.certificate('front/caller');
    const silent: Socket[] = [];
    try {
      for (let i = 0; i < 40; i++) {
        const socket = net.connect({ host: besiegedIp, port: 15008 });
        socket.on('error', () => {});
        silent.push(socket);
        await once(socket, 'connect');
      }
      const honest = net.connect({ host: besiegedIp, port: 15008 });
      const expected = ['spiffe://cluster.local/ns/shop/sa/besieged' as SpiffeId];
      const { socket } = await connectTls({ socket: honest, certificate, expected });
      // The settings of HTTP/2: it is in, and they are not.
      await once(socket.resume(), 'data');
      socket.destroy();
      await besieged.logLine(/error=".*too many handshakes are under way, and none of them longer than this one"/);
      assert.ok(silent.some(({ destroyed }) => !destroyed));
    } finally {
      for (const socket of silent) socket.destroy();
      await besieged.drain(10);
    }
  });

  test('that gives a CONNECT up before its answer is waited for no longer', async () => {
    const web = { name: 'web', serviceAccount: 'web', addresses: [serverIp] };
    part.setAddresses(meshWorkload({ ...web, authorizationPolicies: [policyKey('shop', 'late')] }));
    await part.applied();
    const certificate = await authority.certificate('front/caller');
    const expected = ['spiffe://cluster.local/ns/shop/sa/web' as SpiffeId];
    const pool = createHbonePool({
      async dial() {
        const socket = net.connect({ host: serverIp, port: 15008 });
        return tlsChannel((await connectTls({ socket, certificate, expected })).socket);
      },
    });
    try {
      const before = part.log.length;
      const giveUp = new AbortController();
      const asked = pool.connect({ id: 'web' }, { authority: target }, giveUp.signal);
      asked.catch(() => {});
      // It is held for a policy that has not come.
      await eventually(async () => (await part.connections('web-uid', 'inbound')).length === 1, 'it is held');
      giveUp.abort();
      await assert.rejects(asked, { code: 'hbone.aborted' });
      const line = await eventually(
        async () => part.log.slice(before).find((text) => text.includes(`dst.hbone_addr=${target}`)),
        'a line for it',
      );
      assert.match(line, /error="Cannot take connection: the client gave up/);
    } finally {
      pool.close();
      part.setAddresses(meshWorkload(web));
      await part.applied();
    }
    await expectUnharmed();
  });

  test('whose hundred tunnels have no window slows nobody down', async () => {
    const child = start('no-window');
    const [line] = (await once(child.stdout!, 'data')) as [Buffer];
    assert.deepEqual(JSON.parse(line.toString()), { stalled: 100 });
    await expectUnharmed();
    child.stdin?.end();
    await once(child, 'close');
  });
});
