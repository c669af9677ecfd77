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
  dualStackService('server', { ports: [{ name: 'tcp', port: 7000 }] }),
  service('wp', 15008),
  service('vm', 7100, { namespace: 'outside' }),
);

const networking = 'networking.istio.io/v1';

function dualStackService(name: string, spec: object): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { ipFamilyPolicy: 'RequireDualStack', selector: { app: name }, ...spec },
  });
}

/** A pod of Service `places` that serves the port which it calls `echo`. */
function placed(name: string, node: string, port: number): string {
  const pod = JSON.parse(
    programPod({
      name,
      node,
      program: 'echo-server.ts',
      args: [String(port)],
      port,
      labels: { app: 'places' },
    }),
  ) as { spec: { containers: { ports: { name?: string; containerPort: number }[] }[] } };
  for (const { ports } of pod.spec.containers) for (const each of ports) each.name = 'echo';
  return documents(serviceAccount(name), JSON.stringify(pod));
}

describe('discovery', () => {
  let mesh: TestMesh;
  let vmIp = '';
  let vmIp6 = '';

  before(async () => {
    mesh = await openTestMesh({ manifests });
    await mesh.enrol('default');
    await mesh.enrol('neighbour');
    const { status } = await mesh.pod('outside', 'vm');
    [vmIp = '', vmIp6 = ''] = status?.podIPs?.map(({ ip }) => ip) ?? [];
    assert.match(vmIp6, /:/);
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

  it('reaches pods of a Service by the name of their port, those of the own node first, in both families', async () => {
    const ports = [{ name: 'tcp', port: 80, targetPort: 'echo' }];
    const manifest = documents(
      dualStackService('places', { ports, trafficDistribution: 'PreferSameNode' }),
      placed('here', 'node-1', 7001),
      placed('there', 'node-2', 7002),
    );
    await mesh.apply(manifest);
    await mesh.enrol('default');
    const { spec } = await mesh.client.get(kinds.Service, 'places', 'default');
    const addresses = spec?.clusterIPs ?? [];
    assert.equal(addresses.length, 2);
    const logged = async (): Promise<string[]> => {
      const { stdout } = await mesh.ambit(['logs', 'ztunnel', '--node', 'node-1']);
      return stdout.split('\n').filter((line) => line.includes('direction="outbound"') && line.includes('"places.'));
    };
    // A round in which one of them was slow once is not the last.
    const servedBy = (name: string, address: string): Promise<true> =>
      eventually(async () => {
        const before = (await logged()).length;
        for (let i = 0; i < 8; i++) if ((await reply(address, 80)) !== 'hello') return undefined;
        const lines = (await logged()).slice(before);
        const from = `dst.workload="${name}"`;
        return lines.length >= 8 && lines.every((line) => line.includes(from) && line.includes('dst.identity="spiffe:'))
          ? true
          : undefined;
      }, `${name} alone serves ${address}`);
    for (const address of addresses) await servedBy('here', address);
    await mesh.client.delete(kinds.Pod, 'here', 'default');
    for (const address of addresses) await servedBy('there', address);
    await mesh.client.patch(kinds.Service, 'places', 'default', { spec: { internalTrafficPolicy: 'Local' } } as never, {
      type: 'merge',
    });
    for (const address of addresses) await expectReply(/^no reply/, address, 80);
    await accessLine(mesh, 'node-1', ['no healthy endpoint of places.default', '1 outside of the locality']);
  });

  it('reaches the endpoints that a ServiceEntry lists, by its address and by its block', async () => {
    const ports = [{ number: 9000, name: 'tcp', protocol: 'TCP', targetPort: 7100 }];
    const spec = { ports, resolution: 'STATIC', endpoints: [{ address: vmIp }, { address: vmIp6 }] };
    await mesh.client.create(
      kinds.ServiceEntry,
      object('ServiceEntry', 'listed', {
        ...spec,
        hosts: ['listed.example.com'],
        addresses: ['10.50.0.1', '10.51.0.0/24', 'fd50::1', 'fd51::/64'],
      }),
    );
    await expectReply(/^hello$/, '10.50.0.1', 9000);
    await expectReply(/^hello$/, '10.51.0.77', 9000);
    await expectReply(/^hello$/, 'fd50::1', 9000);
    await expectReply(/^hello$/, 'fd51::77', 9000);
    await accessLine(mesh, 'node-1', ['dst.service="listed.example.com"', 'connection complete']);
    await condition(kinds.ServiceEntry, 'listed', 'ZtunnelAccepted', 'Accepted');
    await condition(kinds.ServiceEntry, 'listed', 'Reconciled', 'Reconciled');
  });

  it('reaches what DNS says of the endpoints of a ServiceEntry', async () => {
    await mesh.client.create(
      kinds.ServiceEntry,
      object('ServiceEntry', 'named', {
        hosts: ['named.example.com'],
        addresses: ['10.50.0.3', 'fd50::3'],
        ports: [{ number: 9000, name: 'tcp', protocol: 'TCP', targetPort: 7100 }],
        resolution: 'DNS',
        endpoints: [{ address: 'vm.outside.svc.cluster.local' }],
      }),
    );
    await expectReply(/^hello$/, '10.50.0.3', 9000);
    await expectReply(/^hello$/, 'fd50::3', 9000);
  });

  it('reaches a Service of the mesh in its tunnels where a ServiceEntry is another name of it', async () => {
    await mesh.client.create(
      kinds.ServiceEntry,
      object('ServiceEntry', 'alias', {
        hosts: ['alias.example.com'],
        addresses: ['10.50.0.4', 'fd50::4'],
        ports: [{ number: 7000, name: 'tcp', protocol: 'TCP' }],
        resolution: 'DNS',
        endpoints: [{ address: 'server.default.svc.cluster.local' }],
      }),
    );
    for (const address of ['10.50.0.4', 'fd50::4']) await expectReply(/^hello$/, address, 7000);
    const seen = ['direction="inbound"', 'dst.workload="server"', 'sa/client"', 'connection complete'];
    for (const ip of ['10.', '[fd00:']) await accessLine(mesh, 'node-2', [...seen, `dst.hbone_addr=${ip}`]);
    await mesh.client.delete(kinds.ServiceEntry, 'alias', 'default');
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
        dualStackService('machine', { ports: [{ name: 'tcp', port: 80, targetPort: 7000 }] }),
        JSON.stringify(object('WorkloadEntry', 'machine', { address: vmIp, labels, ports: { tcp: 7100 } })),
        JSON.stringify(object('WorkloadEntry', 'machine-6', { address: vmIp6, labels, ports: { tcp: 7100 } })),
      ),
    );
    await expectReply(/^hello$/, 'machine', 80);
    const { spec } = await mesh.client.get(kinds.Service, 'machine', 'default');
    for (const address of spec?.clusterIPs ?? []) await expectReply(/^hello$/, address, 80);
    for (const name of ['machine', 'machine-6']) {
      await eventually(async () => {
        await reply('machine', 80);
        const { stdout } = await mesh.ambit(['logs', 'ztunnel', '--node', 'node-1']);
        return stdout.includes(`dst.workload="${name}"`) || undefined;
      }, `${name} serves`);
      const line = await accessLine(mesh, 'node-1', [`dst.workload="${name}"`, 'connection complete']);
      assert.match(line, /dst\.service="machine\.default\.svc\.cluster\.local"/);
    }
    await mesh.client.delete(kinds.WorkloadEntry, 'machine-6', 'default');
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
    const { spec } = await mesh.client.get(kinds.Service, 'server', 'default');
    const vips = spec?.clusterIPs ?? [];
    assert.equal(vips.length, 2);
    for (const vip of vips) await expectReply(/^no reply/, vip, 7000);
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
    for (const vip of vips) {
      const told = vip.includes(':') ? 'an IPv6 address' : vip;
      await expectReply(new RegExp(`^waypoint for ${told}:7000: hello$`), vip, 7000);
    }
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
    const hosts = (node?.status?.addresses ?? []).flatMap(({ type, address }) =>
      type === 'InternalIP' ? [address] : [],
    );
    assert.equal(hosts.length, 2);
    const expectEach = async (wanted: RegExp, pod?: string): Promise<void> => {
      for (const each of hosts) await expectReply(wanted, each, 7300, pod);
    };
    try {
      await expectEach(/^hello$/);
      await mesh.client.create(
        kinds.Sidecar,
        object('Sidecar', 'strict', { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }),
      );
      await expectEach(/^no reply/);
      await expectEach(/^hello$/, 'neighbour/visitor');
      await expectReply(/^hello$/, 'server', 7000);
      // Every pod is known, enrolled or not.
      for (const ip of [vmIp, vmIp6]) await expectReply(/^hello$/, ip, 7100);

      const known = { hosts: ['outsider.example.com'], addresses: hosts, resolution: 'NONE' };
      const ports = [{ number: 7300, name: 'tcp', protocol: 'TCP' }];
      await mesh.client.create(kinds.ServiceEntry, object('ServiceEntry', 'outsider', { ...known, ports }));
      await expectEach(/^hello$/);
      await mesh.client.delete(kinds.ServiceEntry, 'outsider', 'default');
      await mesh.client.delete(kinds.Sidecar, 'strict', 'default');
      await expectEach(/^hello$/);

      await mesh.apply(
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'istio', namespace: 'istio-system' },
          data: { mesh: 'outboundTrafficPolicy: { mode: REGISTRY_ONLY }' },
        }),
      );
      await expectEach(/^no reply/, 'neighbour/visitor');
      await mesh.client.delete(kinds.ConfigMap, 'istio', 'istio-system');
      await expectEach(/^hello$/, 'neighbour/visitor');
    } finally {
      outsider.kill();
    }
  });
});
