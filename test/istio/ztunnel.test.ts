/** Ambit's control plane and node agent, as Istio's own messages read them: what a ztunnel of Istio would be told. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kinds, type KubeObject } from '../../src/api/index.ts';
import { clientAndEchoServer, openTestMesh, programs, type TestMesh } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';
import { peers, skip } from './peers.ts';

interface Report {
  readonly addresses: Readonly<Record<string, { workload?: Fields; service?: Fields }>>;
  readonly authorizations: Readonly<Record<string, Fields>>;
  readonly unknown: readonly string[];
  readonly identities: readonly string[];
  readonly pods: readonly string[];
}
type Fields = Readonly<Record<string, unknown>>;

describe("a ztunnel with Istio's messages on Ambit's control plane", { skip }, () => {
  let mesh: TestMesh;
  let report: Report;

  before(async () => {
    mesh = await openTestMesh();
    await mesh.apply(clientAndEchoServer());
    await mesh.enrol('default');
    const from = [{ source: { principals: ['cluster.local/ns/default/sa/client'] } }];
    for (const [name, spec] of Object.entries({
      watched: { action: 'AUDIT', rules: [{ from }] },
      refused: { action: 'DENY', rules: [{ from, to: [{ operation: { ports: ['9'] } }] }] },
    })) {
      await mesh.client.create(kinds.AuthorizationPolicy, {
        metadata: { name, namespace: 'default' },
        spec,
      } as KubeObject);
    }
    await mesh.client.create(kinds.ServiceEntry, {
      metadata: { name: 'elsewhere', namespace: 'default' },
      spec: {
        hosts: ['db.example.com'],
        addresses: ['192.0.2.0/24'],
        ports: [{ number: 5432, name: 'tcp', protocol: 'TCP' }],
        resolution: 'STATIC',
        endpoints: [{ address: '198.51.100.7' }],
      },
    } as KubeObject);
    const ztunnel = await mesh.systemPod('ztunnel', 'node-1');
    const [namespace, name] = ztunnel.split('/');
    const args = [
      '/var/run/secrets/istio/root-cert.pem',
      '/var/run/secrets/tokens/istio-token',
      'istiod.istio-system.svc:15012',
      '/var/run/ztunnel/ztunnel.sock',
      'spiffe://cluster.local/ns/default/sa/client',
      `ztunnel~1.1.1.1~${name}.${namespace}~${namespace}.svc.cluster.local`,
      namespace,
    ];
    // Istio's log is on its standard output.
    const script = `exec 3>&1 1>&2; exec ${peers} ztunnel ${args.join(' ')}`;
    // What was created just now may be on its way.
    report = await eventually(async () => {
      const told = JSON.parse(await mesh.exec(ztunnel, ['sh', '-c', script])) as Report;
      const { addresses, authorizations } = told;
      const isWhole =
        addresses['Kubernetes//Pod/default/server']?.workload?.['tunnelProtocol'] === 'HBONE' &&
        addresses['default/db.example.com'] !== undefined &&
        authorizations['default/refused'] !== undefined &&
        authorizations['default/watched'] !== undefined;
      return isWhole && told;
    }, 'it is told of all');
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  it('is told of workloads', () => {
    const { workload } = report.addresses['Kubernetes//Pod/default/server'] ?? {};
    assert.deepEqual(
      { name: workload?.['name'], node: workload?.['node'], tunnelProtocol: workload?.['tunnelProtocol'] },
      { name: 'server', node: 'node-2', tunnelProtocol: 'HBONE' },
    );
    assert.deepEqual(workload?.['services'], {
      'default/server.default.svc.cluster.local': {
        ports: [{ servicePort: 7000, targetPort: 7000, appProtocol: 'TCP' }],
      },
    });
  });

  it('is told of Services, and of hosts outside', () => {
    const server = report.addresses['default/server.default.svc.cluster.local']?.service;
    assert.equal(server?.['canonical'], true);
    const outside = report.addresses['default/db.example.com']?.service;
    assert.deepEqual(outside?.['addresses'], [{ address: Buffer.from([192, 0, 2, 0]).toString('base64'), length: 24 }]);
    const endpoint =
      report.addresses['Kubernetes/networking.istio.io/ServiceEntry/default/elsewhere/198.51.100.7']?.workload;
    assert.deepEqual(endpoint?.['addresses'], [Buffer.from([198, 51, 100, 7]).toString('base64')]);
  });

  it('is told of policies, and takes an audit for one that matches nothing', () => {
    const client = { principals: [{ exact: 'cluster.local/ns/default/sa/client' }] };
    assert.deepEqual(report.authorizations['default/refused'], {
      name: 'refused',
      namespace: 'default',
      scope: 'NAMESPACE',
      action: 'DENY',
      // The control plane's copy of the message has other names for the same numbers.
      groups: [{ rules: [{ matches: [client] }, { matches: [{ destinationPorts: [9] }] }] }],
    });
    const audit = report.authorizations['default/watched'];
    assert.deepEqual([audit?.['action'], audit?.['groups']], ['DENY', undefined]);
  });

  it('is told nothing that it has no field for', () => assert.deepEqual(report.unknown, []));

  it('gets a certificate for a pod of its node', () =>
    assert.deepEqual(report.identities, ['spiffe://cluster.local/ns/default/sa/client']));

  it('leaves the ztunnel beside it at work', async () => {
    const command = [process.execPath, join(programs, 'request.ts'), 'server.default', '7000', 'hello', '3000'];
    assert.deepEqual(JSON.parse(await mesh.exec('client', command)), { reply: 'hello' });
  });

  it('gets the pods of its node, each with its network namespace', () =>
    assert.deepEqual(report.pods, ['default/client']));
});
