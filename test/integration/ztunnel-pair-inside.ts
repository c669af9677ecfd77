/** Two whole ztunnels over three pods in namespaces of their own: discovery, CA and ZDS on the wire, rules in the pods. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { policyKey, serviceKey } from '../../src/api/names.ts';
import type { MeshWorkload } from '../../src/api/workload.ts';
import { captureAll } from '../../src/cni/rules/capture-settings.ts';
import { nftRedirectScript } from '../../src/cni/rules/nft-script.ts';
import { ZdsServer } from '../../src/cni/zds-server.ts';
import { openLog } from '../../src/lib/log.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../src/mesh/fixtures.ts';
import {
  addPolicyRouting,
  applyNft,
  checkPrivileges,
  closeNetns,
  dial,
  listen,
  openNetns,
  type AcceptedSocket,
  type Listener,
} from '../../src/net/index.ts';
import { encodeAuthorization, resourceVersion } from '../../src/wire/index.ts';
import type { MutableSource } from '../../src/xds/index.ts';
import { parseZtunnelConfig, startZtunnel, type RunningZtunnel } from '../../src/ztunnel/index.ts';
import { createTestAuthority } from '../support/certificates.ts';
import { joinPod, openTestNamespace, type TestNamespace } from './net-namespaces.ts';
import {
  setAddresses,
  startTestControlPlane,
  ztunnelEnvironment,
  type TestControlPlane,
} from './ztunnel-control-plane.ts';
import { allowFrom, denyPlaintext } from './ztunnel-policies.ts';

const webKey = serviceKey('shop', 'web.shop.svc.cluster.local');
const vip = '10.96.0.10';
const appPort = 9080;
const clientIp = '10.244.1.2';
const webIp = '10.244.2.2';
const outsiderIp = '10.244.1.9';
const outsiderPort = 7000;
const log = openLog({ scope: 'test', level: 'silent' });

const client = meshWorkload({ name: 'client', namespace: 'front', serviceAccount: 'caller', addresses: [clientIp] });
const web = (more: Partial<MeshWorkload> = {}): MeshWorkload =>
  meshWorkload({
    name: 'web',
    serviceAccount: 'web',
    addresses: [webIp],
    node: 'node-2',
    services: new Map([[webKey, [{ servicePort: 80, targetPort: appPort, appProtocol: 'unknown' }]]]),
    ...more,
  });

function setPolicy(source: MutableSource, policy: Parameters<typeof encodeAuthorization>[0]): void {
  const body = encodeAuthorization(policy);
  source.update([[policyKey(policy.namespace, policy.name), { body, version: resourceVersion(body) }]]);
}

interface TestZtunnel {
  readonly running: RunningZtunnel;
  readonly zds: ZdsServer;
  readonly lines: string[];
  dump(): Promise<Record<string, unknown>>;
  metrics(): Promise<string>;
  close(): Promise<void>;
}

async function startTestZtunnel(options: {
  folder: string;
  node: string;
  port: number;
  pods: Record<string, { name: string; namespace: string; serviceAccount: string; netns: number }>;
}): Promise<TestZtunnel> {
  const { folder, node, port, pods } = options;
  const lines: string[] = [];
  const zdsPath = join(folder, `${node}.sock`);
  const zds = new ZdsServer({
    path: zdsPath,
    uids: () => Object.keys(pods),
    served: (uid) => {
      const pod = pods[uid];
      return pod && { pod, netns: pod.netns };
    },
    onReady: () => {},
    log,
  });
  zds.listen();
  const running = await startZtunnel({
    config: {
      ...parseZtunnelConfig(ztunnelEnvironment({ folder, node, port, zdsPath, terminationDeadline: '100ms' })),
      ports: { admin: 0, metrics: 0, readiness: 0 },
      workerThreads: Number(process.env['AMBIT_TEST_WORKERS'] ?? 1),
    },
    log: openLog({ scope: node, level: 'debug' }),
    writeAccessLog(text, done) {
      lines.push(...text.trimEnd().split('\n'));
      done();
    },
    version: 'test',
  });
  const get = async (of: number, path: string): Promise<string> =>
    (await fetch(`http://127.0.0.1:${of}${path}`)).text();
  return {
    running,
    zds,
    lines,
    dump: async () => JSON.parse(await get(running.ports.admin, '/config_dump')) as Record<string, unknown>,
    metrics: () => get(running.ports.metrics, '/metrics'),
    async close() {
      await running.drain();
      zds.close();
    },
  };
}

async function eventually<T>(what: string, probe: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (let i = 0; i < 1200; i++) {
    const found = await probe();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`Never happened: ${what}`);
}

describe('a ztunnel pair', { timeout: 160_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'zt-'));
  const spaces: TestNamespace[] = [];
  const netns = { client: -1, web: -1, outsider: -1 };
  const open = new Set<Socket>();
  let control: TestControlPlane;
  let near: TestZtunnel;
  let far: TestZtunnel;
  const applications: Listener[] = [];
  const seenClients: string[] = [];

  before(async () => {
    await checkPrivileges();
    const [node, ...pods] = await Promise.all(Array.from({ length: 4 }, openTestNamespace));
    if (!node) throw new Error('no node');
    const [clientPod, webPod, outsiderPod] = pods as [TestNamespace, TestNamespace, TestNamespace];
    spaces.push(...pods, node);
    await joinPod(node, clientPod, clientIp, '10.244.0.1', 'client');
    await joinPod(node, webPod, webIp, '10.244.0.1', 'web');
    await joinPod(node, outsiderPod, outsiderIp, '10.244.0.1', 'outsider');
    netns.client = openNetns(clientPod.path);
    netns.web = openNetns(webPod.path);
    netns.outsider = openNetns(outsiderPod.path);
    for (const enrolled of [netns.client, netns.web]) {
      addPolicyRouting(enrolled);
      const script = nftRedirectScript({
        probeIp4: '169.254.7.127',
        probeIp6: 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff',
        probesFrom: undefined,
        capture: captureAll,
        mark: 0x7e571234,
        plainMark: true,
        dns: { kind: 'off' },
      });
      await applyNft({ netns: enrolled, script });
    }
    for (const at of [
      { netns: netns.web, port: appPort },
      { netns: netns.outsider, port: outsiderPort },
    ]) {
      const onConnection = ({ socket, remoteAddress }: AcceptedSocket): void => {
        seenClients.push(remoteAddress);
        open.add(socket);
        socket.pipe(socket);
      };
      applications.push(await listen({ ...at, host: '0.0.0.0', onConnection }));
    }

    const authority = await createTestAuthority();
    writeFileSync(join(folder, 'root.pem'), authority.rootPem);
    writeFileSync(join(folder, 'token'), 'test-token');
    control = await startTestControlPlane(authority);
    setAddresses(
      control.addresses,
      { kind: 'workload', workload: client },
      { kind: 'workload', workload: web() },
      { kind: 'service', service: meshService({ addresses: [{ network: defaultNetwork, ip: vip }] }) },
    );
    const common = { folder, port: control.port };
    [near, far] = await Promise.all([
      startTestZtunnel({
        ...common,
        node: 'node-1',
        pods: { 'uid-client': { name: 'client', namespace: 'front', serviceAccount: 'caller', netns: netns.client } },
      }),
      startTestZtunnel({
        ...common,
        node: 'node-2',
        pods: { 'uid-web': { name: 'web', namespace: 'shop', serviceAccount: 'web', netns: netns.web } },
      }),
    ]);
    for (const { running } of [near, far]) {
      await eventually('readiness', async () => {
        const { status } = await fetch(`http://127.0.0.1:${running.ports.readiness}/healthz/ready`);
        return status === 200 ? true : undefined;
      });
    }
  });

  after(async () => {
    for (const socket of open) socket.destroy();
    await Promise.all([near?.close(), far?.close()]);
    for (const application of applications) await application.close();
    await control?.close();
    for (const fd of Object.values(netns)) if (fd >= 0) closeNetns(fd);
    for (const space of spaces) await space.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What an application in that pod gets back for `text`; undefined when it is cut or refused. */
  async function ask(from: number, host: string, port: number, text = 'ping'): Promise<string | undefined> {
    const socket = await dial({ netns: from, host, port, timeoutMs: 5000 }).catch(() => undefined);
    if (!socket) return undefined;
    open.add(socket);
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.on('close', (failed: boolean) => resolve(failed ? undefined : Buffer.concat(chunks).toString()));
      socket.resume();
      socket.end(text);
    });
  }

  const line = (ztunnel: TestZtunnel, pattern: RegExp): Promise<string> =>
    eventually(`${pattern} in\n${ztunnel.lines.join('\n')}`, () =>
      ztunnel.lines.find((candidate) => pattern.test(candidate)),
    );

  test('a request to a virtual address is answered over mutual TLS, and the application sees the client itself', async () => {
    assert.equal(await ask(netns.client, vip, 80), 'ping');
    assert.deepEqual(seenClients, [clientIp]);
    const identities =
      /src\.identity="spiffe:\/\/cluster\.local\/ns\/front\/sa\/caller".*dst\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web"/;
    assert.match(await line(near, /direction="outbound"/), identities);
    assert.match(await line(far, /direction="inbound"/), identities);
    assert.match(
      await far.metrics(),
      /istio_tcp_connections_opened_total\{reporter="destination".*connection_security_policy="mutual_tls"\} 1/,
    );
    assert.match(await near.metrics(), /# TYPE istio_tcp_connections_opened_total counter/);
  });

  test('between the pods there is TLS to 15008 and nothing of the request', async () => {
    const capture = spaces
      .at(-1)
      ?.spawn(process.execPath, [join(import.meta.dirname, '../support/programs/capture.ts'), 'web']);
    assert.ok(capture?.stdout);
    const segments: { destinationPort: number; payload: string }[] = [];
    const input = createInterface({ input: capture.stdout });
    await once(input, 'line');
    input.on('line', (text: string) => segments.push(JSON.parse(text) as (typeof segments)[number]));
    const secret = 'a-request-that-nobody-may-read';
    assert.equal(await ask(netns.client, vip, 80, secret), secret);
    await eventually('tunnel bytes', () =>
      segments.some((segment) => segment.destinationPort === 15008) ? true : undefined,
    );
    capture.kill('SIGTERM');
    await once(capture, 'close');
    const payloads = segments.map((segment) => Buffer.from(segment.payload, 'base64'));
    assert.equal(
      payloads.some((payload) => payload.includes(secret)),
      false,
    );
  });

  test('a pod address works as well', async () => {
    assert.equal(await ask(netns.client, webIp, appPort), 'ping');
  });

  test('a pod reaches itself through its own service', async () => {
    assert.equal(await ask(netns.web, vip, 80), 'ping');
    await line(far, /src\.workload="web".*direction="inbound"/);
  });

  test('200 connections at once carry their own random bytes', async () => {
    const texts = Array.from({ length: 200 }, () => randomBytes(10_000).toString('base64'));
    const answers = await Promise.all(texts.map((text) => ask(netns.client, vip, 80, text)));
    assert.deepEqual(answers, texts);
  });

  test('the rest of the world passes through, and a port that nobody serves is refused', async () => {
    assert.equal(await ask(netns.client, outsiderIp, outsiderPort), 'ping');
    await line(
      near,
      new RegExp(`dst\\.addr=${outsiderIp}:${outsiderPort} direction="outbound" bytes_sent=4 bytes_recv=4`),
    );
    assert.equal(await ask(netns.client, outsiderIp, 1), undefined);
    await line(near, /error="Cannot connect to .*:1: ECONNREFUSED.*"/);
    assert.equal(await ask(netns.client, vip, 81), undefined);
    await line(near, /error="service web\.shop\.svc\.cluster\.local has no port 81"/);
  });

  test('policies by identity act on new and on live connections', async () => {
    const live = await dial({ netns: netns.client, host: vip, port: 80, timeoutMs: 5000 });
    open.add(live);
    const cut = new Promise((resolve) => live.once('close', resolve));
    live.resume();
    live.write('live');
    await new Promise((resolve) => live.once('data', resolve));
    setPolicy(control.policies, allowFrom('others', 'nobody-there'));
    await cut;
    assert.equal(await ask(netns.client, vip, 80), undefined);
    await line(far, /error="connection closed due to policy change"/);
    await line(near, /http status: 401/);
    setPolicy(control.policies, allowFrom('others', 'front'));
    await eventually('the caller is admitted', () => ask(netns.client, vip, 80));
    control.policies.update([[policyKey('shop', 'others'), undefined]]);
  });

  test('a caller outside the mesh is served by default and refused under STRICT', async () => {
    await eventually('plaintext is served', () => ask(netns.outsider, webIp, appPort));
    assert.equal(seenClients.at(-1), outsiderIp);
    setPolicy(control.policies, denyPlaintext('strict'));
    setAddresses(control.addresses, {
      kind: 'workload',
      workload: web({ authorizationPolicies: [policyKey('istio-system', 'strict')] }),
    });
    await eventually('plaintext is refused, and the log says by what', async () => {
      await ask(netns.outsider, webIp, appPort);
      return far.lines.find((text) => text.includes('explicitly denied by: istio-system/strict'));
    });
    assert.equal(await ask(netns.outsider, webIp, appPort), undefined);
    assert.equal(await ask(netns.client, vip, 80), 'ping');
    setAddresses(control.addresses, { kind: 'workload', workload: web() });
    await eventually('plaintext is served again', () => ask(netns.outsider, webIp, appPort));
  });

  test('our own listeners cannot be called from outside', async () => {
    for (const port of [15001, 15006]) assert.equal(await ask(netns.outsider, webIp, port), undefined);
  });

  test('the dump tells workloads, services, certificates, pods and connections', async () => {
    const dump = await near.dump();
    assert.deepEqual(
      (dump['workloads'] as { name: string }[]).map(({ name }) => name),
      ['client', 'web'],
    );
    const [certificate] = dump['certificates'] as {
      identity: string;
      state: string;
      certChain: { serialNumber: string }[];
    }[];
    assert.equal(certificate?.identity, 'spiffe://cluster.local/ns/front/sa/caller');
    assert.equal(certificate.state, 'Available');
    assert.match(certificate.certChain[0]?.serialNumber ?? '', /^\d+$/);
    const state = (dump['workloadState'] as Record<string, { info: unknown }>)['uid-client'];
    assert.deepEqual(state?.info, { name: 'client', namespace: 'front', serviceAccount: 'caller' });
  });

  test('a pod that leaves is dropped at once', async () => {
    await near.zds.del('uid-client');
    assert.deepEqual((await near.dump())['workloadState'], {});
    assert.equal(await ask(netns.client, vip, 80), undefined);
  });
});
