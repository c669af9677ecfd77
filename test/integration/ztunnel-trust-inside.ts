/** Live connections and new ones while certificates are revoked, and while the authority is away for longer than they live between renewals. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { registerCertificateService } from '../../src/ca/index.ts';
import {
  createCaClient,
  createCertificateManager,
  type CertificateState,
  type WorkloadCertificate,
} from '../../src/identity/index.ts';
import { sleep, systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createRpcServer, type RpcServer } from '../../src/rpc/index.ts';
import { createTestAuthority, openTestAuthority, testIdentity } from '../support/certificates.ts';
import { openOpensslRoot } from '../support/openssl-authority.ts';
import { exchange, sample, startLoadedPair } from './ztunnel-load.ts';

const caller = testIdentity('front/caller');

describe('trust between two data parts', () => {
  for (const family of ['IPv4', 'IPv6'] as const) {
    test(`a revoked certificate ends its live connections with CERT_REVOKED, and no new one comes, in ${family}`, async () => {
      using root = openOpensslRoot('mesh');
      const authority = await openTestAuthority(root);
      const issued: WorkloadCertificate[] = [];
      const issuing = {
        async certificate(identity: string) {
          const certificate = await authority.certificate(identity);
          issued.push(certificate);
          return certificate;
        },
      };
      const pair = await startLoadedPair(issuing, family);
      try {
        pair.server.send({ kind: 'revocations', lists: root.crl() });
        await exchange(pair.dial(), 100_000, 1);
        const live = pair.dial();
        live.write('x');
        await once(live, 'data');

        const revoked = issued.find(({ identity }) => identity === caller);
        root.revoke(revoked?.chainPem[0] ?? '');
        const ended = new Promise((resolve) => live.once('close', resolve));
        pair.server.send({ kind: 'revocations', lists: root.crl() });
        await ended;
        await pair.server.logLine(
          /direction="inbound".*error="[^"]*the peer's certificate, serial [0-9a-f]+, is revoked/,
        );
        await assert.rejects(exchange(pair.dial(), 1000, 2));
        const metrics = await pair.server.metrics();
        assert.equal(
          sample(
            metrics,
            /^istio_tcp_connections_failed_total\{.*reporter="destination".*response_flags="CERT_REVOKED"/,
          ) >= 1,
          true,
          metrics,
        );
        assert.ok(
          sample(metrics, /^istio_crl_policy_rejections_total\{reporter="destination"\}/) >= 2,
          'one cut, one refused',
        );

        // Another certificate of the same workload is as good as ever.
        pair.client.send({
          kind: 'certificate',
          identity: caller,
          certificate: { ...(await authority.certificate(caller)), generation: 2 },
        });
        await exchange(pair.dial(), 100_000, 3);
      } finally {
        await pair.close();
      }
    });
  }

  test('an authority that is away when certificates are due is not noticed, and renewal catches up', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ambit-outage-'));
    const authority = await createTestAuthority();
    writeFileSync(join(folder, 'root.pem'), authority.rootPem);
    const serving = await authority.signServer({ dnsNames: ['localhost'], ips: ['127.0.0.1'] });
    const open = async (port: number): Promise<{ server: RpcServer; port: number }> => {
      const server = createRpcServer({ certificate: serving, log: silentLog() });
      const authorize = (_: unknown, wanted?: typeof caller): Promise<typeof caller> =>
        Promise.resolve(wanted ?? caller);
      registerCertificateService(server, { authority, authorize, log: silentLog() });
      return { server, port: await server.listen({ host: '127.0.0.1', port }) };
    };
    let service = await open(0);
    const ttlSeconds = 12;
    const address = `https://127.0.0.1:${service.port}`;
    writeFileSync(join(folder, 'token'), 'any');
    const ca = createCaClient({
      address,
      rootCertPath: join(folder, 'root.pem'),
      tokenPath: join(folder, 'token'),
      clusterId: 'Kubernetes',
      ttlSeconds,
    });
    const refused = new Set<string>();
    const manager = createCertificateManager({
      async sign(csrPem, identity, signal) {
        try {
          return await ca.sign(csrPem, identity, signal);
        } catch (error) {
          refused.add(identity);
          throw error;
        }
      },
      trustDomain: 'cluster.local',
      ttlSeconds,
      clock: systemClock,
      log: silentLog(),
      random: () => 0.5,
    });
    const issuing = {
      certificate(identity: string) {
        manager.retain(testIdentity(identity));
        return manager.certificate(testIdentity(identity), AbortSignal.timeout(10_000));
      },
    };
    const pair = await startLoadedPair(issuing, 'IPv6');
    const rotated: WorkloadCertificate[] = [];
    manager.onRotate((certificate) => {
      rotated.push(certificate);
      for (const part of [pair.client, pair.server])
        part.send({ kind: 'certificate', identity: certificate.identity, certificate });
    });
    try {
      let served = 0;
      const trafficUntil = async (what: string, isDone: () => boolean): Promise<void> => {
        const deadlineMs = Date.now() + 60_000;
        do {
          assert.ok(Date.now() < deadlineMs, what);
          await exchange(pair.dial(), 10_000, served++);
          await sleep(50);
        } while (!isDone());
      };
      const held = (): Extract<CertificateState, { kind: 'available' }>[] =>
        manager.list().map(({ state }) => {
          assert.ok(state.kind === 'available', state.kind);
          return state;
        });
      await trafficUntil('connections before', () => served > 5);
      const live = pair.dial();
      const echoed = async (text: string): Promise<void> => {
        live.write(text);
        assert.equal(String((await once(live, 'data'))[0]), text);
      };
      await echoed('with the first certificates');
      await service.server.close();
      const before = rotated.length;
      refused.clear();
      const endsMs = Math.max(...held().map(({ certificate }) => certificate.notAfterMs));
      await trafficUntil('renewal is due at half of their life, and fails', () => refused.size === 2);
      assert.equal(rotated.length, before, 'nobody renews');
      assert.equal(held().length, 2);
      service = await open(service.port);
      const renewed = (): ReadonlySet<string> => new Set(rotated.slice(before).map(({ identity }) => identity));
      await trafficUntil('both are renewed', () => renewed().size === 2);
      assert.ok(Date.now() < endsMs, 'before their end');
      await trafficUntil('the first ones end', () => Date.now() > endsMs);
      await trafficUntil('connections after that', () => true);
      await echoed('after their end');
    } finally {
      await pair.close();
      manager.close();
      ca.close();
      await service.server.close();
      rmSync(folder, { recursive: true });
    }
  });
});
