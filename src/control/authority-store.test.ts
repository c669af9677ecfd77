import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { createTestAuthority, type TestAuthority } from '../../test/support/certificates.ts';
import { createRotatingAuthority, fingerprint, mergeRoots, type RotatingAuthority } from '../ca/index.ts';
import { openKubeClient } from '../kube/index.ts';
import { openFakeApi, sendJson, sendStatus } from '../kube/fake-api.ts';
import { createFakeClock, type FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { openAuthority } from './authority-store.ts';
import { trustOf } from './mesh-authority.ts';
import { startRootCertConfigMaps, type Trust } from './root-cert-config-maps.ts';

const minuteMs = 60_000;

/** What the ConfigMap of a namespace looks like after a control plane with `trust` was there. */
async function publishedBy(t: TestContext, trust: Trust): Promise<object> {
  const api = await openFakeApi();
  const stop = new AbortController();
  const client = openKubeClient({ server: api.url, namespace: '', insecureSkipTlsVerify: false }, { log: silentLog() });
  t.after(async () => {
    stop.abort();
    await client.close();
    await api[Symbol.asyncDispose]();
  });
  const made = Promise.withResolvers<object>();
  api.handle((request, response, body) => {
    if (request.method === 'POST') {
      sendJson(response, 201, JSON.parse(body));
      return made.resolve(JSON.parse(body) as object);
    }
    response.writeHead(200);
    response.write(`${JSON.stringify({ type: 'BOOKMARK', object: endOfList })}\n`);
  });
  const maps = startRootCertConfigMaps({
    client,
    trust: () => trust,
    isLeader: () => true,
    signal: stop.signal,
    log: silentLog(),
  });
  maps.namespaceChanged('istio-system', { metadata: { name: 'istio-system' } });
  return made.promise;
}

const endOfList = { metadata: { resourceVersion: '3', annotations: { 'k8s.io/initial-events-end': 'true' } } };

/** A control plane that starts with this material, where `published` was published before. */
async function start(
  t: TestContext,
  options: {
    readonly given: TestAuthority | undefined;
    readonly published: object | undefined;
    readonly clock: FakeClock;
  },
): Promise<RotatingAuthority> {
  const { given, published, clock } = options;
  const api = await openFakeApi();
  const stop = new AbortController();
  const client = openKubeClient({ server: api.url, namespace: '', insecureSkipTlsVerify: false }, { log: silentLog() });
  t.after(async () => {
    stop.abort();
    await client.close();
    await api[Symbol.asyncDispose]();
  });
  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const secretOf = ({ caCertPem, caKeyPem, rootPem }: TestAuthority): object => ({
    metadata: { namespace: 'istio-system', name: 'cacerts', uid: 's', resourceVersion: '1' },
    data: { 'ca-cert.pem': encode(caCertPem), 'ca-key.pem': encode(caKeyPem), 'root-cert.pem': encode(rootPem) },
  });
  api.handle((request, response, body) => {
    const url = decodeURIComponent(request.url ?? '');
    if (url.includes('/configmaps/')) {
      if (published) sendJson(response, 200, published);
      else sendStatus(response, 404, 'NotFound', 'not found');
      return;
    }
    response.writeHead(200);
    const tell = (type: string, object: unknown): void => void response.write(`${JSON.stringify({ type, object })}\n`);
    if (request.method === 'POST') return void response.end(body);
    if (given && url.includes('metadata.name=cacerts')) tell('ADDED', secretOf(given));
    tell('BOOKMARK', endOfList);
    // What it makes itself it hears of.
    if (!given && url.includes('metadata.name=istio-ca-secret'))
      void createTestAuthority(clock).then((own) => {
        const secret = secretOf(own) as { metadata: object };
        tell('ADDED', { ...secret, metadata: { ...secret.metadata, name: 'istio-ca-secret', resourceVersion: '4' } });
      });
  });
  return openAuthority({
    client,
    namespace: 'istio-system',
    trustDomain: 'cluster.local',
    events: { emit() {} },
    clock,
    log: silentLog(),
    signal: stop.signal,
  });
}

describe('a control plane that starts', () => {
  const setUp = async () => {
    // Behind the time of day, by which a trial of material is made, for as long as a test takes.
    const clock = createFakeClock(Math.floor(Date.now() / 1000) * 1000 - 20 * minuteMs);
    const [old, next] = await Promise.all([createTestAuthority(clock), createTestAuthority(clock)]);
    return { clock, old, next };
  };
  const signs = (authority: RotatingAuthority, { signerPem }: TestAuthority): boolean =>
    authority.signer === fingerprint(signerPem);

  it('introduces a signer that came while nobody was there', async (t) => {
    const { clock, old, next } = await setUp();
    const published = await publishedBy(t, trustOf(createRotatingAuthority(old, { clock })));
    const authority = await start(t, { given: next, published, clock });
    assert.deepEqual(authority.state, { kind: 'introducing', untilMs: clock.nowMs() + 5 * minuteMs });
    assert.equal(authority.rootPem, mergeRoots(next.rootPem, old.rootPem));
    assert.ok(signs(authority, old));
    clock.advance(5 * minuteMs);
    assert.equal(authority.state.kind, 'retiring');
    assert.ok(signs(authority, next));
  });

  it('goes on with an introduction where the one before ended', async (t) => {
    const { clock, old, next } = await setUp();
    const before = createRotatingAuthority(old, { clock });
    before.adopt(next, 5 * minuteMs);
    const published = await publishedBy(t, trustOf(before));
    clock.advance(2 * minuteMs);
    const authority = await start(t, { given: next, published, clock });
    assert.deepEqual(authority.state, { kind: 'introducing', untilMs: clock.nowMs() + 3 * minuteMs });
    // So does whoever comes after it.
    const again = await start(t, { given: next, published: await publishedBy(t, trustOf(authority)), clock });
    assert.deepEqual(again.state, authority.state);
    clock.advance(3 * minuteMs);
    assert.equal(authority.state.kind, 'retiring');
    const later = await start(t, { given: next, published: await publishedBy(t, trustOf(authority)), clock });
    assert.deepEqual(later.state, authority.state);
    assert.ok(signs(later, next));
  });

  it('signs at once where its signer was published, and where there was no mesh', async (t) => {
    const { clock, old } = await setUp();
    const published = await publishedBy(t, trustOf(createRotatingAuthority(old, { clock })));
    assert.equal((await start(t, { given: old, published, clock })).state.kind, 'steady');
    assert.equal((await start(t, { given: old, published: undefined, clock })).state.kind, 'steady');
    const { state } = await start(t, { given: undefined, published, clock });
    assert.equal(state.kind, 'retiring', 'all material is gone: a mesh that is made anew');
  });
});
