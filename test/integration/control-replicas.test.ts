/** Two control planes over one API: what data planes are told, who writes, and what happens when one is killed. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kinds, type AuthorizationPolicy, type KubeObject } from '../../src/api/index.ts';
import { loadKubeconfig, openKubeClient, startInformer, type KubeClient } from '../../src/kube/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { startApiServer, type RunningApiServer } from '../../src/local/apiserver/index.ts';
import { applyManifests, readManifests } from '../../src/local/mesh/manifests.ts';
import { addressTypeUrl, authorizationTypeUrl } from '../../src/wire/index.ts';
import { startDeltaClient, type DeltaClient } from '../../src/xds/index.ts';
import { freePort } from '../support/free-port.ts';
import { eventually } from '../support/run.ts';

const root = join(import.meta.dirname, '../..');
const directory = mkdtempSync(join(tmpdir(), 'ambit-replicas-'));
const log = silentLog();
const adminToken = 'admin-token-of-this-test';
const istiodToken = 'istiod-token-of-this-test';

interface Replica {
  readonly name: string;
  readonly port: number;
  readonly process: ChildProcess;
}

/** A ztunnel's subscription that counts. */
interface Subscriber {
  readonly client: DeltaClient;
  readonly names: Set<string>;
  received: number;
}

describe('two replicas of the control plane', () => {
  const stop = new AbortController();
  const replicas: Replica[] = [];
  const subscribers: Subscriber[] = [];
  /** Writes of policies, as the API tells them: generation and conditions. */
  const writes: string[] = [];
  let api: RunningApiServer;
  let admin: KubeClient;
  let balancerPort = 0;

  const kubeconfig = (name: string, token: string): string => {
    const path = join(directory, `${name}.kubeconfig`);
    const cluster = {
      server: `https://127.0.0.1:${api.port}`,
      'certificate-authority-data': Buffer.from(api.caPem).toString('base64'),
    };
    writeFileSync(
      path,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'test', cluster }],
        users: [{ name: 'test', user: { token } }],
        contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
        'current-context': 'test',
      }),
    );
    return path;
  };
  const startReplica = async (name: string): Promise<Replica> => {
    const [port, monitoring, webhook] = await Promise.all([freePort(), freePort(), freePort()]);
    const child = spawn(process.execPath, [join(root, 'src/bin/control.ts')], {
      env: {
        PATH: process.env['PATH'],
        KUBECONFIG: kubeconfig(name, istiodToken),
        LISTEN: `127.0.0.1:${port}`,
        MONITORING_LISTEN: `127.0.0.1:${monitoring}`,
        WEBHOOK_LISTEN: `127.0.0.1:${webhook}`,
        SERVING_IPS: '127.0.0.1',
        POD_NAME: name,
      },
      stdio: 'ignore',
    });
    await eventually(
      async () => (await fetch(`http://127.0.0.1:${monitoring}/readyz`).catch(() => undefined))?.ok || undefined,
      `replica ${name}`,
    );
    return { name, port, process: child };
  };
  const alive = (): Replica[] =>
    replicas.filter(({ process: child }) => child.exitCode === null && child.signalCode === null);
  /** What a Service does: new connections go to replicas that live, in turn. */
  const startBalancer = async (): Promise<number> => {
    let turn = 0;
    const server = createServer((client) => {
      const candidates = alive();
      const target = candidates[turn++ % candidates.length];
      const upstream = connect(target?.port ?? 0, '127.0.0.1');
      client.on('error', () => upstream.destroy());
      upstream.on('error', () => client.destroy());
      client.pipe(upstream).pipe(client);
    });
    stop.signal.addEventListener('abort', () => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };
  const subscribe = (tokenPath: string): Subscriber => {
    const names = new Set<string>();
    const subscriber = { names, received: 0 } as Subscriber & { client: DeltaClient };
    const apply = ({ added, removed }: { added: readonly { name: string }[]; removed: readonly string[] }) => {
      subscriber.received += added.length + removed.length;
      for (const { name } of added) names.add(name);
      for (const name of removed) names.delete(name);
      return { rejected: [] };
    };
    subscriber.client = startDeltaClient({
      address: `https://127.0.0.1:${balancerPort}`,
      tlsServerName: 'istiod.istio-system.svc',
      rootCertPath: join(directory, 'root.pem'),
      tokenPath,
      clusterId: 'Kubernetes',
      node: { id: 'ztunnel~test', metadata: { NAMESPACE: 'istio-system' } },
      types: [authorizationTypeUrl, addressTypeUrl].map((typeUrl) => ({ typeUrl, apply })),
      log,
      signal: stop.signal,
    });
    return subscriber;
  };
  const leader = async (): Promise<string | undefined> =>
    (await admin.get(kinds.Lease, 'istio-leader', 'istio-system')).spec?.holderIdentity;
  const policy = (name: string): AuthorizationPolicy => ({
    metadata: { name, namespace: 'shop' },
    spec: { rules: [{ from: [{ source: { namespaces: ['shop'] } }] }] },
  });
  const reconciled = (name: string): Promise<true> =>
    eventually(async () => {
      const { status, metadata } = await admin.get(kinds.AuthorizationPolicy, name, 'shop');
      const condition = status?.conditions?.find(({ type }) => type === 'Reconciled');
      return condition?.status === 'True' && condition.observedGeneration === metadata.generation;
    }, `policy ${name} with every ztunnel`);
  const writesOf = (name: string): string[] => writes.filter((entry) => entry.startsWith(`${name} `));
  const settled = 'ZtunnelAccepted=True,Reconciled=True';
  /** Without what is written where ztunnels take longer than a second: a machine may be busy, and a dead replica is waited for. */
  const exceptWaiting = (entries: readonly string[]): string[] =>
    entries.filter((entry) => !entry.endsWith(' ZtunnelAccepted=True,Reconciled=False'));
  /** Until the watch has told of the last write, too: it may be behind an answer. */
  const told = (name: string): Promise<unknown> =>
    eventually(async () => writes.includes(`${name} 1 ${settled}`), `the watch tells that ${name} is settled`);

  before(async () => {
    mkdirSync(join(directory, 'pki'));
    const account = 'system:serviceaccounts';
    writeFileSync(
      join(directory, 'pki/tokens.json'),
      JSON.stringify([
        { token: adminToken, user: 'ambit:admin', groups: ['system:masters'] },
        {
          token: istiodToken,
          user: 'system:serviceaccount:istio-system:istiod',
          groups: [account, `${account}:istio-system`],
        },
      ]),
    );
    api = await startApiServer({
      stateDir: directory,
      listen: { host: '127.0.0.1', port: 0 },
      tokensFile: join(directory, 'pki/tokens.json'),
      nodeSocket: (node) => join(directory, node),
      log,
    });
    admin = openKubeClient(loadKubeconfig(kubeconfig('admin', adminToken)), { log });
    for (const name of ['istio-system', 'shop']) await admin.create(kinds.Namespace, { metadata: { name } });
    await applyManifests(admin, readManifests([join(root, 'charts/ambit/files/roles.yaml')]));
    await admin.create(kinds.ServiceAccount, { metadata: { name: 'ztunnel', namespace: 'istio-system' } });
    const note = ({ metadata, status }: AuthorizationPolicy): void => {
      const conditions = (status?.conditions ?? []).map(({ type, status: value }) => `${type}=${value}`).join(',');
      writes.push(`${metadata.name} ${metadata.generation} ${conditions}`);
    };
    startInformer(admin, kinds.AuthorizationPolicy, {
      signal: stop.signal,
      log,
      onAdd: note,
      onUpdate: (_, now) => note(now),
    });
    replicas.push(await startReplica('istiod-1'), await startReplica('istiod-2'));
    balancerPort = await startBalancer();
    const rootPem = await eventually(
      async () => (await admin.get(kinds.ConfigMap, 'istio-ca-root-cert', 'istio-system')).data?.['root-cert.pem'],
      'the root certificate',
    );
    writeFileSync(join(directory, 'root.pem'), rootPem);
    const tokenPath = join(directory, 'ztunnel.token');
    const { token } = await admin.requestToken('istio-system', 'ztunnel', {
      audiences: ['istio-ca'],
      expirationSeconds: 3600,
    });
    writeFileSync(tokenPath, token);
    for (let i = 0; i < 4; i++) subscribers.push(subscribe(tokenPath));
    await eventually(
      async () => subscribers.every(({ client }) => client.status().synced) || undefined,
      'every subscriber has the mesh',
    );
  });
  after(async () => {
    stop.abort();
    await Promise.all(subscribers.map(({ client }) => client.done));
    for (const { process: child } of alive()) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    await admin?.close();
    await api?.close();
    rmSync(directory, { recursive: true });
  });

  it('a policy gets one status, when the ztunnels of both hold it', async () => {
    await admin.create(kinds.AuthorizationPolicy, policy('first'));
    await reconciled('first');
    await told('first');
    assert.deepEqual(exceptWaiting(writesOf('first')), ['first 1 ', `first 1 ${settled}`]);
    for (const { names } of subscribers) assert.ok(names.has('shop/first'));
    const leases = (await admin.list(kinds.Lease, { namespace: 'istio-system' })).items.map(
      ({ metadata }: KubeObject) => metadata.name,
    );
    assert.deepEqual(new Set(leases), new Set(['istio-leader', 'istiod-replica-istiod-1', 'istiod-replica-istiod-2']));
  });

  it('when the leader is killed, discovery goes on, nothing is sent again, and the other one takes over', async () => {
    const killed = await leader();
    const before = subscribers.map(({ received }) => received);
    const seen = writes.length;
    const victim = replicas.find(({ name }) => name === killed);
    assert.ok(victim);
    victim.process.kill('SIGKILL');
    await admin.create(kinds.AuthorizationPolicy, policy('second'));
    await eventually(
      async () => subscribers.every(({ names }) => names.has('shop/second')) || undefined,
      'every subscriber has the new policy',
    );
    assert.deepEqual(
      subscribers.map(({ received }, i) => received - (before[i] ?? 0)),
      [1, 1, 1, 1],
      'each was told the one change, and nothing that it had',
    );
    // The lease of the dead, and its report, are waited for.
    await reconciled('second');
    await told('second');
    assert.notEqual(await leader(), killed);
    assert.deepEqual(exceptWaiting(writes.slice(seen)), ['second 1 ', `second 1 ${settled}`]);
  });

  it('a replica that comes back changes nothing by itself', async () => {
    const before = subscribers.map(({ received }) => received);
    const seen = writes.length;
    replicas.push(await startReplica('istiod-3'));
    await admin.create(kinds.AuthorizationPolicy, policy('third'));
    await reconciled('third');
    await told('third');
    assert.deepEqual(
      subscribers.map(({ received }, i) => received - (before[i] ?? 0)),
      [1, 1, 1, 1],
    );
    assert.deepEqual(exceptWaiting(writes.slice(seen)), ['third 1 ', `third 1 ${settled}`]);
  });
});
