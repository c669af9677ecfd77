/** ServiceEntries, WorkloadEntries, waypoints and outboundTrafficPolicy, from YAML to bytes between pods. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kinds, type Condition, type Gateway, type KindRef, type KubeObject } from '../../src/api/index.ts';
import { accessLine } from '../support/access-log.ts';
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

const gatewayLabels = {
  'gateway.networking.k8s.io/gateway-name': 'wp',
  'gateway.istio.io/managed': 'istio.io-mesh-controller',
};
const manifests = documents(
  namespace('outside'),
  namespace('neighbour'),
  serviceAccount('client'),
  serviceAccount('server'),
  serviceAccount('wp'),
  serviceAccount('visitor', 'neighbour'),
  serviceAccount('vm', 'outside'),
  programPod({ name: 'client', node: 'node-1', program: 'idle.ts' }),
  programPod({ name: 'server', node: 'node-2', program: 'echo-server.ts', args: ['7000'], port: 7000 }),
  programPod({
    name: 'wp',
    node: 'node-2',
    program: 'sandwich.ts',
    args: ['15088'],
    port: 15088,
    labels: gatewayLabels,
  }),
  programPod({ name: 'visitor', namespace: 'neighbour', node: 'node-1', program: 'idle.ts' }),
  programPod({
    name: 'vm',
    namespace: 'outside',
    node: 'node-2',
    program: 'echo-server.ts',
    args: ['7100'],
    port: 7100,
  }),
  service('server', 7000),
  service('wp', 15008),
  service('vm', 7100, { namespace: 'outside' }),
);

const networking = 'networking.istio.io/v1';

describe('discovery', () => {
  let mesh: TestMesh;
  let vmIp = '';

  before(async () => {
    mesh = await openTestMesh({ manifests });
    await mesh.enrol('default');
    await mesh.enrol('neighbour');
    vmIp = (await mesh.pod('outside', 'vm')).status?.podIP ?? '';
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  async function reply(host: string, port: number, pod = 'client'): Promise<string> {
    const command = [process.execPath, join(programs, 'request.ts'), host, String(port), 'hello', '3000'];
    const { reply: got = '', error = '' } = JSON.parse(await mesh.exec(pod, command)) as Record<string, string>;
    return got === '' ? `no reply ${error}` : got;
  }

  /** Until the mesh has followed. */
  async function expectReply(wanted: RegExp, host: string, port: number, pod = 'client'): Promise<void> {
    let last = '';
    await eventually(async () => {
      last = await reply(host, port, pod);
      return wanted.test(last) ? true : undefined;
    }, `${pod} gets ${wanted} from ${host}:${port}`).catch((error: unknown) => {
      throw new Error(`the last reply was ${JSON.stringify(last)}`, { cause: error });
    });
  }

  async function condition<T extends KubeObject>(
    kind: KindRef<T>,
    name: string,
    type: string,
    reason: string,
  ): Promise<Condition> {
    return eventually(async () => {
      const object = (await mesh.client.get(kind, name, 'default')) as { status?: { conditions?: Condition[] } };
      return object.status?.conditions?.find((one) => one.type === type && one.reason === reason);
    }, `${kind.kind} ${name} says ${type} ${reason}`);
  }

  const object = (kind: string, name: string, spec: unknown, metadata: object = {}): never =>
    ({ apiVersion: networking, kind, metadata: { name, namespace: 'default', ...metadata }, spec }) as never;

  it('reaches the endpoints that a ServiceEntry lists, by its address and by its block', async () => {
    const ports = [{ number: 9000, name: 'tcp', protocol: 'TCP', targetPort: 7100 }];
    const spec = { ports, resolution: 'STATIC', endpoints: [{ address: vmIp }] };
    await mesh.client.create(
      kinds.ServiceEntry,
      object('ServiceEntry', 'listed', {
        ...spec,
        hosts: ['listed.example.com'],
        addresses: ['10.50.0.1', '10.51.0.0/24'],
      }),
    );
    await expectReply(/^hello$/, '10.50.0.1', 9000);
    await expectReply(/^hello$/, '10.51.0.77', 9000);
    await accessLine(mesh, 'node-1', ['dst.service="listed.example.com"', 'connection complete']);
    await condition(kinds.ServiceEntry, 'listed', 'ZtunnelAccepted', 'Accepted');
    await condition(kinds.ServiceEntry, 'listed', 'Reconciled', 'Reconciled');
  });

  it('reaches what DNS says of the endpoints of a ServiceEntry', async () => {
    await mesh.client.create(
      kinds.ServiceEntry,
      object('ServiceEntry', 'named', {
        hosts: ['named.example.com'],
        addresses: ['10.50.0.3'],
        ports: [{ number: 9000, name: 'tcp', protocol: 'TCP', targetPort: 7100 }],
        resolution: 'DNS',
        endpoints: [{ address: 'vm.outside.svc.cluster.local' }],
      }),
    );
    await expectReply(/^hello$/, '10.50.0.3', 9000);
  });

  it('reaches the pods that a ServiceEntry selects, with their identity, by an address it was given', async () => {
    await mesh.client.create(
      kinds.ServiceEntry,
      object('ServiceEntry', 'selected', {
        hosts: ['selected.example.com'],
        ports: [{ number: 9000, name: 'tcp', protocol: 'TCP', targetPort: 7000 }],
        resolution: 'STATIC',
        workloadSelector: { labels: { app: 'server' } },
      }),
    );
    const addresses = await eventually(async () => {
      const entry = await mesh.client.get(kinds.ServiceEntry, 'selected', 'default');
      return (entry.status as { addresses?: { value: string; host: string }[] } | undefined)?.addresses;
    }, 'an address');
    assert.deepEqual(
      addresses.map(({ host }) => host),
      ['selected.example.com', 'selected.example.com'],
    );
    for (const { value } of addresses) await expectReply(/^hello$/, value, 9000);
    const line = await accessLine(mesh, 'node-1', ['dst.service="selected.example.com"', 'connection complete']);
    assert.match(line, /dst\.identity="spiffe:\/\/cluster\.local\/ns\/default\/sa\/server"/);
  });

  it('keeps the addresses it gave, and gives others to who claims the same', async () => {
    const entry = await mesh.client.get(kinds.ServiceEntry, 'selected', 'default');
    const { addresses } = entry.status as unknown as { addresses: unknown };
    await mesh.client.create(
      kinds.ServiceEntry,
      object('ServiceEntry', 'thief', { ...entry.spec, hosts: ['thief.example.com'] }),
    );
    const stolen = [{ value: (addresses as { value: string }[])[0]?.value, host: 'thief.example.com' }];
    await mesh.client.patch(kinds.ServiceEntry, 'thief', 'default', { status: { addresses: stolen } } as never, {
      type: 'merge',
      subresource: 'status',
    });
    await eventually(async () => {
      const thief = await mesh.client.get(kinds.ServiceEntry, 'thief', 'default');
      const own = (thief.status as { addresses?: { value: string }[] } | undefined)?.addresses ?? [];
      return own.length === 2 && own.every(({ value }) => value !== stolen[0]?.value) ? true : undefined;
    }, 'the thief has addresses of its own');
    const after = await mesh.client.get(kinds.ServiceEntry, 'selected', 'default');
    assert.deepEqual((after.status as unknown as { addresses: unknown }).addresses, addresses);
    await mesh.client.delete(kinds.ServiceEntry, 'thief', 'default');
  });

  it('shows a ServiceEntry to the namespaces that it is exported to', async () => {
    const spec = {
      hosts: ['exported.example.com'],
      addresses: ['10.50.0.9'],
      ports: [{ number: 9000, name: 'tcp', protocol: 'TCP', targetPort: 7000 }],
      resolution: 'STATIC',
      workloadSelector: { labels: { app: 'server' } },
    };
    await mesh.client.create(kinds.ServiceEntry, object('ServiceEntry', 'exported', spec));
    const exportTo = async (namespaces: string[] | null): Promise<void> => {
      await mesh.client.patch(kinds.ServiceEntry, 'exported', 'default', { spec: { exportTo: namespaces } } as never, {
        type: 'merge',
      });
    };
    await expectReply(/^hello$/, '10.50.0.9', 9000, 'neighbour/visitor');
    await exportTo(['.']);
    await expectReply(/^no reply/, '10.50.0.9', 9000, 'neighbour/visitor');
    await expectReply(/^hello$/, '10.50.0.9', 9000);
    await exportTo(['neighbour']);
    await expectReply(/^hello$/, '10.50.0.9', 9000, 'neighbour/visitor');
    await expectReply(/^no reply/, '10.50.0.9', 9000);
  });

  it('makes a WorkloadEntry an endpoint of the Service that selects it', async () => {
    const labels = { app: 'machine' };
    await mesh.apply(
      documents(
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'machine', namespace: 'default' },
          spec: { selector: labels, ports: [{ name: 'tcp', port: 80, targetPort: 7000 }] },
        }),
        JSON.stringify(object('WorkloadEntry', 'machine', { address: vmIp, labels, ports: { tcp: 7100 } })),
      ),
    );
    await expectReply(/^hello$/, 'machine', 80);
    const line = await accessLine(mesh, 'node-1', ['dst.workload="machine"', 'connection complete']);
    assert.match(line, /dst\.service="machine\.default\.svc\.cluster\.local"/);
    await condition(kinds.WorkloadEntry, 'machine', 'Reconciled', 'Reconciled');
    await mesh.client.delete(kinds.WorkloadEntry, 'machine', 'default');
    await expectReply(/^no reply/, 'machine', 80);
  });

  it('refuses what asks for a waypoint that is not there, sends it through one that is, and says both', async () => {
    const label = async (value: string | null): Promise<void> => {
      const labels = { 'istio.io/use-waypoint': value };
      await mesh.client.patch(kinds.Service, 'server', 'default', { metadata: { labels } } as never, { type: 'merge' });
    };
    await expectReply(/^hello$/, 'server', 7000);
    await label('wp');
    await expectReply(/^no reply/, 'server', 7000);
    const missing = await condition(kinds.Service, 'server', 'istio.io/WaypointBound', 'WaypointIsNotReady');
    assert.match(missing.message, /waypoint default\/wp does not exist/);
    assert.equal(missing.status, 'False');

    const gateway = {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata: {
        name: 'wp',
        namespace: 'default',
        annotations: { 'ambient.istio.io/waypoint-inbound-binding': 'PROXY/15088' },
      },
      spec: { gatewayClassName: 'ambit-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
    } as Gateway;
    await mesh.client.create(kinds.Gateway, gateway);
    const addresses = [{ type: 'Hostname', value: 'wp.default.svc.cluster.local' }];
    await mesh.client.patch(kinds.Gateway, 'wp', 'default', { status: { addresses } } as never, {
      type: 'merge',
      subresource: 'status',
    });
    const { spec } = await mesh.client.get(kinds.Service, 'server', 'default');
    await expectReply(new RegExp(`^waypoint for ${spec?.clusterIP}:7000: hello$`), 'server', 7000);
    const bound = await condition(kinds.Service, 'server', 'istio.io/WaypointBound', 'WaypointAccepted');
    assert.equal(bound.status, 'True');

    await mesh.client.delete(kinds.Gateway, 'wp', 'default');
    await condition(kinds.Service, 'server', 'istio.io/WaypointBound', 'WaypointIsNotReady');
    await label(null);
    await expectReply(/^hello$/, 'server', 7000);
    await eventually(async () => {
      const { status } = await mesh.client.get(kinds.Service, 'server', 'default');
      return status?.conditions?.some(({ type }) => type === 'istio.io/WaypointBound') ? undefined : true;
    }, 'the condition is gone with the label');
  });

  it('lets workloads reach what the mesh knows and nothing else, where a Sidecar or the mesh says so', async () => {
    const outsider = mesh.startOnNode('node-2', [process.execPath, join(programs, 'echo-server.ts'), '7300']);
    const { items } = await mesh.client.list(kinds.Node);
    const node = items.find(({ metadata }) => metadata.name === 'node-2');
    const host = node?.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '';
    try {
      await expectReply(/^hello$/, host, 7300);
      await mesh.client.create(
        kinds.Sidecar,
        object('Sidecar', 'strict', { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }),
      );
      await expectReply(/^no reply/, host, 7300);
      await expectReply(/^hello$/, host, 7300, 'neighbour/visitor');
      await expectReply(/^hello$/, 'server', 7000);
      // Every pod is known, enrolled or not.
      await expectReply(/^hello$/, vmIp, 7100);

      const known = { hosts: ['outsider.example.com'], addresses: [host], resolution: 'NONE' };
      const ports = [{ number: 7300, name: 'tcp', protocol: 'TCP' }];
      await mesh.client.create(kinds.ServiceEntry, object('ServiceEntry', 'outsider', { ...known, ports }));
      await expectReply(/^hello$/, host, 7300);
      await mesh.client.delete(kinds.ServiceEntry, 'outsider', 'default');
      await mesh.client.delete(kinds.Sidecar, 'strict', 'default');
      await expectReply(/^hello$/, host, 7300);

      await mesh.apply(
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'istio', namespace: 'istio-system' },
          data: { mesh: 'outboundTrafficPolicy: { mode: REGISTRY_ONLY }' },
        }),
      );
      await expectReply(/^no reply/, host, 7300, 'neighbour/visitor');
      await mesh.client.delete(kinds.ConfigMap, 'istio', 'istio-system');
      await expectReply(/^hello$/, host, 7300, 'neighbour/visitor');
    } finally {
      outsider.kill();
    }
  });
});
