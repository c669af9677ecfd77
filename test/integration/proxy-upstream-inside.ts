/** A proxy's upstream as a waypoint has it: from a pod of its own, through the ztunnel of the pods behind it, with real certificates. */
import assert from 'node:assert/strict';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttp2Server, type Http2Server } from 'node:http2';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { Backend } from '../../src/api/l7/index.ts';
import { serviceKey, type SpiffeId } from '../../src/api/names.ts';
import type { MeshAddress, MeshWorkload } from '../../src/api/workload.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../src/mesh/fixtures.ts';
import { MeshState } from '../../src/mesh/index.ts';
import { checkPrivileges, writeResult } from '../../src/net/index.ts';
import { createUpstreams, type UpstreamClient, type Upstreams } from '../../src/proxy/upstream/index.ts';
import { backendOf, Heard, requestHead, upstreamRequest } from '../../src/proxy/upstream/upstream-fixtures.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { TestPods, uidOf, type TestPod } from './pod-namespaces.ts';
import { startTestDataPart, type TestDataPart } from './ztunnel-fixture.ts';
import { testPolicy } from './ztunnel-policies.ts';

const appPort = 9080;
const webKey = serviceKey('shop', 'web.shop.svc.cluster.local');
const web = meshService({
  addresses: [
    { network: defaultNetwork, ip: '10.96.0.10' },
    { network: defaultNetwork, ip: 'fd00:96::10' },
  ],
  ports: [{ servicePort: 80, targetPort: appPort, appProtocol: 'http11' }],
  ipFamilies: 'dual',
});
const identity = 'spiffe://cluster.local/ns/shop/sa/waypoint' as SpiffeId;
const fromWaypoint = testPolicy('from-waypoint', 'allow', {
  principals: [{ kind: 'exact', value: identity.slice('spiffe://'.length) }],
});

function workloadOf(pod: TestPod, more: Partial<MeshWorkload> = {}): MeshWorkload {
  const { name, namespace, serviceAccount, ip4, ip6 } = pod;
  return meshWorkload({ name, namespace, serviceAccount, addresses: [ip4, ip6], ...more });
}

const inService = (pod: TestPod): MeshWorkload => workloadOf(pod, { services: new Map([[webKey, []]]) });

function updateOf(...workloads: MeshWorkload[]): MeshAddress[] {
  return workloads.map((workload) => ({ kind: 'workload', workload }));
}

describe('upstream', { timeout: 160_000 }, () => {
  let pods: TestPods;
  let authority: TestAuthority;
  let ztunnel: TestDataPart;
  let waypoint: TestPod;
  let webs: TestPod[];
  let mesh: MeshState;
  let upstreams: Upstreams;
  const servers: (Server | Http2Server)[] = [];
  /** The application of a pod, changed by tests. */
  const apps = new Map<string, RequestListener>();

  before(async () => {
    await checkPrivileges();
    authority = await createTestAuthority();
    pods = await TestPods.open();
    waypoint = await pods.add('shop/waypoint', 2);
    webs = [await pods.add('shop/web-1', 3), await pods.add('shop/web-2', 4)];
    ztunnel = startTestDataPart(authority);
    ztunnel.setAddresses(web, workloadOf(waypoint), ...webs.map(inService));
    for (const pod of webs) {
      await pods.enrol(pod, ztunnel);
      const http = createHttpServer({ keepAliveTimeout: 0 }, (request, response) =>
        apps.get(pod.name)?.(request, response),
      );
      servers.push(http);
      await pods.serve(pod, { port: appPort }, ({ socket }) => {
        http.emit('connection', socket);
        socket.resume();
      });
      const http2 = createHttp2Server((request, response) => response.end(`${pod.name} ${request.httpVersion}`));
      servers.push(http2);
      await pods.serve(pod, { port: appPort + 1 }, ({ socket }) => {
        http2.emit('connection', socket);
        socket.resume();
      });
      await pods.echo(pod, appPort + 2);
    }
  });

  after(async () => {
    for (const server of servers) server.close();
    await ztunnel.drain(0);
    await pods.close();
  });

  beforeEach(() => {
    mesh = new MeshState();
    mesh.applyAddresses({
      updated: [{ kind: 'service', service: web }, ...updateOf(workloadOf(waypoint), ...webs.map(inService))],
      removed: [],
    });
    upstreams = openUpstreams(waypoint.ip4);
    configure({});
    ztunnel.setPolicies([], ['shop/from-waypoint']);
    for (const { name } of webs) apps.set(name, (_request, response) => response.end(name));
  });

  function openUpstreams(address: string): Upstreams {
    return createUpstreams({
      mesh,
      clock: systemClock,
      log: silentLog(),
      random: Math.random,
      own: () => workloadOf(waypoint),
      address,
      network: defaultNetwork,
      identity,
      certificates: {
        certificate: (wanted) => authority.certificate(wanted),
        onRotate: () => () => {},
      },
      resolve: () => Promise.reject(new Error('no names here')),
      from: () => ({ netns: waypoint.netns, mark: 0 }),
    });
  }

  function configure(changes: Partial<Backend>): void {
    upstreams.apply(new Map([['web', backendOf(changes)]]), new Map());
  }

  async function ask(path = '/', more: Parameters<typeof requestHead>[1] = {}, of = upstreams): Promise<Heard> {
    const heard = new Heard();
    of.open('web', upstreamRequest({ head: requestHead(path, more) }), heard);
    await heard.closed;
    return heard;
  }

  test('requests reach all pods by HBONE, in the name of the waypoint', async () => {
    ztunnel.setPolicies([fromWaypoint]);
    await ztunnel.applied();
    const answers = new Set<string>();
    for (let i = 0; i < 4; i++) {
      const heard = await ask();
      assert.equal(heard.failure, undefined);
      assert.equal(heard.hosts.at(-1)?.peer, `spiffe://cluster.local/ns/shop/sa/${heard.body}`);
      answers.add(heard.body);
    }
    assert.deepEqual([...answers].toSorted(), ['web-1', 'web-2']);
    upstreams.close();
    const line = await ztunnel.logLine(/src\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/waypoint"/);
    assert.match(line, /dst\.hbone_addr=10\.244\.0\.[34]:9080/);
    assert.match(line, /dst\.service="web\.shop\.svc\.cluster\.local"/);
  });

  test('requests by IPv6 where that is ours', async () => {
    const six = openUpstreams(waypoint.ip6);
    six.apply(new Map([['web', backendOf()]]), new Map());
    const heard = await ask('/', {}, six);
    assert.match(heard.hosts.at(-1)?.address ?? '', /^fd00:244::[34]$/);
    assert.match(heard.body, /^web-[12]$/);
    six.close();
    upstreams.close();
  });

  test('HTTP/2 by prior knowledge, and raw bytes', async () => {
    const other = { ...web, ports: [{ servicePort: 80, targetPort: appPort + 1, appProtocol: 'http2' as const }] };
    mesh.applyAddresses({ updated: [{ kind: 'service', service: other }], removed: [] });
    configure({ protocol: 'http2' });
    assert.match((await ask()).body, /^web-[12] 2\.0$/);
    const raw = { ...web, ports: [{ servicePort: 80, targetPort: appPort + 2, appProtocol: 'tcp' as const }] };
    mesh.applyAddresses({ updated: [{ kind: 'service', service: raw }], removed: [] });
    configure({ protocol: 'tcp' });
    const client: UpstreamClient = {
      address: '10.244.0.77',
      port: 4242,
      destination: { address: '10.96.0.10', port: 80 },
    };
    const { channel } = await upstreams.connect('web', client, new AbortController().signal);
    const echoed = await new Promise<string>((resolve) => {
      let text = '';
      channel.read({
        onData(bytes) {
          text += Buffer.from(bytes).toString();
          channel.credit(bytes.length);
          return false;
        },
        onEnd() {},
        onDrain() {},
        onClose: () => resolve(text),
      });
      channel.write(Buffer.from('ping'));
      channel.end();
    });
    assert.match(echoed, /^web-[12]:ping$/);
    upstreams.close();
  });

  test('a refusal of ztunnel is a connection that failed', async () => {
    ztunnel.setPolicies([
      testPolicy('from-waypoint', 'allow', {
        principals: [{ kind: 'exact', value: 'cluster.local/ns/shop/sa/other' }],
      }),
    ]);
    await ztunnel.applied();
    const { failure } = await ask();
    assert.deepEqual([failure?.kind, failure?.flag, failure?.sent], ['connect-failure', 'UF', 'no']);
    assert.match(failure?.message ?? '', /http status: 401/);
    upstreams.close();
  });

  test('large bodies both ways, without more in memory than windows allow', async () => {
    const megabytes = 24;
    for (const { name } of webs) {
      apps.set(name, (request, response) => {
        let received = 0;
        request.on('data', (chunk: Buffer) => (received += chunk.length));
        request.on('end', () => {
          response.setHeader('x-received', String(received));
          const chunk = Buffer.alloc(1024 * 1024, 'y');
          let left = megabytes;
          const send = (): void => {
            while (left-- > 0) if (!response.write(chunk)) return void response.once('drain', send);
            response.end();
          };
          send();
        });
      });
    }
    let bytes = 0;
    const heard = new Heard();
    heard.onData = (piece) => {
      bytes += piece.length;
      exchange.credit(piece.length);
    };
    const exchange = upstreams.open(
      'web',
      upstreamRequest({ head: requestHead('/', { method: 'POST' }), ends: false }),
      heard,
    );
    const chunk = Buffer.alloc(64 * 1024, 'x');
    let left = megabytes * 16;
    let mostPending = 0;
    heard.onDrain = () => send();
    const send = (): void => {
      for (let burst = 0; left > 0; burst++) {
        left--;
        mostPending = Math.max(mostPending, burst);
        if (exchange.write(chunk) !== writeResult.done) return;
      }
      exchange.end();
    };
    send();
    assert.equal(await heard.closed, undefined);
    assert.equal(heard.head?.headers.get('x-received'), String(megabytes * 1024 * 1024));
    assert.equal(bytes, megabytes * 1024 * 1024);
    // It was told to stop long before everything was written.
    assert.ok(mostPending < megabytes * 16 - 1, String(mostPending));
    upstreams.close();
  });

  test('applications that close idle connections all the time lose no request', async () => {
    for (const { name } of webs) {
      apps.set(name, (request, response) => {
        response.end(name);
        // Without saying so: the end comes while the connection is in the pool, or under the next request.
        if (Math.random() < 0.3) response.on('finish', () => setImmediate(() => request.socket.end()));
      });
    }
    let failed = 0;
    const failures: string[] = [];
    const client = async (): Promise<void> => {
      for (let i = 0; i < 100; i++) {
        const { failure } = await ask();
        if (!failure) continue;
        failed++;
        failures.push(`${failure.kind} ${failure.sent} ${failure.message}`);
      }
    };
    await Promise.all(Array.from({ length: 8 }, client));
    assert.equal(failed, 0, failures.slice(0, 5).join('\n'));
    upstreams.close();
  });

  test('pods that come and go lose no request', async () => {
    const [first, second] = webs as [TestPod, TestPod];
    let running = true;
    const seen = new Set<string>();
    let requests = 0;
    const failures: string[] = [];
    const client = async (): Promise<void> => {
      while (running) {
        const { failure, body } = await ask();
        requests++;
        if (failure) failures.push(failure.message);
        else seen.add(body);
      }
    };
    const clients = Array.from({ length: 8 }, client);
    for (let round = 0; round < 6; round++) {
      const [gone, back] = round % 2 === 0 ? [first, second] : [second, first];
      mesh.applyAddresses({ updated: updateOf(inService(back)), removed: [inService(gone).uid] });
      const before = requests;
      while (requests < before + 20 && failures.length === 0) await setTimeout(5);
    }
    mesh.applyAddresses({ updated: updateOf(...webs.map(inService)), removed: [] });
    running = false;
    await Promise.all(clients);
    assert.deepEqual(failures, []);
    assert.equal(seen.size, 2);
    upstreams.close();
  });

  test('a ztunnel that drains sends requests to new connections', async () => {
    assert.match((await ask()).body, /^web-[12]$/);
    const [first] = webs as [TestPod];
    ztunnel.send({ kind: 'remove-pod', uid: uidOf(first) });
    mesh.applyAddresses({ updated: [], removed: [inService(first).uid] });
    for (let i = 0; i < 5; i++) assert.equal((await ask()).body, 'web-2');
    upstreams.close();
  });
});
