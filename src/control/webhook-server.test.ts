import assert from 'node:assert/strict';
import { request } from 'node:https';
import { after, before, describe, it } from 'node:test';
import { createTestAuthority } from '../../test/support/certificates.ts';
import { kinds } from '../api/kinds.ts';
import { systemClock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { MetricsRegistry } from '../telemetry/index.ts';
import { registerControlMetrics } from './monitoring.ts';
import { unservedWarnings } from './unserved-status.ts';
import { registered } from './webhook-registration.ts';
import { judge, startWebhookServer, type WebhookServer } from './webhook-server.ts';

const kind = { group: 'security.istio.io', version: 'v1', kind: 'AuthorizationPolicy' };
const policy = (ipBlock: string): object => ({
  metadata: { name: 'p', namespace: 'ns' },
  spec: { rules: [{ from: [{ source: { ipBlocks: [ipBlock] } }] }] },
});
const asked = (object: object | null, operation = 'CREATE') =>
  ({
    uid: 'u',
    kind,
    resource: { group: kind.group, version: 'v1', resource: 'authorizationpolicies' },
    name: 'p',
    namespace: 'ns',
    operation,
    userInfo: {},
    object,
    oldObject: null,
    dryRun: false,
  }) as Parameters<typeof judge>[0];

describe('the verdict', () => {
  it('names every fault with its path', () => {
    const { allowed, status } = judge(asked(policy('10.0.0/8')));
    assert.equal(allowed, false);
    assert.match(
      status?.message ?? '',
      /^configuration is invalid: spec\.rules\[0\]\.from\[0\]\.source\.ipBlocks\[0\]: /,
    );
    assert.equal(status?.details?.causes?.[0]?.field, 'spec.rules[0].from[0].source.ipBlocks[0]');
  });

  it('lets good objects and deletes pass, with warnings', () => {
    assert.deepEqual(judge(asked(policy('10.0.0.0/8'))), { uid: 'u', allowed: true });
    assert.equal(judge(asked(null, 'DELETE')).allowed, true);
    const nothing = judge(asked({ metadata: { name: 'p', namespace: 'ns' }, spec: {} }));
    assert.match(nothing.warnings?.join() ?? '', /denied/);
  });

  it('is no for a kind that nobody can judge', () => {
    const unknown = { ...asked(policy('10.0.0.0/8')), kind: { ...kind, kind: 'Riddle' } };
    assert.equal(judge(unknown).allowed, false);
  });
});

describe('the webhook', () => {
  let server: WebhookServer;
  let ca: string;
  before(async () => {
    const authority = await createTestAuthority();
    ca = authority.rootPem;
    server = await startWebhookServer({
      host: '127.0.0.1',
      port: 0,
      certificate: await authority.signServer({ dnsNames: ['istiod.test'], ips: [] }),
      metrics: registerControlMetrics(new MetricsRegistry({ clock: systemClock, log: silentLog() })),
      log: silentLog(),
      warn: unservedWarnings,
    });
  });
  after(() => server.close());

  const post = (body: string, type = 'application/json', path = '/validate?timeout=10s'): Promise<[number, string]> =>
    new Promise((resolve, reject) => {
      const call = request(
        {
          host: '127.0.0.1',
          port: server.port,
          servername: 'istiod.test',
          ca,
          method: 'POST',
          path,
          headers: { 'content-type': type },
          agent: false,
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (text += chunk));
          response.on('end', () => resolve([response.statusCode ?? 0, text]));
        },
      );
      call.on('error', reject);
      call.end(body);
    });
  const review = (object: object): string =>
    JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: asked(object) });

  it('answers an AdmissionReview with its verdict', async () => {
    const [status, text] = await post(review(policy('nonsense')));
    assert.equal(status, 200);
    const { apiVersion, kind: name, response } = JSON.parse(text) as Record<string, { uid: string; allowed: boolean }>;
    assert.deepEqual(
      [apiVersion, name, response?.uid, response?.allowed],
      ['admission.k8s.io/v1', 'AdmissionReview', 'u', false],
    );
  });

  it('warns of kinds that nothing acts on, and lets them through', async () => {
    const warningsOf = async (wanted: typeof kinds.WasmPlugin | typeof kinds.EnvoyFilter, spec: object) => {
      const { group, kind: name, version } = wanted;
      const object = { metadata: { name: 'p', namespace: 'shop' }, spec };
      const about = { ...asked(object), kind: { group, version, kind: name } };
      const [, text] = await post(
        JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: about }),
      );
      const { response } = JSON.parse(text) as { response: { allowed: boolean; warnings?: string[] } };
      return [response.allowed, ...(response.warnings ?? [])].join(' ');
    };
    assert.match(
      await warningsOf(kinds.WasmPlugin, { url: 'oci://a/b' }),
      /^true WasmPlugin: it has no effect: .*ProxyExtension/,
    );
    assert.match(await warningsOf(kinds.EnvoyFilter, {}), /^true EnvoyFilter: it has no effect: there is no Envoy/);
    const [, text] = await post(review(policy('10.0.0.0/8')));
    assert.ok(!text.includes('no effect'));
  });

  it('says what is wrong with anything else, and goes on', async () => {
    assert.equal((await post('{', 'application/json'))[0], 400);
    assert.equal((await post('{}'))[0], 400);
    assert.equal((await post(review(policy('10.0.0.0/8')), 'application/yaml'))[0], 415);
    assert.equal((await post('{}', 'application/json', '/mutate'))[0], 404);
    assert.equal((await post(review({ metadata: null, spec: [] })))[0], 200);
    assert.equal((await post(review(policy('10.0.0.0/8'))))[0], 200);
  });
});

describe('the registration', () => {
  const hook = {
    name: 'a.b.c',
    clientConfig: { service: { namespace: 'istio-system', name: 'istiod' } },
    failurePolicy: 'Ignore' as const,
    sideEffects: 'None' as const,
    admissionReviewVersions: ['v1'],
  };

  it('gets our root and counts from then on, once', () => {
    const first = registered({ metadata: {}, webhooks: [hook] }, 'root');
    const caBundle = Buffer.from('root').toString('base64');
    assert.deepEqual(first, [{ ...hook, failurePolicy: 'Fail', clientConfig: { ...hook.clientConfig, caBundle } }]);
    assert.equal(registered({ metadata: {}, webhooks: first ?? [] }, 'root'), undefined);
    assert.notEqual(registered({ metadata: {}, webhooks: first ?? [] }, 'another root'), undefined);
  });
});
