/** One request across two nodes: plain before enrolment, inside mutual TLS after it, with both identities logged. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { accessLine, metricSum, tunnelsTo } from '../support/access-log.ts';
import { captureLink, carries } from '../support/capture.ts';
import {
  documents,
  openTestMesh,
  programPod,
  programs,
  service,
  serviceAccount,
  type TestMesh,
} from '../support/mesh.ts';

const manifests = documents(
  serviceAccount('client'),
  serviceAccount('server'),
  programPod({ name: 'client', node: 'node-1', program: 'idle.ts' }),
  programPod({ name: 'server', node: 'node-2', program: 'http-server.ts', args: ['8080'], port: 8080 }),
  service('server', 80, { targetPort: 8080 }),
);
const clientIdentity = 'spiffe://cluster.local/ns/default/sa/client';
const serverIdentity = 'spiffe://cluster.local/ns/default/sa/server';

describe('a request from a pod on node-1 to a Service whose pod is on node-2', () => {
  let mesh: TestMesh;
  let clientIp = '';

  before(async () => {
    mesh = await openTestMesh({ manifests });
    clientIp = (await mesh.pod('default', 'client')).status?.podIP ?? '';
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  async function ask(
    secret: string,
    host = 'server.default.svc.cluster.local',
  ): Promise<{ client: string; url: string }> {
    const request = `GET /${secret} HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n`;
    const output = await mesh.exec('client', [process.execPath, join(programs, 'request.ts'), host, '80', request]);
    const { reply, error } = JSON.parse(output) as { reply?: string; error?: string };
    assert.equal(error, undefined, output);
    return JSON.parse((reply ?? '').split('\r\n\r\n')[1] ?? '') as { client: string; url: string };
  }

  it('crosses the link as plain text while neither pod is in the mesh', async () => {
    const segments = await captureLink(mesh, 'node-1', async () => {
      assert.equal((await ask('open-secret')).url, '/open-secret');
    });
    assert.ok(carries(segments, 'open-secret'), 'the capture sees plain text');
    assert.ok(!segments.some((segment) => segment.destinationPort === 15008));
  });

  it('crosses the link inside TLS to port 15008 once the namespace is in the mesh', async () => {
    await mesh.enrol('default');
    await tunnelsTo(mesh, 'node-1', 'server');
    const segments = await captureLink(mesh, 'node-1', async () => {
      const { url, client } = await ask('hidden-secret');
      assert.equal(url, '/hidden-secret');
      assert.equal(client.replace('::ffff:', ''), clientIp, "the server sees the client's own address");
    });
    const tunnel = segments.filter((segment) => segment.destinationPort === 15008);
    assert.ok(tunnel.length > 0, 'the tunnel was used');
    assert.ok(
      tunnel.every((segment) => segment.source === clientIp),
      "the tunnel comes from the client pod's own address",
    );
    const [hello] = tunnel;
    assert.deepEqual(
      [...(hello?.payload.subarray(0, 2) ?? [])],
      [0x16, 0x03],
      'the tunnel begins with a TLS handshake record',
    );
    assert.ok(!carries(segments, 'hidden-secret'), 'not one byte of the request is on the link');
    assert.ok(!carries(segments, 'GET /'), 'nor of its head');
  });

  it('is logged by both ztunnels with the two identities', async () => {
    for (const [node, direction] of [
      ['node-1', 'outbound'],
      ['node-2', 'inbound'],
    ] as const) {
      const line = await accessLine(mesh, node, [
        'connection complete',
        `direction="${direction}"`,
        'dst.workload="server"',
      ]);
      assert.match(line, new RegExp(`src.identity="${clientIdentity}"`));
      assert.match(line, new RegExp(`dst.identity="${serverIdentity}"`));
      assert.match(line, /bytes_sent=\d+ bytes_recv=\d+ duration="\d+ms"/);
    }
  });

  it("moves the counters under Istio's names", async () => {
    const labels = [
      'destination_workload="server"',
      'connection_security_policy="mutual_tls"',
      `source_principal="${clientIdentity}"`,
    ];
    for (const [node, reporter] of [
      ['node-1', 'source'],
      ['node-2', 'destination'],
    ] as const) {
      const read = (): Promise<number> =>
        metricSum(mesh, node, 'istio_tcp_connections_opened_total', [...labels, `reporter="${reporter}"`]);
      const opened = await read();
      assert.ok(opened >= 1, `${reporter} counted ${opened}`);
      await ask('another');
      assert.ok((await read()) > opened);
    }
  });

  it('reaches the pod by its own address too', async () => {
    const serverIp = (await mesh.pod('default', 'server')).status?.podIP ?? '';
    const request = 'GET /direct HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n';
    const segments = await captureLink(mesh, 'node-1', async () => {
      const output = await mesh.exec('client', [
        process.execPath,
        join(programs, 'request.ts'),
        serverIp,
        '8080',
        request,
      ]);
      assert.match(output, /\/direct/);
    });
    assert.ok(!carries(segments, '/direct'));
  });

  it('shows in ztunnel-config', async () => {
    const workloads = await mesh.ambit(['ztunnel-config', 'workloads', '--node', 'node-1', '-o', 'json']);
    assert.equal(workloads.code, 0, workloads.stderr);
    const rows = JSON.parse(workloads.stdout) as { name: string; protocol: string }[];
    assert.equal(rows.find((row) => row.name === 'server')?.protocol, 'HBONE');
    const certificates = await mesh.ambit(['ztunnel-config', 'certificates', '-o', 'json']);
    assert.equal(certificates.code, 0, certificates.stderr);
    const identities = (JSON.parse(certificates.stdout) as { ztunnel: string; identity: string }[]).map(
      (row) => `${row.ztunnel} ${row.identity}`,
    );
    assert.ok(identities.includes(`node-1 ${clientIdentity}`));
    assert.ok(identities.includes(`node-2 ${serverIdentity}`));
    assert.ok(
      !identities.includes(`node-1 ${serverIdentity}`),
      'a ztunnel holds certificates only for pods of its own node',
    );
    const services = await mesh.ambit(['ztunnel-config', 'services']);
    assert.match(services.stdout, /default\s+server\s+/);
  });
});
