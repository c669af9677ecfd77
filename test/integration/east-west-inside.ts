/**
 * Two networks with a gateway of ours between them, in IPv4 and IPv6: clients behind a ztunnel and waypoints of the near one reach
 * pods of the far one. What each is told is made by discovery from objects, one cluster a network.
 */
import assert from 'node:assert/strict';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { after, before, describe, test } from 'node:test';
import type { Pod, Service } from '../../src/api/core.ts';
import type { Gateway } from '../../src/api/gateway.ts';
import type { WorkloadEntry } from '../../src/api/istio.ts';
import { namespace } from '../../src/discovery/fixtures.ts';
import { checkPrivileges } from '../../src/net/index.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { eventually } from '../support/run.ts';
import { TestNetwork, type TestProxy } from './east-west-network.ts';
import { TestPods, type TestPod } from './pod-namespaces.ts';

const bytesPort = 9080;
const httpPort = 9081;
const families = ['IPv4', 'IPv6'] as const;
type Family = (typeof families)[number];

const nearVip: Readonly<Record<Family, string>> = { IPv4: '10.96.0.10', IPv6: 'fd00:96::10' };
const farVip: Readonly<Record<Family, string>> = { IPv4: '10.97.0.10', IPv6: 'fd00:97::10' };
const webHost = 'web.shop.svc.cluster.local';

function addressOf(pod: TestPod, family: Family): string {
  return family === 'IPv4' ? pod.ip4 : pod.ip6;
}

function podObject(pod: TestPod, labels: Readonly<Record<string, string>> = {}, isCaptured = false): Pod {
  return {
    metadata: {
      name: pod.name,
      namespace: pod.namespace,
      labels,
      ...(isCaptured ? { annotations: { 'ambient.istio.io/redirection': 'enabled' } } : {}),
    },
    spec: { serviceAccountName: pod.serviceAccount, nodeName: 'node-1', containers: [{ name: 'c' }] },
    status: {
      phase: 'Running',
      podIPs: [{ ip: pod.ip4 }, { ip: pod.ip6 }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
}

function webService(vips: Readonly<Record<Family, string>>, labels: Readonly<Record<string, string>> = {}): Service {
  return {
    metadata: { name: 'web', namespace: 'shop', labels },
    spec: {
      clusterIP: vips.IPv4,
      clusterIPs: [vips.IPv4, vips.IPv6],
      ipFamilies: ['IPv4', 'IPv6'],
      selector: { app: 'web' },
      ports: [
        { name: 'tcp', port: 80, targetPort: bytesPort },
        { name: 'http', port: 8080, targetPort: httpPort },
      ],
    },
  };
}

/** Pods of the far network, as one entry of the near one. */
const farWeb: WorkloadEntry = {
  metadata: { name: 'web-far', namespace: 'shop', labels: { 'networking.istio.io/tunnel': 'http' } },
  spec: { network: 'far', labels: { app: 'web' }, serviceAccount: 'web' },
};

function eastWest(network: string, className: string, addresses: readonly string[]): Gateway {
  return {
    metadata: {
      name: 'east-west',
      namespace: 'infra',
      labels: { 'topology.istio.io/network': network },
      annotations: { 'gateway.istio.io/service-account': 'east-west' },
    },
    spec: {
      gatewayClassName: className,
      addresses: addresses.map((value) => ({ type: 'IPAddress', value })),
      listeners: [
        {
          name: 'mesh',
          port: 15008,
          protocol: 'HBONE',
          tls: { mode: 'Terminate', options: { 'gateway.istio.io/tls-terminate-mode': 'ISTIO_MUTUAL' } },
        },
      ],
    },
  };
}

function waypointObjects(pod: TestPod): { readonly gateway: Gateway; readonly service: Service; readonly pod: Pod } {
  const { name, namespace: own } = pod;
  const labels = { 'gateway.networking.k8s.io/gateway-name': name };
  const hostname = `${name}.${own}.svc.cluster.local`;
  return {
    gateway: {
      metadata: { name, namespace: own },
      spec: { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
      status: { addresses: [{ type: 'Hostname', value: hostname }] },
    },
    service: {
      metadata: { name, namespace: own },
      spec: { clusterIP: 'None', selector: labels, ports: [{ name: 'mesh', port: 15008, targetPort: 15008 }] },
    },
    pod: podObject(pod, labels),
  };
}

const shared = { 'istio.io/global': 'true' };
const guarded = { 'istio.io/use-waypoint': 'waypoint' };

describe('two networks', { timeout: 300_000 }, () => {
  let pods: TestPods;
  let authority: TestAuthority;
  let near: TestNetwork;
  let far: TestNetwork;
  let client: TestPod;
  let gateway: TestPod;
  let nearWaypoint: TestPod;
  let farWaypoint: TestPod;
  let webs: TestPod[];
  /** Nobody listens in it. */
  let unserved: TestPod;
  const servers: Server[] = [];
  const proxies: TestProxy[] = [];

  before(async () => {
    await checkPrivileges();
    authority = await createTestAuthority();
    pods = await TestPods.open();
    client = await pods.add('front/client', 2);
    nearWaypoint = { ...(await pods.add('shop/waypoint', 3)) };
    gateway = await pods.add('infra/east-west', 4);
    farWaypoint = await pods.add('shop/waypoint', 5);
    webs = await Promise.all(
      [11, 12].map(async (n) => ({ ...(await pods.add(`shop/web-${n}`, n)), serviceAccount: 'web' })),
    );
    unserved = await pods.add('shop/web-13', 13);
    near = new TestNetwork(authority, 'near');
    far = new TestNetwork(authority, 'far');
    for (const [one, network] of [
      [near, 'near'],
      [far, 'far'],
    ] as const) {
      const root = namespace('istio-system', { 'topology.istio.io/network': network });
      one.put('namespaces', root, ...['shop', 'front', 'infra'].map((name) => namespace(name)));
    }
    far.put('services', webService(farVip, shared));
    far.put('pods', ...webs.map((pod) => podObject(pod, { app: 'web' }, true)), podObject(gateway));
    near.put('services', webService(nearVip));
    near.put('pods', podObject(client, {}, true));
    near.put('workloadEntries', farWeb);
    await pods.enrol(client, near.ztunnel);
    for (const pod of webs) {
      await pods.enrol(pod, far.ztunnel);
      await pods.echo(pod, bytesPort);
      const http = createServer((request, response) => response.end(`${pod.name} ${request.url}`));
      servers.push(http);
      await pods.serve(pod, { port: httpPort }, ({ socket }) => {
        http.emit('connection', socket);
        socket.resume();
      });
    }
  });

  after(async () => {
    for (const server of servers) server.close();
    for (const proxy of proxies) await proxy.close();
    await near.close();
    await far.close();
    await pods.close();
  });

  async function get(path: string, host: string): Promise<string> {
    const socket = await pods.connect(client, host, 8080);
    return new Promise((resolve, reject) => {
      httpRequest({ path, headers: { host: webHost }, createConnection: () => socket }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (body += chunk));
        response.on('end', () => resolve(`${response.statusCode} ${body}`));
        response.on('error', reject);
      })
        .on('error', reject)
        .end();
      socket.resume();
    });
  }

  test('nothing of another network is reached while no gateway leads there', async () => {
    assert.equal(await pods.ask(client, nearVip.IPv4, 80), undefined);
    await near.ztunnel.logLine(/error="[^"]*web\.shop\.svc\.cluster\.local/);
  });

  for (const family of families) {
    describe(`by ${family}`, () => {
      let proxy: TestProxy;

      before(async () => {
        far.put('gateways', eastWest('far', 'istio-east-west', [addressOf(gateway, family)]));
        near.put('gateways', eastWest('far', 'istio-remote', [addressOf(gateway, family)]));
        proxy = await far.startProxy(gateway, 'infra/east-west', 'gateway', addressOf(gateway, family));
      });

      after(() => proxy.close());

      test('a client behind a ztunnel reaches pods of the far network, each end known to the other', async () => {
        const answers = new Set<string>();
        await eventually(async () => {
          const got = await Promise.all(Array.from({ length: 8 }, () => pods.ask(client, nearVip[family], 80)));
          for (const one of got) answers.add(one ?? '');
          return answers.has('web-11:ping') && answers.has('web-12:ping') ? true : undefined;
        }, 'both pods answer');
        assert.deepEqual([...answers].toSorted(), ['web-11:ping', 'web-12:ping']);
        await far.ztunnel.logLine(
          /src\.workload="client" src\.namespace="front".*src\.identity="spiffe:\/\/cluster\.local\/ns\/front\/sa\/client".*dst\.hbone_addr=web\.shop\.svc\.cluster\.local:80.*direction="inbound"/,
        );
        await near.ztunnel.logLine(/dst\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web"/);
      });

      test('large bodies pass both tunnels whole', async () => {
        const text = 'x'.repeat(2_000_000);
        const answers = await Promise.all(Array.from({ length: 4 }, () => pods.ask(client, nearVip[family], 80, text)));
        for (const answer of answers) assert.equal(answer?.slice('web-11:'.length), text);
      });

      test('what is not shared is refused, and said so', async () => {
        far.put('services', webService(farVip));
        assert.equal(await pods.ask(client, nearVip[family], 80), undefined);
        await near.ztunnel.logLine(/http status: 404[^"]*no Service called web\.shop\.svc\.cluster\.local is shared/);
        far.put('services', webService(farVip, shared));
        assert.match((await pods.ask(client, nearVip[family], 80)) ?? '', /^web-1[12]:ping$/);
      });

      test('a client is told of a pod that the gateway cannot reach', async () => {
        const dead: TestPod = { ...unserved, serviceAccount: 'web' };
        far.put('pods', podObject(dead, { app: 'web' }, true), ...webs.map((pod) => podObject(pod, {}, true)));
        assert.equal(await pods.ask(client, nearVip[family], 80), undefined);
        await near.ztunnel.logLine(/http status: 503[^"]*Cannot connect to [^"]*:15008/);
        far.put('pods', podObject(dead), ...webs.map((pod) => podObject(pod, { app: 'web' }, true)));
        const answer = await eventually(() => pods.ask(client, nearVip[family], 80), 'a pod answers');
        assert.match(answer, /^web-1[12]:ping$/);
      });

      test('a waypoint of the near network reaches pods of the far one, past the waypoint there', async () => {
        const objects = waypointObjects(nearWaypoint);
        near.put('gateways', objects.gateway);
        near.put('services', objects.service);
        near.put('pods', objects.pod);
        const waypoint = await near.startProxy(
          nearWaypoint,
          'shop/waypoint',
          'waypoint',
          addressOf(nearWaypoint, family),
        );
        proxies.push(waypoint);
        near.put('services', webService(nearVip, guarded));
        const there = waypointObjects(farWaypoint);
        far.put('gateways', there.gateway);
        // Nobody serves at the far waypoint: whoever is sent there gets no answer.
        far.put('services', there.service, webService(farVip, { ...shared, ...guarded }));
        for (let i = 0; i < 4; i++) assert.match(await get('/x', nearVip[family]), /^200 web-1[12] \/x$/);
        assert.match((await pods.ask(client, nearVip[family], 80)) ?? '', /^web-1[12]:ping$/);
        near.put('services', webService(nearVip));
        far.put('services', webService(farVip, shared));
        await waypoint.close();
        proxies.pop();
        await far.ztunnel.logLine(
          /src\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/waypoint".*dst\.hbone_addr=web\.shop\.svc\.cluster\.local:8080.*direction="inbound"/,
        );
      });

      test('a client without a waypoint of its own is carried to the one of the Service', async () => {
        const there = waypointObjects(farWaypoint);
        far.put('gateways', there.gateway);
        far.put('services', there.service);
        far.put('pods', there.pod);
        const waypoint = await far.startProxy(farWaypoint, 'shop/waypoint', 'waypoint', addressOf(farWaypoint, family));
        proxies.push(waypoint);
        far.put('services', webService(farVip, { ...shared, ...guarded }));
        // The near cluster says who answers: as the waypoint does, the entry may run as that.
        const asWaypoint: WorkloadEntry = { ...farWeb, spec: { ...farWeb.spec, serviceAccount: 'waypoint' } };
        near.put('workloadEntries', asWaypoint);
        assert.match(await get('/y', nearVip[family]), /^200 web-1[12] \/y$/);
        await far.ztunnel.logLine(
          /src\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/waypoint".*direction="inbound"/,
        );
        near.put('workloadEntries', farWeb);
        far.put('services', webService(farVip, shared));
        await waypoint.close();
        proxies.pop();
      });

      test('who claims to be the gateway is not believed', async () => {
        const lying = eastWest('far', 'istio-remote', [addressOf(gateway, family)]);
        const annotations = { 'gateway.istio.io/service-account': 'somebody-else' };
        near.put('gateways', { ...lying, metadata: { ...lying.metadata, annotations } });
        assert.equal(await pods.ask(client, nearVip[family], 80), undefined);
        await near.ztunnel.logLine(/the server is spiffe:\/\/cluster\.local\/ns\/infra\/sa\/east-west/);
      });
    });
  }
});
