/** Policies of a waypoint, as clients meet them: authorization, tokens, rate limits, faults, cross-origin requests. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { exportJWK, SignJWT } from 'jose';
import { kinds, type Condition, type KindRef, type KubeObject } from '../../src/api/index.ts';
import { httpService, openL7Mesh, type HttpAnswer, type HttpRequest, type L7Mesh } from '../support/l7-mesh.ts';
import { documents, namespace, programPod, serviceAccount } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

interface PolicyObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly annotations?: object };
  readonly spec: object;
}

const app = { group: '', kind: 'Service', name: 'app' };

const policy = (spec: object, name = 'under-test', targetRefs: readonly object[] = [app]): PolicyObject => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name, namespace: 'shop' },
  spec: { targetRefs, ...spec },
});

const authentication = (...jwtRules: readonly object[]): PolicyObject => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'RequestAuthentication',
  metadata: { name: 'under-test', namespace: 'shop' },
  spec: { targetRefs: [app], jwtRules },
});

/** A request that is answered so while a policy acts. */
interface Acts {
  readonly request: Partial<HttpRequest>;
  readonly when: (answer: HttpAnswer) => boolean;
  readonly pod?: string;
}

const signer = generateKeyPairSync('rsa', { modulusLength: 2048 });
const otherSigner = generateKeyPairSync('rsa', { modulusLength: 2048 });
const nextSigner = generateKeyPairSync('rsa', { modulusLength: 2048 });
const setOf = async (kid: string, { publicKey }: typeof signer): Promise<string> =>
  JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'RS256' }] });
const [jwks, nextJwks] = await Promise.all([setOf('one', signer), setOf('two', nextSigner)]);

function token(claims: Readonly<Record<string, unknown>>, key = signer, kid = 'one'): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).sign(key.privateKey);
}

const bearer = (text: string): { readonly headers: Record<string, string> } => ({
  headers: { authorization: `Bearer ${text}` },
});

describe('the policies of a waypoint', () => {
  let l7: L7Mesh;

  before(async () => {
    l7 = await openL7Mesh({
      manifests: documents(
        namespace('issuers'),
        serviceAccount('keys', 'issuers'),
        programPod({
          name: 'keys',
          namespace: 'issuers',
          node: 'node-2',
          program: 'key-server.ts',
          args: ['8080', jwks, nextJwks],
          port: 8080,
        }),
        httpService('app-raw', { group: 'app' }, { name: 'tcp', port: 80, targetPort: 8080 }),
      ),
    });
  });
  after(() => l7?.[Symbol.asyncDispose]());

  const ask = async (path: string, more: Partial<HttpRequest> = {}, pod = 'front/client'): Promise<HttpAnswer> => {
    const [answer] = await l7.send(pod, { url: `http://app.shop${path}`, ...more });
    assert.ok(answer);
    return answer;
  };

  const until = (acts: Acts, what: string, when = acts.when): Promise<HttpAnswer> =>
    l7.until(acts.pod ?? 'front/client', { url: 'http://app.shop/', ...acts.request }, when, what);

  async function conditionsOf(kind: KindRef, name: string): Promise<Record<string, string>> {
    const object = (await l7.mesh.client.get(kind, name, 'shop')) as KubeObject & {
      readonly status?: { readonly conditions?: readonly Condition[] };
    };
    return Object.fromEntries(
      (object.status?.conditions ?? []).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
    );
  }

  const statusOf = (kind: KindRef, wanted: Readonly<Record<string, string>>): Promise<unknown> => {
    let last: unknown;
    return eventually(async () => {
      last = await conditionsOf(kind, 'under-test');
      return isDeepStrictEqual(last, wanted);
    }, 'the status says it').catch((error: unknown) => {
      throw new Error(`the conditions are ${JSON.stringify(last)}`, { cause: error });
    });
  };

  /** With the objects in force, and without them afterwards; `acts` tells. */
  async function withPolicies(objects: readonly PolicyObject[], acts: Acts, work: () => Promise<void>): Promise<void> {
    await l7.apply(...objects);
    try {
      await until(acts, 'the policy acts');
      await work();
    } finally {
      await l7.remove(...objects);
      await until(acts, 'the policy is gone', (answer) => !acts.when(answer));
    }
  }

  it('allow and deny by what a request is, and say why not', () =>
    withPolicies(
      [
        policy({
          action: 'ALLOW',
          rules: [
            {
              from: [{ source: { principals: ['cluster.local/ns/front/sa/client'] } }],
              to: [{ operation: { methods: ['GET', 'POST'], hosts: ['app.shop', 'app.shop:*'] } }],
            },
          ],
        }),
        policy({ action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin/{**}'] } }] }] }, 'no-admin'),
      ],
      { request: { url: 'http://app.shop/admin/x' }, when: ({ status }) => status === 403 },
      async () => {
        assert.equal((await ask('/ok')).status, 200);
        const denied = await ask('/admin/users?x=/ok');
        assert.deepEqual([denied.status, denied.body], [403, 'RBAC: access denied']);
        assert.match(denied.headers['x-ambit-reason'] ?? '', /policy shop\/no-admin denies it, by rule 0/);
        // Normalised before policies look at it.
        assert.equal((await ask('/a/%2E./admin/users')).status, 403);
        assert.equal((await ask('/ok', { method: 'DELETE' })).status, 403);
        const stranger = await ask('/ok', {}, 'front/stranger');
        assert.equal(stranger.status, 403);
        assert.match(stranger.headers['x-ambit-reason'] ?? '', /none allows this one: shop\/under-test/);
        await statusOf(kinds.AuthorizationPolicy, { WaypointAccepted: 'True Accepted', Reconciled: 'True Reconciled' });
      },
    ));

  it('of the whole waypoint bind every Service behind it, and connections that are no HTTP as far as they can', () => {
    const waypoint = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'waypoint' };
    const raw = async (pod: string): Promise<boolean> =>
      (await l7.send(pod, { url: 'http://app-raw.shop/' }))[0]?.status === 200;
    return withPolicies(
      [policy({ rules: [{ from: [{ source: { serviceAccounts: ['front/client'] } }] }] }, 'under-test', [waypoint])],
      { request: { url: 'http://app-v1.shop/' }, pod: 'front/stranger', when: ({ status }) => status === 403 },
      async () => {
        assert.equal((await ask('/')).status, 200);
        assert.equal(await raw('front/client'), true);
        assert.equal(await raw('front/stranger'), false);
      },
    );
  });

  it('on trial change nothing', () => {
    const trial = policy({ action: 'DENY', rules: [{}] });
    const dry = { ...trial, metadata: { ...trial.metadata, annotations: { 'istio.io/dry-run': 'true' } } };
    const marker = policy({ action: 'DENY', rules: [{ to: [{ operation: { paths: ['/marker'] } }] }] }, 'marker');
    return withPolicies(
      [dry, marker],
      { request: { url: 'http://app.shop/marker' }, when: ({ status }) => status === 403 },
      async () => assert.equal((await ask('/')).status, 200),
    );
  });

  it('verify tokens by keys that are fetched, and route and authorize by their claims', async () => {
    const { status } = await l7.mesh.pod('issuers', 'keys');
    const issuer = `http://${status?.podIP}:8080`;
    const claims = { iss: issuer, sub: 'alice', groups: ['dev'], exp: Math.floor(Date.now() / 1000) + 600 };
    const good = await token(claims);
    await withPolicies(
      [
        authentication({ issuer, outputClaimToHeaders: [{ header: 'x-user', claim: 'sub' }] }),
        {
          apiVersion: 'networking.istio.io/v1',
          kind: 'VirtualService',
          metadata: { name: 'by-claim', namespace: 'shop' },
          spec: {
            hosts: ['app.shop.svc.cluster.local'],
            http: [
              { match: [{ uri: { exact: '/routed' } }], directResponse: { status: 299 } },
              {
                match: [{ headers: { '@request.auth.claims.groups': { exact: 'dev' } } }],
                route: [{ destination: { host: 'app-v2.shop.svc.cluster.local' } }],
              },
              { route: [{ destination: { host: 'app-v1.shop.svc.cluster.local' } }] },
            ],
          },
        },
        policy({
          rules: [
            { to: [{ operation: { paths: ['/public'] } }] },
            {
              from: [{ source: { requestPrincipals: [`${issuer}/*`] } }],
              when: [{ key: 'request.auth.claims[groups]', values: ['dev'] }],
            },
          ],
        }),
      ],
      { request: { url: 'http://app.shop/private' }, when: ({ status: code }) => code === 403 },
      async () => {
        await until(
          { request: { url: 'http://app.shop/routed', ...bearer(good) }, when: ({ status: code }) => code === 299 },
          'the keys and the routes are there',
        );
        const passed = await ask('/private', bearer(good));
        const { headers } = JSON.parse(passed.body) as { headers: Record<string, string> };
        assert.deepEqual([headers['x-user'], headers['authorization']], ['alice', undefined]);
        assert.equal(passed.headers['x-app'], 'v2');
        assert.equal((await ask('/public')).headers['x-app'], 'v1');
        const forged = await ask('/public', { headers: { 'x-user': 'root' } });
        assert.equal((JSON.parse(forged.body) as { headers: Record<string, string> }).headers['x-user'], undefined);
        const others = await ask('/private', bearer(await token({ ...claims, groups: ['sales'] })));
        assert.deepEqual([others.status, others.body], [403, 'RBAC: access denied']);
        const bad = await ask('/public', bearer(await token(claims, otherSigner)));
        assert.deepEqual([bad.status, bad.body], [401, 'Jwt verification fails']);
        assert.equal(bad.headers['www-authenticate'], 'Bearer realm="http://app.shop/public", error="invalid_token"');
        const expired = await ask('/public', bearer(await token({ ...claims, exp: 1 })));
        assert.deepEqual([expired.status, expired.body], [401, 'Jwt is expired']);
        await statusOf(kinds.RequestAuthentication, {
          WaypointAccepted: 'True Accepted',
          Reconciled: 'True Reconciled',
        });
        // The issuer has another key from now on: nobody waits until keys are fetched again.
        const rotated = await token(claims, nextSigner, 'two');
        assert.equal((await ask('/private', bearer(rotated))).status, 401);
        await l7.send('front/client', { url: `${issuer}/rotate` });
        await until(
          { request: { url: 'http://app.shop/private', ...bearer(rotated) }, when: ({ status: code }) => code === 200 },
          'the new key is there',
        );
        assert.equal((await ask('/private', bearer(good))).status, 401, 'the old one is gone');
      },
    );
  });

  it('without keys refuse every token, and say so in their status', async () => {
    const issuer = 'http://192.0.2.1:1';
    const request = bearer(await token({ iss: issuer, sub: 'x' }));
    await withPolicies(
      [authentication({ issuer, timeout: '1s' })],
      // Not the refusal of another issuer, as the test before asked for one.
      { request, when: ({ status, body }) => status === 401 && body === 'Jwt verification fails' },
      async () => {
        assert.equal((await ask('/')).status, 200);
        await statusOf(kinds.RequestAuthentication, {
          WaypointAccepted: 'False Invalid',
          Reconciled: 'True Reconciled',
        });
      },
    );
  });

  it('limit rates by what requests have', () =>
    withPolicies(
      [
        {
          apiVersion: 'policy.ambit.dev/v1alpha1',
          kind: 'RateLimit',
          metadata: { name: 'under-test', namespace: 'shop' },
          spec: {
            targetRefs: [app],
            limits: [
              {
                name: 'per-user',
                matches: [{ path: { type: 'PathPrefix', value: '/limited' } }],
                by: [{ type: 'Header', name: 'x-user' }],
                local: { requests: 2, unit: 'Hour' },
              },
              {
                name: 'marker',
                matches: [{ path: { type: 'Exact', value: '/marker' } }],
                local: { requests: 1, unit: 'Hour' },
              },
            ],
          },
        },
      ],
      { request: { url: 'http://app.shop/marker' }, when: ({ status }) => status === 429 },
      async () => {
        const of = (user: string): Promise<HttpAnswer> => ask('/limited/a', { headers: { 'x-user': user } });
        const statuses = [await of('a'), await of('a'), await of('a'), await of('b')].map(({ status }) => status);
        assert.deepEqual(statuses, [200, 200, 429, 200]);
        assert.equal((await ask('/')).status, 200);
        await statusOf(kinds.RateLimit, { Accepted: 'True Accepted', Reconciled: 'True Reconciled' });
      },
    ));

  it('break requests on purpose, and answer browsers, where a route says so', () =>
    withPolicies(
      [
        {
          apiVersion: 'networking.istio.io/v1',
          kind: 'VirtualService',
          metadata: { name: 'under-test', namespace: 'shop' },
          spec: {
            hosts: ['app.shop.svc.cluster.local'],
            http: [
              {
                match: [{ uri: { exact: '/broken' } }],
                fault: { abort: { percentage: { value: 100 }, httpStatus: 418 } },
                route: [{ destination: { host: 'app.shop.svc.cluster.local' } }],
              },
              {
                match: [{ uri: { exact: '/slow' } }],
                fault: { delay: { percentage: { value: 100 }, fixedDelay: '300ms' } },
                route: [{ destination: { host: 'app.shop.svc.cluster.local' } }],
              },
              {
                corsPolicy: {
                  allowOrigins: [{ exact: 'https://shop.example' }],
                  allowMethods: ['PUT'],
                  maxAge: '60s',
                },
                route: [{ destination: { host: 'app.shop.svc.cluster.local' } }],
              },
            ],
          },
        },
      ],
      { request: { url: 'http://app.shop/broken' }, when: ({ status }) => status === 418 },
      async () => {
        assert.equal((await ask('/broken')).body, 'fault filter abort');
        assert.equal((await ask('/slow')).status, 200);
        const preflight = await ask('/', {
          method: 'OPTIONS',
          headers: { origin: 'https://shop.example', 'access-control-request-method': 'PUT' },
        });
        assert.deepEqual(
          [
            preflight.status,
            preflight.headers['access-control-allow-origin'],
            preflight.headers['access-control-allow-methods'],
            preflight.headers['x-app'],
          ],
          [200, 'https://shop.example', 'PUT', undefined],
        );
        const other = await ask('/', { headers: { origin: 'https://evil.example' } });
        assert.deepEqual([other.status, other.headers['access-control-allow-origin']], [200, undefined]);
      },
    ));
});
