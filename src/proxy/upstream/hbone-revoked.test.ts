import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { testIdentity } from '../../../test/support/certificates.ts';
import { openOpensslRoot, workloadCertificateOf } from '../../../test/support/openssl-authority.ts';
import { createCountedRevocations, parseRevocationLists } from '../../identity/index.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { MetricsRegistry } from '../../telemetry/index.ts';
import { startHttp, startZtunnel } from './test-servers.ts';
import {
  backendOf,
  endpoint,
  Heard,
  ownIdentity,
  requestHead,
  testUpstreams,
  upstreamRequest,
  web,
} from './upstream-fixtures.ts';

const skip = spawnSync('openssl', ['version']).status !== 0;

test('a tunnel to a revoked certificate is cut, and there is no other', { skip }, async () => {
  using root = openOpensslRoot('mesh');
  const own = workloadCertificateOf(root, root, ownIdentity);
  const theirs = workloadCertificateOf(root, root, testIdentity('shop/web'));
  const metrics = new MetricsRegistry({ clock: createFakeClock(), log: silentLog() });
  const revocations = createCountedRevocations(metrics);
  await using app = await startHttp();
  await using ztunnel = await startZtunnel(theirs, app.port);
  const tested = testUpstreams(
    [
      { ...web, ports: [{ servicePort: 80, targetPort: 8080, appProtocol: 'http11' }] },
      endpoint('a', '127.0.0.1', { tunnelProtocol: 'hbone' }),
    ],
    {
      hbonePort: ztunnel.port,
      certificates: { certificate: () => Promise.resolve(own), onRotate: () => () => {} },
      revocations,
    },
  );
  using _ = { [Symbol.dispose]: () => tested.upstreams.close() };
  tested.configure(backendOf());
  const ask = async (): Promise<Heard> => {
    const heard = new Heard();
    tested.upstreams.open('web', upstreamRequest({ head: requestHead('/') }), heard);
    await heard.closed;
    return heard;
  };
  assert.equal((await ask()).head?.status, 200, 'it is good so far');
  root.revoke(theirs.chainPem[0] ?? '');
  revocations.update(parseRevocationLists(root.crl()));
  assert.match(
    metrics.write('text'),
    /istio_crl_policy_rejections_total\{reporter="source"\} 1/,
    'the live one is cut',
  );
  const { failure } = await ask();
  assert.match(failure?.message ?? '', /the peer's certificate, serial [0-9a-f]+, is revoked/);
  assert.equal(ztunnel.requests.length, 1);
});
