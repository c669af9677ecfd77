/**
 * The control plane, composed: informers -> discovery -> delta xDS and statuses; the CA and its service; trust anchors
 * in every namespace.
 */
import { kinds } from '../api/kinds.ts';
import {
  defaultClusterDomain,
  defaultClusterId,
  defaultTrustDomain,
  systemNamespace,
  type ClusterId,
} from '../api/names.ts';
import { fingerprint, registerCertificateService, type RotatingAuthority, type RotationState } from '../ca/index.ts';
import { createDebounce, createGraph } from '../collection/index.ts';
import { createDiscovery, defaultRevision } from '../discovery/index.ts';
import { EventRecorder, registerInformerMetrics, startLeaderElection, type KubeClient } from '../kube/index.ts';
import { createBackoff } from '../lib/backoff.ts';
import { sleep, systemClock } from '../lib/clock.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import type { Cidr } from '../lib/ip.ts';
import type { Log } from '../lib/log.ts';
import { createRpcServer } from '../rpc/index.ts';
import { MetricsRegistry } from '../telemetry/index.ts';
import {
  addressAliases,
  authorizationTypeUrl,
  encodeAddress,
  encodeAuthorization,
  encodeProxyResource,
  proxyResourceTypeUrl,
} from '../wire/index.ts';
import { watchAuthorityExpiry } from './authority-expiry.ts';
import { openAuthority } from './authority-store.ts';
import { createCallerAuthenticator } from './caller.ts';
import { createCertificateAuthorizer } from './certificates.ts';
import { defaultProxyValues, type ProxyValues } from './deployer/index.ts';
import { createDiscoveryService } from './discovery-service.ts';
import { startGateways } from './gateways.ts';
import { startInformers } from './informers.ts';
import { createJwksFetcher, neverForKeys } from './jwks-fetcher.ts';
import { startJwksResolver } from './jwks-resolver.ts';
import { registerControlMetrics, startMonitoring } from './monitoring.ts';
import { watchMeshConfig } from './mesh-config-watch.ts';
import { startNodeUntaint } from './node-untaint.ts';
import { PodDirectory } from './pod-directory.ts';
import { createPolicyAdmission } from './policy-admission.ts';
import { createProxySources } from './proxy-source.ts';
import { resourceNameOf, type ReplicaReport } from './replica-report.ts';
import { startReplicas, type Replicas } from './replicas.ts';
import { startRevocationConfigMaps } from './revocation-config-maps.ts';
import { startRootCertConfigMaps, type Trust } from './root-cert-config-maps.ts';
import { issueServingCertificate } from './serving-certificate.ts';
import { followStatus, statusKinds } from './status-kinds.ts';
import { createStatusWriter } from './status-writer.ts';
import { Watermark } from './watermark.ts';
import {
  startWebhookRegistration,
  webhookConfigurationName,
  type WebhookRegistration,
} from './webhook-registration.ts';
import { startWebhookServer } from './webhook-server.ts';
import { syncStatus } from './sync-status.ts';
import { createWdsSource } from './wds-source.ts';

export interface ControlOptions {
  readonly client: KubeClient;
  /** xDS and CA, gRPC over TLS. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The admission webhook, HTTPS. */
  readonly webhook: { readonly host: string; readonly port: number };
  /** /metrics and /readyz. */
  readonly monitoring: { readonly host: string; readonly port: number };
  /** IP addresses in the serving certificate, besides the Service's DNS names. */
  readonly servingIps: readonly string[];
  readonly namespace?: string;
  readonly trustDomain?: string;
  readonly clusterDomain?: string;
  readonly clusterId?: ClusterId;
  /** `<namespace>/<service account>` of ztunnels: who may read WDS and act for the pods of its node. */
  readonly trustedAccounts?: readonly string[];
  /** Of this replica among its like: the pod's name. */
  readonly identity: string;
  /** Of the proxies that are deployed for Gateways. */
  readonly proxies?: ProxyValues;
  /** Whether GatewayClasses of Istio's names are ours too; not beside an istiod. Default true. */
  readonly hasIstioClasses?: boolean;
  /** Configuration with another `istio.io/rev` is not for this control plane. Default `default`. */
  readonly revision?: string;
  /** Where keys of token issuers are never fetched from, besides this machine and its link. Default: nowhere else. */
  readonly blockedJwksCidrs?: readonly Cidr[];
  readonly log: Log;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

export interface RunningControl {
  readonly port: number;
  readonly monitoringPort: number;
  readonly webhookPort: number;
  readonly rootPem: string;
  /** Resolves when everything has ended after the signal. */
  readonly done: Promise<void>;
}

/** A policy change has to act within a second: wait little, and not for ever. */
const quietMs = 25;
const maxWaitMs = 250;
/** Before the name of a Gateway whose proxies refuse what they are told. */
const refusingGateway = 'gateway:';
/** Callers come back and prove themselves again; what they hold is not sent twice. */
const maxConnectionAgeMs = 30 * 60_000;
/** An issuer that does not answer holds nobody up for longer. */
const jwksPatienceMs = 6000;

/** Resolves when the informers have synced and 15012 is open. */
export async function startControl(options: ControlOptions): Promise<RunningControl> {
  const { client, listen, servingIps, identity, revision = defaultRevision, log, signal } = options;
  const {
    namespace = systemNamespace,
    trustDomain = defaultTrustDomain,
    clusterDomain = defaultClusterDomain,
  } = options;
  const cluster = options.clusterId ?? defaultClusterId;
  const trustedAccounts = new Set(options.trustedAccounts ?? [`${namespace}/ztunnel`]);

  const registry = new MetricsRegistry({ clock: systemClock, log });
  const metrics = registerControlMetrics(registry);
  const informerMetrics = registerInformerMetrics(registry);
  let notReady = (): string | undefined => 'the certificate authority is not open';
  let hasAuthority = false;
  let connections = (): ReturnType<typeof deltas.connections> => [];
  const monitoring = await startMonitoring({
    ...options.monitoring,
    registry,
    notReady: () => notReady(),
    syncStatus: () => syncStatus(identity, connections()),
  });

  const events = new EventRecorder({ client, component: 'istiod', nodeName: '', clock: systemClock, log });
  const authority = await patiently(options, 'open the certificate authority', () =>
    openAuthority({
      client,
      namespace,
      trustDomain,
      events,
      onMaterial(problem) {
        metrics.material.record([], (values) => (problem === undefined ? values.accepted++ : values.refused++));
        if (problem !== undefined && !hasAuthority) notReady = () => problem;
      },
      log: log.child('authority'),
      signal,
    }),
  );
  hasAuthority = true;
  const expiry = watchAuthorityExpiry({ authority, registry, clock: systemClock, log, signal });

  const debounce = createDebounce({ quietMs, maxMs: maxWaitMs, run: () => push() });
  let synced = false;
  const graph = createGraph({
    onDirty: () => synced && debounce.poke(),
    onError: (collection, key, error) =>
      log.error('a derivation failed', { collection, key, error: messageOf(error), stack: stackOf(error) }),
  });
  const hasIstioClasses = options.hasIstioClasses ?? true;
  const discovery = createDiscovery(graph, {
    trustDomain,
    clusterDomain,
    rootNamespace: namespace,
    revision,
    hasIstioClasses,
  });
  const jwksFetcher = createJwksFetcher({
    blockedCidrs: [...neverForKeys, ...(options.blockedJwksCidrs ?? [])],
  });
  const jwks = startJwksResolver({
    needed: discovery.neededKeys,
    keySets: discovery.sources.keySets,
    fetcher: jwksFetcher,
    clock: systemClock,
    registry,
    log: log.child('jwks'),
    signal,
  });
  const addresses = createWdsSource({
    collection: discovery.addresses,
    encode: encodeAddress,
    aliases: addressAliases,
    log,
  });
  const authorizations = createWdsSource({ collection: discovery.authorizations, encode: encodeAuthorization, log });
  const proxies = createProxySources({ collection: discovery.proxyResources, encode: encodeProxyResource, log });
  const push = (): void => {
    const positions = informers.positions();
    graph.flush();
    // Both in one turn of the loop: the server orders what belongs together.
    authorizations.publish();
    addresses.publish();
    proxies.publish();
    watermark.published(positions);
  };

  const leadership = new AbortController();
  const election = startLeaderElection({
    client,
    namespace,
    name: revision === defaultRevision ? 'istio-leader' : `istio-leader-${revision}`,
    identity,
    signal: leadership.signal,
    log,
    onStarted() {
      rootCerts.check();
      revocations.check();
      registration?.check();
      untaint.check();
      gateways.lead();
      statuses.lead();
    },
  });
  let registration: WebhookRegistration | undefined;
  const isLeader = (): boolean => election.isLeader();
  const pods = new PodDirectory();
  const trust = (): Trust => {
    const { rootPem, signerPem, state } = authority;
    const signer = fingerprint(signerPem);
    switch (state.kind) {
      case 'steady':
        return { rootPem, signer };
      case 'introducing':
      case 'retiring':
        return { rootPem, signer, retiringUntilMs: retiringUntilMs(state) };
    }
  };
  const rootCerts = startRootCertConfigMaps({ client, trust, isLeader, signal, log });
  const revocations = startRevocationConfigMaps({ client, namespace, isLeader, signal, log });
  const untaint = startNodeUntaint({ client, namespace, isLeader, signal, log });
  const informers = startInformers({
    client,
    cluster,
    sources: discovery.sources,
    metrics: informerMetrics,
    signal,
    log,
    onPod: (pod) => pods.set(pod),
    onPodGone: (pod) => pods.delete(pod),
  });
  const meshConfigRead = watchMeshConfig({
    client,
    namespace,
    revision,
    cluster,
    source: discovery.sources.meshConfigs,
    metrics: informerMetrics,
    signal,
    log,
  });
  discovery.namespaces.subscribe((changes) => {
    for (const [key, { after }] of changes) {
      rootCerts.namespaceChanged(nameOfKey(key), after);
      revocations.namespaceChanged(nameOfKey(key), after);
    }
  });

  const callers = createCallerAuthenticator({ client, clock: systemClock, trustDomain });
  const deltas = createDiscoveryService({
    authorizations: authorizations.source,
    addresses: addresses.source,
    proxies,
    callers,
    pods,
    accountOf: (inNamespace, gateway) => gateways.accountOf(inNamespace, gateway),
    trustedAccounts,
    metrics,
    onProgress() {
      replicas?.changed();
      statuses.progressed();
      gateways.setRefusals(replicas?.refusalsOf(refusingGateway));
    },
    log,
  });
  const watermark = new Watermark({ publish: () => deltas.publish(), heldEpoch: () => deltas.heldEpoch() });
  const report = (): ReplicaReport => ({
    held: watermark.held() ?? {},
    refused: {
      ...Object.fromEntries(deltas.refusals(authorizationTypeUrl)),
      ...Object.fromEntries(
        deltas.refusals(proxyResourceTypeUrl, ({ gateway }) => gateway && `${refusingGateway}${gateway}`),
      ),
    },
  });
  let replicas: Replicas | undefined;
  const gateways = startGateways({
    client,
    discovery,
    cluster,
    values: options.proxies ?? defaultProxyValues,
    hasIstioClasses,
    namespace,
    revision,
    clusterDomain,
    trustDomain,
    isLeader,
    onChange: (gateway) => statuses.changed(kinds.Gateway, gateway),
    signal,
    log: log.child('gateways'),
  });
  const statuses = createStatusWriter({
    client,
    kinds: statusKinds(discovery, cluster, gateways.deployed).map(gateways.limit),
    behind: (kind, version) => replicas?.behind(resourceNameOf(kind), version) ?? [identity],
    refusal: (name) => replicas?.refusal(name),
    isLeader,
    clock: systemClock,
    signal,
    log,
  });
  followStatus(discovery, statuses);
  notReady = () => `not listed yet: ${[...informers.missing].join(', ')}`;
  await Promise.all([informers.synced, meshConfigRead]);
  synced = true;
  push();
  // A replica that starts must not take keys away from proxies that have them.
  notReady = () => 'the keys of token issuers are being fetched';
  await Promise.race([jwks.tried(), sleep(jwksPatienceMs, signal)]);
  push();
  // Known to the others before the first data plane can connect: from then on they wait for it.
  replicas = startReplicas({
    client,
    namespace,
    identity,
    revision,
    report,
    onChange() {
      statuses.progressed();
      gateways.setRefusals(replicas?.refusalsOf(refusingGateway));
    },
    signal,
    log,
  });
  await replicas.reported;

  const certificate = await issueServingCertificate({
    authority,
    dnsNames: servingNames({ namespace, clusterDomain, revision }),
    ips: servingIps,
    signal,
    log,
  });
  expiry.setServing(certificate.first.chainPem);
  const clientRootsPem = authority.rootPem;
  const server = createRpcServer({ certificate: certificate.first, clientRootsPem, log, maxConnectionAgeMs });
  const webhook = await startWebhookServer({
    ...options.webhook,
    certificate: certificate.first,
    inMesh: createPolicyAdmission(discovery, namespace),
    metrics,
    log,
  });
  certificate.onRenewed((next) => {
    server.setCertificate(next);
    webhook.setCertificate(next);
    expiry.setServing(next.chainPem);
  });
  authority.onChange(() => {
    server.setClientRoots(authority.rootPem);
    rootCerts.check();
    registration?.check();
  });
  registration = startWebhookRegistration({
    client,
    name: webhookConfigurationName(namespace),
    rootPem: () => authority.rootPem,
    isLeader,
    metrics: informerMetrics,
    clock: systemClock,
    signal,
    log,
  });
  const authorize = createCertificateAuthorizer({ callers, pods, trustDomain, trustedAccounts, metrics });
  registerCertificateService(server, { authority, authorize, log });
  deltas.register(server);
  connections = () => deltas.connections();
  registry.gauge('pilot_xds', 'Connected discovery clients', () => deltas.connections().length);
  registry.gauge('ambit_addresses', 'Workloads and services told to data planes', () => discovery.addresses.size);
  registry.gauge('ambit_authorizations', 'Policies told to data planes', () => discovery.authorizations.size);
  const port = await server.listen(listen);
  notReady = () => undefined;
  log.info('control plane ready', { port, monitoringPort: monitoring.port, addresses: discovery.addresses.size });

  const stop = async (): Promise<void> => {
    notReady = () => 'shutting down';
    debounce.cancel();
    await Promise.all([server.close(500), webhook.close(), jwksFetcher.close()]);
    await replicas?.done;
    leadership.abort();
    await election.done;
    await monitoring.close();
  };
  const done = new Promise<void>((resolve, reject) => {
    const run = (): void => void stop().then(resolve, reject);
    if (signal.aborted) run();
    else signal.addEventListener('abort', run, { once: true });
  });
  return { port, monitoringPort: monitoring.port, webhookPort: webhook.port, rootPem: authority.rootPem, done };
}

/** `name` of `<cluster>/<namespace>/<name>`. */
function nameOfKey(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

/** Leaves under the roots that go are signed until the next signer takes over, and live a day from then. */
function retiringUntilMs(state: Exclude<RotationState, { kind: 'steady' }>): number {
  return state.kind === 'retiring' ? state.untilMs : state.untilMs + 24 * 3600_000;
}

/** Until it succeeds or cannot: the API server may come later than we do. */
async function patiently(
  { signal, log }: ControlOptions,
  action: string,
  run: () => Promise<RotatingAuthority>,
): Promise<RotatingAuthority> {
  const backoff = createBackoff({ initialMs: 100, maxMs: 5000 });
  for (;;) {
    try {
      return await run();
    } catch (error) {
      signal.throwIfAborted();
      // Material that is there but wrong does not get better by waiting.
      if (!codeOf(error)?.startsWith('kube.')) throw error;
      log.warn('cannot start yet, trying again', { action, error: messageOf(error) });
      await sleep(backoff.next(), signal);
    }
  }
}

/** Also by the name of its revision's Service, which every one but the default has. */
function servingNames(of: { namespace: string; clusterDomain: string; revision: string }): string[] {
  const { namespace, clusterDomain, revision } = of;
  const services = revision === defaultRevision ? ['istiod'] : ['istiod', `istiod-${revision}`];
  const names = services.flatMap((name) => {
    const service = `${name}.${namespace}.svc`;
    return [service, `${service}.${clusterDomain}`, `${name}.${namespace}`];
  });
  return [...names, 'localhost'];
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
