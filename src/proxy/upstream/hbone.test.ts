import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { createTestAuthority, type TestAuthority } from '../../../test/support/certificates.ts';
import { serviceKey, type NetworkId } from '../../api/names.ts';
import type { MeshService, MeshWorkload } from '../../api/workload.ts';
import { HeaderList } from '../../http/header-list.ts';
import type { WorkloadCertificate } from '../../identity/index.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../mesh/fixtures.ts';
import {
  applyMesh,
  backendOf,
  endpoint,
  Heard,
  ownIdentity,
  requestHead,
  testUpstreams,
  upstreamRequest,
  web,
  type TestUpstreams,
} from './upstream-fixtures.ts';
import { startHttp, startHttps, startWebSocket, startZtunnel, type TestZtunnel } from './test-servers.ts';
import type { UpstreamsOptions } from './upstreams.ts';

let authority: TestAuthority;
let own: WorkloadCertificate;
before(async () => {
  authority = await createTestAuthority();
  own = await authority.certificate(ownIdentity);
});

const service: MeshService = { ...web, ports: [{ servicePort: 80, targetPort: 8080, appProtocol: 'http11' }] };
const pod = endpoint('a', '127.0.0.1', { tunnelProtocol: 'hbone' });

function upstreamsTo(
  ztunnel: TestZtunnel,
  more: Partial<UpstreamsOptions> = {},
  parts: readonly (MeshWorkload | MeshService)[] = [service, pod],
): TestUpstreams {
  return testUpstreams(parts, {
    hbonePort: ztunnel.port,
    certificates: { certificate: () => Promise.resolve(own), onRotate: () => () => {} },
    ...more,
  });
}

async function ask({ upstreams }: TestUpstreams, path = '/'): Promise<Heard> {
  const heard = new Heard();
  upstreams.open('web', upstreamRequest({ head: requestHead(path) }), heard);
  await heard.closed;
  return heard;
}

describe('requests by HBONE', () => {
  test('go through one tunnel a connection, with our own identity, to who the workload is', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/web'), app.port);
    const us = meshWorkload({ name: 'waypoint', serviceAccount: 'waypoint' });
    const tested = upstreamsTo(ztunnel, { own: () => us });
    tested.configure(backendOf());
    for (const path of ['/one', '/two']) {
      const heard = await ask(tested, path);
      assert.equal(heard.failure, undefined);
      assert.equal(heard.body, `GET ${path}`);
      assert.equal(heard.hosts.at(-1)?.peer, 'spiffe://cluster.local/ns/shop/sa/web');
      assert.equal(heard.hosts.at(-1)?.tunnelled, true);
    }
    const [request] = ztunnel.requests;
    assert.equal(ztunnel.requests.length, 1);
    assert.equal(request?.authority, '127.0.0.1:8080');
    assert.equal(request?.from, ownIdentity);
    assert.equal(request?.forwarded, `for="127.0.0.1";host=${service.hostname}`);
    assert.match(request?.baggage ?? '', /k8s\.deployment\.name=waypoint/);
    assert.match(request?.traceparent ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    tested.upstreams.close();
  });

  test('share the connection below for all tunnels to one pod', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/web'), app.port);
    const tested = upstreamsTo(ztunnel);
    tested.configure(backendOf(), backendOf({ name: 'other' }));
    const all = await Promise.all(Array.from({ length: 8 }, () => ask(tested)));
    assert.ok(all.every(({ head }) => head?.status === 200));
    assert.equal(ztunnel.connections, 1);
    assert.ok(ztunnel.requests.length > 1);
    tested.upstreams.close();
  });

  test('fail where another workload answers', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/impostor'), app.port);
    const tested = upstreamsTo(ztunnel);
    tested.configure(backendOf());
    const { failure } = await ask(tested);
    assert.deepEqual([failure?.kind, failure?.flag, failure?.sent], ['connect-failure', 'UF', 'no']);
    assert.match(failure?.message ?? '', /the server is spiffe:\/\/cluster\.local\/ns\/shop\/sa\/impostor/);
    assert.deepEqual(ztunnel.requests, []);
    tested.upstreams.close();
  });

  test('take the other names of our trust domain for the same, and no others', async () => {
    await using app = await startHttp();
    const renamed = await authority.certificate('spiffe://old.example/ns/shop/sa/web');
    await using ztunnel = await startZtunnel(renamed, app.port);
    let aliases: readonly string[] = ['older.example'];
    // What it is of itself does not matter to the test's peer, which has no aliases.
    const foreign = await authority.certificate('spiffe://old.example/ns/shop/sa/waypoint');
    const tested = upstreamsTo(ztunnel, {
      trustDomainAliases: () => aliases,
      certificates: { certificate: () => Promise.resolve(foreign), onRotate: () => () => {} },
    });
    tested.configure(backendOf());
    assert.equal((await ask(tested)).failure?.kind, 'connect-failure');
    aliases = ['older.example', 'old.example'];
    const heard = await ask(tested);
    assert.equal(heard.hosts.at(-1)?.peer, 'spiffe://old.example/ns/shop/sa/web');
    tested.upstreams.close();
  });

  test('take the identities that the Service vouches for', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('vm/legacy'), app.port);
    const vouching = { ...service, subjectAltNames: ['spiffe://cluster.local/ns/vm/sa/legacy'] };
    const tested = upstreamsTo(ztunnel, {}, [vouching, pod]);
    tested.configure(backendOf());
    const heard = await ask(tested);
    assert.equal(heard.head?.status, 200);
    assert.equal(heard.hosts.at(-1)?.peer, 'spiffe://cluster.local/ns/vm/sa/legacy');
    tested.upstreams.close();
  });

  test('go by new tunnels once our certificate is another', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/web'), app.port);
    let rotate: (certificate: WorkloadCertificate) => void = () => {};
    const tested = upstreamsTo(ztunnel, {
      certificates: {
        certificate: () => Promise.resolve(own),
        onRotate: (listener) => {
          rotate = listener;
          return () => {};
        },
      },
    });
    tested.configure(backendOf());
    rotate(own);
    await ask(tested);
    rotate(own);
    await ask(tested);
    assert.equal(ztunnel.connections, 1);
    own = { ...own, generation: own.generation + 1 };
    rotate(own);
    assert.equal((await ask(tested)).head?.status, 200);
    assert.equal(ztunnel.connections, 2);
    tested.upstreams.close();
  });

  test('carry TLS to the application inside of the tunnel', async () => {
    const server = await authority.signServer({ dnsNames: ['web.shop'], ips: [] });
    await using app = await startHttps({ cert: server.chainPem, key: server.keyPem });
    await using ztunnel = await startZtunnel(await authority.certificate('shop/web'), app.port);
    const tested = upstreamsTo(ztunnel);
    const tls = { mode: 'simple', subjectAltNames: [], ca: { kind: 'secret', secret: 'shop/ca' } } as const;
    tested.upstreams.apply(
      new Map([['web', backendOf({ tls })]]),
      new Map([['shop/ca', { kind: 'secret', name: 'shop/ca', caCertificates: authority.rootPem }]]),
    );
    assert.equal((await ask(tested)).body, '1.1 web.shop nobody');
    tested.upstreams.close();
  });
});

test('an upgraded connection carries bytes both ways, and is used for nothing else', async () => {
  await using app = await startWebSocket();
  await using ztunnel = await startZtunnel(await authority.certificate('shop/web'), app.port);
  const tested = upstreamsTo(ztunnel);
  tested.configure(backendOf({ protocol: 'http2' }));
  for (const text of ['one', 'two']) {
    const heard = new Heard();
    const head = requestHead('/', {
      version: 'http/2',
      upgrade: 'websocket',
      headers: new HeaderList(['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version', '13']),
    });
    const exchange = tested.upstreams.open('web', upstreamRequest({ head, ends: false }), heard);
    heard.onBytes = () => {
      if (heard.body === `echo ${text}`) exchange.end();
    };
    heard.onResponse = (response) => {
      heard.head = response;
      exchange.write(Buffer.from(text));
    };
    assert.equal(await heard.closed, undefined);
    assert.equal(heard.head?.status, 101);
    assert.equal(heard.body, `echo ${text}`);
  }
  assert.equal(ztunnel.requests.length, 2);
  tested.upstreams.close();
});

describe('through the waypoint of a Service', () => {
  const waypointKey = serviceKey('shop', 'waypoint.shop.svc.cluster.local');
  const waypoint = meshService({
    name: 'waypoint',
    ports: [{ servicePort: 15_008, targetPort: 15_008, appProtocol: 'unknown' }],
  });
  const gateway = {
    destination: { kind: 'hostname', namespace: 'shop', hostname: waypoint.hostname },
    hboneMtlsPort: 15_008,
  } as const;
  const guarded = { ...service, waypoint: gateway };
  const us = meshWorkload({ name: 'gateway', addresses: ['127.0.0.1'], network: defaultNetwork });
  const waypointPod = (port: number, more: Partial<MeshWorkload> = {}): MeshWorkload =>
    endpoint('waypoint', '127.0.0.1', {
      tunnelProtocol: 'hbone',
      serviceAccount: 'waypoint',
      services: new Map([[waypointKey, [{ servicePort: 15_008, targetPort: port, appProtocol: 'unknown' as const }]]]),
      ...more,
    });

  test('requests go with the address of the Service as authority', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/waypoint'), app.port);
    const tested = upstreamsTo(ztunnel, { own: () => us }, [guarded, pod, waypoint, waypointPod(ztunnel.port)]);
    tested.configure(backendOf({ throughWaypoint: true }));
    const heard = await ask(tested, '/x');
    assert.equal(heard.body, 'GET /x');
    assert.equal(ztunnel.requests[0]?.authority, '10.96.0.10:80');
    assert.equal(heard.hosts.at(-1)?.workload?.name, 'waypoint');
    tested.upstreams.close();
  });

  test('nothing goes past a waypoint that has no ready pod, until it has one', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/waypoint'), app.port);
    const down = waypointPod(ztunnel.port, { status: 'unhealthy' });
    const tested = upstreamsTo(ztunnel, { own: () => us }, [guarded, pod, waypoint, down]);
    tested.configure(backendOf({ throughWaypoint: true }));
    assert.equal((await ask(tested)).failure?.kind, 'no-healthy-host');
    applyMesh(tested.mesh, waypointPod(ztunnel.port));
    assert.equal((await ask(tested)).head?.status, 200);
    tested.upstreams.close();
  });

  test('a waypoint may be a single address, and is known before we know ourselves', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/waypoint'), app.port);
    const address = { network: defaultNetwork, ip: '127.0.0.1' };
    const single = { destination: { kind: 'address', address }, hboneMtlsPort: ztunnel.port } as const;
    const lone = { ...waypointPod(1), services: new Map() };
    for (const parts of [
      [{ ...service, waypoint: single }, lone] as const,
      [guarded, waypoint, waypointPod(ztunnel.port)],
    ]) {
      const tested = upstreamsTo(ztunnel, {}, parts);
      tested.configure(backendOf({ throughWaypoint: true }));
      assert.equal((await ask(tested)).failure, undefined);
      tested.upstreams.close();
    }
    // Without ourselves no address of the Service is in our network.
    assert.deepEqual(
      ztunnel.requests.map(({ authority: asked }) => asked),
      [`${service.hostname}:80`, `${service.hostname}:80`],
    );
  });

  test('a waypoint itself goes straight to the pods', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/web'), app.port);
    const self = waypointPod(1);
    const tested = upstreamsTo(ztunnel, { own: () => self }, [guarded, pod, waypoint, self]);
    tested.configure(backendOf({ throughWaypoint: true }));
    assert.equal((await ask(tested)).head?.status, 200);
    assert.equal(ztunnel.requests[0]?.authority, '127.0.0.1:8080');
    tested.upstreams.close();
  });
});

describe('in another network', () => {
  const far = 'far' as NetworkId;
  const gatewayService = meshService({
    name: 'east-west',
    namespace: 'infra',
    ports: [{ servicePort: 15_008, targetPort: 15_008, appProtocol: 'unknown' }],
  });
  const gatewayKey = serviceKey('infra', gatewayService.hostname);
  const networkGateway = {
    destination: { kind: 'hostname', namespace: 'infra', hostname: gatewayService.hostname },
    hboneMtlsPort: 15_008,
  } as const;
  const remote = endpoint('remote', '', { addresses: [], network: far, tunnelProtocol: 'hbone', networkGateway });
  const vouching = { ...service, subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/web'] };
  const us = meshWorkload({ name: 'waypoint', addresses: ['127.0.0.1'], serviceAccount: 'waypoint' });
  const gatewayPod = (name: string, port: number, more: Partial<MeshWorkload> = {}): MeshWorkload =>
    meshWorkload({
      name,
      namespace: 'infra',
      serviceAccount: 'gateway',
      addresses: ['127.0.0.1'],
      services: new Map([[gatewayKey, [{ servicePort: 15_008, targetPort: port, appProtocol: 'unknown' as const }]]]),
      ...more,
    });

  test('requests go by a tunnel inside of one to the gateway, to whom the Service vouches for', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/web'), app.port);
    await using gateway = await startZtunnel(await authority.certificate('infra/gateway'), ztunnel.port);
    const parts = [vouching, remote, gatewayService, gatewayPod('east-west-1', gateway.port)];
    const tested = upstreamsTo(ztunnel, { own: () => us }, parts);
    tested.configure(backendOf());
    const all = await Promise.all(Array.from({ length: 8 }, () => ask(tested, '/x')));
    for (const { body, failure, hosts } of all) {
      assert.deepEqual([failure, body], [undefined, 'GET /x']);
      const host = hosts.at(-1);
      assert.deepEqual(
        [host?.address, host?.port, host?.tunnelled, host?.workload?.name, host?.peer],
        ['127.0.0.1', gateway.port, true, 'remote', 'spiffe://cluster.local/ns/shop/sa/web'],
      );
    }
    assert.equal(gateway.connections, 1, 'the way to the gateway is shared');
    for (const { requests } of [gateway, ztunnel]) {
      const [request] = requests;
      assert.equal(request?.authority, `${service.hostname}:80`);
      assert.equal(request?.from, ownIdentity);
      assert.equal(request?.source, 'waypoint');
      assert.match(request?.baggage ?? '', /k8s\.deployment\.name=waypoint/);
    }
    tested.upstreams.close();
  });

  test('requests of a gateway at the edge say so', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/web'), app.port);
    await using gateway = await startZtunnel(await authority.certificate('infra/gateway'), ztunnel.port);
    // Whatever it speaks by itself: between networks there is no other way.
    const plain = { ...remote, tunnelProtocol: 'none' as const };
    const parts = [vouching, plain, gatewayService, gatewayPod('east-west-1', gateway.port)];
    const near = { ...us, network: 'near' as NetworkId };
    const tested = upstreamsTo(ztunnel, { own: () => near, source: 'gateway' }, parts);
    tested.configure(backendOf());
    assert.equal((await ask(tested)).head?.status, 200);
    assert.deepEqual([gateway.requests[0]?.source, gateway.requests[0]?.network], ['gateway', '']);
    assert.deepEqual([ztunnel.requests[0]?.source, ztunnel.requests[0]?.network], ['gateway', 'near']);
    tested.upstreams.close();
  });

  test('nobody else is believed, at the gateway nor behind it', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/impostor'), app.port);
    await using gateway = await startZtunnel(await authority.certificate('infra/gateway'), ztunnel.port);
    const pods = [gatewayService, gatewayPod('east-west-1', gateway.port)];
    const tested = upstreamsTo(ztunnel, { own: () => us }, [vouching, remote, ...pods]);
    tested.configure(backendOf());
    const inside = await ask(tested);
    assert.equal(inside.failure?.kind, 'connect-failure');
    assert.match(inside.failure?.message ?? '', /the server is spiffe:\/\/cluster\.local\/ns\/shop\/sa\/impostor/);
    assert.deepEqual(ztunnel.requests, []);
    applyMesh(tested.mesh, gatewayPod('east-west-1', gateway.port, { serviceAccount: 'other' }));
    const outside = await ask(tested);
    assert.match(outside.failure?.message ?? '', /the server is spiffe:\/\/cluster\.local\/ns\/infra\/sa\/gateway/);
    assert.equal(gateway.requests.length, 1);
    tested.upstreams.close();
  });

  test('nothing is sent where no gateway leads, and the reason is told', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/web'), app.port);
    await using gateway = await startZtunnel(await authority.certificate('infra/gateway'), ztunnel.port);
    const { networkGateway: _, ...lost } = { ...remote, addresses: ['127.0.0.1'] };
    const tested = upstreamsTo(ztunnel, { own: () => us }, [vouching, lost]);
    tested.configure(backendOf());
    const refused = async (reason: RegExp): Promise<void> => {
      const { failure } = await ask(tested);
      assert.deepEqual([failure?.kind, failure?.flag], ['no-healthy-host', 'UH']);
      assert.match(failure?.message ?? '', reason);
    };
    await refused(/none of 1 is healthy; workload .*\/remote is in network "far", which no gateway joins/);
    applyMesh(tested.mesh, remote);
    await refused(/gateway infra\/east-west\.infra\.svc\.cluster\.local of network "far" has no ready endpoint/);
    applyMesh(tested.mesh, gatewayService, gatewayPod('east-west-1', gateway.port, { status: 'unhealthy' }));
    await refused(/has no ready endpoint/);
    applyMesh(tested.mesh, gatewayPod('east-west-1', gateway.port), service);
    await refused(/names no identity that may answer for it in network "far"/);
    assert.equal(gateway.connections + ztunnel.connections, 0);
    applyMesh(tested.mesh, vouching);
    assert.equal((await ask(tested)).head?.status, 200);
    // The gateway's pods come and go without a change of what is behind them.
    applyMesh(tested.mesh, gatewayPod('east-west-1', gateway.port, { status: 'unhealthy' }));
    await refused(/has no ready endpoint/);
    applyMesh(tested.mesh, gatewayPod('east-west-1', gateway.port));
    assert.equal((await ask(tested)).head?.status, 200);
    tested.upstreams.close();
  });

  test('endpoints of our own network serve while no gateway leads to the others', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/web'), app.port);
    const tested = upstreamsTo(ztunnel, { own: () => us }, [vouching, pod, remote]);
    tested.configure(backendOf());
    for (let i = 0; i < 4; i++) assert.equal((await ask(tested)).hosts.at(-1)?.workload?.name, 'a');
    tested.upstreams.close();
  });

  test('before we are known to the mesh, what is in another network than ours is not dialled', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/web'), app.port);
    const elsewhere = endpoint('b', '127.0.0.1', { tunnelProtocol: 'hbone', network: far });
    const tested = upstreamsTo(ztunnel, {}, [vouching, elsewhere]);
    tested.configure(backendOf());
    assert.equal((await ask(tested)).failure?.kind, 'no-healthy-host');
    applyMesh(tested.mesh, pod);
    assert.equal((await ask(tested)).hosts.at(-1)?.workload?.name, 'a');
    tested.upstreams.close();
  });

  test('another pod of the gateway takes over from one that does not answer', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/web'), app.port);
    const gone = await startHttp();
    await gone[Symbol.asyncDispose]();
    await using gateway = await startZtunnel(await authority.certificate('infra/gateway'), ztunnel.port);
    const pods = [gatewayPod('east-west-1', gone.port), gatewayPod('east-west-2', gateway.port)];
    const tested = upstreamsTo(ztunnel, { own: () => us }, [vouching, remote, gatewayService, ...pods]);
    tested.configure(backendOf());
    assert.equal((await ask(tested)).head?.status, 200);
    tested.upstreams.close();
  });

  test('a gateway may be a single address, or a name', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/web'), app.port);
    await using gateway = await startZtunnel(await authority.certificate('infra/gateway'), ztunnel.port);
    const { services: _, ...lone } = gatewayPod('east-west-1', 1, { network: far });
    const at = { destination: { kind: 'address', address: { network: far, ip: '127.0.0.1' } } } as const;
    const byAddress = { ...remote, networkGateway: { ...at, hboneMtlsPort: gateway.port } };
    const named = gatewayPod('east-west-1', gateway.port, { addresses: [], hostname: 'far.example.com' });
    const resolve = (name: string): Promise<string> => Promise.resolve(name === 'far.example.com' ? '127.0.0.1' : '::');
    for (const parts of [
      [byAddress, { ...lone, services: new Map() }],
      [remote, gatewayService, named],
    ]) {
      const tested = upstreamsTo(ztunnel, { own: () => us, resolve }, [vouching, ...parts]);
      tested.configure(backendOf());
      assert.equal((await ask(tested)).failure, undefined);
      tested.upstreams.close();
    }
    assert.equal(gateway.connections, 2);
  });

  test('a waypoint over there is asked for the Service by its name, and must be that waypoint', async () => {
    await using app = await startHttp();
    await using ztunnel = await startZtunnel(await authority.certificate('shop/waypoint'), app.port);
    await using gateway = await startZtunnel(await authority.certificate('infra/gateway'), ztunnel.port);
    const waypoint = meshService({
      name: 'waypoint',
      ports: [{ servicePort: 15_008, targetPort: 15_008, appProtocol: 'unknown' }],
      subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/waypoint'],
    });
    const waypointPod = endpoint('waypoint', '', {
      addresses: [],
      network: far,
      networkGateway,
      tunnelProtocol: 'hbone',
      serviceAccount: 'waypoint',
      services: new Map([[serviceKey('shop', waypoint.hostname), []]]),
    });
    const guarded = {
      ...service,
      waypoint: {
        destination: { kind: 'hostname', namespace: 'shop', hostname: waypoint.hostname },
        hboneMtlsPort: 15_008,
      } as const,
    };
    const edge = meshWorkload({ name: 'edge', addresses: ['127.0.0.1'] });
    const parts = [guarded, pod, waypoint, waypointPod, gatewayService, gatewayPod('east-west-1', gateway.port)];
    const tested = upstreamsTo(ztunnel, { own: () => edge, source: 'gateway' }, parts);
    tested.configure(backendOf({ throughWaypoint: true }));
    assert.equal((await ask(tested)).head?.status, 200);
    assert.deepEqual(
      [gateway, ztunnel].map(({ requests }) => requests[0]?.authority),
      [`${service.hostname}:80`, `${service.hostname}:80`],
    );
    tested.upstreams.close();
  });
});

test('tunnels that are carried go to the tunnel port of who ends them, in our own network alone', () => {
  const near = 'near' as NetworkId;
  const us = meshWorkload({ name: 'east-west', network: near, addresses: ['127.0.0.1'] });
  const ends = endpoint('a', '10.0.0.1', { tunnelProtocol: 'hbone', network: near });
  const plain = endpoint('b', '10.0.0.2', { network: near });
  const third = endpoint('c', '10.0.0.3', { tunnelProtocol: 'hbone', network: 'third' as NetworkId });
  const tested = testUpstreams([service, ends, plain, third], { own: () => us, network: near });
  tested.configure(backendOf({ protocol: 'tcp', tunnelPort: 15_008 }));
  const addresses = tested.upstreams.describe()[0]?.hosts.map(({ address }) => address);
  assert.deepEqual(addresses, ['10.0.0.1:15008']);
  tested.upstreams.close();
});
