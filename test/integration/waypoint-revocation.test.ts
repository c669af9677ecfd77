/** Certificates that the mesh's authority has revoked, at a waypoint: of pods that it sends requests to, and of its clients. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { kinds, systemNamespace } from '../../src/api/index.ts';
import { openL7Mesh, type HttpAnswer, type L7Mesh } from '../support/l7-mesh.ts';
import { openOpensslAuthority, type OpensslAuthority } from '../support/openssl-authority.ts';
import { eventually } from '../support/run.ts';

interface ShownCertificate {
  readonly identity: string;
  readonly type: string;
  readonly pem: string;
}

const skip = spawnSync('openssl', ['version']).status !== 0;
const gatewayName = 'gateway.networking.k8s.io/gateway-name=waypoint';
const decode = (base64: string): string => Buffer.from(base64, 'base64').toString();

describe('a waypoint whose mesh revokes certificates', { skip }, () => {
  let l7: L7Mesh;
  let authority: OpensslAuthority;

  before(async () => {
    l7 = await openL7Mesh();
    const { data = {} } = await l7.mesh.client.get(kinds.Secret, 'istio-ca-secret', systemNamespace);
    const [certPem, keyPem] = ['ca-cert.pem', 'ca-key.pem'].map((key) => decode(data[key] ?? ''));
    authority = openOpensslAuthority({ certPem: certPem ?? '', keyPem: keyPem ?? '' });
  });
  after(async () => {
    authority?.[Symbol.dispose]();
    await l7?.[Symbol.asyncDispose]();
  });

  /** What a node's ztunnel shows for an identity. */
  async function revoke(identity: string, node: string): Promise<void> {
    const result = await l7.mesh.ambit(['ztunnel-config', 'certificates', '--node', node, '-o', 'json']);
    assert.equal(result.code, 0, result.stderr);
    const shown = JSON.parse(result.stdout) as ShownCertificate[];
    const leaf = shown.find((one) => one.identity === identity && one.type === 'Leaf');
    assert.ok(leaf, `${identity} in ${result.stdout.slice(0, 500)}`);
    authority.revoke(decode(leaf.pem));
    await l7.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'istio-ca-crl', namespace: systemNamespace },
      data: { 'ca-crl.pem': authority.crl().toString() },
    });
  }
  const ask = async (pod: string, url: string): Promise<HttpAnswer> => {
    const [answer] = await l7.send(pod, { url });
    assert.ok(answer);
    return answer;
  };
  /** Until it is for this reason: what is under way when a list comes ends with its connection. */
  const refused = (pod: string, url: string, reason = /(?:)/): Promise<HttpAnswer> =>
    eventually(
      async () => {
        const answer = await ask(pod, url);
        return answer.status !== 200 && reason.test(answer.headers['x-ambit-reason'] ?? '') ? answer : undefined;
      },
      `${pod} cannot reach ${url}`,
      120_000,
    );

  const logOfWaypoint = async (): Promise<string> => {
    const { items } = await l7.mesh.client.list(kinds.Pod, { namespace: 'shop', labelSelector: gatewayName });
    const [pod] = items;
    const path = `/api/v1/namespaces/shop/pods/${pod?.metadata.name}/log`;
    const { body } = await l7.mesh.client.raw({ method: 'GET', path });
    return body.text();
  };

  it('sends nothing to a pod with one, and goes on with the others', async () => {
    assert.equal((await ask('front/client', 'http://app-v1.shop/')).status, 200);
    await revoke('spiffe://cluster.local/ns/shop/sa/app-v1', 'node-1');
    const reason = /the peer's certificate, serial [0-9a-f]+, is revoked/;
    assert.equal((await refused('front/client', 'http://app-v1.shop/', reason)).status, 503);
    assert.equal((await ask('front/client', 'http://app-v2.shop/')).status, 200);
  });

  it('lets no client in with one, and goes on with the others', async () => {
    await revoke('spiffe://cluster.local/ns/front/sa/client', 'node-1');
    await refused('front/client', 'http://app-v2.shop/');
    assert.equal((await ask('front/stranger', 'http://app-v2.shop/')).status, 200);
  });

  it('says when lists cannot be used, and holds to the last good ones', async () => {
    await l7.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'istio-ca-crl', namespace: systemNamespace },
      data: { 'ca-crl.pem': 'broken' },
    });
    await eventually(
      async () => {
        const lines = (await logOfWaypoint()).split('\n');
        const complaint = lines.find((line) => line.includes('revocation lists cannot be used'));
        return complaint?.includes('the last good lists stay in force');
      },
      'the waypoint complains',
      120_000,
    );
    assert.notEqual((await ask('front/client', 'http://app-v2.shop/')).status, 200);
    assert.equal((await ask('front/stranger', 'http://app-v2.shop/')).status, 200);
  });
});
