/**
 * The control plane, composed: informers -> discovery -> delta xDS and statuses; the CA and its service; trust anchors
 * in every namespace.
 */
import {
  defaultClusterDomain,
  defaultClusterId,
  defaultTrustDomain,
  systemNamespace,
  type ClusterId,
} from '../api/names.ts';
import { registerCertificateService, type CertificateAuthority } from '../ca/index.ts';
import { createDebounce, createGraph } from '../collection/index.ts';
import { createDiscovery } from '../discovery/index.ts';
import type { KubeClient } from '../kube/index.ts';
import { createBackoff } from '../lib/backoff.ts';
import { sleep, systemClock } from '../lib/clock.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { createRpcServer } from '../rpc/index.ts';
import { MetricsRegistry } from '../telemetry/index.ts';
import { addressAliases, encodeAddress, encodeAuthorization } from '../wire/index.ts';
import { openAuthority } from './authority-store.ts';
import { createCallerAuthenticator } from './caller.ts';
import { createCertificateAuthorizer } from './certificates.ts';
import { registerDiscoveryService } from './discovery-service.ts';
import { startInformers } from './informers.ts';
import { registerControlMetrics, startMonitoring } from './monitoring.ts';
import { PodDirectory } from './pod-directory.ts';
import { startRootCertConfigMaps } from './root-cert-config-maps.ts';
import { issueServingCertificate } from './serving-certificate.ts';
import { createStatusWriter } from './status-writer.ts';
import { createWdsSource } from './wds-source.ts';

export interface ControlOptions {
  readonly client: KubeClient;
  /** xDS and CA, gRPC over TLS. */
  readonly listen: { readonly host: string; readonly port: number };
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
  /** Whether this replica writes to the API; default yes. */
  readonly isLeader?: () => boolean;
  readonly log: Log;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

export interface RunningControl {
  readonly port: number;
  readonly monitoringPort: number;
  readonly rootPem: string;
  /** Resolves when everything has ended after the signal. */
  readonly done: Promise<void>;
}

/** A policy change has to act within a second: wait little, and not for ever. */
const quietMs = 25;
const maxWaitMs = 250;
/** Callers come back and prove themselves again; what they hold is not sent twice. */
const maxConnectionAgeMs = 30 * 60_000;

/** Resolves when the informers have synced and 15012 is open. */
export async function startControl(options: ControlOptions): Promise<RunningControl> {
  const { client, listen, servingIps, log, signal, isLeader = () => true } = options;
  const {
    namespace = systemNamespace,
    trustDomain = defaultTrustDomain,
    clusterDomain = defaultClusterDomain,
  } = options;
  const cluster = options.clusterId ?? defaultClusterId;
  const trustedAccounts = new Set(options.trustedAccounts ?? [`${namespace}/ztunnel`]);

  const registry = new MetricsRegistry({ clock: systemClock, log });
  const metrics = registerControlMetrics(registry);
  let notReady = (): string | undefined => 'the certificate authority is not open';
  const monitoring = await startMonitoring({ ...options.monitoring, registry, notReady: () => notReady() });

  const authority = await patiently(options, 'open the certificate authority', () =>
    openAuthority({ client, namespace, trustDomain, log, signal }),
  );

  const debounce = createDebounce({ quietMs, maxMs: maxWaitMs, run: () => push() });
  let synced = false;
  const graph = createGraph({
    onDirty: () => synced && debounce.poke(),
    onError: (collection, key, error) =>
      log.error('a derivation failed', { collection, key, error: messageOf(error), stack: stackOf(error) }),
  });
  const discovery = createDiscovery(graph, { trustDomain, clusterDomain, rootNamespace: namespace });
  const addresses = createWdsSource({
    collection: discovery.addresses,
    encode: encodeAddress,
    aliases: addressAliases,
    log,
  });
  const authorizations = createWdsSource({ collection: discovery.authorizations, encode: encodeAuthorization, log });
  const push = (): void => {
    graph.flush();
    // Both in one turn of the loop: the server orders what belongs together.
    authorizations.publish();
    addresses.publish();
  };

  const pods = new PodDirectory();
  const rootCerts = startRootCertConfigMaps({ client, rootPem: authority.rootPem, isLeader, signal, log });
  const statuses = createStatusWriter({
    client,
    current: (name) => informers.policies.store.get(name),
    verdict: (name) => discovery.verdicts.get(`${cluster}/${name}`),
    isLeader,
    clock: systemClock,
    signal,
    log,
  });
  const informers = startInformers({
    client,
    cluster,
    sources: discovery.sources,
    signal,
    log,
    onPod: (pod) => pods.set(pod),
    onPodGone: (pod) => pods.delete(pod),
    onNamespace: (changed) => rootCerts.namespaceChanged(changed),
    onPolicy: ({ metadata }) => synced && statuses.changed(`${metadata.namespace}/${metadata.name}`),
  });
  discovery.verdicts.subscribe((changes) => {
    for (const key of changes.keys()) statuses.changed(key.slice(key.indexOf('/') + 1));
  });
  notReady = () => `not listed yet: ${[...informers.missing].join(', ')}`;
  await informers.synced;
  synced = true;
  push();
  for (const name of informers.policies.store.keys()) statuses.changed(name);

  const certificate = await issueServingCertificate({
    authority,
    dnsNames: servingNames(namespace, clusterDomain),
    ips: servingIps,
    signal,
    log,
  });
  const server = createRpcServer({ certificate: certificate.first, log, maxConnectionAgeMs });
  certificate.onRenewed((next) => server.setCertificate(next));
  const callers = createCallerAuthenticator({ client, clock: systemClock });
  const authorize = createCertificateAuthorizer({ callers, pods, trustDomain, trustedAccounts, metrics });
  registerCertificateService(server, { authority, authorize, log });
  const deltas = registerDiscoveryService(server, {
    authorizations: authorizations.source,
    addresses: addresses.source,
    callers,
    trustedAccounts,
    metrics,
    log,
  });
  registry.gauge('pilot_xds', 'Connected discovery clients', () => deltas.connections().length);
  registry.gauge('ambit_addresses', 'Workloads and services told to data planes', () => discovery.addresses.size);
  registry.gauge('ambit_authorizations', 'Policies told to data planes', () => discovery.authorizations.size);
  const port = await server.listen(listen);
  notReady = () => undefined;
  log.info('control plane ready', { port, monitoringPort: monitoring.port, addresses: discovery.addresses.size });

  const stop = async (): Promise<void> => {
    notReady = () => 'shutting down';
    debounce.cancel();
    await server.close(500);
    await monitoring.close();
  };
  const done = new Promise<void>((resolve, reject) => {
    const run = (): void => void stop().then(resolve, reject);
    if (signal.aborted) run();
    else signal.addEventListener('abort', run, { once: true });
  });
  return { port, monitoringPort: monitoring.port, rootPem: authority.rootPem, done };
}

/** Until it succeeds or cannot: the API server may come later than we do. */
async function patiently(
  { signal, log }: ControlOptions,
  action: string,
  run: () => Promise<CertificateAuthority>,
): Promise<CertificateAuthority> {
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

function servingNames(namespace: string, clusterDomain: string): string[] {
  const service = `istiod.${namespace}.svc`;
  return [service, `${service}.${clusterDomain}`, `istiod.${namespace}`, 'localhost'];
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
