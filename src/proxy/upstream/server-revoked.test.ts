import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { openOpensslRoot, type OpensslAuthority } from '../../../test/support/openssl-authority.ts';
import type { TlsSecret, UpstreamTls } from '../../api/l7/index.ts';
import { createCountedRevocations } from '../../identity/index.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { MetricsRegistry } from '../../telemetry/index.ts';
import { startHttps } from './test-servers.ts';
import { backendOf, endpoint, Heard, requestHead, testUpstreams, upstreamRequest, web } from './upstream-fixtures.ts';

const skip = spawnSync('openssl', ['version']).status !== 0;

const name = 'spiffe://partner.example/api';
const tls: UpstreamTls = {
  mode: 'simple',
  sni: 'api.example',
  subjectAltNames: [name],
  ca: { kind: 'secret', secret: 'shop/partner/ca' },
};

interface Scene extends Disposable {
  /** The secret of now has these lists; absent: none. */
  useLists(revocations?: string): void;
  ask(): Promise<Heard>;
  readonly rejections: () => string;
}

function openScene(root: OpensslAuthority, port: number): Scene {
  const metrics = new MetricsRegistry({ clock: createFakeClock(), log: silentLog() });
  const tested = testUpstreams(
    [{ ...web, ports: [{ servicePort: 80, targetPort: port, appProtocol: 'tcp' }] }, endpoint('partner', '127.0.0.1')],
    { revocations: createCountedRevocations(metrics) },
  );
  return {
    useLists(revocations) {
      const ca: TlsSecret = {
        kind: 'secret',
        name: 'shop/partner/ca',
        caCertificates: root.certPem,
        ...(revocations === undefined ? {} : { revocations }),
      };
      tested.upstreams.apply(new Map([['web', backendOf({ protocol: 'http1', tls })]]), new Map([[ca.name, ca]]));
    },
    async ask() {
      const heard = new Heard();
      tested.upstreams.open('web', upstreamRequest({ head: requestHead('/') }), heard);
      await heard.closed;
      return heard;
    },
    rejections: () => /istio_crl_policy_rejections_total\{.*/.exec(metrics.write('text'))?.[0] ?? '',
    [Symbol.dispose]: () => tested.upstreams.close(),
  };
}

describe('a server outside of the mesh', { skip }, () => {
  test('whose certificate its authority has revoked is not spoken to, and others are', async () => {
    using root = openOpensslRoot('partner');
    const [revoked, good] = [root.leaf(name), root.leaf(name)];
    root.revoke(revoked.certPem);
    await using bad = await startHttps({ cert: revoked.certPem, key: revoked.keyPem });
    await using fine = await startHttps({ cert: good.certPem, key: good.keyPem });
    using toBad = openScene(root, bad.port);
    using toFine = openScene(root, fine.port);
    toBad.useLists();
    assert.equal((await toBad.ask()).head?.status, 200, 'without lists nothing is revoked');
    for (const scene of [toBad, toFine]) scene.useLists(root.crl().toString());
    const { failure } = await toBad.ask();
    assert.equal(failure?.kind, 'connect-failure');
    assert.match(failure?.message ?? '', /the peer's certificate, serial [0-9a-f]+, is revoked/);
    assert.match(toBad.rejections(), /\{reporter="source"\} [1-9]/);
    assert.equal((await toFine.ask()).head?.status, 200);
  });

  test('is cut off when it is revoked while somebody waits for its answer', async () => {
    using root = openOpensslRoot('partner');
    const leaf = root.leaf(name);
    const asked = Promise.withResolvers<void>();
    await using app = await startHttps({ cert: leaf.certPem, key: leaf.keyPem }, () => {
      asked.resolve();
      return 'never';
    });
    using scene = openScene(root, app.port);
    scene.useLists(root.crl().toString());
    const waiting = scene.ask();
    await asked.promise;
    root.revoke(leaf.certPem);
    scene.useLists(root.crl().toString());
    const { failure, head } = await waiting;
    assert.equal(head, undefined);
    assert.notEqual(failure, undefined);
    assert.match(scene.rejections(), /\{reporter="source"\} [1-9]/);
  });
});
