/** `ambit proxy`: the L7 proxy with what feeds it (discovery, certificates) and what shows it (admin, metrics, readiness). */
import { systemClock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import {
  createCaClient,
  createCertificateManager,
  createCountedRevocations,
  followRevocationFile,
  followTrustedRoots,
  registerCertificateMetrics,
} from '../identity/index.ts';
import { MeshState } from '../mesh/index.ts';
import { NameResolver, systemNameQuery } from '../net/index.ts';
import { createLogLevels, Readiness } from '../telemetry/admin/index.ts';
import { MetricsRegistry } from '../telemetry/index.ts';
import { registerProcessMetrics } from '../telemetry/process-metrics.ts';
import { registerXdsMetrics, type XdsClientMetrics } from '../xds/client-metrics.ts';
import { startDeltaClient, type DeltaClientType } from '../xds/index.ts';
import { createProxyAdmin } from './admin/proxy-admin.ts';
import { logScopes } from './config/log-scopes.ts';
import { meshFeed } from './config/mesh-feed.ts';
import { ownIdentity, type ProxyProcessConfig } from './config/proxy-config.ts';
import { filterKinds } from './filters/index.ts';
import { createProxy } from './proxy.ts';
import { createLogFiles, createProxyTelemetry } from './telemetry/index.ts';
import { createUpstreams } from './upstream/index.ts';

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
const nameTimeoutMs = 5000;
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
  const { controlPlane, tokenPath, clusterId, network, trustDomain, secretTtlSeconds: ttlSeconds } = config;
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
  const revocations = createCountedRevocations(metrics);
  if (config.crlPath !== undefined) {
    const { crlPath: path } = config;
    const onLists = revocations.update.bind(revocations);
    // Before the first listener: nobody revoked gets in at the start.
    await followRevocationFile({ path, onLists, metrics, clock, log: log.child('certificates'), signal });
  }
  const mesh = new MeshState();
  const names = new NameResolver({ query: systemNameQuery(), clock, random: Math.random, timeoutMs: nameTimeoutMs });
  const nodeId = `${config.role}~${config.instanceIp}~${config.podName}.${config.namespace}~${config.namespace}.svc.cluster.local`;
  const pod = { namespace: config.namespace, name: config.podName, serviceAccount: config.serviceAccount };
  const upstreams = createUpstreams({
    mesh,
    clock,
    log: log.child('upstream'),
    random: Math.random,
    metrics,
    own: () => mesh.workloadOfPod(pod),
    address: config.instanceIp,
    network,
    identity,
    certificates,
    revocations,
    trustDomainAliases: () => proxy.snapshot?.settings.trustDomainAliases ?? [],
    resolve: (hostname, allowed, preferred) => names.resolve(hostname, allowed, preferred),
  });
  const telemetry = createProxyTelemetry({
    clock,
    mesh,
    metrics,
    log: log.child('telemetry'),
    openAccessLog: createLogFiles({
      standardOutput: options.writeAccessLog,
      standardError: options.writeError,
      log: log.child('telemetry'),
    }),
    environment,
    own: () => ({ workload: mesh.workloadOfPod(pod), identity }),
    upstreams,
    random: Math.random,
    node: {
      id: nodeId,
      meshId: config.metadata['MESH_ID'] ?? '',
      serviceName: `${config.metadata['WORKLOAD_NAME'] ?? config.serviceAccount}.${config.namespace}`,
      address: config.instanceIp,
      version,
    },
  });
  const readiness = new Readiness(['configuration', 'certificate']);
  certificates.onRotate((certificate) => {
    if (certificate.identity === identity) readiness.set('certificate', true);
  });
  const proxy = createProxy({
    services: { clock, log: log.child('proxy'), mesh, metrics, random: Math.random, upstreams },
    filters: [telemetry.filter, ...filterKinds],
    identity,
    own: () => mesh.workloadOfPod(pod),
    certificate: (abort) => certificates.certificate(identity, abort),
    revocations,
    host: '::',
    ...(config.maxConnections === undefined ? {} : { maxConnections: config.maxConnections }),
    onReady: (isReady) => readiness.set('configuration', isReady),
  });
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
    metrics,
    snapshot: () => proxy.snapshot,
    status: () => proxy.status(),
    addresses: () => proxy.addresses(),
    endpoints: () => upstreams.describe(),
    certificates: () => certificates.list(),
    quit: () => quit.resolve(),
  });
  const discovery = startDeltaClient({
    ...controlPlane,
    tokenPath,
    clusterId,
    node: {
      id: nodeId,
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
    types: [meshFeed(mesh), proxy.feed].map((type) => counted(type, xds)),
    onTermination: (reason) => xds.xdsTermination(reason),
    log: log.child('discovery'),
    signal,
  });
  log.info('proxy started', { role: config.role, pod: `${config.namespace}/${config.podName}`, version });
  return {
    quitRequested: quit.promise,
    async drain() {
      log.info('draining', { connections: proxy.connections, deadlineMs: config.terminationDeadlineMs });
      await proxy.drain({ lingerMs, deadlineMs: config.terminationDeadlineMs });
      stop.abort();
      await discovery.done;
      await telemetry.close();
      await admin.close();
      certificates.close();
      ca.close();
    },
  };
}

/** Counts what it is told. */
function counted(type: DeltaClientType, metrics: XdsClientMetrics): DeltaClientType {
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
    logLevel: config.logLevel,
  };
}
