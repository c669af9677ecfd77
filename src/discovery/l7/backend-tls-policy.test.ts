import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { before, describe, it } from 'node:test';
import type { BackendTLSPolicy } from '../../api/gateway.ts';
import type { ObjectMeta } from '../../api/meta.ts';
import { serviceKey } from '../../api/names.ts';
import type { Collection, Reader } from '../../collection/index.ts';
import { createTestAuthority } from '../../../test/support/certificates.ts';
import { openOpensslRoot } from '../../../test/support/openssl-authority.ts';
import { service, serviceEntry } from '../fixtures.ts';
import type { BackendTlsDecision } from './backend-tls-policy-derive.ts';
import { edgeGateway, httpRoute, openGatewayWorld, toGateway, type GatewayWorld } from './gateway-api-fixtures.ts';

let rootPem: string;
before(async () => {
  rootPem = (await createTestAuthority()).rootPem;
});

const toWeb = { group: '', kind: 'Service', name: 'web' };
const web = serviceKey('shop', 'web.shop.svc.cluster.local');

function policy(
  name: string,
  spec: Partial<Omit<BackendTLSPolicy['spec'], 'validation'>> & Partial<BackendTLSPolicy['spec']['validation']> = {},
  more: Partial<ObjectMeta> = {},
): BackendTLSPolicy {
  const { targetRefs = [toWeb], ...validation } = spec;
  return {
    metadata: { name, namespace: 'shop', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z', ...more },
    spec: { targetRefs, validation: { hostname: 'web.internal', ...validation } },
  };
}

const system = { wellKnownCACertificates: 'System' };
const fromMap = { caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'ca' }] };

function openWith(...policies: BackendTLSPolicy[]): GatewayWorld {
  const world = openGatewayWorld();
  world.put(world.sources.services, service('web'));
  world.put(world.sources.backendTlsPolicies, ...policies);
  return world;
}

/** Reads straight, as nothing is to be computed again. */
const reader: Reader = {
  get: <V>(collection: Collection<V>, key: string) => collection.get(key),
  lookup: (index, key) => index.lookup(key),
  all: (collection) => collection.entries(),
};
const decide = (world: GatewayWorld, key = web, port = 'http'): BackendTlsDecision | undefined =>
  world.api.backendTls(key, port, reader);
const told = (world: GatewayWorld, name: string): string[] =>
  (world.api.verdicts.backendTlsPolicies.get(`Kubernetes/shop/${name}`)?.ancestors ?? []).map(
    ({ ancestorRef, controllerName, conditions }) =>
      `${ancestorRef.kind} ${ancestorRef.name} ${controllerName.split('/')[1]}: ${conditions['Accepted']?.reason}, ${conditions['ResolvedRefs']?.reason}`,
  );

describe('a BackendTLSPolicy', () => {
  it('has backends trusted that the system trusts', () => {
    const world = openWith(policy('p', system));
    assert.deepEqual(decide(world), {
      kind: 'tls',
      tls: { mode: 'simple', sni: 'web.internal', subjectAltNames: [], ca: { kind: 'system' } },
      origin: { kind: 'BackendTLSPolicy', namespace: 'shop', name: 'p', generation: 1 },
    });
    assert.deepEqual(told(world, 'p'), ['Service web mesh-controller: Accepted, ResolvedRefs']);
    assert.equal(decide(world, serviceKey('shop', 'other.shop.svc.cluster.local')), undefined);
  });

  it('has backends trusted by certificates of ConfigMaps and Secrets', () => {
    const refs = [...fromMap.caCertificateRefs, { group: '', kind: 'Secret', name: 'ca' }];
    const subjectAltNames = [
      { type: 'Hostname' as const, hostname: 'other.internal' },
      { type: 'URI' as const, uri: 'spiffe://x/y' },
    ];
    const world = openWith(policy('p', { caCertificateRefs: refs, subjectAltNames }));
    world.put(world.sources.configMaps, { metadata: { name: 'ca', namespace: 'shop' }, data: { 'ca.crt': rootPem } });
    const data = { 'ca.crt': Buffer.from(rootPem).toString('base64') };
    world.put(world.sources.secrets, { metadata: { name: 'ca', namespace: 'shop' }, data });
    const secret = 'shop/p.backend-tls-policy';
    const decision = decide(world);
    assert.deepEqual(decision?.kind === 'tls' && [decision.tls, decision.secret], [
      {
        mode: 'simple',
        sni: 'web.internal',
        subjectAltNames: ['other.internal', 'spiffe://x/y'],
        ca: { kind: 'secret', secret },
      },
      { kind: 'secret', name: secret, caCertificates: `${rootPem.trimEnd()}\n${rootPem.trimEnd()}\n` },
    ]);
  });

  it('that has nothing to trust refuses connections rather than make them blindly', () => {
    const world = openWith(policy('p', fromMap));
    const refused = (verdict: string): void => {
      assert.equal(decide(world)?.kind, 'refused');
      assert.deepEqual(told(world, 'p'), [`Service web mesh-controller: NoValidCACertificate, ${verdict}`]);
    };
    refused('InvalidCACertificateRef');
    for (const pem of ['', 'x', '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----']) {
      world.put(world.sources.configMaps, { metadata: { name: 'ca', namespace: 'shop' }, data: { 'ca.crt': pem } });
      refused('InvalidCACertificateRef');
    }
    world.put(
      world.sources.backendTlsPolicies,
      policy('p', { caCertificateRefs: [{ group: 'x', kind: 'Y', name: 'z' }] }),
    );
    refused('InvalidKind');
    world.put(world.sources.backendTlsPolicies, policy('p', { wellKnownCACertificates: 'example.com/mine' }));
    refused('InvalidCACertificateRef');
    world.put(world.sources.configMaps, { metadata: { name: 'ca', namespace: 'shop' }, data: { 'ca.crt': rootPem } });
    const both = [...fromMap.caCertificateRefs, { group: '', kind: 'ConfigMap', name: 'gone' }];
    world.put(world.sources.backendTlsPolicies, policy('p', { caCertificateRefs: both }));
    assert.equal(decide(world)?.kind, 'tls', 'one that is good is enough');
    assert.deepEqual(told(world, 'p'), ['Service web mesh-controller: Accepted, InvalidCACertificateRef']);
  });

  const skip = spawnSync('openssl', ['version']).status !== 0;
  it('knows whom the authorities have revoked; one whose lists were never readable stands for nobody', { skip }, () => {
    using root = openOpensslRoot('servers');
    const lists = root.crl().toString();
    const refs = [...fromMap.caCertificateRefs, { group: '', kind: 'Secret', name: 'other' }];
    const world = openGatewayWorld();
    world.put(world.sources.services, service('web'));
    world.put(world.sources.backendTlsPolicies, policy('p', { caCertificateRefs: refs }));
    const put = (crl?: string): void =>
      world.put(world.sources.configMaps, {
        metadata: { name: 'ca', namespace: 'shop' },
        data: { 'ca.crt': root.certPem, ...(crl === undefined ? {} : { 'ca.crl': crl }) },
      });
    const putOther = (crl: string): void => {
      const data = { 'ca.crt': rootPem, 'ca.crl': crl };
      const encoded = Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
      world.put(world.sources.secrets, {
        metadata: { name: 'other', namespace: 'shop' },
        data: Object.fromEntries(encoded),
      });
    };
    const trusted = (): unknown => {
      const decision = decide(world);
      return decision?.kind === 'tls'
        ? [decision.secret?.caCertificates, decision.secret?.revocations]
        : decision?.kind;
    };
    const resolved = (): string | undefined =>
      world.api.verdicts.backendTlsPolicies.get('Kubernetes/shop/p')?.ancestors[0]?.conditions['ResolvedRefs']?.message;
    const [certs, listed] = [`${root.certPem.trimEnd()}\n`, `${lists.trim()}\n`];
    put('rotten');
    putOther('rotten, too');
    assert.equal(trusted(), 'refused');
    assert.match(
      resolved() ?? '',
      /ConfigMap shop\/ca has a ca\.crl that cannot be used: .*; Secret shop\/other has a ca\.crl that cannot be used/,
    );
    put(lists);
    assert.deepEqual(trusted(), [certs, listed]);
    put('rotten');
    assert.deepEqual(trusted(), [certs, listed]);
    assert.match(resolved() ?? '', /the last good lists stay in force/);
    putOther(lists);
    assert.deepEqual(trusted(), [`${certs}${rootPem.trimEnd()}\n`, `${listed}${listed}`]);
    put();
    assert.deepEqual(trusted(), [`${certs}${rootPem.trimEnd()}\n`, listed]);
    assert.equal(resolved(), 'all references hold');
  });

  it('gives way to an older one, and to one for the port', () => {
    const world = openWith(
      policy('young', system, { creationTimestamp: '2026-02-01T00:00:00Z' }),
      policy('old', system),
      policy('b-old', system),
      policy(
        'port',
        { ...system, targetRefs: [{ ...toWeb, sectionName: 'http' }] },
        { creationTimestamp: '2026-03-01T00:00:00Z' },
      ),
    );
    assert.equal(decide(world)?.origin.name, 'port');
    assert.equal(decide(world, web, 'else')?.origin.name, 'b-old');
    assert.deepEqual(told(world, 'young'), ['Service web mesh-controller: Conflicted, ResolvedRefs']);
    assert.deepEqual(told(world, 'old'), ['Service web mesh-controller: Conflicted, ResolvedRefs']);
    assert.deepEqual(told(world, 'port'), ['Service web mesh-controller: Accepted, ResolvedRefs']);
    world.remove(world.sources.backendTlsPolicies, policy('b-old'));
    assert.equal(decide(world, web, 'else')?.origin.name, 'old');
    assert.deepEqual(told(world, 'old'), ['Service web mesh-controller: Accepted, ResolvedRefs']);
  });

  it('tells of targets that are not there, and may be left aside', () => {
    const world = openWith(
      policy('gone', { ...system, targetRefs: [{ ...toWeb, name: 'gone' }] }),
      policy('port', { ...system, targetRefs: [{ ...toWeb, sectionName: 'x' }] }),
      policy('aside', system, { annotations: { 'istio.io/ignore-policy-attachment': 'true' } }),
    );
    assert.deepEqual(told(world, 'gone'), ['Service gone mesh-controller: TargetNotFound, ResolvedRefs']);
    assert.deepEqual(told(world, 'port'), ['Service web mesh-controller: TargetNotFound, ResolvedRefs']);
    assert.deepEqual(told(world, 'aside'), ['Service web mesh-controller: IgnoredByIstio, ResolvedRefs']);
    assert.equal(decide(world), undefined);
  });

  it('may be for the hosts of a ServiceEntry', () => {
    const targetRefs = [{ group: 'networking.istio.io', kind: 'ServiceEntry', name: 'api', sectionName: 'tls' }];
    const world = openWith(policy('p', { ...system, targetRefs }));
    world.put(world.sources.serviceEntries, serviceEntry('api'));
    assert.equal(decide(world, serviceKey('shop', 'api.example.com'), 'tls')?.kind, 'tls');
  });

  it('is told for each Gateway that has routes to the backend', () => {
    const world = openWith(policy('p', system));
    world.put(world.sources.gateways, edgeGateway([{ name: 'http', port: 80, protocol: 'HTTP' }]));
    world.put(world.sources.httpRoutes, httpRoute('r', { parents: [toGateway] }));
    assert.deepEqual(told(world, 'p'), [
      'Service web mesh-controller: Accepted, ResolvedRefs',
      'Gateway edge gateway-controller: Accepted, ResolvedRefs',
    ]);
    world.remove(world.sources.httpRoutes, httpRoute('r'));
    assert.equal(told(world, 'p').length, 1);
  });
});
