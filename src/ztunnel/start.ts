/** A ztunnel: the control part with its data parts, started, drained, and ended. */
import { systemClock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { createCaClient, createCertificateManager, registerCertificateMetrics } from '../identity/index.ts';
import { checkPrivileges, releaseMemory } from '../net/index.ts';
import { MetricsRegistry, openAccessLog, profileThread, type AccessLog } from '../telemetry/index.ts';
import {
  createLogLevels,
  dumpPage,
  followAccessLevel,
  loggingPage,
  profilePages,
  quitPage,
  Readiness,
  serveAdmin,
  serveMetrics,
  serveReadiness,
  type LogLevels,
} from '../telemetry/admin/index.ts';
import { startDeltaClient } from '../xds/index.ts';
import { configDump, type DumpedPod } from './admin/config-dump.ts';
import type { ZtunnelConfig } from './config.ts';
import { startDataPart } from './data/data-part.ts';
import { logScopes } from './log-scopes.ts';
import { DataParts, type DataPartEvents } from './control-part/data-parts.ts';
import { startDataWorker } from './control-part/data-worker.ts';
import { Discovered } from './control-part/discovered.ts';
import type { DataPart, DataReport } from './messages.ts';
import { ListenerStore } from './control-part/pod-listeners.ts';
import { PodManager } from './control-part/pod-manager.ts';
import { registerControlMetrics } from './control-part/process-metrics.ts';
import { followTrustFiles } from './control-part/trust-files.ts';
import { runZdsClient } from './control-part/zds-client.ts';
import { HolderClient } from './holder/holder-client.ts';

export interface ZtunnelOptions {
  readonly config: ZtunnelConfig;
  /** Must let every level pass: levels change while it runs. */
  readonly log: Log;
  readonly writeAccessLog: (text: string, done: () => void) => void;
  readonly version: string;
}

export interface RunningZtunnel {
  /** As they are, where the configuration said 0. */
  readonly ports: { readonly admin: number; readonly metrics: number; readonly readiness: number };
  /** Somebody asked for the end through the admin port. */
  readonly quitRequested: Promise<void>;
  /** Ends it: no new connections, live ones until the deadline of the configuration. */
  drain(): Promise<void>;
}

/** The names of readiness, as upstream has them. */
const stateTask = 'state manager';
const podsTask = 'workload proxy manager';

/** Rejects with `net.not-permitted`, or `admin.listen-failed`. */
export async function startZtunnel(options: ZtunnelOptions): Promise<RunningZtunnel> {
  const { config, version } = options;
  await checkPrivileges();
  const clock = systemClock;
  const stop = new AbortController();
  const { signal } = stop;
  const stopPods = new AbortController();
  const levels = createLogLevels(options.log, config.logLevels, logScopes);
  const { log } = levels;
  const metrics = new MetricsRegistry({ clock, log });
  const readiness = new Readiness([stateTask, podsTask]);
  const accessLog = openAccessLog({
    format: config.logFormat,
    write: options.writeAccessLog,
    nowMs: () => clock.nowMs(),
    sampling: config.accessLogSampling,
  });
  followAccessLevel(levels, accessLog);

  const { secretTtlSeconds: ttlSeconds, clusterId, tokenPath } = config;
  const ca = createCaClient({ ...config.ca, tokenPath, clusterId, ttlSeconds });
  const certificates = createCertificateManager({
    sign: (csrPem, identity, abort) => ca.sign(csrPem, identity, abort),
    trustDomain: config.trustDomain,
    ttlSeconds,
    onClockSkew: (skewMs) => certificateMetrics.setClockSkew(skewMs),
    clock,
    log: log.child('certificates'),
  });
  const certificateMetrics = registerCertificateMetrics(metrics);
  certificateMetrics.follow(certificates);
  const data = new DataParts({
    clock,
    log,
    metrics,
    starts: dataPartStarts(options, levels, accessLog),
    snapshot: () => [...trustFiles.snapshot(), ...discovered.snapshot()],
    onCertificateWanted({ identity }) {
      certificates.certificate(identity, signal).then(
        (certificate) => data.broadcast({ kind: 'certificate', identity, certificate }),
        (error: unknown) => data.broadcast({ kind: 'certificate-failed', identity, error: messageOf(error) }),
      );
    },
  });
  certificates.onRotate((certificate) =>
    data.broadcast({ kind: 'certificate', identity: certificate.identity, certificate }),
  );
  const trustFiles = followTrustFiles({
    rootCertPath: config.ca.rootCertPath,
    crlPath: config.crlPath,
    certificates,
    broadcast: (message) => data.broadcast(message),
    metrics,
    clock,
    log: log.child('trust'),
    signal,
  });
  // Before the first pod: nobody revoked gets in at the start.
  await trustFiles.read;
  const holder = new HolderClient({ path: config.holderPath, clock, log: log.child('holder') });
  const pods = new PodManager({
    trustDomain: config.trustDomain,
    certificates,
    clock,
    log: log.child('pods'),
    listeners: new ListenerStore(holder, { captureDns: config.dns !== undefined }),
    serve: (target) => data.serve(target),
    drain: (uid) => data.broadcast({ kind: 'drain-pod', uid }),
    remove: (uid) => data.remove(uid),
    onReady: (isReady) => readiness.set(podsTask, isReady),
  });
  const controlMetrics = registerControlMetrics(metrics, { version, pods });
  const discovered = new Discovered(
    (message) => data.broadcast(message),
    (typeUrl, byteCount) => controlMetrics.xdsMessage(typeUrl, byteCount),
  );

  const quit = Promise.withResolvers<void>();
  const endpoints = await Promise.all([
    serveAdmin({
      port: config.ports.admin,
      log: log.child('admin'),
      name: 'ztunnel',
      version,
      pages: [
        dumpPage('everything the proxy knows: workloads, services, policies, certificates, connections', async () =>
          configDump({
            addresses: discovered.addresses,
            policies: discovered.authorizations,
            certificates: certificates.list(),
            pods: servedPods(await data.report()),
            connections: (uid, direction) => data.connections(uid, direction),
            nowMs: () => clock.nowMs(),
            version,
            config: shownConfig(config),
          }),
        ),
        loggingPage(levels),
        quitPage(() => quit.resolve()),
        ...profilePages('ztunnel', async (kind, durationMs, gone) => {
          const own = profileThread(kind, durationMs, gone);
          const others = await data.profiles(kind, durationMs);
          // Connections first: what is looked for is mostly there.
          return [...others, { thread: 'control', recorded: await own }];
        }),
      ],
    }),
    serveMetrics({
      port: config.ports.metrics,
      log: log.child('metrics'),
      snapshot: async () => [...(await data.metrics()), ...metrics.snapshot()],
    }),
    serveReadiness({ port: config.ports.readiness, log: log.child('readiness'), readiness }),
  ]);

  // Pods are served once the mesh is known: before, every connection would only wait.
  let zds = Promise.resolve();
  const discovery = startDeltaClient({
    ...config.xds,
    tokenPath,
    clusterId,
    node: discoveryNode(config, version),
    types: discovered.types,
    onTermination: (reason) => controlMetrics.xdsTermination(reason),
    onSynced() {
      log.info('mesh state received');
      // Before anybody is served.
      releaseMemory();
      readiness.set(stateTask, true);
      const { signal: stopFollowing } = stopPods;
      zds = runZdsClient({
        path: config.zdsPath,
        handler: pods,
        log: log.child('zds'),
        signal,
        stopFollowing,
        capturesDns: config.dns !== undefined,
      });
    },
    log: log.child('discovery'),
    signal,
  });
  releaseMemory();
  log.info('ztunnel started', { node: config.nodeName, version });
  return {
    ports: { admin: endpoints[0].port, metrics: endpoints[1].port, readiness: endpoints[2].port },
    quitRequested: quit.promise,
    async drain() {
      readiness.set('draining', false);
      log.info('draining', { deadlineMs: config.terminationDeadlineMs });
      // A successor finds our listeners held, or opens its own beside them, before we let go of them.
      await holder.close();
      stopPods.abort();
      pods.drain();
      // Policies and certificates stay current for what is still alive.
      await data.drain(config.terminationDeadlineMs);
      stop.abort();
      await Promise.all([discovery.done, zds, accessLog.flush(), ...endpoints.map((endpoint) => endpoint.close())]);
      certificates.close();
      ca.close();
    },
  };
}

/** One data part runs in this thread, which costs least; several have a thread each. */
function dataPartStarts(
  { config, writeAccessLog }: ZtunnelOptions,
  levels: LogLevels,
  accessLog: AccessLog,
): ((events: DataPartEvents) => DataPart)[] {
  const { network, workerThreads, dns, logFormat: accessLogFormat, accessLogSampling, dataLimits: limits } = config;
  const { log: own } = levels;
  if (workerThreads === 1) {
    const log = own.child('data');
    return [({ post }) => startDataPart({ network, limits, log, accessLog, dns, clock: systemClock, post })];
  }
  const worker = { network, limits, log: own, levels, dns, accessLogFormat, accessLogSampling, writeAccessLog };
  return Array.from(
    { length: workerThreads },
    (_, number) =>
      (events: DataPartEvents): DataPart =>
        startDataWorker(number, worker, events),
  );
}

/** Several data parts serve the same pods. */
function servedPods(reports: readonly DataReport[]): DumpedPod[] {
  const pods = new Map(reports.flatMap((report) => report.pods).map(({ pod }) => [pod.uid, pod]));
  return [...pods.values()].map((pod) => ({ pod, state: 'Up' }));
}

function discoveryNode(config: ZtunnelConfig, version: string): Parameters<typeof startDeltaClient>[0]['node'] {
  const { podName, podNamespace, instanceIp } = config;
  return {
    id: `ztunnel~${instanceIp}~${podName}.${podNamespace}~${podNamespace}.svc.cluster.local`,
    cluster: 'ztunnel',
    buildVersion: version,
    metadata: {
      NAME: podName,
      NAMESPACE: podNamespace,
      INSTANCE_IPS: instanceIp,
      NODE_NAME: config.nodeName,
      SERVICE_ACCOUNT: config.serviceAccount,
      CLUSTER_ID: config.clusterId,
      ...config.metadata,
    },
  };
}

function shownConfig(config: ZtunnelConfig): Record<string, string | number | boolean> {
  return {
    localNode: config.nodeName,
    clusterId: config.clusterId,
    network: config.network,
    trustDomain: config.trustDomain,
    xdsAddress: config.xds.address,
    caAddress: config.ca.address,
    inpodUds: config.zdsPath,
    secretTtlSeconds: config.secretTtlSeconds,
    selfTerminationDeadlineMs: config.terminationDeadlineMs,
    workerThreads: config.workerThreads,
    dnsProxy: config.dns !== undefined,
  };
}
