/** DNS of a pod in the mesh: names of Services, of hosts outside and of pods of a StatefulSet, by the pod's own search list. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { accessLine, metricSum } from '../support/access-log.ts';
import {
  documents,
  namespace,
  openTestMesh,
  programPod,
  programs,
  service,
  serviceAccount,
  type TestMesh,
} from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

const command = [process.execPath, join(programs, 'http-server.ts'), '8080'];

const manifests = documents(
  serviceAccount('client'),
  serviceAccount('server'),
  programPod({ name: 'client', node: 'node-1', program: 'idle.ts' }),
  programPod({ name: 'server', node: 'node-1', program: 'http-server.ts', args: ['8080'], port: 8080 }),
  service('server', 80, { targetPort: 8080 }),
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'searcher', namespace: 'default' },
    spec: {
      terminationGracePeriodSeconds: 0,
      dnsConfig: { searches: ['example.com'], options: [{ name: 'ndots', value: '2' }] },
      containers: [{ name: 'main', image: 'none', command: [process.execPath, join(programs, 'idle.ts')] }],
    },
  }),
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'db', namespace: 'default' },
    spec: { clusterIP: 'None', selector: { app: 'db' }, ports: [{ name: 'tcp', port: 8080 }] },
  }),
  JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'default' },
    spec: {
      serviceName: 'db',
      replicas: 2,
      selector: { matchLabels: { app: 'db' } },
      template: {
        metadata: { labels: { app: 'db' } },
        spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'db', image: 'none', command }] },
      },
    },
  }),
  JSON.stringify({
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'api', namespace: 'default' },
    spec: {
      hosts: ['api.example.com'],
      ports: [{ number: 80, name: 'tcp', protocol: 'TCP', targetPort: 8080 }],
      resolution: 'STATIC',
      location: 'MESH_INTERNAL',
      workloadSelector: { labels: { app: 'server' } },
    },
  }),
);

/** Of a name server that is a pod of the mesh itself. */
const resolverIps = ['10.96.200.53', 'fd00:10:96::c853'];
const ownNameServer = documents(
  namespace('names'),
  serviceAccount('resolver', 'names'),
  serviceAccount('asker', 'names'),
  programPod({ name: 'resolver', namespace: 'names', node: 'node-1', program: 'name-server.ts', port: 53 }),
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'resolver', namespace: 'names' },
    spec: {
      clusterIP: resolverIps[0],
      clusterIPs: resolverIps,
      ipFamilyPolicy: 'RequireDualStack',
      selector: { app: 'resolver' },
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP' },
        { name: 'dns-tcp', port: 53, protocol: 'TCP' },
      ],
    },
  }),
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'asker', namespace: 'names' },
    spec: {
      serviceAccountName: 'asker',
      terminationGracePeriodSeconds: 0,
      dnsPolicy: 'None',
      dnsConfig: { nameservers: resolverIps },
      containers: [{ name: 'main', image: 'none', command: [process.execPath, join(programs, 'idle.ts')] }],
    },
  }),
  JSON.stringify({
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: { name: 'strict', namespace: 'names' },
    spec: { mtls: { mode: 'STRICT' } },
  }),
);

describe('names in the mesh', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openTestMesh({ nodes: 1, manifests });
    await mesh.enrol('default');
    // What ztunnel is told, and what addresses are given to ServiceEntries, comes a moment later.
    for (const name of ['server', 'db', 'db-1.db', 'api.example.com']) {
      const known = name.includes('example') ? name : `${name}.default.svc.cluster.local`;
      await eventually(async () => (await dig(known)).length >= (name === 'db' ? 2 : 1), `${name} has an address`);
    }
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  const dig = async (...args: string[]): Promise<string[]> => {
    const out = await mesh.exec('client', ['dig', '+short', '+tries=1', '+timeout=6', ...args]);
    return out
      .trim()
      .split('\n')
      .filter((line) => line !== '');
  };

  it('are answered with authority by ztunnel, over UDP and TCP', async () => {
    for (const over of ['+notcp', '+tcp']) {
      const answer = await mesh.exec('client', ['dig', over, 'server.default.svc.cluster.local']);
      assert.match(answer, /flags: qr aa rd ra/);
      assert.match(answer, /server\.default\.svc\.cluster\.local\. 30\s+IN\s+A\s+10\.96\./);
    }
  });

  it('are found by the resolver of the C library with its search list', async () => {
    assert.match(await mesh.exec('client', ['getent', 'ahostsv4', 'server']), /^10\.96\./);
    assert.match(await mesh.exec('client', ['getent', 'ahostsv4', 'db-1.db']), /^10\.244\./);
  });

  it('follow the search list and ndots of the pod', async () => {
    const [mine] = await dig('api.example.com');
    assert.ok(mine);
    const found = await mesh.exec('searcher', ['getent', 'ahostsv4', 'api']);
    assert.equal(found.split(' ')[0], mine);
    const short = async (name: string): Promise<string> =>
      (await mesh.exec('searcher', ['dig', '+short', '+tries=1', name])).trim();
    assert.equal(await short('api'), mine, 'completed by ztunnel as the pod would');
    assert.equal(await short('server.default.svc'), '', 'as many dots as ndots says');
  });

  it('are pods of a StatefulSet', async () => {
    const { status } = await mesh.pod('default', 'db-1');
    assert.deepEqual(await dig('db-1.db.default.svc.cluster.local'), [status?.podIP]);
    assert.equal((await dig('db.default.svc.cluster.local')).length, 2);
  });

  it('are hosts of ServiceEntries, whose addresses lead there', async () => {
    const [address] = await dig('api.example.com');
    assert.match(address ?? '', /^240\.240\./);
    assert.deepEqual((await dig('api.example.com.default.svc.cluster.local'))[0], 'api.example.com.');
    const request = 'GET /through HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n';
    const output = await mesh.exec('client', [
      process.execPath,
      join(programs, 'request.ts'),
      'api.example.com',
      '80',
      request,
    ]);
    assert.match(output, /\/through/);
  });

  it('that the mesh does not know are asked of the name server of the node', async () => {
    const { status } = await mesh.pod('default', 'server');
    const dashed = status?.podIP?.replaceAll('.', '-') ?? '';
    assert.deepEqual(await dig(`${dashed}.default.pod.cluster.local`), [status?.podIP]);
    assert.deepEqual(await dig('+tcp', `${dashed}.default.pod.cluster.local`), [status?.podIP]);
    assert.match((await dig('_http._tcp.server.default.svc.cluster.local', 'SRV')).join(' '), /^(0 \d+ 80 .*)?$/);
    assert.match(await mesh.exec('client', ['dig', 'nowhere.default.svc.cluster.local']), /status: NXDOMAIN/);
  });

  it('come from a name server of the mesh under STRICT over TCP too, in its tunnels, in both families', async () => {
    await mesh.apply(ownNameServer);
    await mesh.enrol('names');
    const asked = async (...args: string[]): Promise<string> =>
      (await mesh.exec('names/asker', ['dig', '+short', '+tries=1', '+timeout=6', ...args])).trim();
    await eventually(
      async () =>
        (await mesh.exec('names/asker', ['cat', '/etc/resolv.conf'])).includes(resolverIps[1] ?? '') || undefined,
      'the pod asks it',
    );
    for (const ip of resolverIps) {
      await eventually(async () => (await asked(`@${ip}`, 'plain.example.org')) === '192.0.2.53', `${ip} answers`);
      await eventually(
        async () => (await asked(`@${ip}`, '+tcp', 'stream.example.org')) === '192.0.2.53',
        `${ip} answers over TCP`,
      );
      assert.equal(await asked(`@${ip}`, 'long.example.org'), '192.0.2.53', 'dig asks again over TCP');
    }
    for (const address of ['10.', '[fd00:'])
      await accessLine(mesh, 'node-1', [
        'direction="outbound"',
        'dst.workload="resolver"',
        `dst.hbone_addr=${address}`,
      ]);
    const line = await accessLine(mesh, 'node-1', [
      'connection complete',
      'direction="inbound"',
      'dst.workload="resolver"',
    ]);
    assert.match(line, /src\.identity="spiffe:\/\/cluster\.local\/ns\/names\/sa\/asker"/);
    assert.doesNotMatch(line, /error=/);
  });

  it('are counted, and the dump says that they are captured', async () => {
    assert.ok((await metricSum(mesh, 'node-1', 'istio_dns_requests_total', ['request_query_type="A"'])) > 5);
    assert.ok((await metricSum(mesh, 'node-1', 'istio_dns_upstream_requests_total', [])) > 1);
    const { stdout } = await mesh.ambit(['ztunnel-config', 'all', '--node', 'node-1', '-o', 'json']);
    assert.match(stdout, /"dnsProxy": true/);
    assert.match(stdout, /"dns": \{\s*"nameservers": \[\s*"10\.244\.1\.1"/);
  });
});
