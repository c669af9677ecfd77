import 'reflect-metadata';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { X509CertificateGenerator } from '@peculiar/x509';
import type { Secret } from '../../api/core.ts';
import type { Gateway } from '../../api/gateway.ts';
import { createTestAuthority } from '../../../test/support/certificates.ts';
import { openOpensslRoot } from '../../../test/support/openssl-authority.ts';
import { gatewayClass, service, waypoint } from '../fixtures.ts';
import {
  edgeGateway,
  grant,
  httpRoute,
  openGatewayWorld,
  toGateway,
  type GatewayWorld,
} from './gateway-api-fixtures.ts';

type Listener = Gateway['spec']['listeners'][number];

const http: Listener = { name: 'http', port: 80, protocol: 'HTTP' };
const https = (name: string, ...secrets: string[]): Listener => ({
  name: 'https',
  port: 443,
  protocol: 'HTTPS',
  hostname: name,
  tls: { certificateRefs: secrets.map((secret) => ({ name: secret })) },
});

interface Pem {
  readonly chainPem: string;
  readonly keyPem: string;
}

let ecdsa: Pem;
let otherEcdsa: Pem;
let rsa: Pem;
let weak: Pem;
let rootPem: string;

before(async () => {
  const authority = await createTestAuthority();
  rootPem = authority.rootPem;
  const sign = () => authority.signServer({ dnsNames: ['shop.example.com'], ips: [] });
  [ecdsa, otherEcdsa] = await Promise.all([sign(), sign()]);
  [rsa, weak] = await Promise.all([selfSigned(2048), selfSigned(512)]);
});

async function selfSigned(modulusLength: number, validity: { notBefore?: Date; notAfter?: Date } = {}): Promise<Pem> {
  const name = 'RSASSA-PKCS1-v1_5';
  const algorithm = { name, hash: 'SHA-256', publicExponent: new Uint8Array([1, 0, 1]), modulusLength };
  const keys = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as CryptoKeyPair;
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=shop',
    keys,
    signingAlgorithm: algorithm,
    ...validity,
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    chainPem: certificate.toString('pem'),
    keyPem: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
  };
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const secretOf = (name: string, { chainPem, keyPem }: Pem, namespace = 'shop'): Secret => ({
  metadata: { name, namespace },
  type: 'kubernetes.io/tls',
  data: { 'tls.crt': base64(chainPem), 'tls.key': base64(keyPem) },
});

/** `type=reason` of the listener's conditions that are not as those of a good one. */
function faults(world: GatewayWorld, name: string): string[] {
  const good: Record<string, string> = {
    Accepted: 'True',
    Conflicted: 'False',
    Programmed: 'True',
    ResolvedRefs: 'True',
  };
  const conditions = world.listener('edge', name)?.conditions ?? {};
  assert.deepEqual(Object.keys(conditions).toSorted(), Object.keys(good).toSorted());
  return Object.entries(conditions)
    .filter(([type, { status }]) => status !== good[type])
    .map(([type, { reason }]) => `${type}=${reason}`);
}

function openWith(...listeners: Listener[]): GatewayWorld {
  const world = openGatewayWorld();
  world.put(world.sources.gateways, edgeGateway(listeners));
  return world;
}

const accepted = (world: GatewayWorld, name = 'edge'): string => {
  const condition = world.gateway(name)?.conditions['Accepted'];
  return `${condition?.status} ${condition?.reason}`;
};
const servers = (world: GatewayWorld): unknown[] =>
  world.edge('edge').map(({ port, servers: all }) => [port, ...all.map(({ name, hostname }) => `${name} ${hostname}`)]);

describe('the listeners of a Gateway', () => {
  it('are open when they are good, and tell which routes they take', () => {
    const world = openWith(http, { name: 'tcp', port: 9000, protocol: 'TCP' });
    assert.deepEqual([faults(world, 'http'), faults(world, 'tcp'), accepted(world)], [[], [], 'True Accepted']);
    const group = 'gateway.networking.k8s.io';
    assert.deepEqual(world.listener('edge', 'http')?.supportedKinds, [
      { group, kind: 'HTTPRoute' },
      { group, kind: 'GRPCRoute' },
    ]);
    assert.deepEqual(world.listener('edge', 'tcp')?.supportedKinds, [{ group, kind: 'TCPRoute' }]);
    assert.deepEqual(servers(world), [
      [80, 'http *'],
      [9000, 'tcp *'],
    ]);
  });

  it('share a port when their host names differ', () => {
    const world = openWith({ ...http, hostname: 'a.example.com' }, { ...http, name: 'b', hostname: '*.Example.com' });
    assert.deepEqual(servers(world), [[80, 'http a.example.com', 'b *.example.com']]);
  });

  it("that are in each other's way are all shut", () => {
    const conflicts = (a: Partial<Listener>, b: Partial<Listener>): unknown[] => {
      const world = openWith({ ...http, name: 'a', ...a } as Listener, { ...http, name: 'b', ...b } as Listener, {
        ...http,
        name: 'free',
        port: 8080,
      });
      assert.deepEqual(servers(world).at(-1), [8080, 'free *']);
      const condition = world.listener('edge', 'a')?.conditions['Conflicted'];
      assert.deepEqual(condition?.reason, world.listener('edge', 'b')?.conditions['Conflicted']?.reason);
      if (condition?.status === 'True') {
        assert.equal(accepted(world), 'True ListenersNotValid');
        assert.deepEqual(servers(world).length, 1);
        assert.deepEqual(faults(world, 'a').slice(0, 3), [
          `Accepted=${condition.reason}`,
          `Conflicted=${condition.reason}`,
          'Programmed=Invalid',
        ]);
      }
      return [condition?.status, condition?.reason];
    };
    const passthrough = { protocol: 'TLS', tls: { mode: 'Passthrough' as const } };
    assert.deepEqual(conflicts({}, {}), ['True', 'HostnameConflict']);
    assert.deepEqual(conflicts({ hostname: 'A.b' }, { hostname: 'a.b' }), ['True', 'HostnameConflict']);
    assert.deepEqual(conflicts({}, { hostname: 'a.b' }), ['False', 'NoConflicts']);
    assert.deepEqual(conflicts({}, { ...passthrough, hostname: 'a.b' }), ['True', 'ProtocolConflict']);
    assert.deepEqual(conflicts({}, { protocol: 'TCP' }), ['True', 'ProtocolConflict']);
    assert.deepEqual(conflicts({ protocol: 'TCP' }, { protocol: 'TCP' }), ['True', 'ProtocolConflict']);
    assert.deepEqual(conflicts({ protocol: 'TCP' }, { protocol: 'UDP' }), ['False', 'NoConflicts']);
    const secure = { ...https('b.c'), name: 'a' };
    assert.deepEqual(conflicts(secure, { ...passthrough, port: 443, hostname: 'b.c' }), ['True', 'HostnameConflict']);
  });

  it('of protocols that nobody speaks are not accepted', () => {
    const refusal = (listener: Partial<Listener>): string | undefined => {
      const world = openWith({ ...http, ...listener });
      assert.deepEqual(faults(world, 'http').slice(1), ['Programmed=Invalid']);
      assert.deepEqual([accepted(world), servers(world)], ['False ListenersNotValid', []]);
      assert.deepEqual(world.listener('edge', 'http')?.supportedKinds, []);
      const condition = world.listener('edge', 'http')?.conditions['Accepted'];
      return `${condition?.reason}: ${condition?.message}`;
    };
    assert.match(refusal({ protocol: 'http' }) ?? '', /^UnsupportedProtocol: .* but HTTP is: case matters/);
    assert.match(refusal({ protocol: 'UDP' }) ?? '', /^UnsupportedProtocol: protocol "UDP" is not supported$/);
    assert.match(refusal({ protocol: 'HBONE', port: 15008 }) ?? '', /^UnsupportedProtocol: .* for waypoints/);
    assert.match(refusal({ port: 15021 }) ?? '', /^PortUnavailable: port 15021 is the proxy's own$/);
  });

  it('count the routes that are attached, also where they are broken', () => {
    const world = openWith(http, { ...http, name: 'alt', port: 8080 }, https('a.b', 'gone'));
    const attached = (): (number | undefined)[] =>
      ['http', 'alt', 'https'].map((name) => world.listener('edge', name)?.attachedRoutes);
    assert.deepEqual(attached(), [0, 0, 0]);
    world.put(
      world.sources.httpRoutes,
      httpRoute('r', { parents: [toGateway] }),
      httpRoute('no', { parents: [{ ...toGateway, sectionName: 'x' }] }),
    );
    assert.deepEqual(attached(), [1, 1, 1]);
    const grpc = {
      metadata: { name: 'r', namespace: 'shop' },
      spec: { parentRefs: [{ ...toGateway, sectionName: 'alt' }], rules: [] },
    };
    world.put(world.sources.grpcRoutes, grpc);
    assert.deepEqual(attached(), [1, 2, 1]);
    world.remove(world.sources.httpRoutes, httpRoute('r'));
    assert.deepEqual(attached(), [0, 1, 0]);
  });

  it('serve the kinds of routes that are allowed and possible', () => {
    const world = openWith({ ...http, allowedRoutes: { kinds: [{ kind: 'HTTPRoute' }, { kind: 'TCPRoute' }] } });
    assert.deepEqual(
      world.listener('edge', 'http')?.supportedKinds.map(({ kind }) => kind),
      ['HTTPRoute'],
    );
    assert.deepEqual(faults(world, 'http'), ['ResolvedRefs=InvalidRouteKinds']);
    assert.deepEqual(servers(world), [[80, 'http *']]);
    const none = openWith({ ...http, allowedRoutes: { kinds: [{ group: 'x', kind: 'HTTPRoute' }] } });
    assert.deepEqual(none.listener('edge', 'http')?.supportedKinds, []);
  });
});

describe('the TLS of a listener', () => {
  it('is ended with certificates of Secrets', () => {
    const world = openWith(https('shop.example.com', 'cert', 'rsa'));
    world.put(world.sources.secrets, secretOf('cert', ecdsa), secretOf('rsa', rsa), secretOf('unused', ecdsa));
    assert.deepEqual(faults(world, 'https'), []);
    assert.deepEqual(world.edge('edge')[0]?.servers[0]?.tls, {
      mode: 'terminate',
      certificates: ['shop/cert', 'shop/rsa'],
      minVersion: 'TLSv1.2',
      cipherSuites: [],
    });
    assert.deepEqual(world.secrets('edge'), [
      { kind: 'secret', name: 'shop/cert', certificateChain: ecdsa.chainPem, privateKey: ecdsa.keyPem },
      { kind: 'secret', name: 'shop/rsa', certificateChain: rsa.chainPem, privateKey: rsa.keyPem },
    ]);
  });

  it('is passed through as it comes', () => {
    const world = openWith({ name: 'tls', port: 443, protocol: 'TLS', hostname: 'a.b', tls: { mode: 'Passthrough' } });
    assert.deepEqual(faults(world, 'tls'), []);
    assert.equal(world.edge('edge')[0]?.servers[0]?.tls?.mode, 'passthrough');
    assert.deepEqual(
      world.listener('edge', 'tls')?.supportedKinds.map(({ kind }) => kind),
      ['TLSRoute'],
    );
    const ended = openWith({ ...https('a.b', 'cert'), protocol: 'TLS' });
    assert.deepEqual(
      ended.listener('edge', 'https')?.supportedKinds.map(({ kind }) => kind),
      ['TLSRoute', 'TCPRoute'],
    );
  });

  it('is not served without a certificate, and beside it the rest is', () => {
    const world = openWith(http, https('a.b', 'cert'));
    const told = (): string => world.listener('edge', 'https')?.conditions['ResolvedRefs']?.message ?? '';
    const notServed = ['Programmed=Invalid', 'ResolvedRefs=InvalidCertificateRef'];
    assert.deepEqual(faults(world, 'https'), notServed);
    assert.deepEqual([servers(world), world.secrets('edge')], [[[80, 'http *']], []]);
    assert.match(told(), /Secret shop\/cert does not exist/);
    const tries: [Secret['data'], RegExp][] = [
      [{}, /has no tls\.crt/],
      [{ 'tls.crt': base64(ecdsa.chainPem) }, /has no tls\.key/],
      [{ 'tls.crt': base64('x'), 'tls.key': base64(ecdsa.keyPem) }, /tls\.crt is no certificate in PEM/],
      [{ 'tls.crt': base64(ecdsa.chainPem), 'tls.key': base64('x') }, /tls\.key is no private key in PEM/],
      [{ 'tls.crt': base64(ecdsa.chainPem), 'tls.key': base64(otherEcdsa.keyPem) }, /does not belong to/],
      [
        {
          'tls.crt': base64(ecdsa.chainPem),
          'tls.key': base64(
            generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
          ),
        },
        /of type ed25519/,
      ],
    ];
    tries.push([secretOf('cert', weak).data, /cannot be used for TLS: .*too small/]);
    for (const [data = {}, message] of tries) {
      world.put(world.sources.secrets, { metadata: { name: 'cert', namespace: 'shop' }, data });
      assert.deepEqual(faults(world, 'https'), notServed);
      // Who was told of a certificate before we started knows better.
      assert.deepEqual(world.secrets('edge'), [{ kind: 'secret', name: 'shop/cert', keepsLast: true }]);
      assert.match(told(), message);
      assert.match(told(), /; proxies that hold its last good certificate go on with that, others refuse connections$/);
    }
    world.put(world.sources.secrets, secretOf('cert', ecdsa));
    assert.deepEqual(faults(world, 'https'), []);
  });

  it('asks proxies for nothing that they may hold where another certificate of the listener can serve', () => {
    const world = openWith(https('a.b', 'cert', 'rsa'));
    world.put(world.sources.secrets, secretOf('cert', { ...ecdsa, chainPem: 'rotten' }), secretOf('rsa', rsa));
    assert.deepEqual(world.edge('edge')[0]?.servers[0]?.tls?.certificates, ['shop/rsa']);
    assert.deepEqual(faults(world, 'https'), ['ResolvedRefs=InvalidCertificateRef']);
  });

  it('goes on with the last good certificate when its Secret breaks', () => {
    const world = openWith(https('a.b', 'cert'));
    world.put(world.sources.secrets, secretOf('cert', ecdsa));
    const broken = { ...ecdsa, chainPem: 'rotten' };
    world.put(world.sources.secrets, secretOf('cert', broken));
    assert.deepEqual(faults(world, 'https'), ['ResolvedRefs=InvalidCertificateRef']);
    assert.match(world.listener('edge', 'https')?.conditions['ResolvedRefs']?.message ?? '', /last good certificate/);
    assert.deepEqual(
      world.secrets('edge').map(({ certificateChain }) => certificateChain),
      [ecdsa.chainPem],
    );
    assert.match(world.errors.at(-1) ?? '', /Cannot use Secret Kubernetes\/shop\/cert/);
    world.put(world.sources.secrets, secretOf('cert', otherEcdsa));
    assert.deepEqual(faults(world, 'https'), []);
    assert.equal(world.secrets('edge')[0]?.certificateChain, otherEcdsa.chainPem);
    world.remove(world.sources.secrets, secretOf('cert', otherEcdsa));
    assert.deepEqual([servers(world), world.secrets('edge')], [[], []]);
  });

  const at = (time: string): number => Date.parse(`2026-01-${time}Z`);
  /** Of `days`, as `01-05`. */
  const of = (days: string): Promise<Pem> => {
    const [from, to] = days.split('-');
    return selfSigned(2048, { notBefore: new Date(at(`${from}T00:00:00`)), notAfter: new Date(at(`${to}T00:00:00`)) });
  };
  /** A listener and its Secret, at a time that the test tells. */
  const openAt = (time: string) => {
    const now = { ms: at(time) };
    const world = openGatewayWorld({ nowMs: () => now.ms });
    world.put(world.sources.gateways, edgeGateway([https('a.b', 'cert')]));
    return {
      world,
      use: (pem: Pem) => world.put(world.sources.secrets, secretOf('cert', pem)),
      /** Time passes, and what is due by then is looked at. */
      pass(to: string) {
        now.ms = at(to);
        const { changesAtMs = Infinity } = world.api.servedCertificates.get('Kubernetes/shop/cert') ?? {};
        if (changesAtMs <= now.ms) world.due('cert');
      },
      serves: () => world.secrets('edge').map(({ certificateChain }) => certificateChain),
      told() {
        const { status, reason, message } = world.listener('edge', 'https')?.conditions['ResolvedRefs'] ?? {};
        return `${status} ${reason}: ${message}`;
      },
    };
  };

  it('goes on with the last good certificate when the next one has ended already, while that is valid', async () => {
    const [good, ended, next] = await Promise.all([of('01-10'), of('01-05'), of('01-20')]);
    const edge = openAt('06T00:00:00');
    edge.use(good);
    assert.match(edge.told(), /^True ResolvedRefs/);
    edge.use(ended);
    assert.deepEqual(edge.serves(), [good.chainPem]);
    assert.equal(
      edge.told(),
      'False InvalidCertificateRef: Secret shop/cert holds a certificate that ended at 2026-01-05T00:00:00Z; the last good certificate goes on serving',
    );
    assert.match(
      edge.world.errors.at(-1) ?? '',
      /Cannot use Secret Kubernetes\/shop\/cert: it holds a certificate that ended/,
    );
    assert.deepEqual(faults(edge.world, 'https'), ['ResolvedRefs=InvalidCertificateRef'], 'it is programmed');
    edge.pass('10T00:00:00');
    assert.deepEqual(edge.serves(), [good.chainPem], 'the last moment is part of its life');
    edge.pass('10T00:00:01');
    assert.deepEqual(edge.serves(), [ended.chainPem]);
    assert.match(edge.told(), /ended at 2026-01-05T00:00:00Z; it serves all the same: there is no better one$/);
    edge.use(next);
    assert.deepEqual([edge.serves(), edge.told().slice(0, 4)], [[next.chainPem], 'True']);
  });

  it('says so when the certificate that serves ends, and serves it where there is no other', async () => {
    const [own, broken] = [await of('01-05'), { chainPem: 'rotten', keyPem: 'rotten' }];
    const edge = openAt('04T00:00:00');
    edge.use(own);
    assert.match(edge.told(), /^True/);
    edge.pass('05T00:00:01');
    assert.deepEqual(edge.serves(), [own.chainPem]);
    assert.match(edge.told(), /^False InvalidCertificateRef: .* ended at 2026-01-05T00:00:00Z; it serves all the same/);
    edge.use(broken);
    assert.deepEqual(edge.serves(), [own.chainPem]);
    assert.match(
      edge.told(),
      /tls\.crt .*; the last good certificate serves, which has ended too: there is no better one/,
    );
    const fresh = openAt('06T00:00:00');
    fresh.use(own);
    assert.deepEqual(
      [fresh.serves(), faults(fresh.world, 'https')],
      [[own.chainPem], ['ResolvedRefs=InvalidCertificateRef']],
    );
  });

  it('takes a certificate that is not valid yet once it is', async () => {
    const [good, next] = [await of('01-10'), await of('08-20')];
    const edge = openAt('06T00:00:00');
    edge.use(good);
    edge.use(next);
    assert.deepEqual(edge.serves(), [good.chainPem]);
    assert.match(edge.told(), /holds a certificate that is not valid before 2026-01-08T00:00:00Z; the last good/);
    edge.pass('08T00:00:00');
    assert.deepEqual([edge.serves(), edge.told().slice(0, 4)], [[next.chainPem], 'True']);
    const fresh = openAt('06T00:00:00');
    fresh.use(next);
    assert.deepEqual(fresh.serves(), [next.chainPem]);
    assert.equal(fresh.world.secrets('edge')[0]?.keepsLast, true);
    assert.match(fresh.told(), /not valid before .*; it serves all the same, but proxies that hold a better one go on/);
    fresh.pass('08T00:00:00');
    assert.match(fresh.told(), /^True/);
  });

  it('never tells of a key in a status', () => {
    const world = openWith(https('a.b', 'cert'));
    world.put(
      world.sources.secrets,
      secretOf('cert', { ...ecdsa, keyPem: ecdsa.keyPem.replace(/[A-Z]{4}/, 'secretsecret') }),
    );
    assert.ok(!JSON.stringify(world.gateway('edge')).includes('secretsecret'));
    assert.ok(!world.errors.join('').includes('secretsecret'));
  });

  it('has one certificate of each kind at most', () => {
    const world = openWith(https('a.b', 'one', 'two'));
    world.put(world.sources.secrets, secretOf('one', ecdsa), secretOf('two', otherEcdsa));
    assert.deepEqual(faults(world, 'https'), ['ResolvedRefs=InvalidCertificateRef']);
    assert.deepEqual(world.edge('edge')[0]?.servers[0]?.tls?.certificates, ['shop/one']);
  });

  it('names Secrets of other namespaces that are granted, and of no other kind', () => {
    const listener = https('a.b');
    const ref = { name: 'cert', namespace: 'vault' };
    const world = openWith({ ...listener, tls: { certificateRefs: [ref] } });
    assert.deepEqual(faults(world, 'https'), ['Programmed=Invalid', 'ResolvedRefs=RefNotPermitted']);
    world.put(world.sources.secrets, secretOf('cert', ecdsa, 'vault'));
    assert.deepEqual(faults(world, 'https'), ['Programmed=Invalid', 'ResolvedRefs=RefNotPermitted']);
    const from = [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: 'shop' }];
    world.put(
      world.sources.referenceGrants,
      grant('vault', { from, to: [{ group: '', kind: 'Secret', name: 'cert' }] }),
    );
    assert.deepEqual(faults(world, 'https'), []);
    assert.deepEqual(
      world.secrets('edge').map(({ name }) => name),
      ['vault/cert'],
    );
    const odd = openWith({ ...listener, tls: { certificateRefs: [{ kind: 'ConfigMap', name: 'cert' }] } });
    assert.deepEqual(faults(odd, 'https'), ['Programmed=Invalid', 'ResolvedRefs=InvalidCertificateRef']);
  });

  it('has options that hold, or the listener is refused', () => {
    const withOptions = (options: Record<string, string>): GatewayWorld => {
      const listener = https('a.b', 'cert');
      const world = openWith({ ...listener, tls: { ...listener.tls, options } });
      world.put(world.sources.secrets, secretOf('cert', ecdsa));
      return world;
    };
    const suites = 'ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-RSA-AES128-GCM-SHA256';
    const good = withOptions({
      'gateway.istio.io/tls-cipher-suites': suites,
      'gateway.ambit.dev/tls-min-version': '1.3',
    });
    assert.deepEqual(good.edge('edge')[0]?.servers[0]?.tls, {
      mode: 'terminate',
      certificates: ['shop/cert'],
      minVersion: 'TLSv1.3',
      cipherSuites: suites.split(', '),
    });
    for (const options of [
      { 'gateway.istio.io/tls-cipher-suites': 'ROT13' },
      { 'gateway.ambit.dev/tls-min-version': '1.1' },
      { 'gateway.istio.io/tls-terminate-mode': 'ISTIO_MUTUAL' },
    ]) {
      const bad = withOptions(options);
      assert.deepEqual([faults(bad, 'https')[0], servers(bad)], ['Accepted=UnsupportedValue', []]);
    }
  });
});

describe('the clients of an HTTPS listener', () => {
  const validated = (frontend: NonNullable<NonNullable<Gateway['spec']['tls']>['frontend']>): GatewayWorld => {
    const world = openGatewayWorld();
    world.put(world.sources.secrets, secretOf('cert', ecdsa));
    const gateway = edgeGateway([http, https('a.b', 'cert'), { ...https('a.b', 'cert'), name: 'alt', port: 8443 }]);
    world.put(world.sources.gateways, { ...gateway, spec: { ...gateway.spec, tls: { frontend } } });
    return world;
  };
  const ca = (more: object = {}) => ({ caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'ca', ...more }] });
  const clientCas = (world: GatewayWorld): unknown[] =>
    world.edge('edge').flatMap(({ port, servers: all }) => all.map(({ tls }) => [port, tls?.clientCa]));
  const putCa = (world: GatewayWorld, namespace = 'shop'): void =>
    world.put(world.sources.configMaps, { metadata: { name: 'ca', namespace }, data: { 'ca.crt': rootPem } });

  it('must show certificates of the authorities that are named', () => {
    const world = validated({ default: { validation: ca() } });
    putCa(world);
    assert.deepEqual(faults(world, 'https'), []);
    const clientCa = { secret: 'shop/edge.client-ca', required: true };
    assert.deepEqual(clientCas(world), [
      [80, undefined],
      [443, clientCa],
      [8443, clientCa],
    ]);
    assert.deepEqual(world.secrets('edge').at(-1), {
      kind: 'secret',
      name: 'shop/edge.client-ca',
      caCertificates: `${rootPem.trimEnd()}\n`,
    });
  });

  it('may differ by port, and may be let in without', () => {
    const fallback = { validation: { ...ca(), mode: 'AllowInsecureFallback' as const } };
    const world = validated({ default: { validation: ca() }, perPort: [{ port: 8443, tls: fallback }] });
    putCa(world);
    assert.deepEqual(clientCas(world).at(-1), [8443, { secret: 'shop/edge.client-ca.8443', required: false }]);
    const open = validated({ default: { validation: ca() }, perPort: [{ port: 8443, tls: {} }] });
    putCa(open);
    assert.deepEqual(clientCas(open).at(-1), [8443, undefined]);
  });

  it("may be told from one another by the authorities in the listener's own Secret, or beside it", () => {
    const asked = (mode: string, withCa: boolean): GatewayWorld => {
      const listener = https('a.b', 'cert');
      const options = { 'gateway.istio.io/tls-terminate-mode': mode };
      const world = openWith({ ...listener, tls: { ...listener.tls, options } });
      const { data, ...secret } = secretOf('cert', ecdsa);
      world.put(world.sources.secrets, {
        ...secret,
        data: { ...data, ...(withCa ? { 'ca.crt': base64(rootPem) } : {}) },
      });
      return world;
    };
    const secret = 'shop/edge.client-ca.https';
    assert.deepEqual(clientCas(asked('MUTUAL', true)), [[443, { secret, required: true }]]);
    assert.deepEqual(clientCas(asked('OPTIONAL_MUTUAL', true)), [[443, { secret, required: false }]]);
    const without = asked('MUTUAL', false);
    assert.deepEqual(faults(without, 'https')[0], 'Accepted=NoValidCACertificate');
    assert.deepEqual(servers(without), []);
    const data = { cacert: base64(rootPem) };
    without.put(without.sources.secrets, { metadata: { name: 'cert-cacert', namespace: 'shop' }, data });
    assert.deepEqual(clientCas(without), [[443, { secret, required: true }]]);
    assert.deepEqual(
      without.secrets('edge').map(({ name }) => name),
      ['shop/cert', secret],
    );
  });

  const skip = spawnSync('openssl', ['version']).status !== 0;
  it(
    'are told from those that the authorities have revoked; lists that are broken are said, and the last good hold',
    { skip },
    () => {
      using root = openOpensslRoot('clients');
      const lists = root.crl().toString();
      const world = validated({ default: { validation: ca() } });
      const put = (crl: string): void =>
        world.put(world.sources.configMaps, {
          metadata: { name: 'ca', namespace: 'shop' },
          data: { 'ca.crt': root.certPem, 'ca.crl': crl },
        });
      const told = (): string | undefined =>
        world.secrets('edge').find(({ name }) => name.includes('client-ca'))?.revocations;
      put(lists);
      assert.equal(told(), `${lists.trim()}\n`);
      assert.deepEqual(faults(world, 'https'), []);
      put('broken');
      assert.equal(told(), `${lists.trim()}\n`);
      assert.deepEqual(faults(world, 'https'), ['ResolvedRefs=InvalidCACertificateRef']);
      put('');
      assert.equal(told(), undefined);
      assert.deepEqual(faults(world, 'https'), []);
    },
  );

  it(
    "are told apart by the lists in the listener's own Secret too; without any that can be read nobody is let in",
    { skip },
    () => {
      using root = openOpensslRoot('clients');
      const withLists = (crl: string): GatewayWorld => {
        const listener = https('a.b', 'cert');
        const world = openWith({
          ...listener,
          tls: { ...listener.tls, options: { 'gateway.istio.io/tls-terminate-mode': 'MUTUAL' } },
        });
        const { data, ...secret } = secretOf('cert', ecdsa);
        world.put(world.sources.secrets, {
          ...secret,
          data: { ...data, 'ca.crt': base64(root.certPem), 'ca.crl': base64(crl) },
        });
        return world;
      };
      const lists = root.crl().toString();
      assert.equal(withLists(lists).secrets('edge').at(-1)?.revocations, `${lists.trim()}\n`);
      const broken = withLists('broken');
      assert.deepEqual(faults(broken, 'https')[0], 'Accepted=NoValidCACertificate');
      assert.deepEqual(servers(broken), []);
      const beside = { 'ca.crt': base64(rootPem) };
      broken.put(broken.sources.secrets, { metadata: { name: 'cert-cacert', namespace: 'shop' }, data: beside });
      assert.deepEqual(servers(broken), [], 'no other authority takes the place of one whose lists are broken');
    },
  );

  it('are not let in while there is no authority', () => {
    const shut = (more: object, reason: string): GatewayWorld => {
      const world = validated({ default: { validation: ca(more) } });
      assert.deepEqual(faults(world, 'https'), [
        'Accepted=NoValidCACertificate',
        'Programmed=Invalid',
        `ResolvedRefs=${reason}`,
      ]);
      assert.deepEqual(servers(world), [[80, 'http *']]);
      return world;
    };
    shut({}, 'InvalidCACertificateRef');
    shut({ kind: 'Pod' }, 'InvalidCACertificateKind');
    const world = shut({ namespace: 'vault' }, 'RefNotPermitted');
    putCa(world, 'vault');
    assert.deepEqual(servers(world), [[80, 'http *']]);
    const from = [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: 'shop' }];
    world.put(world.sources.referenceGrants, grant('vault', { from, to: [{ group: '', kind: 'ConfigMap' }] }));
    assert.deepEqual(faults(world, 'https'), []);
  });
});

describe('what nothing acts on in a Gateway', () => {
  it('is told', () => {
    const world = openGatewayWorld();
    const gateway = edgeGateway([http]);
    const put = (more: Partial<typeof gateway.spec>): void =>
      world.put(world.sources.gateways, { ...gateway, spec: { ...gateway.spec, ...more } });
    const told = (type: string): string => {
      const { status, reason, message } = world.gateway('edge')?.conditions[type] ?? {};
      return `${status} ${reason}: ${message}`;
    };
    put({ tls: { backend: { clientCertificateRef: { group: '', kind: 'Secret', name: 'us' } } } });
    assert.match(told('ResolvedRefs'), /^False InvalidClientCertificateRef: .* backends are shown no certificate/);
    assert.equal(told('Accepted'), 'True Accepted: the Gateway is valid');
    put({ allowedListeners: { namespaces: { from: 'Same' } }, defaultScope: 'All' });
    assert.equal(told('ResolvedRefs'), 'undefined undefined: undefined');
    assert.equal(
      told('Accepted'),
      'True Accepted: the Gateway is valid; without effect: spec.allowedListeners: listeners of ListenerSets are not served; spec.defaultScope: routes name their Gateways',
    );
    put({ allowedListeners: { namespaces: { from: 'None' } }, defaultScope: 'None' });
    assert.equal(told('Accepted'), 'True Accepted: the Gateway is valid');
  });
});

describe('Gateways of other roles', () => {
  it('are waypoints, whose one listener takes HBONE', () => {
    const world = openGatewayWorld();
    world.put(world.sources.gateways, waypoint('wp'));
    assert.deepEqual([accepted(world, 'wp'), world.edge('wp')], ['True Accepted', []]);
    assert.deepEqual(world.listener('wp', 'mesh')?.supportedKinds, []);
    const odd = waypoint('wp');
    odd.spec.listeners.push({ ...http });
    world.put(world.sources.gateways, odd);
    assert.equal(accepted(world, 'wp'), 'True ListenersNotValid');
    const told = world.listener('wp', 'http')?.conditions['Accepted'];
    assert.equal(told?.reason, 'UnsupportedProtocol');
    assert.match(told.message, /single listener, on port 15008 with protocol "HBONE"/);
  });

  it('are between networks, and take HBONE alone', () => {
    const world = openGatewayWorld();
    const mutual = { mode: 'Terminate', options: { 'gateway.istio.io/tls-terminate-mode': 'ISTIO_MUTUAL' } } as const;
    const hbone: Listener = { name: 'mesh', port: 15008, protocol: 'HBONE', tls: mutual };
    const tls: Listener = { name: 'tls', port: 15443, protocol: 'TLS', tls: { mode: 'Passthrough' } };
    const second: Listener = { ...hbone, name: 'second', port: 15009 };
    world.put(world.sources.gateways, edgeGateway([hbone, tls, second], { className: 'istio-east-west' }));
    assert.equal(accepted(world), 'True ListenersNotValid');
    assert.equal(world.listener('edge', 'mesh')?.conditions['Programmed']?.status, 'True');
    const told = world.listener('edge', 'tls')?.conditions['Accepted'];
    assert.equal(told?.reason, 'UnsupportedProtocol');
    assert.match(told.message, /between networks takes protocol "HBONE" alone/);
    const other = world.listener('edge', 'second')?.conditions;
    assert.match(other?.['Accepted']?.message ?? '', /told of one listener for HBONE alone, the first/);
    assert.equal(other?.['Programmed']?.status, 'False');
    assert.deepEqual(world.edge('edge'), []);
  });

  it('are decided by the controller of the class', () => {
    const world = openGatewayWorld();
    world.put(world.sources.services, service('web'));
    world.put(world.sources.gateways, edgeGateway([http], { className: 'special' }));
    assert.equal(world.gateway('edge'), undefined);
    world.put(world.sources.gatewayClasses, gatewayClass('special', 'ambit.dev/gateway-controller'));
    assert.equal(accepted(world), 'True Accepted');
    assert.equal(world.api.verdicts.classes.get('Kubernetes//special')?.accepted.status, 'True');
    world.put(world.sources.gatewayClasses, gatewayClass('special', 'example.com/other'));
    assert.deepEqual([world.gateway('edge'), world.edge('edge')], [undefined, []]);
    assert.equal(world.api.verdicts.classes.get('Kubernetes//special'), undefined);
  });
});
