/** `ambit proxy`: the L7 proxy with what feeds it (discovery, certificates) and what shows it (admin, metrics, readiness). */
import { systemClock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import {
  createCaClient,
  createCertificateManager,
  followRevocationFile,
  followTrustedRoots,
  registerCertificateMetrics,
} from '../identity/index.ts';
import { createLogLevels, Readiness } from '../telemetry/admin/index.ts';
import { MetricsRegistry } from '../telemetry/index.ts';
import { registerProcessMetrics } from '../telemetry/process-metrics.ts';
import { registerXdsMetrics, type XdsClientMetrics } from '../xds/client-metrics.ts';
import { startDeltaClient, type DeltaFeed } from '../xds/index.ts';
import { createProxyAdmin } from './admin/proxy-admin.ts';
import { keepCertificates } from './config/kept-certificates.ts';
import { logScopes } from './config/log-scopes.ts';
import { ownIdentity, type ProxyProcessConfig } from './config/proxy-config.ts';
import { nodeIdOf } from './engine-part.ts';
import { createKeyRefresh } from './key-refresh.ts';
import { openServing } from './serving.ts';
import { createLogFiles } from './telemetry/index.ts';

export interface StartOptions {
  readonly config: ProxyProcessConfig;
  /** Must let every level pass: levels change while it runs. */
  readonly log: Log;
  readonly writeAccessLog: (text: string, done: () => void) => void;
  readonly writeError: (text: string, done: () => void) => void;
  /** Of the process: access logs and tags of spans may name variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
}

export interface RunningProxy {
  /** Somebody asked for the end through the admin port. */
  readonly quitRequested: Promise<void>;
  /** Ends it: clients are asked to leave, live requests run until the deadline of the configuration. */
  drain(): Promise<void>;
}

/** Who is sent away needs time to hear of it, and others to hear that we are going. */
const lingerMs = 3000;
/** As istio-proxy's pods have them. */
const ownPorts = { admin: 15000, metrics: 15020, readiness: 15021 };

export async function startProxy(options: StartOptions): Promise<RunningProxy> {
  const { config, version, environment } = options;
  const levels = createLogLevels(options.log, config.logLevel, logScopes);
  const { log } = levels;
  const clock = systemClock;
  const startedAtMs = clock.nowMs();
  const stop = new AbortController();
  const { signal } = stop;
  const identity = ownIdentity(config);
  const { controlPlane, tokenPath, clusterId, trustDomain, secretTtlSeconds: ttlSeconds } = config;
  const metrics = new MetricsRegistry({ clock, log });
  registerProcessMetrics(metrics, { component: 'proxy', version });
  const xds = registerXdsMetrics(metrics);
  const ca = createCaClient({ ...controlPlane, tokenPath, clusterId, ttlSeconds });
  const certificates = createCertificateManager({
    sign: (csrPem, wanted, abort) => ca.sign(csrPem, wanted, abort),
    trustDomain,
    ttlSeconds,
    onClockSkew: (skewMs) => certificateMetrics.setClockSkew(skewMs),
    clock,
    log: log.child('certificates'),
  });
  const certificateMetrics = registerCertificateMetrics(metrics);
  certificateMetrics.follow(certificates);
  const { rootCertPath } = controlPlane;
  followTrustedRoots({ rootCertPath, certificates, clock, log: log.child('trust'), signal });
  // Renewed from now on, whether or not anybody connects.
  certificates.retain(identity);
  const keys = createKeyRefresh({
    controlPlane: { ...controlPlane, tokenPath, metadata: { clusterid: clusterId } },
    clock,
    log: log.child('discovery'),
  });
  const readiness = new Readiness(['configuration', 'certificate']);
  const serving = openServing({
    config,
    version,
    environment,
    clock,
    levels,
    metrics,
    certificates,
    openAccessLog: createLogFiles({
      standardOutput: options.writeAccessLog,
      standardError: options.writeError,
      log: log.child('telemetry'),
    }),
    askForKeys: (keySet) => keys.ask(keySet),
    onReady: (isReady) => readiness.set('configuration', isReady),
  });
  certificates.onRotate((certificate) => {
    if (certificate.identity !== identity) return;
    serving.useCertificate(certificate);
    readiness.set('certificate', true);
  });
  if (config.crlPath !== undefined) {
    const { crlPath: path } = config;
    const onLists = serving.useRevocations.bind(serving);
    // Before the first listener: nobody revoked gets in at the start.
    await followRevocationFile({ path, onLists, metrics, clock, log: log.child('certificates'), signal });
  }
  const quit = Promise.withResolvers<void>();
  const admin = await createProxyAdmin({
    ports: ownPorts,
    log,
    levels,
    version,
    process: shownConfig(config),
    startedAtMs,
    nowMs: () => clock.nowMs(),
    readiness,
    metrics: () => serving.metrics(),
    profiles: (kind, durationMs) => serving.profiles(kind, durationMs),
    snapshot: () => serving.snapshot,
    status: () => serving.status(),
    addresses: () => serving.addresses(),
    endpoints: () => serving.endpoints(),
    certificates: () => certificates.list(),
    quit: () => quit.resolve(),
  });
  const discovery = startDeltaClient({
    ...controlPlane,
    tokenPath,
    clusterId,
    node: {
      id: nodeIdOf(config),
      cluster: config.role,
      buildVersion: version,
      metadata: {
        NAME: config.podName,
        NAMESPACE: config.namespace,
        SERVICE_ACCOUNT: config.serviceAccount,
        INSTANCE_IPS: config.instanceIp,
        NODE_NAME: config.nodeName,
        CLUSTER_ID: clusterId,
        ...config.metadata,
      },
    },
    types: [serving.feeds.mesh, keepCertificates(serving.feeds.config, clock)].map((type) => counted(type, xds)),
    onTermination: (reason) => xds.xdsTermination(reason),
    log: log.child('discovery'),
    signal,
  });
  const { role, concurrency: workers } = config;
  log.info('proxy started', { role, pod: `${config.namespace}/${config.podName}`, version, workers });
  return {
    quitRequested: quit.promise,
    async drain() {
      log.info('draining', { connections: serving.connections, deadlineMs: config.terminationDeadlineMs });
      await serving.drain({ lingerMs, deadlineMs: config.terminationDeadlineMs });
      stop.abort();
      await discovery.done;
      await admin.close();
      certificates.close();
      ca.close();
      keys.close();
    },
  };
}

/** Counts what it is told. */
function counted(type: DeltaFeed, metrics: XdsClientMetrics): DeltaFeed {
  return {
    typeUrl: type.typeUrl,
    apply(update) {
      const byteCount = update.added.reduce((sum, { body }) => sum + body.length, 0);
      metrics.xdsMessage(type.typeUrl, byteCount);
      return type.apply(update);
    },
  };
}

/** For the admin port. */
function shownConfig(config: ProxyProcessConfig): Record<string, string | number> {
  const { role, podName, namespace, serviceAccount, instanceIp, nodeName, clusterId, network, trustDomain } = config;
  return {
    role,
    pod: `${namespace}/${podName}`,
    serviceAccount,
    instanceIp,
    nodeName,
    clusterId,
    network,
    trustDomain,
    controlPlane: config.controlPlane.address,
    concurrency: config.concurrency,
    logLevel: config.logLevel,
  };
}
