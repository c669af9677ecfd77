/** Gateways against the embedded API server and its controllers: what is deployed for them, and what their status says. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kinds, type ConfigMap, type Gateway, type KindRef, type KubeObject, type Pod } from '../../src/api/index.ts';
import type { GatewayClass } from '../../src/api/gateway.ts';
import { startControl, type RunningControl } from '../../src/control/index.ts';
import { isKubeError, openKubeClient, type KubeClient } from '../../src/kube/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { startApiServer, type RunningApiServer } from '../../src/local/apiserver/index.ts';
import { startControllers } from '../../src/local/controllers/index.ts';
import { applyManifests, readManifests } from '../../src/local/mesh/manifests.ts';
import { proxyResourceTypeUrl } from '../../src/wire/index.ts';
import { startDeltaClient } from '../../src/xds/index.ts';
import { eventually } from '../support/run.ts';

const rolesFile = join(import.meta.dirname, '../../charts/ambit/files/roles.yaml');
const log = silentLog();
const directory = mkdtempSync(join(tmpdir(), 'ambit-deployer-'));
const tokens = [
  { token: 'admin-token-of-this-test', user: 'ambit:admin', groups: ['system:masters'] },
  {
    token: 'istiod-token-of-this-test',
    user: 'system:serviceaccount:istio-system:istiod',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:istio-system'],
  },
];
const namespace = 'shop';

describe('the deployer', () => {
  const stop = new AbortController();
  const clients: KubeClient[] = [];
  let api: RunningApiServer;
  let admin: KubeClient;
  let control: RunningControl;
  const controls: RunningControl[] = [];

  const openClient = (token: string): KubeClient => {
    const server = `https://127.0.0.1:${api.port}`;
    const client = openKubeClient(
      { server, caPem: api.caPem, insecureSkipTlsVerify: false, token: () => token, namespace: 'default' },
      { log },
    );
    clients.push(client);
    return client;
  };
  const put = async <T extends KubeObject>(kind: KindRef<T>, object: T): Promise<T> => {
    try {
      return await admin.create(kind, object);
    } catch (error) {
      if (!isKubeError(error, 'kube.already-exists')) throw error;
      return admin.get(kind, object.metadata.name ?? '', object.metadata.namespace);
    }
  };
  const find = async <T extends KubeObject>(kind: KindRef<T>, name: string): Promise<T | undefined> => {
    try {
      return await admin.get(kind, name, kind.namespaced ? namespace : undefined);
    } catch (error) {
      if (isKubeError(error, 'kube.not-found')) return undefined;
      throw error;
    }
  };
  const waypoint = (
    name: string,
    more: Partial<Gateway['metadata']> = {},
    spec: Partial<Gateway['spec']> = {},
  ): Gateway => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name, namespace, ...more },
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
      ...spec,
    },
  });
  const condition = async (name: string, type: string): Promise<string> => {
    const gateway = await admin.get(kinds.Gateway, name, namespace);
    const found = gateway.status?.conditions?.find((one) => one.type === type);
    return found && found.observedGeneration === gateway.metadata.generation
      ? `${found.status} ${found.reason}: ${found.message}`
      : '';
  };
  const settles = (name: string, type: string, pattern: RegExp): Promise<string> =>
    eventually(async () => {
      const text = await condition(name, type);
      return pattern.test(text) ? text : undefined;
    }, `${type} of ${name} becomes ${pattern}`);
  /** There is no node here: what a node would say of a Gateway's pods is said for it. */
  const makePodsReady = async (gateway: string, ready = true): Promise<Pod[]> => {
    const labelSelector = `gateway.networking.k8s.io/gateway-name=${gateway}`;
    const pods = await eventually(async () => {
      const { items } = await admin.list(kinds.Pod, { namespace, labelSelector });
      return items.length > 0 ? items : undefined;
    }, `pods of ${gateway}`);
    for (const [index, { metadata }] of pods.entries()) {
      const ip = `10.244.1.${10 + index}`;
      const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
      const status = { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions };
      await admin.patch(
        kinds.Pod,
        metadata.name ?? '',
        namespace,
        { status },
        { type: 'merge', subresource: 'status' },
      );
    }
    return pods;
  };

  const controlOptions = (): Omit<Parameters<typeof startControl>[0], 'identity'> => ({
    client: openClient(tokens[1]?.token ?? ''),
    listen: { host: '127.0.0.1', port: 0 },
    webhook: { host: '127.0.0.1', port: 0 },
    monitoring: { host: '127.0.0.1', port: 0 },
    servingIps: ['127.0.0.1'],
    proxies: { image: 'example.com/ambit:test' },
    log,
    signal: stop.signal,
  });

  before(async () => {
    mkdirSync(join(directory, 'pki'));
    writeFileSync(join(directory, 'pki/tokens.json'), JSON.stringify(tokens));
    api = await startApiServer({
      stateDir: directory,
      listen: { host: '127.0.0.1', port: 0 },
      tokensFile: join(directory, 'pki/tokens.json'),
      serviceFamilies: ['IPv4'],
      nodeSocket: (node) => join(directory, node),
      log,
    });
    admin = openClient(tokens[0]?.token ?? '');
    await startControllers({
      client: openClient(api.controllersToken),
      log,
      rootCaPem: api.caPem,
      signal: stop.signal,
    });
    for (const name of ['istio-system', namespace]) await put(kinds.Namespace, { metadata: { name } });
    await put(kinds.Node, { metadata: { name: 'node-1' } });
    await applyManifests(admin, readManifests([rolesFile]));
    await put(kinds.GatewayClass, {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'GatewayClass',
      metadata: { name: 'ambit' },
      spec: { controllerName: 'example.com/somebody-else' },
    });
    control = await startControl({ ...controlOptions(), identity: 'istiod-1' });
  });
  after(async () => {
    stop.abort();
    await Promise.all([control?.done, ...controls.map(({ done }) => done)]);
    await Promise.all(clients.map((client) => client.close()));
    await api?.close();
    rmSync(directory, { recursive: true });
  });

  it('makes the classes that are absent, accepts its own, and leaves those of others alone', async () => {
    const accepted = (name: string): Promise<string> =>
      eventually(async () => {
        const found = await find(kinds.GatewayClass, name);
        const said = found?.status?.conditions?.find(({ type, status }) => type === 'Accepted' && status === 'True');
        return said && found?.spec.controllerName;
      }, `class ${name} is accepted`);
    assert.equal(await accepted('istio-waypoint'), 'istio.io/mesh-controller');
    assert.equal(await accepted('istio'), 'istio.io/gateway-controller');
    assert.equal(await accepted('ambit-waypoint'), 'ambit.dev/mesh-controller');
    const foreign = await find(kinds.GatewayClass, 'ambit');
    assert.equal(foreign?.spec.controllerName, 'example.com/somebody-else');
    assert.ok(!foreign?.status?.conditions?.some(({ type, status }) => type === 'Accepted' && status === 'True'));
  });

  it('deploys a waypoint as istio-proxy, and tells where it is once a proxy is ready', async () => {
    const labels = { 'istio.io/waypoint-for': 'all', team: 'a' };
    await put(kinds.Gateway, waypoint('wp', { labels, annotations: { note: 'hello' } }));
    await settles('wp', 'Programmed', /^False Pending/);
    const deployment = await eventually(() => find(kinds.Deployment, 'wp'), 'the Deployment');
    assert.deepEqual(deployment.spec.selector, { matchLabels: { 'gateway.networking.k8s.io/gateway-name': 'wp' } });
    const { metadata, spec } = deployment.spec.template;
    assert.deepEqual(metadata?.labels, {
      ...labels,
      'gateway.istio.io/managed': 'istio.io-mesh-controller',
      'gateway.networking.k8s.io/gateway-class-name': 'istio-waypoint',
      'gateway.networking.k8s.io/gateway-name': 'wp',
      'istio.io/dataplane-mode': 'none',
      'service.istio.io/canonical-name': 'wp',
      'service.istio.io/canonical-revision': 'latest',
      'sidecar.istio.io/inject': 'false',
    });
    assert.equal(metadata?.annotations?.['note'], 'hello');
    const [container] = spec.containers;
    assert.equal(container?.name, 'istio-proxy');
    assert.equal(container?.image, 'example.com/ambit:test');
    assert.deepEqual(container?.args?.slice(0, 2), ['proxy', 'waypoint']);
    assert.equal(spec.serviceAccountName, 'wp');
    assert.equal(spec.automountServiceAccountToken, false);
    await eventually(() => find(kinds.ServiceAccount, 'wp'), 'the account');
    const service = await eventually(() => find(kinds.Service, 'wp'), 'the Service');
    assert.equal(service?.spec?.type, 'ClusterIP');
    assert.deepEqual(
      service?.spec?.ports?.map(({ name, port, appProtocol }) => [name, port, appProtocol]),
      [
        ['status-port', 15021, 'tcp'],
        ['mesh', 15008, 'hbone'],
      ],
    );
    assert.equal((await find(kinds.Gateway, 'wp'))?.metadata.annotations?.['gateway.istio.io/controller-version'], '5');
    assert.deepEqual((await find(kinds.Gateway, 'wp'))?.status?.addresses ?? [], []);

    await makePodsReady('wp');
    await settles('wp', 'Programmed', /^True Programmed: .*wp\.shop\.svc\.cluster\.local:15008/);
    await settles('wp', 'Accepted', /^True Accepted/);
    const addresses = [
      { type: 'IPAddress', value: service?.spec?.clusterIP },
      { type: 'Hostname', value: 'wp.shop.svc.cluster.local' },
    ];
    assert.deepEqual((await find(kinds.Gateway, 'wp'))?.status?.addresses, addresses);

    await makePodsReady('wp', false);
    await settles('wp', 'Programmed', /^False Pending/);
    assert.deepEqual((await find(kinds.Gateway, 'wp'))?.status?.addresses, addresses, 'addresses are not taken back');
    await makePodsReady('wp');
    await settles('wp', 'Programmed', /^True/);
  });

  it('puts right what somebody changes, and leaves a scaled Deployment its size', async () => {
    const merge = { type: 'merge' } as const;
    await admin.patch(kinds.Deployment, 'wp', namespace, { spec: { replicas: 3 } }, merge);
    await admin.patch(kinds.Service, 'wp', namespace, { spec: { type: 'NodePort' } }, merge);
    await admin.delete(kinds.ServiceAccount, 'wp', namespace);
    await eventually(
      async () => ((await find(kinds.Service, 'wp'))?.spec?.type === 'ClusterIP' ? true : undefined),
      'the Service is as it was',
    );
    await eventually(() => find(kinds.ServiceAccount, 'wp'), 'the account is there again');
    assert.equal((await find(kinds.Deployment, 'wp'))?.spec.replicas, 3);
  });

  it('tells a proxy that proves itself by its pod of its own Gateway, and nobody else', async () => {
    const pods = await makePodsReady('wp');
    const pod = pods.find(({ spec }) => spec.nodeName === 'node-1') ?? pods[0];
    assert.ok(pod);
    const rootPem = await eventually(
      async () => (await find(kinds.ConfigMap, 'istio-ca-root-cert'))?.data?.['root-cert.pem'],
      'the root certificate is published',
    );
    writeFileSync(join(directory, 'root.pem'), rootPem);
    const tokenOf = async ({ metadata, spec }: Pod): Promise<string> => {
      const boundPod = { name: metadata.name ?? '', uid: metadata.uid ?? '' };
      const options = { audiences: ['istio-ca'], expirationSeconds: 3600, boundPod };
      const { token } = await admin.requestToken(namespace, spec.serviceAccountName ?? '', options);
      const path = join(directory, `${metadata.name}.token`);
      writeFileSync(path, token);
      return path;
    };
    let refusal: string | undefined;
    const subscribe = (tokenPath: string, signal: AbortSignal) => {
      const names = new Set<string>();
      const client = startDeltaClient({
        address: `https://127.0.0.1:${control.port}`,
        tlsServerName: 'istiod.istio-system.svc',
        rootCertPath: join(directory, 'root.pem'),
        tokenPath,
        clusterId: 'Kubernetes',
        node: { id: 'waypoint~test', metadata: { NAMESPACE: namespace } },
        types: [
          {
            typeUrl: proxyResourceTypeUrl,
            apply({ added }) {
              for (const { name } of added) names.add(name);
              return refusal === undefined ? { rejected: [] } : { rejected: [], refusal };
            },
          },
        ],
        onSynced() {},
        log,
        signal,
      });
      return { names, client };
    };
    const own = new AbortController();
    const proxy = subscribe(await tokenOf(pod), own.signal);
    await eventually(async () => (proxy.names.has('settings/default') ? true : undefined), 'the proxy is told');
    assert.ok([...proxy.names].some((name) => name.startsWith('listener/')));
    // What a proxy refuses is said, and that it does no more.
    refusal = 'listener/mesh: port: too large';
    const annotate = (xfcc: string | null): Promise<unknown> => {
      const annotations = { 'ambient.istio.io/xfcc-include-client-identity': xfcc };
      return admin.patch(kinds.Gateway, 'wp', namespace, { metadata: { annotations } }, { type: 'merge' });
    };
    await annotate('true');
    await settles('wp', 'ambit.io/Reconciled', /^False Refused: 1 proxy refuses .*: listener\/mesh: port: too large/);
    refusal = undefined;
    await annotate(null);
    await settles('wp', 'ambit.io/Reconciled', /^$/);
    own.abort();
    await proxy.client.done;

    // A pod that only calls itself one.
    await put(kinds.ServiceAccount, { metadata: { name: 'thief', namespace } });
    const thief = await put(kinds.Pod, {
      metadata: { name: 'thief', namespace, labels: { 'gateway.networking.k8s.io/gateway-name': 'wp' } },
      spec: { serviceAccountName: 'thief', nodeName: 'node-1', containers: [{ name: 'c', image: 'x' }] },
    } as Pod);
    const other = new AbortController();
    const refused = subscribe(await tokenOf(thief), other.signal);
    // First, its pod may not be known yet.
    const refusalOfThief = /permission-denied, the proxies of Gateway "shop\/wp" run as "wp", not as "thief"/;
    await eventually(async () => refusalOfThief.test(refused.client.status().lastError ?? ''), 'the thief is refused');
    assert.equal(refused.names.size, 0);
    other.abort();
    await refused.client.done;
  });

  it('merges overlays of class and Gateway, and says which does not fit while the last one stays', async () => {
    await put(kinds.ConfigMap, {
      metadata: {
        name: 'waypoint-defaults',
        namespace: 'istio-system',
        labels: { 'gateway.istio.io/defaults-for-class': 'istio-waypoint' },
      },
      data: { deployment: 'spec: { template: { metadata: { annotations: { from: class, tier: class } } } }' },
    });
    const overlay = {
      deployment: 'spec: { template: { metadata: { annotations: { from: gateway } } } }',
      horizontalPodAutoscaler: 'spec: { minReplicas: 2, maxReplicas: 4 }',
      podDisruptionBudget: 'spec: { minAvailable: 1 }',
      serviceAccount: 'metadata: { annotations: { role: reader } }',
    };
    await put(kinds.ConfigMap, { metadata: { name: 'options', namespace }, data: overlay });
    const parametersRef = { group: '', kind: 'ConfigMap', name: 'options' };
    await put(kinds.Gateway, waypoint('scaled', {}, { infrastructure: { parametersRef, labels: { team: 'b' } } }));
    const annotations = (): Promise<Record<string, string>> =>
      eventually(async () => (await find(kinds.Deployment, 'scaled'))?.spec.template.metadata?.annotations, 'deployed');
    // The ConfigMaps may be heard of after the Gateway.
    await eventually(async () => {
      const { from, tier } = await annotations();
      return from === 'gateway' && tier === 'class';
    }, 'both overlays');
    const scaler = await eventually(() => find(kinds.HorizontalPodAutoscaler, 'scaled'), 'the autoscaler');
    assert.deepEqual(
      [scaler.spec.scaleTargetRef.name, scaler.spec.minReplicas, scaler.spec.maxReplicas],
      ['scaled', 2, 4],
    );
    assert.equal(scaler.metadata.labels?.['team'], 'b');
    assert.equal((await eventually(() => find(kinds.PodDisruptionBudget, 'scaled'), 'budget')).spec.minAvailable, 1);

    const change = (data: Record<string, string | null>): Promise<unknown> =>
      admin.patch(kinds.ConfigMap, 'options', namespace, { data }, { type: 'merge' });
    await change({ deployment: 'metadata: { name: other }' });
    await settles(
      'scaled',
      'Accepted',
      /^False InvalidParameters: .*shop\/options: deployment may not change metadata.name/,
    );
    assert.equal((await annotations())['from'], 'gateway', 'the last good one stays');
    const { uid } = (await find(kinds.Deployment, 'scaled'))?.metadata ?? {};
    await admin.delete(kinds.Deployment, 'scaled', namespace);
    const again = await eventually(async () => {
      const found = await find(kinds.Deployment, 'scaled');
      return found && found.metadata.uid !== uid ? found : undefined;
    }, 'what is deleted comes again');
    assert.equal(again.spec.template.metadata?.annotations?.['from'], 'gateway', 'by the last good one');
    await settles('scaled', 'Programmed', /^False InvalidParameters: .*; no proxy of Deployment scaled is ready$/);
    await change({ deployment: '{', podDisruptionBudget: null });
    await settles('scaled', 'Accepted', /^False InvalidParameters: .*is no YAML/);
    await change({ deployment: 'spec: { template: { metadata: { annotations: { from: again } } } }' });
    await settles('scaled', 'Accepted', /^True/);
    await eventually(async () => ((await annotations())['from'] === 'again' ? true : undefined), 'the new one');
    await eventually(
      async () => ((await find(kinds.PodDisruptionBudget, 'scaled')) ? undefined : true),
      'what no overlay asks for goes',
    );
    await admin.delete(kinds.ConfigMap, 'options', namespace);
    await settles('scaled', 'Accepted', /^False InvalidParameters: ConfigMap shop\/options, .* does not exist/);
    await admin.delete(kinds.ConfigMap, 'waypoint-defaults', 'istio-system');
  });

  it('deploys an edge gateway under its class, with a load balancer and a port for each of its listeners', async () => {
    await put(kinds.Gateway, {
      ...waypoint('edge'),
      spec: {
        gatewayClassName: 'istio',
        listeners: [
          { name: 'http', port: 80, protocol: 'HTTP' },
          {
            name: 'a.example',
            port: 443,
            protocol: 'HTTPS',
            hostname: 'a.example',
            tls: { certificateRefs: [{ name: 'a' }] },
          },
          {
            name: 'b.example',
            port: 443,
            protocol: 'HTTPS',
            hostname: 'b.example',
            tls: { certificateRefs: [{ name: 'b' }] },
          },
        ],
      },
    });
    const service = await eventually(() => find(kinds.Service, 'edge-istio'), 'the Service');
    assert.equal(service.spec?.type, 'LoadBalancer');
    assert.deepEqual(
      service.spec?.ports?.map(({ name, port, appProtocol }) => [name, port, appProtocol]),
      [
        ['status-port', 15021, 'tcp'],
        ['http', 80, 'http'],
        ['a-example', 443, 'https'],
      ],
    );
    const deployment = await eventually(() => find(kinds.Deployment, 'edge-istio'), 'the Deployment');
    assert.deepEqual(deployment.spec.template.spec.containers[0]?.args?.slice(0, 2), ['proxy', 'router']);
    await makePodsReady('edge');
    await settles('edge', 'Programmed', /^False Pending: Service edge-istio has no address yet/);
    const status = { loadBalancer: { ingress: [{ ip: '192.0.2.7' }] } };
    await admin.patch(kinds.Service, 'edge-istio', namespace, { status }, { type: 'merge', subresource: 'status' });
    await settles('edge', 'Programmed', /^True/);
    assert.deepEqual((await find(kinds.Gateway, 'edge'))?.status?.addresses, [
      { type: 'IPAddress', value: '192.0.2.7' },
    ]);
  });

  it('never touches objects of its names that are not managed', async () => {
    const labels = { app: 'mine' };
    await put(kinds.Deployment, {
      metadata: { name: 'taken', namespace },
      spec: {
        replicas: 0,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'mine' }] } },
      },
    });
    await put(kinds.Gateway, waypoint('taken'));
    await settles(
      'taken',
      'Programmed',
      /^False Invalid: Deployment taken exists and is not managed: it is left alone/,
    );
    assert.equal((await find(kinds.Deployment, 'taken'))?.spec.template.spec.containers[0]?.image, 'mine');
    await admin.delete(kinds.Gateway, 'taken', namespace);
    await eventually(async () => ((await find(kinds.Service, 'taken')) ? undefined : true), 'its own Service goes');
    assert.ok(await find(kinds.Deployment, 'taken'));
  });

  it('leaves what it deployed for one Gateway to that, whatever another is called', async () => {
    await put(kinds.Gateway, waypoint('first'));
    await eventually(() => find(kinds.Deployment, 'first'), 'deployed');
    await put(kinds.Gateway, waypoint('second', { annotations: { 'gateway.istio.io/name-override': 'first' } }));
    await settles('second', 'Programmed', /^False Invalid: Service first is that of Gateway first/);
    const labels = (await find(kinds.Deployment, 'first'))?.metadata.labels;
    assert.equal(labels?.['gateway.networking.k8s.io/gateway-name'], 'first');
  });

  it('deploys what is labelled for its revision alone, and leaves what nobody labelled to the default one', async () => {
    const labels = { 'istio.io/rev': 'canary' };
    await put(kinds.Gateway, waypoint('canary', { labels }));
    await put(kinds.Gateway, waypoint('plain'));
    const address = async (name: string): Promise<string | undefined> => {
      const deployment = await eventually(() => find(kinds.Deployment, name), `${name} is deployed`);
      return deployment.spec.template.spec.containers[0]?.env?.find((one) => one.name === 'CA_ADDR')?.value;
    };
    assert.equal(await address('plain'), 'istiod.istio-system.svc:15012');
    assert.equal(await find(kinds.Deployment, 'canary'), undefined);
    const canary = await startControl({ ...controlOptions(), identity: 'istiod-canary-1', revision: 'canary' });
    assert.equal(await address('canary'), 'istiod-canary.istio-system.svc:15012');
    assert.equal(await address('plain'), 'istiod.istio-system.svc:15012');
    controls.push(canary);
  });

  it('follows another name once what has it serves, and steps back before a newer controller', async () => {
    await put(kinds.Gateway, waypoint('moving'));
    await makePodsReady('moving');
    await settles('moving', 'Programmed', /^True/);
    const annotate = (annotations: Record<string, string | null>): Promise<unknown> =>
      admin.patch(kinds.Gateway, 'moving', namespace, { metadata: { annotations } }, { type: 'merge' });
    await annotate({ 'gateway.istio.io/name-override': 'moved' });
    await eventually(async () => {
      const addresses = (await find(kinds.Gateway, 'moving'))?.status?.addresses;
      return addresses?.some(({ value }) => value === 'moved.shop.svc.cluster.local') ? true : undefined;
    }, 'the new Service has the old pods, and the address follows');
    // What a look at the Gateway takes away is gone before the next look.
    for (const look of ['first', 'second']) {
      await annotate({ 'example.com/look': look });
      await eventually(async () => {
        const annotations = (await find(kinds.Deployment, 'moved'))?.metadata.annotations;
        return annotations?.['example.com/look'] === look ? true : undefined;
      }, `the ${look} look`);
    }
    assert.ok(await find(kinds.Deployment, 'moving'), 'the old one stays until the new one serves');
    assert.ok(await find(kinds.Service, 'moving'));
    await eventually(async () => {
      await makePodsReady('moving');
      const gone = !(await find(kinds.Deployment, 'moving')) && !(await find(kinds.Service, 'moving'));
      return gone ? true : undefined;
    }, 'the old one goes');
    await annotate({ 'gateway.istio.io/controller-version': '6', 'gateway.istio.io/name-override': 'again' });
    await settles('moving', 'Programmed', /^False Invalid: a control plane with a newer way of deploying has it/);
    assert.equal(await find(kinds.Deployment, 'again'), undefined);
  });

  it('goes on by the last parameters that made sense after a restart, too', async () => {
    const revision = 'restarted';
    const startOne = async (identity: string): Promise<{ stop: () => Promise<void> }> => {
      const own = new AbortController();
      const running = await startControl({ ...controlOptions(), identity, revision, signal: own.signal });
      controls.push(running);
      stop.signal.addEventListener('abort', () => own.abort());
      return {
        stop() {
          own.abort();
          return running.done;
        },
      };
    };
    const name = 'kept';
    const parametersRef = { group: '', kind: 'ConfigMap', name: 'kept-options' };
    const annotated = (from: string): string => `spec: { template: { metadata: { annotations: { from: ${from} } } } }`;
    const change = (deployment: string): Promise<unknown> =>
      admin.patch(kinds.ConfigMap, 'kept-options', namespace, { data: { deployment } }, { type: 'merge' });
    const from = async (): Promise<string | undefined> =>
      (await find(kinds.Deployment, name))?.spec.template.metadata?.annotations?.['from'];
    const keptMaps = async (): Promise<ConfigMap[]> =>
      (await admin.list(kinds.ConfigMap, { namespace: 'istio-system' })).items.filter(
        ({ metadata }) => metadata.annotations?.['gateway.ambit.dev/gateway'] === `${namespace}/${name}`,
      );
    const becomes = (wanted: string): Promise<true> =>
      eventually(async () => ((await from()) === wanted ? true : undefined), `it is deployed as of ${wanted}`);

    await put(kinds.ConfigMap, {
      metadata: { name: 'kept-options', namespace },
      data: { deployment: annotated('first') },
    });
    const labels = { 'istio.io/rev': revision };
    await put(kinds.Gateway, waypoint(name, { labels }, { infrastructure: { parametersRef } }));
    const first = await startOne('istiod-restarted-1');
    await becomes('first');
    await eventually(async () => {
      const kept = (await keptMaps())[0]?.metadata.annotations?.['gateway.ambit.dev/last-parameters'];
      return kept?.includes('from: first');
    }, 'the parameters are kept');
    const { uid } = (await find(kinds.Gateway, name))?.metadata ?? {};
    const forged = { uid, maps: [{ source: 'shop/kept-options', data: { deployment: annotated('forged') } }] };
    await first.stop();
    await change('{');
    await admin.patch(
      kinds.Gateway,
      name,
      namespace,
      { metadata: { annotations: { 'gateway.ambit.dev/last-parameters': JSON.stringify(forged) } } },
      { type: 'merge' },
    );
    await admin.delete(kinds.Deployment, name, namespace);
    await eventually(async () => !(await find(kinds.Deployment, name)), 'it is gone');

    const second = await startOne('istiod-restarted-2');
    await settles(name, 'Accepted', /^False InvalidParameters: .*deployment.* is no YAML/);
    await becomes('first');
    await change(annotated('second'));
    await becomes('second');
    await settles(name, 'Accepted', /^True/);
    await admin.patch(
      kinds.Gateway,
      name,
      namespace,
      { spec: { infrastructure: { parametersRef: null } } },
      { type: 'merge' },
    );
    await eventually(async () => (await keptMaps()).length === 0, 'none are kept where there are none');
    await admin.patch(
      kinds.Gateway,
      name,
      namespace,
      { spec: { infrastructure: { parametersRef } } },
      { type: 'merge' },
    );
    await eventually(async () => (await keptMaps()).length === 1, 'they are kept again');
    await second.stop();
    await admin.delete(kinds.Gateway, name, namespace);
    const third = await startOne('istiod-restarted-3');
    await eventually(async () => (await keptMaps()).length === 0, 'they go with the Gateway');
    await third.stop();
  });

  it('takes everything of a Gateway with it, and what it deployed when its class becomes another', async () => {
    await admin.delete(kinds.Gateway, 'wp', namespace);
    for (const kind of [kinds.Deployment, kinds.Service, kinds.ServiceAccount]) {
      await eventually(async () => ((await find(kind as KindRef, 'wp')) ? undefined : true), `${kind.kind} goes`);
    }
    await put(kinds.Gateway, waypoint('leaving'));
    await eventually(() => find(kinds.Deployment, 'leaving'), 'deployed');
    const spec = { gatewayClassName: 'ambit' };
    await admin.patch(kinds.Gateway, 'leaving', namespace, { spec }, { type: 'merge' });
    await eventually(async () => ((await find(kinds.Deployment, 'leaving')) ? undefined : true), 'no longer deployed');
  });

  it('leaves what it deployed while the class of a Gateway is away', async () => {
    const controllerName = 'istio.io/mesh-controller';
    const own: GatewayClass = { metadata: { name: 'own' }, spec: { controllerName } };
    await put(kinds.GatewayClass, own);
    const gateway = waypoint('classless');
    await put(kinds.Gateway, { ...gateway, spec: { ...gateway.spec, gatewayClassName: 'own' } });
    const deployed = await eventually(() => find(kinds.Deployment, 'classless'), 'deployed');
    await admin.delete(kinds.GatewayClass, 'own');
    // One of ours comes again once the control plane has heard that it went, and so of the other before; what follows comes after both.
    await admin.delete(kinds.GatewayClass, 'istio-remote');
    await eventually(() => find(kinds.GatewayClass, 'istio-remote'), 'the class is there again');
    await put(kinds.Gateway, waypoint('later'));
    await eventually(() => find(kinds.Deployment, 'later'), 'deployed');
    const still = await find(kinds.Deployment, 'classless');
    assert.deepEqual([still?.metadata.uid, still?.metadata.deletionTimestamp], [deployed.metadata.uid, undefined]);
    await put(kinds.GatewayClass, { ...own, spec: { controllerName: 'example.com/other' } });
    await eventually(async () => ((await find(kinds.Deployment, 'classless')) ? undefined : true), "it is another's");
    await admin.delete(kinds.GatewayClass, 'own');
  });

  it("gives proxies the threads of the mesh's configuration, and follows it", async () => {
    const metadata = { name: 'istio', namespace: 'istio-system' };
    await put(kinds.ConfigMap, { metadata, data: { mesh: 'defaultConfig: { concurrency: 3 }' } });
    await put(kinds.Gateway, waypoint('threads'));
    const told = (wanted: unknown): Promise<unknown> =>
      eventually(
        async () => {
          const { metadata: own, spec, status } = await admin.get(kinds.Deployment, 'threads', namespace);
          const config = spec.template.spec.containers[0]?.env?.find(({ name }) => name === 'PROXY_CONFIG')?.value;
          // What else is written of it is over: only the configuration has the control plane look again.
          const isSettled = status?.observedGeneration === own.generation && status?.updatedReplicas === 1;
          return isSettled && (JSON.parse(config ?? '') as { concurrency?: number }).concurrency === wanted;
        },
        `the proxies are told of ${String(wanted)}`,
      );
    await told(3);
    const change = { data: { mesh: 'defaultConfig: { concurrency: 0 }' } };
    await admin.patch(kinds.ConfigMap, 'istio', 'istio-system', change, { type: 'merge' });
    await told(0);
    await admin.delete(kinds.ConfigMap, 'istio', 'istio-system');
    await told(undefined);
  });
});
