/**
 * The gateway between networks as it is deployed. The mesh is one network, and its own gateway is also said to lead to another one:
 * what a client sends there comes back through it, by the tunnels that another network's clients would use.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { kinds, type Gateway } from '../../src/api/index.ts';
import { callAdmin } from '../../src/cli/admin-call.ts';
import type { HttpAnswer } from '../support/l7-mesh.ts';
import {
  documents,
  namespace,
  openTestMesh,
  programPod,
  programs,
  serviceAccount,
  type TestMesh,
} from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

const manifests = documents(
  namespace('shop'),
  namespace('front'),
  namespace('infra'),
  serviceAccount('web', 'shop'),
  serviceAccount('client', 'front'),
  programPod({
    name: 'web',
    namespace: 'shop',
    node: 'node-1',
    program: 'http-app.ts',
    args: ['8080', 'v1'],
    port: 8080,
  }),
  programPod({ name: 'client', namespace: 'front', node: 'node-2', program: 'idle.ts' }),
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'shop', labels: { 'istio.io/global': 'true' } },
    spec: { selector: { app: 'web' }, ports: [{ name: 'tcp', port: 80, targetPort: 8080 }] },
  }),
);

const listener = {
  name: 'mesh',
  port: 15008,
  protocol: 'HBONE',
  tls: { mode: 'Terminate', options: { 'gateway.istio.io/tls-terminate-mode': 'ISTIO_MUTUAL' } },
};

describe('a gateway between networks, deployed', { timeout: 600_000 }, () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openTestMesh({ manifests });
    await mesh.client.patch(
      kinds.Namespace,
      'istio-system',
      undefined,
      { metadata: { labels: { 'topology.istio.io/network': 'near' } } },
      { type: 'merge' },
    );
    await mesh.enrol('shop');
    await mesh.enrol('front');
  });

  after(() => mesh[Symbol.asyncDispose]());

  async function ask(): Promise<HttpAnswer | undefined> {
    const requests = JSON.stringify([{ url: 'http://web.shop/' }]);
    const command = [process.execPath, join(programs, 'http-client.ts'), requests];
    return (JSON.parse(await mesh.exec('front/client', command)) as HttpAnswer[])[0];
  }

  const gateway = (): Promise<Gateway> => mesh.client.get(kinds.Gateway, 'east-west', 'infra');

  test('its class is there, its proxy is deployed, and its status says where it is reached', async () => {
    assert.equal(
      (await mesh.client.get(kinds.GatewayClass, 'istio-east-west')).spec.controllerName,
      'istio.io/eastwest-controller',
    );
    await mesh.apply(
      JSON.stringify({
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'Gateway',
        metadata: {
          name: 'east-west',
          namespace: 'infra',
          labels: { 'topology.istio.io/network': 'near' },
          annotations: { 'networking.istio.io/service-type': 'ClusterIP' },
        },
        spec: { gatewayClassName: 'istio-east-west', listeners: [listener] },
      }),
    );
    const { status } = await eventually(async () => {
      const found = await gateway();
      const programmed = found.status?.conditions?.find(({ type }) => type === 'Programmed');
      return programmed?.status === 'True' ? found : undefined;
    }, 'the gateway is programmed');
    assert.deepEqual(status?.addresses, [{ type: 'Hostname', value: 'east-west.infra.svc.cluster.local' }]);
    assert.equal(status?.conditions?.find(({ type }) => type === 'Accepted')?.status, 'True');
    const [mine] = status?.listeners ?? [];
    for (const type of ['Accepted', 'Programmed', 'ResolvedRefs']) {
      assert.equal(mine?.conditions.find((one) => one.type === type)?.status, 'True', type);
    }
  });

  test('what goes to the other network passes it, and comes to a pod that serves', async () => {
    const { spec } = await mesh.client.get(kinds.Service, 'east-west', 'infra');
    assert.match((await ask())?.body ?? '', /v1/);
    await mesh.apply(
      documents(
        JSON.stringify({
          apiVersion: 'gateway.networking.k8s.io/v1',
          kind: 'Gateway',
          metadata: {
            name: 'far',
            namespace: 'infra',
            labels: { 'topology.istio.io/network': 'far' },
            annotations: { 'gateway.istio.io/service-account': 'east-west' },
          },
          spec: {
            gatewayClassName: 'istio-remote',
            addresses: [{ type: 'IPAddress', value: spec?.clusterIP }],
            listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE', tls: { mode: 'Passthrough' } }],
          },
        }),
        JSON.stringify({
          apiVersion: 'networking.istio.io/v1',
          kind: 'WorkloadEntry',
          metadata: { name: 'web-far', namespace: 'shop' },
          // Of a million connections one goes to the pod directly.
          spec: { network: 'far', labels: { app: 'web' }, serviceAccount: 'web', weight: 1_000_000 },
        }),
      ),
    );
    // Another endpoint takes over where one does not answer: the gateway itself tells what passed.
    const { items } = await mesh.client.list(kinds.Pod, { namespace: 'infra' });
    const pod = items[0]?.metadata.name ?? '';
    const scrape = (): Promise<string> =>
      callAdmin(mesh.client, { pod, namespace: 'infra' }, { method: 'GET', path: '/stats/prometheus' }, 15020);
    const pattern =
      /^istio_tcp_connections_closed_total\{reporter="source".*source_workload="east-west".*destination_workload="web".*destination_service="web\.shop\.svc\.cluster\.local".* (\d+)$/m;
    await eventually(async () => {
      assert.match((await ask())?.body ?? '', /v1/);
      return pattern.test(await scrape()) ? true : undefined;
    }, 'connections pass the gateway');
  });
});
