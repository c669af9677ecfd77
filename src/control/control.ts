/**
 * The control plane, composed: informers -> discovery -> delta xDS and statuses; the CA and its service; trust anchors
 * in every namespace.
 */
import { kinds } from '../api/kinds.ts';
import { defaultClusterDomain, defaultClusterId, defaultTrustDomain, systemNamespace } from '../api/names.ts';
import { createDebounce, createGraph } from '../collection/index.ts';
import { createDiscovery, defaultRevision } from '../discovery/index.ts';
import { EventRecorder, registerInformerMetrics, startLeaderElection } from '../kube/index.ts';
import { sleep, systemClock } from '../lib/clock.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import { MetricsRegistry } from '../telemetry/index.ts';
import { watchAuthorityExpiry } from './authority-expiry.ts';
import { createCallerAuthenticator } from './caller.ts';
import { createCertificateAuthorizer } from './certificates.ts';
import type { ControlOptions, RunningControl } from './control-options.ts';
import { defaultProxyValues } from './deployer/index.ts';
import { authenticateClient, createDiscoveryService } from './discovery-service.ts';
import { followGatewayCertificates } from './gateway-certificates.ts';
import { startGateways } from './gateways.ts';
import { startInformers } from './informers.ts';
import { createJwksFetcher, neverForKeys } from './jwks-fetcher.ts';
import { startJwksResolver } from './jwks-resolver.ts';
import { openMeshAuthority, trustOf } from './mesh-authority.ts';
import { watchMeshConfig } from './mesh-config-watch.ts';
import { registerControlMetrics, startMonitoring } from './monitoring.ts';
import { startNodeUntaint } from './node-untaint.ts';
import { PodDirectory } from './pod-directory.ts';
import { createPolicyAdmission } from './policy-admission.ts';
import { createPublisher } from './publisher.ts';
import { progressReport, refusingGateway } from './progress-report.ts';
import { resourceNameOf } from './replica-report.ts';
import { startReplicas, type Replicas } from './replicas.ts';
import { startRevocationConfigMaps } from './revocation-config-maps.ts';
import { startRootCertConfigMaps } from './root-cert-config-maps.ts';
import { startServing } from './serving.ts';
import { followStatus, statusKinds } from './status-kinds.ts';
import { createStatusWriter } from './status-writer.ts';
import { syncStatus } from './sync-status.ts';
import { unservedWarnings } from './unserved-status.ts';
import { Watermark } from './watermark.ts';
import {
  startWebhookRegistration,
  webhookConfigurationName,
  type WebhookRegistration,
} from './webhook-registration.ts';

/** A policy change has to act within a second: wait little, and not for ever. */
const quietMs = 25;
const maxWaitMs = 250;
/** Faults of users' objects that are told in a status: here they are a line, and no failure. */
const badSecretCodes: ReadonlySet<string> = new Set(['discovery.bad-certificate', 'discovery.bad-crl']);
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
  const authority = await openMeshAuthority({
    client,
    namespace,
    trustDomain,
    events,
    onMaterial(problem) {
      metrics.material.record([], (values) => (problem === undefined ? values.accepted++ : values.refused++));
      if (problem !== undefined && !hasAuthority) notReady = () => problem;
    },
    log,
    signal,
  });
  hasAuthority = true;
  const expiry = watchAuthorityExpiry({ authority, registry, clock: systemClock, log, signal });

  const debounce = createDebounce({ quietMs, maxMs: maxWaitMs, run: () => push() });
  let synced = false;
  const graph = createGraph({
    onDirty: () => synced && debounce.poke(),
    onError(collection, key, error) {
      if (badSecretCodes.has(codeOf(error) ?? '')) {
        return log.warn('an object is not used as it is', { key, error: messageOf(error) });
      }
      log.error('a derivation failed', { collection, key, error: messageOf(error), stack: stackOf(error) });
    },
  });
  const hasIstioClasses = options.hasIstioClasses ?? true;
  const discovery = createDiscovery(graph, {
    trustDomain,
    clusterDomain,
    rootNamespace: namespace,
    revision,
    hasIstioClasses,
    nowMs: () => systemClock.nowMs(),
  });
  followGatewayCertificates({
    served: discovery.servedCertificates,
    due: discovery.sources.certificatesDue,
    registry,
    clock: systemClock,
    signal,
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
  const publisher = createPublisher(discovery, log);
  const push = (): void => {
    const positions = informers.positions();
    graph.flush();
    publisher.publish();
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
  const rootCerts = startRootCertConfigMaps({ client, trust: () => trustOf(authority), isLeader, signal, log });
  // From the first that is published: it may change long before everything is ready.
  authority.onChange(() => {
    rootCerts.check();
    registration?.check();
  });
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
  const clients = {
    callers,
    pods,
    accountOf: (inNamespace: string, gateway: string) => gateways.accountOf(inNamespace, gateway),
    trustedAccounts,
  };
  const deltas = createDiscoveryService({
    ...clients,
    authorizations: publisher.authorizations,
    addresses: publisher.addresses,
    proxies: publisher.proxies,
    metrics,
    onProgress() {
      replicas?.changed();
      statuses.progressed();
      gateways.setRefusals(replicas?.refusalsOf(refusingGateway));
    },
    log,
  });
  const watermark = new Watermark({ publish: () => deltas.publish(), heldEpoch: () => deltas.heldEpoch() });
  let replicas: Replicas | undefined;
  const known = Promise.withResolvers<void>();
  const gateways = startGateways({
    client,
    known: known.promise,
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
  known.resolve();
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
    report: () => progressReport(watermark, deltas),
    onChange() {
      statuses.progressed();
      gateways.setRefusals(replicas?.refusalsOf(refusingGateway));
    },
    signal,
    log,
  });
  await replicas.reported;

  const serving = await startServing({
    listen,
    webhook: options.webhook,
    servingIps,
    authority,
    authorize: createCertificateAuthorizer({ callers, pods, trustDomain, trustedAccounts, metrics }),
    deltas,
    keys: { authenticate: (call) => authenticateClient(clients, call), resolver: jwks },
    inMesh: createPolicyAdmission(discovery, namespace),
    // Beside an istiod they may be its own.
    ...(hasIstioClasses ? { warn: unservedWarnings } : {}),
    metrics,
    expiry,
    names: { namespace, clusterDomain, revision },
    signal,
    log,
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
  connections = () => deltas.connections();
  registry.gauge('pilot_xds', 'Connected discovery clients', () => deltas.connections().length);
  registry.gauge('ambit_addresses', 'Workloads and services told to data planes', () => discovery.addresses.size);
  registry.gauge('ambit_authorizations', 'Policies told to data planes', () => discovery.authorizations.size);
  const port = await serving.open();
  notReady = () => undefined;
  log.info('control plane ready', { port, monitoringPort: monitoring.port, addresses: discovery.addresses.size });

  const stop = async (): Promise<void> => {
    notReady = () => 'shutting down';
    debounce.cancel();
    await Promise.all([serving.close(), jwksFetcher.close()]);
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
  return { port, monitoringPort: monitoring.port, webhookPort: serving.webhookPort, rootPem: authority.rootPem, done };
}

/** `name` of `<cluster>/<namespace>/<name>`. */
function nameOfKey(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
