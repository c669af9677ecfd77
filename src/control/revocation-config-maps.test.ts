import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { it } from 'node:test';
import { openKubeClient } from '../kube/index.ts';
import { openFakeApi, sendJson } from '../kube/fake-api.ts';
import { silentLog } from '../lib/log.ts';
import { startRevocationConfigMaps } from './revocation-config-maps.ts';

it('takes no lists away where those of the mesh were emptied, and brings the next', async () => {
  await using api = await openFakeApi();
  using stop = { signal: new AbortController(), [Symbol.dispose]: () => stop.signal.abort() };
  const patches: string[] = [];
  const watched = Promise.withResolvers<ServerResponse>();
  const patched = Promise.withResolvers<void>();
  const map = (namespace: string, resourceVersion: string, data?: Record<string, string>) => ({
    metadata: { namespace, name: 'istio-ca-crl', uid: namespace, resourceVersion },
    ...(data ? { data } : {}),
  });
  const send = (watch: ServerResponse, type: string, object: unknown): void =>
    void watch.write(`${JSON.stringify({ type, object })}\n`);
  api.handle((request, response, body) => {
    if (request.method === 'PATCH') {
      patches.push(`${request.url?.split('?')[0]} ${body}`);
      sendJson(response, 200, map('shop', '5', { 'ca-crl.pem': 'two' }));
      patched.resolve();
      return;
    }
    response.writeHead(200);
    send(response, 'ADDED', map('istio-system', '1'));
    send(response, 'ADDED', map('shop', '2', { 'ca-crl.pem': 'one' }));
    const annotations = { 'k8s.io/initial-events-end': 'true' };
    send(response, 'BOOKMARK', { metadata: { resourceVersion: '3', annotations } });
    watched.resolve(response);
  });
  const { signal } = stop.signal;
  const access = { server: api.url, namespace: '', insecureSkipTlsVerify: false };
  using client = Object.assign(openKubeClient(access, { log: silentLog() }), {
    [Symbol.dispose]: () => client.close(),
  });
  const copies = startRevocationConfigMaps({
    client,
    namespace: 'istio-system',
    isLeader: () => true,
    signal,
    log: silentLog(),
  });
  copies.namespaceChanged('shop', { metadata: { name: 'shop' } });
  const watch = await watched.promise;
  // A patch of what was there would be on its way before the one of what comes next.
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  send(watch, 'MODIFIED', map('istio-system', '4', { 'ca-crl.pem': 'two' }));
  await patched.promise;
  assert.deepEqual(patches, [
    '/api/v1/namespaces/shop/configmaps/istio-ca-crl {"data":{"ca-crl.pem":"two"},"binaryData":{"ca-crl.pem":null}}',
  ]);
});
