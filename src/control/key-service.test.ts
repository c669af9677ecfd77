/** Both ends of the call that asks for keys: a proxy's and the control plane's, over a real connection. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createTestAuthority } from '../../test/support/certificates.ts';
import { eventually } from '../../test/support/run.ts';
import { createFakeClock, type FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { createKeyRefresh, type KeyRefresh } from '../proxy/key-refresh.ts';
import { createRpcServer, rpcError, type RpcServer } from '../rpc/index.ts';
import { registerKeyService } from './key-service.ts';

describe('a proxy that meets an unknown key', () => {
  let server: RpcServer;
  let clock: FakeClock;
  let keys: KeyRefresh;
  const asked: string[] = [];
  const warned: unknown[] = [];
  let isKnown = true;

  before(async () => {
    const authority = await createTestAuthority();
    const certificate = await authority.signServer({ dnsNames: ['localhost'], ips: ['127.0.0.1'] });
    server = createRpcServer({ certificate, log: silentLog() });
    registerKeyService(server, {
      authenticate: () => (isKnown ? Promise.resolve() : Promise.reject(rpcError('permission-denied', 'who is that?'))),
      resolver: { refresh: (keySet) => keySet !== 'nobody needs it' && asked.push(keySet) > 0 },
    });
    const port = await server.listen({ host: '127.0.0.1', port: 0 });
    clock = createFakeClock();
    const log = { ...silentLog(), warn: (_: string, fields?: object) => void warned.push(fields) };
    const controlPlane = { address: `https://127.0.0.1:${port}`, rootCertPath: authority.rootPem };
    keys = createKeyRefresh({ controlPlane, clock, log });
  });
  after(async () => {
    keys?.close();
    await server?.close();
  });

  it('asks for its set, however many tokens have it, at most every five seconds', async () => {
    for (let i = 0; i < 100; i++) keys.ask('jwks https://a.example');
    keys.ask('jwks https://b.example');
    await eventually(async () => asked.length >= 2, 'both are asked for');
    clock.advance(4999);
    keys.ask('jwks https://a.example');
    clock.advance(1);
    keys.ask('jwks https://c.example');
    await eventually(async () => asked.length >= 3, 'the third is asked for');
    assert.deepEqual(
      asked.toSorted(),
      ['a', 'b', 'c'].map((name) => `jwks https://${name}.example`),
    );
    keys.ask('jwks https://a.example');
    await eventually(async () => asked.length >= 4, 'the first is asked for again');
  });

  it('is refused where no policy needs the set, and where it is nobody', async () => {
    keys.ask('nobody needs it');
    await eventually(async () => warned.length === 1, 'it is said');
    isKnown = false;
    const before = asked.length;
    keys.ask('jwks https://d.example');
    await eventually(async () => warned.length === 2, 'it is said');
    assert.equal(asked.length, before);
    assert.match(JSON.stringify(warned), /no policy needs the key set .*nobody needs it.*who is that\?/);
  });
});
