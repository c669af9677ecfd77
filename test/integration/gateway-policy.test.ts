/** Policies of a gateway at the edge: those that target it, and those that select its pods. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exportJWK, SignJWT } from 'jose';
import { kinds, type KindRef } from '../../src/api/index.ts';
import { l7Manifests, type HttpAnswer, type HttpRequest } from '../support/l7-mesh.ts';
import { documents, openTestMesh, programs, type TestMesh } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

const gateway = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'edge' };
const signer = generateKeyPairSync('ed25519');
const issuer = 'https://issuer.example';

const object = (apiVersion: string, kind: string, name: string, spec: object): string =>
  JSON.stringify({ apiVersion, kind, metadata: { name, namespace: 'shop' }, spec });
const authorization = (name: string, spec: object): string =>
  object('security.istio.io/v1', 'AuthorizationPolicy', name, spec);

describe('the policies of a gateway at the edge', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openTestMesh({
      manifests: documents(
        l7Manifests,
        object('gateway.networking.k8s.io/v1', 'Gateway', 'edge', {
          gatewayClassName: 'istio',
          listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }],
        }),
        object('gateway.networking.k8s.io/v1', 'HTTPRoute', 'app', {
          parentRefs: [{ name: 'edge' }],
          rules: [{ backendRefs: [{ name: 'app', port: 80 }] }],
        }),
      ),
    });
    await until({}, ({ status }) => status === 200, 'the gateway serves');
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  const ask = async (request: Partial<HttpRequest>): Promise<HttpAnswer> => {
    const requests = [{ url: 'http://edge-istio.shop/', ...request }];
    const command = [process.execPath, join(programs, 'http-client.ts'), JSON.stringify(requests)];
    const [answer] = JSON.parse(await mesh.exec('front/client', command)) as HttpAnswer[];
    assert.ok(answer);
    return answer;
  };
  const until = async (
    request: Partial<HttpRequest>,
    wanted: (answer: HttpAnswer) => boolean,
    what: string,
  ): Promise<HttpAnswer> => {
    let last: HttpAnswer | undefined;
    return eventually(async () => {
      last = await ask(request);
      return wanted(last) ? last : undefined;
    }, what).catch((error: unknown) => {
      throw new Error(`${what}: the last answer was ${JSON.stringify(last)}`, { cause: error });
    });
  };
  const remove = (kind: KindRef, name: string): Promise<unknown> => mesh.client.delete(kind, name, 'shop');
  const path = (text: string): Partial<HttpRequest> => ({ url: `http://edge-istio.shop${text}` });

  it('are those that select its pods, and tell no reason to whoever is outside', async () => {
    const selector = { matchLabels: { 'gateway.networking.k8s.io/gateway-name': 'edge' } };
    const rules = [{ to: [{ operation: { paths: ['/admin*'] } }] }];
    await mesh.apply(authorization('by-pods', { selector, action: 'DENY', rules }));
    const denied = await until(path('/admin/x'), ({ status }) => status === 403, 'the policy acts');
    assert.deepEqual([denied.body, denied.headers['x-ambit-reason']], ['RBAC: access denied', undefined]);
    assert.equal((await ask(path('/'))).status, 200);
    await remove(kinds.AuthorizationPolicy, 'by-pods');
    await until(path('/admin/x'), ({ status }) => status === 200, 'the policy is gone');
  });

  it('ask for tokens', async () => {
    const jwks = JSON.stringify({ keys: [await exportJWK(signer.publicKey)] });
    const token = await new SignJWT({ iss: issuer, sub: 'alice' })
      .setProtectedHeader({ alg: 'EdDSA' })
      .sign(signer.privateKey);
    await mesh.apply(
      documents(
        object('security.istio.io/v1', 'RequestAuthentication', 'tokens', {
          targetRefs: [gateway],
          jwtRules: [{ issuer, jwks, forwardOriginalToken: true }],
        }),
        authorization('tokens', {
          targetRefs: [gateway],
          rules: [{ from: [{ source: { requestPrincipals: [`${issuer}/alice`] } }] }],
        }),
      ),
    );
    await until({}, ({ status }) => status === 403, 'the policies act');
    const passed = await until(
      { headers: { authorization: `Bearer ${token}` } },
      ({ status }) => status === 200,
      'a token passes',
    );
    const { headers } = JSON.parse(passed.body) as { headers: Record<string, string> };
    assert.equal(headers['authorization'], `Bearer ${token}`);
    assert.equal((await ask({ headers: { authorization: `Bearer ${token}x` } })).status, 401);
    await remove(kinds.AuthorizationPolicy, 'tokens');
    await remove(kinds.RequestAuthentication, 'tokens');
    await until({}, ({ status }) => status === 200, 'the policies are gone');
  });

  it('limit what enters', async () => {
    await mesh.apply(
      object('policy.ambit.dev/v1alpha1', 'RateLimit', 'limits', {
        targetRefs: [gateway],
        limits: [
          {
            name: 'per-client',
            matches: [{ headers: [{ name: 'x-limited', value: 'yes' }] }],
            by: [{ type: 'RemoteIP' }],
            local: { requests: 1, unit: 'Hour' },
          },
        ],
      }),
    );
    const refused = await until({ headers: { 'x-limited': 'yes' } }, ({ status }) => status === 429, 'the limit acts');
    assert.equal(refused.body, 'local_rate_limited');
    assert.equal((await ask({})).status, 200);
    await remove(kinds.RateLimit, 'limits');
    await until({ headers: { 'x-limited': 'yes' } }, ({ status }) => status === 200, 'the limit is gone');
  });
});
