import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../lib/clock.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import { spiffeId } from '../api/names.ts';
import { MeshState } from '../mesh/index.ts';
import { meshWorkload, defaultNetwork } from '../mesh/fixtures.ts';
import { addressTypeUrl, authorizationTypeUrl, encodeAddress, encodeAuthorization } from '../wire/index.ts';
import { formatBaggage, formatForwarded, parseBaggage, parseForwardedHost } from '../hbone/index.ts';
import { CertificateStore } from './data/certificate-store.ts';
import { parseZtunnelConfig } from './config.ts';
import { Discovered } from './control-part/discovered.ts';
import type { ControlMessage } from './messages.ts';

test('settings come from the environment names of the charts', () => {
  const config = parseZtunnelConfig({
    NODE_NAME: 'node-1',
    XDS_ADDRESS: 'istiod.istio-system.svc:15012',
    SECRET_TTL: '1h',
    TERMINATION_GRACE_PERIOD_SECONDS: '30',
    ISTIO_META_DNS_CAPTURE: 'true',
    LOG_FORMAT: 'json',
  });
  assert.equal(config.xds.address, 'https://istiod.istio-system.svc:15012');
  assert.equal(config.secretTtlSeconds, 3600);
  assert.equal(config.terminationDeadlineMs, 25_000);
  assert.equal(config.logFormat, 'json');
  assert.deepEqual(config.metadata, { DNS_CAPTURE: 'true' });
});

test('DNS is captured unless somebody says no', () => {
  const dnsOf = (env: Record<string, string>): unknown => parseZtunnelConfig({ NODE_NAME: 'n', ...env }).dns;
  assert.deepEqual(dnsOf({}), { clusterDomain: 'cluster.local' });
  assert.deepEqual(dnsOf({ CLUSTER_DOMAIN: 'Corp.Example', PREFERED_SERVICE_NAMESPACE: 'shared' }), {
    clusterDomain: 'corp.example',
    preferredNamespace: 'shared',
  });
  assert.equal(dnsOf({ ISTIO_META_DNS_CAPTURE: 'false' }), undefined);
});

test('all problems of the environment are told at once', () => {
  const problems = (env: Record<string, string>): string => {
    try {
      parseZtunnelConfig({ NODE_NAME: 'n', ...env });
    } catch (error) {
      assert.equal(codeOf(error), 'ztunnel.config');
      return messageOf(error);
    }
    return '';
  };
  const told = problems({ XDS_ADDRESS: 'http://x', SECRET_TTL: 'soon', LOG_FORMAT: 'yaml', NODE_NAME: '' });
  for (const part of [
    'NODE_NAME is not set',
    'SECRET_TTL is "soon"',
    'XDS_ADDRESS is',
    'LOG_FORMAT is "yaml", not text',
  ])
    assert.ok(told.includes(part), `${part} in ${told}`);
  assert.match(problems({ LOG_LEVEL: 'loud' }), /LOG_LEVEL is "loud".*Unknown level "loud"/);
  assert.match(problems({ LOG_LEVEL: 'info,hbone:debug' }), /Unknown scope "hbone": there are access, .*, zds$/);
  assert.match(problems({ RUST_LOG: 'loud' }), /RUST_LOG is "loud".*Unknown level "loud"/);
  const upstreams = { NODE_NAME: 'n', RUST_LOG: 'hickory_server::server::server_future=off,info,ztunnel::access=warn' };
  assert.equal(parseZtunnelConfig(upstreams).logLevels, 'info,ztunnel::access=warn');
});

test('baggage tells who a workload is, and survives nonsense', () => {
  const workload = meshWorkload({ canonicalRevision: 'v1', locality: { region: 'r', zone: '', subzone: '' } });
  const text = formatBaggage(workload);
  assert.equal(
    text,
    'k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.deployment.name=web,service.name=web,service.version=v1,cloud.region=r',
  );
  assert.deepEqual(parseBaggage(text), {
    workloadName: 'web',
    namespace: 'shop',
    canonicalName: 'web',
    canonicalRevision: 'v1',
    clusterId: 'Kubernetes',
    locality: { region: 'r', zone: '' },
  });
  assert.equal(parseBaggage(',,=,a=b=c,service.name=').canonicalName, '');
  assert.equal(formatForwarded('1.2.3.4:5', 'web.shop'), 'for="1.2.3.4:5";host=web.shop');
  assert.equal(parseForwardedHost('for="1.2.3.4:5";host=web.shop'), 'web.shop');
  assert.equal(parseForwardedHost('for="1.2.3.4:5"'), undefined);
});

function discovered(): {
  messages: ControlMessage[];
  addresses: Discovered['types'][number];
  policies: Discovered['types'][number];
  all: Discovered;
  /** What a data part makes of it. */
  readonly toMesh: () => MeshState;
} {
  const messages: ControlMessage[] = [];
  const all = new Discovered(
    (message) => messages.push(message),
    () => {},
  );
  const [policies, addresses] = all.types;
  assert.equal(policies?.typeUrl, authorizationTypeUrl);
  assert.equal(addresses?.typeUrl, addressTypeUrl);
  return {
    messages,
    addresses: addresses as NonNullable<typeof addresses>,
    policies: policies as NonNullable<typeof policies>,
    all,
    toMesh() {
      const mesh = new MeshState();
      mesh.applyAddresses({ updated: [...all.addresses], removed: [] });
      mesh.applyAuthorizations({ updated: [...all.authorizations], removed: [] });
      return mesh;
    },
  };
}

test('resources that cannot be read or lie about their name are rejected, the others are passed on', () => {
  const { messages, addresses, toMesh } = discovered();
  const web = meshWorkload({ addresses: ['10.0.0.1'] });
  const body = encodeAddress({ kind: 'workload', workload: web });
  const { rejected } = addresses.apply({
    added: [
      { name: 'liar', version: '1', body },
      { name: web.uid, version: '1', body },
      { name: 'junk', version: '1', body: Uint8Array.of(255, 255) },
    ],
    removed: [],
  });
  assert.deepEqual(
    rejected.map(({ name }) => name),
    ['liar', 'junk'],
  );
  assert.equal(messages[0]?.kind === 'addresses' && messages[0].update.updated.length, 1);
  assert.equal(toMesh().workloadByIp(defaultNetwork, '10.0.0.1')?.uid, web.uid);
});

test('a policy that cannot be read denies when it is new, and stays as it was when it is not', () => {
  const { policies, toMesh } = discovered();
  const junk = { name: 'shop/p', version: '2', body: Uint8Array.of(255, 255) };
  assert.equal(policies.apply({ added: [junk], removed: [] }).rejected.length, 1);
  assert.deepEqual(
    [...toMesh().policies()].map(({ action, rules }) => [action, rules.length]),
    [['deny', 1]],
  );
  const body = encodeAuthorization({
    name: 'p',
    namespace: 'shop',
    scope: 'namespace',
    action: 'allow',
    rules: [],
    dryRun: false,
  });
  policies.apply({ added: [{ name: 'shop/p', version: '3', body }], removed: [] });
  assert.equal(policies.apply({ added: [junk], removed: [] }).rejected.length, 1);
  assert.deepEqual(
    [...toMesh().policies()].map(({ action }) => action),
    ['allow'],
  );
});

test('one request serves all handshakes that wait for a certificate, and a failure or the deadline ends them all', async () => {
  const wanted: string[] = [];
  let expire = (): void => {};
  const clock: Clock = {
    nowMs: () => 0,
    after(_ms, run) {
      expire = run;
      return () => {};
    },
  };
  const identity = spiffeId('cluster.local', 'a', 'b');
  const store = new CertificateStore({ clock, timeoutMs: 10, want: (id) => void wanted.push(id) });
  const { signal } = new AbortController();
  const waits = [store.get(identity, signal), store.get(identity, signal)];
  store.fail(identity, 'no such pod');
  for (const wait of waits) await assert.rejects(wait, { code: 'identity.unavailable', message: /no such pod/ });
  const late = store.get(identity, signal);
  expire();
  await assert.rejects(late, /not issued within 10 ms/);
  assert.equal(wanted.length, 2);
});
