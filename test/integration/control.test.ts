/** The control plane against the embedded API server: what a ztunnel is told, what it may ask, what statuses say. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  kinds,
  podWorkloadUid,
  policyKey,
  spiffeId,
  type ClusterId,
  type ConfigMap,
  type KindRef,
  type KubeObject,
  type MeshAddress,
  type MeshWorkload,
  type Pod,
  type PolicyKey,
} from '../../src/api/index.ts';
import { startControl, type RunningControl } from '../../src/control/index.ts';
import { createCaClient, createCsr } from '../../src/identity/index.ts';
import { isKubeError, openKubeClient, startInformer, type KubeClient } from '../../src/kube/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { startApiServer, type RunningApiServer } from '../../src/local/apiserver/index.ts';
import { applyManifests, readManifests } from '../../src/local/mesh/manifests.ts';
import type { Authorization } from '../../src/policy/index.ts';
import { addressTypeUrl, authorizationTypeUrl, decodeAddress, decodeAuthorization } from '../../src/wire/index.ts';
import { startDeltaClient, type DeltaClient } from '../../src/xds/index.ts';
import { freePort } from '../support/free-port.ts';
import { eventually } from '../support/run.ts';

const rolesFile = join(import.meta.dirname, '../../charts/ambit/files/roles.yaml');
const log = silentLog();
const directory = mkdtempSync(join(tmpdir(), 'ambit-control-'));
const tokens = [
  { token: 'admin-token-of-this-test', user: 'ambit:admin', groups: ['system:masters'] },
  {
    token: 'istiod-token-of-this-test',
    user: 'system:serviceaccount:istio-system:istiod',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:istio-system'],
  },
];

/** A data plane that keeps what it is told, and notes when a workload named a policy that it did not have. */
interface Subscriber {
  readonly addresses: Map<string, MeshAddress>;
  readonly authorizations: Map<string, Authorization>;
  readonly dangling: string[];
  readonly client: DeltaClient;
  readonly synced: Promise<void>;
}

describe('the control plane', () => {
  const stop = new AbortController();
  let api: RunningApiServer;
  let admin: KubeClient;
  let istiod: KubeClient;
  let control: RunningControl;
  let ztunnel: Subscriber;

  const openApi = (port: number): Promise<RunningApiServer> =>
    startApiServer({
      stateDir: directory,
      listen: { host: '127.0.0.1', port },
      tokensFile: join(directory, 'pki/tokens.json'),
      nodeSocket: (node) => join(directory, node),
      log,
    });
  const openClient = (token: string): KubeClient =>
    openKubeClient(
      {
        server: `https://127.0.0.1:${api.port}`,
        caPem: api.caPem,
        insecureSkipTlsVerify: false,
        token: () => token,
        namespace: 'default',
      },
      { log },
    );
  const ensure = async <T extends KubeObject>(kind: KindRef<T>, object: T): Promise<void> => {
    try {
      await admin.create(kind, object);
    } catch (error) {
      if (!isKubeError(error, 'kube.already-exists')) throw error;
    }
  };
  const runPod = async (
    namespace: string,
    name: string,
    serviceAccount: string,
    node: string,
    ip: string,
  ): Promise<Pod> => {
    await ensure(kinds.ServiceAccount, { metadata: { name: serviceAccount, namespace } });
    await admin.create(kinds.Pod, {
      metadata: { name, namespace, labels: { app: serviceAccount } },
      spec: { serviceAccountName: serviceAccount, nodeName: node, containers: [{ name: 'c', image: 'x' }] },
    });
    const status = { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] };
    return admin.patch(kinds.Pod, name, namespace, { status }, { type: 'merge', subresource: 'status' });
  };
  const writeToken = async (pod: Pod): Promise<string> => {
    const { name = '', namespace = '', uid = '' } = pod.metadata;
    const boundPod = { name, uid };
    const options = { audiences: ['istio-ca'], expirationSeconds: 3600, boundPod };
    const { token } = await admin.requestToken(namespace, pod.spec.serviceAccountName ?? '', options);
    const path = join(directory, `${name}.token`);
    writeFileSync(path, token);
    return path;
  };
  const endpoint = (
    tokenPath: string,
  ): { address: string; tlsServerName: string; rootCertPath: string; tokenPath: string; clusterId: string } => ({
    address: `https://127.0.0.1:${control.port}`,
    tlsServerName: 'istiod.istio-system.svc',
    rootCertPath: join(directory, 'root.pem'),
    tokenPath,
    clusterId: 'Kubernetes',
  });
  const subscribe = (tokenPath: string, signal: AbortSignal): Subscriber => {
    const addresses = new Map<string, MeshAddress>();
    const authorizations = new Map<string, Authorization>();
    const dangling: string[] = [];
    const synced = Promise.withResolvers<void>();
    const keep =
      <V>(into: Map<string, V>, decode: (bytes: Uint8Array) => V, check: (value: V) => void = () => {}) =>
      ({ added, removed }: { added: readonly { name: string; body: Uint8Array }[]; removed: readonly string[] }) => {
        for (const { name, body } of added) {
          const value = decode(body);
          check(value);
          into.set(name, value);
        }
        for (const name of removed) into.delete(name);
        return { rejected: [] };
      };
    const client = startDeltaClient({
      ...endpoint(tokenPath),
      node: { id: 'ztunnel~test', metadata: { NAMESPACE: 'istio-system' } },
      types: [
        { typeUrl: authorizationTypeUrl, apply: keep(authorizations, decodeAuthorization) },
        {
          typeUrl: addressTypeUrl,
          apply: keep(addresses, decodeAddress, (address) => {
            if (address.kind !== 'workload') return;
            dangling.push(...address.workload.authorizationPolicies.filter((name) => !authorizations.has(name)));
          }),
        },
      ],
      onSynced: () => synced.resolve(),
      log,
      signal,
    });
    return { addresses, authorizations, dangling, client, synced: synced.promise };
  };
  const workload = (namespace: string, name: string): MeshWorkload | undefined => {
    const address = ztunnel.addresses.get(podWorkloadUid('Kubernetes' as ClusterId, namespace, name));
    return address?.kind === 'workload' ? address.workload : undefined;
  };
  const becomes = <T>(what: string, probe: () => T | undefined | false): Promise<T> =>
    eventually(async () => probe(), what);

  before(async () => {
    mkdirSync(join(directory, 'pki'));
    writeFileSync(join(directory, 'pki/tokens.json'), JSON.stringify(tokens));
    // It comes back at the same port: not one that the kernel gives to others meanwhile.
    api = await openApi(await freePort());
    admin = openClient(tokens[0]?.token ?? '');
    istiod = openClient(tokens[1]?.token ?? '');
    for (const name of ['istio-system', 'shop']) await ensure(kinds.Namespace, { metadata: { name } });
    await applyManifests(admin, readManifests([rolesFile]));
    control = await startControl({
      client: istiod,
      listen: { host: '127.0.0.1', port: 0 },
      webhook: { host: '127.0.0.1', port: 0 },
      monitoring: { host: '127.0.0.1', port: 0 },
      servingIps: ['127.0.0.1'],
      identity: 'istiod-1',
      log,
      signal: stop.signal,
    });
    const proxy = await runPod('istio-system', 'ztunnel-node-1', 'ztunnel', 'node-1', '10.244.1.1');
    await runPod('shop', 'web-1', 'web', 'node-1', '10.244.1.2');
    await runPod('shop', 'api-1', 'api', 'node-2', '10.244.2.2');
    // As a pod gets it: from the ConfigMap of its namespace.
    const rootPem = await eventually(
      async () => (await admin.get(kinds.ConfigMap, 'istio-ca-root-cert', 'istio-system')).data?.['root-cert.pem'],
      'the root certificate is published',
    );
    writeFileSync(join(directory, 'root.pem'), rootPem);
    ztunnel = subscribe(await writeToken(proxy), stop.signal);
    await ztunnel.synced;
  });
  after(async () => {
    stop.abort();
    await ztunnel?.client.done;
    await control?.done;
    await Promise.all([admin?.close(), istiod?.close()]);
    await api?.close();
    rmSync(directory, { recursive: true });
  });

  it('is ready, and says so', async () => {
    const response = await fetch(`http://127.0.0.1:${control.monitoringPort}/readyz`);
    assert.equal(response.status, 200);
    const metrics = await (await fetch(`http://127.0.0.1:${control.monitoringPort}/metrics`)).text();
    assert.match(metrics, /pilot_xds 1\n/);
    assert.match(metrics, /pilot_xds_pushes_total\{type="Address"\} \d/);
  });

  it('tells pods, Services and their changes', async () => {
    // Both pods came a moment before the subscription did: the watch may tell of them after it.
    for (const [name, ip] of [
      ['web-1', '10.244.1.2'],
      ['api-1', '10.244.2.2'],
    ] as const) {
      await becomes(`${name} is told`, () => workload('shop', name)?.addresses.join() === ip);
    }
    await admin.create(kinds.Service, {
      metadata: { name: 'web', namespace: 'shop' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
    });
    await becomes('the pod belongs to the Service', () => workload('shop', 'web-1')?.services.size === 1);
    await becomes('the Service is there', () => ztunnel.addresses.has('shop/web.shop.svc.cluster.local'));
    const annotations = { 'ambient.istio.io/redirection': 'enabled' };
    await admin.patch(kinds.Pod, 'web-1', 'shop', { metadata: { annotations } }, { type: 'merge' });
    await becomes('the pod takes HBONE', () => workload('shop', 'web-1')?.tunnelProtocol === 'hbone');
    await admin.delete(kinds.Service, 'web', 'shop');
    await becomes('the Service is gone', () => !ztunnel.addresses.has('shop/web.shop.svc.cluster.local'));
    await becomes('the pod belongs to none', () => workload('shop', 'web-1')?.services.size === 0);
  });

  it('tells policies before the workloads that name them, and writes what it made of each generation', async () => {
    const name: PolicyKey = policyKey('shop', 'readers');
    const status = (generation: number): Promise<string> =>
      eventually(async () => {
        const conditions = (await admin.get(kinds.AuthorizationPolicy, 'readers', 'shop')).status?.conditions;
        const found = conditions?.filter(({ observedGeneration }) => observedGeneration === generation) ?? [];
        if (!found.some(({ type, status: held }) => type === 'Reconciled' && held === 'True')) return undefined;
        const accepted = found.find(({ type }) => type === 'ZtunnelAccepted');
        return accepted && `${accepted.type}=${accepted.status}: ${accepted.message}`;
      }, `status of generation ${generation}`);
    const selector = { matchLabels: { app: 'web' } };
    const rules = [{ to: [{ operation: { methods: ['GET'] } }] }];
    await admin.create(kinds.AuthorizationPolicy, {
      metadata: { name: 'readers', namespace: 'shop' },
      spec: { selector, rules },
    });
    await becomes('the workload names the policy', () =>
      workload('shop', 'web-1')?.authorizationPolicies.includes(name),
    );
    assert.match(await status(1), /^ZtunnelAccepted=False: rules\[0\]: to\[0\]\.operation\.methods needs a waypoint/);
    await admin.patch(kinds.AuthorizationPolicy, 'readers', 'shop', { spec: { rules: [{}] } }, { type: 'merge' });
    await becomes('the policy changed', () => ztunnel.authorizations.get(name)?.rules.length === 1);
    assert.equal(await status(2), 'ZtunnelAccepted=True: attached to ztunnel');
    await admin.delete(kinds.AuthorizationPolicy, 'readers', 'shop');
    await becomes('the policy is gone', () => !ztunnel.authorizations.has(name));
    await becomes('nor does a workload name it', () => workload('shop', 'web-1')?.authorizationPolicies.length === 0);
    assert.deepEqual(ztunnel.dangling, []);
  });

  it('puts the trust anchor into every namespace, and puts it right again', async () => {
    const anchor = (namespace: string): Promise<string> =>
      eventually(async () => {
        const text = (await admin.get(kinds.ConfigMap, 'istio-ca-root-cert', namespace)).data?.['root-cert.pem'];
        return text === control.rootPem ? text : undefined;
      }, `the anchor of ${namespace}`);
    await ensure(kinds.Namespace, { metadata: { name: 'later' } });
    await anchor('later');
    await admin.patch(
      kinds.ConfigMap,
      'istio-ca-root-cert',
      'later',
      { data: { 'root-cert.pem': 'evil' } },
      { type: 'merge' },
    );
    await anchor('later');
    await admin.delete(kinds.ConfigMap, 'istio-ca-root-cert', 'later');
    await anchor('later');
    await admin.delete(kinds.Namespace, 'later');
  });

  it('copies revocation lists into every namespace, and keeps the copies when they are deleted', async () => {
    const copied = (namespace: string, wanted: string): Promise<true> =>
      eventually(async () => {
        const { data } = await admin.get(kinds.ConfigMap, 'istio-ca-crl', namespace);
        return data?.['ca-crl.pem'] === wanted ? (true as const) : undefined;
      }, `the lists of ${namespace}`);
    await ensure(kinds.Namespace, { metadata: { name: 'listed' } });
    const metadata = { name: 'istio-ca-crl', namespace: 'istio-system' };
    await admin.create(kinds.ConfigMap, { metadata, data: { 'ca-crl.pem': 'one' } });
    await copied('listed', 'one');
    await admin.patch(
      kinds.ConfigMap,
      'istio-ca-crl',
      'istio-system',
      { data: { 'ca-crl.pem': 'two' } },
      { type: 'merge' },
    );
    await copied('listed', 'two');
    await admin.patch(kinds.ConfigMap, 'istio-ca-crl', 'listed', { data: { 'ca-crl.pem': '' } }, { type: 'merge' });
    await copied('listed', 'two');
    await admin.delete(kinds.ConfigMap, 'istio-ca-crl', 'listed');
    await copied('listed', 'two');
    const copies: (string | undefined)[] = [];
    const keep = ({ metadata: of, data }: ConfigMap): void => {
      if (of.name === 'istio-ca-crl') copies.push(data?.['ca-crl.pem']);
    };
    const watching = new AbortController();
    const { synced } = startInformer(admin, kinds.ConfigMap, {
      namespace: 'listed',
      signal: watching.signal,
      log,
      onAdd: keep,
      onUpdate: (_, now) => keep(now),
      onDelete: () => void copies.push('deleted'),
    });
    await synced;
    await admin.delete(kinds.ConfigMap, 'istio-ca-crl', 'istio-system');
    // What comes after the end in the same watch is the next that the copy says.
    await admin.create(kinds.ConfigMap, { metadata, data: { 'ca-crl.pem': 'three' } });
    await becomes('the copy follows', () => copies.at(-1) === 'three');
    assert.deepEqual(copies, ['two', 'three']);
    watching.abort();
    await admin.delete(kinds.ConfigMap, 'istio-ca-crl', 'istio-system');
    await admin.delete(kinds.Namespace, 'listed');
  });

  it('signs for pods of the node, and refuses everything else by name', async () => {
    const sign = async (tokenPath: string, identity: string, csrPem?: string): Promise<string> => {
      const client = createCaClient(endpoint(tokenPath));
      try {
        const chain = await client.sign(
          csrPem ?? createCsr(identity as never).csrPem,
          identity as never,
          AbortSignal.timeout(60_000),
        );
        return `${chain.length}`;
      } catch (error) {
        return (error as Error).message;
      } finally {
        client.close();
      }
    };
    const proxyToken = join(directory, 'ztunnel-node-1.token');
    const web = spiffeId('cluster.local', 'shop', 'web');
    assert.equal(await sign(proxyToken, web), '2');
    assert.match(
      await sign(proxyToken, spiffeId('cluster.local', 'shop', 'api')),
      /permission-denied, no pod of "shop\/api" runs on node "node-1"/,
    );
    assert.match(
      await sign(proxyToken, spiffeId('evil.example', 'shop', 'web')),
      /permission-denied, trust domain "evil.example"/,
    );
    assert.match(await sign(proxyToken, web, 'no request at all'), /invalid-argument/);
    const webToken = await writeToken(await admin.get(kinds.Pod, 'web-1', 'shop'));
    assert.equal(await sign(webToken, web), '2', 'who names itself acts for nobody else');
    assert.match(
      await sign(webToken, spiffeId('cluster.local', 'shop', 'api')),
      /permission-denied, service account "shop\/web" may not act for others/,
    );
    const noToken = join(directory, 'no.token');
    writeFileSync(noToken, 'not-a-token');
    assert.match(await sign(noToken, web), /unauthenticated, the token is refused/);
    // A pod that comes while its certificate is asked for: the request waits for the watch. On a busy machine one comes too late.
    const requests = async (): Promise<number> => {
      const metrics = await (await fetch(`http://127.0.0.1:${control.monitoringPort}/metrics`)).text();
      return Number(/^citadel_server_csr_count_total (\d+)$/m.exec(metrics)?.[1]);
    };
    let tries = 0;
    await eventually(async () => {
      const account = `early-${tries++}`;
      await ensure(kinds.ServiceAccount, { metadata: { name: account, namespace: 'shop' } });
      const before = await requests();
      const early = sign(proxyToken, spiffeId('cluster.local', 'shop', account));
      await eventually(async () => (await requests()) > before, 'it is asked for');
      await runPod('shop', account, account, 'node-1', `10.244.1.${10 + tries}`);
      return (await early) === '2';
    }, 'a request waits for its pod');
    const intruder = new AbortController();
    const { client } = subscribe(webToken, intruder.signal);
    const refusal = /permission-denied, service account "shop\/web" may not read the mesh's workloads/;
    await eventually(async () => refusal.test(client.status().lastError ?? ''), 'the intruder is refused');
    intruder.abort();
    await client.done;
  });

  it('goes on after the API server was away', async () => {
    const { port } = api;
    await api.close();
    assert.ok(workload('shop', 'web-1'), 'what was told stays');
    api = await openApi(port);
    await admin.patch(kinds.Pod, 'web-1', 'shop', { metadata: { labels: { version: 'v9' } } }, { type: 'merge' });
    await becomes('the change arrives', () => workload('shop', 'web-1')?.canonicalRevision === 'v9');
  });
});
