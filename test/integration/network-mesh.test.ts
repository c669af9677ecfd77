/** IPv6 through the mesh: pods that only spoke IPv4 so far are captured, encrypted and identified over both families. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { canonicalIp } from '../../src/lib/ip.ts';
import { accessLine, tunnelsTo } from '../support/access-log.ts';
import { captureLink, carries } from '../support/capture.ts';
import { documents, openTestMesh, programPod, programs, serviceAccount, type TestMesh } from '../support/mesh.ts';

const manifests = documents(
  serviceAccount('client'),
  serviceAccount('server'),
  programPod({ name: 'client', node: 'node-1', program: 'idle.ts' }),
  programPod({ name: 'server', node: 'node-2', program: 'http-server.ts', args: ['8080'], port: 8080 }),
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'server', namespace: 'default' },
    spec: {
      selector: { app: 'server' },
      ipFamilyPolicy: 'RequireDualStack',
      ipFamilies: ['IPv6', 'IPv4'],
      ports: [{ name: 'tcp', port: 80, targetPort: 8080 }],
    },
  }),
);

describe('a mesh with IPv4 and IPv6', () => {
  let mesh: TestMesh;
  let clientIp6 = '';
  let serverIp6 = '';

  before(async () => {
    mesh = await openTestMesh({ manifests });
    const ip6 = async (name: string): Promise<string> =>
      (await mesh.pod('default', name)).status?.podIPs?.find(({ ip }) => ip.includes(':'))?.ip ?? '';
    clientIp6 = await ip6('client');
    serverIp6 = await ip6('server');
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  async function ask(secret: string, host: string, port: string): Promise<{ client: string; url: string }> {
    const request = `GET /${secret} HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n`;
    const output = await mesh.exec('client', [process.execPath, join(programs, 'request.ts'), host, port, request]);
    const { reply, error } = JSON.parse(output) as { reply?: string; error?: string };
    assert.equal(error, undefined, output);
    return JSON.parse((reply ?? '').split('\r\n\r\n')[1] ?? '') as { client: string; url: string };
  }
  async function serviceIp6(): Promise<string> {
    const script = "require('node:dns').resolve6('server.default.svc.cluster.local',(e,a)=>console.log(e?e.code:a[0]))";
    return (await mesh.exec('client', [process.execPath, '-e', script])).trim();
  }

  it('carries IPv6 as plain text between pods outside it', async () => {
    const segments = await captureLink(mesh, 'node-1', async () => {
      const { client } = await ask('open-secret', serverIp6, '8080');
      assert.equal(canonicalIp(client), clientIp6);
    });
    assert.ok(carries(segments, 'open-secret'), 'the capture sees IPv6');
    assert.match(await serviceIp6(), /^fd00:10:96::/);
    assert.equal((await ask('by-service', await serviceIp6(), '80')).url, '/by-service');
  });

  it('carries it in mutual TLS between pods inside, by address, by Service and by name', async () => {
    await mesh.enrol('default');
    await tunnelsTo(mesh, 'node-1', 'server');
    const ip6 = await serviceIp6();
    const targets = [
      [serverIp6, '8080'],
      [ip6, '80'],
      ['server.default.svc.cluster.local', '80'],
    ] as const;
    for (const [host, port] of targets) {
      const segments = await captureLink(mesh, 'node-1', async () => {
        const { url, client } = await ask('hidden-secret', host, port);
        assert.equal(url, '/hidden-secret');
        if (host === serverIp6)
          assert.equal(canonicalIp(client), clientIp6, "the server sees the client's own address");
      });
      assert.ok(!carries(segments, 'hidden-secret'), `not one byte of the request to ${host} is on the link`);
      assert.ok(
        segments.some((segment) => segment.destinationPort === 15008),
        'the tunnel was used',
      );
    }
  });

  it('knows who called, over IPv6 too', async () => {
    await ask('identified', serverIp6, '8080');
    const line = await accessLine(mesh, 'node-2', [
      'connection complete',
      'direction="inbound"',
      `[${serverIp6}]:8080`,
    ]);
    assert.match(line, /src.identity="spiffe:\/\/cluster.local\/ns\/default\/sa\/client"/);
  });

  it('lets the probes of the node pass over IPv6', async () => {
    const script = `fetch('http://[${serverIp6}]:8080/probe').then((r) => r.text()).then((t) => process.stdout.write(t), (e) => process.stdout.write(String(e.cause?.code)))`;
    const { stdout } = await mesh.ambit(['exec', '--node', 'node-2', '--', process.execPath, '-e', script]);
    assert.match(stdout, /\/probe/);
  });

  it('names both addresses of a workload', async () => {
    const { stdout } = await mesh.ambit(['ztunnel-config', 'workloads', '--node', 'node-1', '-o', 'json']);
    assert.ok(stdout.includes(serverIp6));
  });
});
