/**
 * The workers of a proxy, as its main thread has them: each a whole engine, told everything that is told here, limited together.
 *
 * What discovery says counts once every worker has it. One that dies takes its own connections with it; another takes its place, told
 * everything before it accepts a connection. Listening sockets are the main thread's, so nobody who waits to be accepted is lost.
 */
import type { Backend } from '../../api/l7/index.ts';
import type { WorkloadCertificate } from '../../identity/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { writePosted } from '../../lib/posted-log.ts';
import { endedOrLate, Restarts } from '../../lib/restarts.ts';
import { MeshState } from '../../mesh/index.ts';
import type { LogLevels } from '../../telemetry/admin/log-levels.ts';
import {
  MetricsMerger,
  type MetricsRegistry,
  type MetricsSnapshot,
  type NamedProfile,
  type ProfileKind,
} from '../../telemetry/index.ts';
import type { DeltaClientType, DeltaFeed, DeltaUpdate, DeltaVerdict } from '../../xds/index.ts';
import { meshFeed } from '../config/mesh-feed.ts';
import type { ProxyProcessConfig } from '../config/proxy-config.ts';
import type { ProxySnapshot } from '../config/snapshot.ts';
import { createConfigStore, type ConfigStatus } from '../config/store.ts';
import { passthroughBackend } from '../engine/compiled-config.ts';
import type { ListenerAddress } from '../listeners/listeners.ts';
import type { WriteLines } from '../telemetry/index.ts';
import type { BackendStatus } from '../upstream/index.ts';
import { createOutlierAuthority, type OutlierAuthority } from '../upstream/outlier-authority.ts';
import { AccessLogs } from './access-logs.ts';
import { addEndpoints } from './endpoint-sums.ts';
import { HandedSockets, ListeningSockets } from './listening-sockets.ts';
import type { EjectedHost, FeedName, FromWorker, SharedMemory, ToWorker, WorkerAnswer } from './messages.ts';
import { allocateFailing, FailingHosts } from './relayed-outliers.ts';
import { allocateBuckets, releaseBuckets } from './shared-buckets.ts';
import { SharedCounts } from './shared-counts.ts';
import { Told } from './told.ts';
import { startThread, WorkerThread, type StartThread } from './worker-thread.ts';

export interface ProxyWorkersOptions {
  /** At least 2: one has no use for a thread of its own. */
  readonly workers: number;
  readonly config: ProxyProcessConfig;
  readonly version: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly maxConnections: number;
  /** Where to listen: IP literal. */
  readonly host: string;
  readonly clock: Clock;
  readonly levels: LogLevels;
  /** Of the process; workers count in registries of their own. */
  readonly metrics: MetricsRegistry;
  readonly openAccessLog: (path: string) => WriteLines;
  /** As `ProxyServices.askForKeys`: whoever of the workers asks. */
  readonly askForKeys?: (keySet: string) => void;
  /** Every worker has its listeners open, or not any more. */
  readonly onReady: (isReady: boolean) => void;
  /** For tests. */
  readonly start?: StartThread;
}

/** One that has not taken up what it was told by then never will: it is started again. */
const applyTimeoutMs = 60_000;
/** Nobody who looks waits longer for one that does not answer. */
const reportTimeoutMs = 2000;
/** After the deadline of a drain, how long a worker may take to say that it is done. */
const drainGraceMs = 5000;

interface Place {
  readonly index: number;
  /** Of the worker that is there now; another after a restart. */
  name: string;
  /** Absent between its death and the next start. */
  thread: WorkerThread | undefined;
  isReady: boolean;
  readonly restarts: Restarts;
  readonly drained: PromiseWithResolvers<void>;
  readonly handed: HandedSockets;
}

export class ProxyWorkers {
  readonly #options: ProxyWorkersOptions;
  readonly #memory: SharedMemory;
  readonly #places: Place[];
  readonly #sockets: ListeningSockets;
  readonly #merger = new MetricsMerger();
  readonly #deaths: { deaths: number };
  readonly #store: ReturnType<typeof createConfigStore>;
  readonly #meshFeed: DeltaClientType;
  readonly #outliers: OutlierAuthority;
  readonly #failing: FailingHosts;
  readonly #stopFollowing: () => void;
  readonly #told: Told;
  readonly #ejections = new Map<string, readonly EjectedHost[]>();
  readonly #logs: AccessLogs;
  #certificate: WorkloadCertificate | undefined;
  #revocations: Uint8Array | undefined;
  /** Why a worker did not take the configuration that is being applied. */
  #refusal: string | undefined;
  #isReady = false;
  #isDraining = false;

  constructor(options: ProxyWorkersOptions) {
    const { workers, clock, levels, metrics, config, host } = options;
    this.#options = options;
    this.#memory = {
      connections: SharedCounts.allocate(workers, 1),
      buckets: allocateBuckets(),
      failing: allocateFailing(),
    };
    this.#sockets = new ListeningSockets(host);
    this.#logs = new AccessLogs(options.openAccessLog);
    this.#told = new Told(workers);
    this.#failing = new FailingHosts(this.#memory.failing);
    this.#deaths = metrics
      .group({
        metrics: {
          deaths: {
            name: 'ambit_proxy_worker_deaths',
            help: 'Workers that ended by an error and were started again',
            kind: 'counter',
          },
        },
        labelNames: [],
        neverExpires: true,
      })
      .acquire([]).values;
    metrics.gauge('ambit_proxy_workers', 'Threads that serve connections', () => workers);
    const mesh = new MeshState();
    const pod = { namespace: config.namespace, name: config.podName, serviceAccount: config.serviceAccount };
    this.#meshFeed = meshFeed(mesh);
    this.#outliers = createOutlierAuthority({
      mesh,
      clock,
      metrics,
      log: levels.log.child('upstream'),
      own: () => mesh.workloadOfPod(pod),
      address: config.instanceIp,
      network: config.network,
      onEjections: (backend, hosts) => this.#tellEjections(backend, hosts),
      onFailing: (backend, hostKey, isFailing) => this.#failing.mark(backend, hostKey, isFailing),
    });
    this.#store = createConfigStore({
      clock,
      check: () => {
        if (this.#refusal !== undefined) throw new Error(this.#refusal);
      },
    });
    this.#store.subscribe((snapshot) => this.#use(snapshot));
    this.#stopFollowing = levels.onChange(() => this.#broadcast({ kind: 'log-levels', levels: levels.describe() }));
    this.#places = Array.from({ length: workers }, (_, index) => ({
      index,
      name: '',
      thread: undefined,
      isReady: false,
      restarts: new Restarts(clock),
      drained: Promise.withResolvers(),
      handed: new HandedSockets(this.#sockets),
    }));
    for (const place of this.#places) this.#start(place);
  }

  /** In the order in which they are subscribed. */
  get feeds(): { readonly mesh: DeltaFeed; readonly config: DeltaFeed } {
    const feed = (name: FeedName, { typeUrl, apply }: DeltaClientType): DeltaFeed => ({
      typeUrl,
      apply: (update) => this.#apply(name, update, apply),
    });
    return { mesh: feed('mesh', this.#meshFeed), config: feed('config', this.#store.type) };
  }

  get snapshot(): ProxySnapshot | undefined {
    return this.#store.snapshot;
  }

  status(): ConfigStatus {
    return this.#store.status();
  }

  addresses(): ListenerAddress[] {
    const open = new Set(this.#sockets.ports);
    return [...(this.snapshot?.listeners.values() ?? [])]
      .filter(({ port }) => open.has(port))
      .map(({ name, port }) => ({ name, port }));
  }

  /** Of clients, of all workers. */
  get connections(): number {
    return new SharedCounts(this.#memory.connections, { worker: 0, width: 1 }).total(0);
  }

  useCertificate(certificate: WorkloadCertificate): void {
    this.#certificate = certificate;
    this.#broadcast({ kind: 'certificate', certificate });
  }

  /** As the file holds them, and read without error before. */
  useRevocations(_: unknown, bytes: Uint8Array): void {
    this.#revocations = new Uint8Array(bytes);
    this.#broadcast({ kind: 'revocations', lists: this.#revocations });
  }

  /** Of all workers and the main thread together; one that does not answer counts as it last said. */
  async metrics(): Promise<MetricsSnapshot> {
    const answers = await this.#askAll((requestId) => ({ kind: 'metrics-wanted', requestId }), reportTimeoutMs);
    for (const { name, answer } of answers) if (answer?.kind === 'metrics') this.#merger.update(name, answer.metrics);
    this.#merger.update('main', this.#options.metrics.snapshot());
    return this.#merger.snapshot();
  }

  /** Hosts and their health as the main thread has them, loads as the workers do. */
  async endpoints(): Promise<readonly BackendStatus[]> {
    const answers = await this.#askAll((requestId) => ({ kind: 'endpoints-wanted', requestId }), reportTimeoutMs);
    const loads = answers.flatMap(({ answer }) => (answer?.kind === 'endpoints' ? [answer.endpoints] : []));
    return addEndpoints(this.#outliers.describe(), loads);
  }

  async profiles(kind: ProfileKind, durationMs: number): Promise<NamedProfile[]> {
    const answers = await this.#askAll(
      (requestId) => ({ kind: 'profile-wanted', requestId, of: kind, durationMs }),
      durationMs + reportTimeoutMs,
    );
    return answers.flatMap(({ name, answer }) =>
      answer?.kind === 'profile' ? [{ thread: name, recorded: answer.profile }] : [],
    );
  }

  /** As `Proxy.drain`, in all workers; one that does not end in time is ended. */
  async drain({ lingerMs, deadlineMs }: { readonly lingerMs: number; readonly deadlineMs: number }): Promise<void> {
    const { clock, levels, onReady } = this.#options;
    this.#isDraining = true;
    onReady(false);
    for (const place of this.#places) {
      place.restarts.cancel();
      if (!place.thread) place.drained.resolve();
    }
    this.#broadcast({ kind: 'drain', lingerMs, deadlineMs });
    // With the last duplicate the kernel refuses who comes then: nobody is left to wait for a worker that accepts no more.
    clock.after(Math.min(lingerMs, deadlineMs), () => this.#sockets.close());
    await Promise.all(
      this.#places.map(async (place) => {
        const onLate = (): void => levels.log.warn('a worker does not end: it is stopped', { worker: place.name });
        await endedOrLate(place.drained.promise, { clock, deadlineMs: deadlineMs + drainGraceMs, onLate });
      }),
    );
    await this.#logs.written();
    await Promise.all(this.#places.map(async ({ thread }) => thread?.stop()));
    this.#sockets.close();
    this.#stopFollowing();
    this.#outliers.close();
  }

  #broadcast(message: ToWorker): void {
    for (const { thread } of this.#places) thread?.post(message);
  }

  async #askAll(
    make: (requestId: number) => ToWorker,
    timeoutMs: number,
  ): Promise<{ readonly name: string; readonly answer: WorkerAnswer | undefined }[]> {
    return Promise.all(
      this.#places.map(async ({ name, thread }) => ({ name, answer: await thread?.ask(make, timeoutMs) })),
    );
  }

  // What discovery says.

  async #apply(feed: FeedName, update: DeltaUpdate, applyHere: DeltaClientType['apply']): Promise<DeltaVerdict> {
    // Bodies are views of a whole response, which would be kept and sent with each of them.
    const added = update.added.map((resource) => ({ ...resource, body: new Uint8Array(resource.body) }));
    const { removed } = update;
    const counts = this.#told.note(feed, { added, removed });
    this.#refusal = undefined;
    await Promise.all(
      this.#places.map(async (place) => {
        const { thread, name: worker } = place;
        if (!thread) return;
        const answer = await thread.ask(
          (requestId) => ({ kind: 'apply', requestId, feed, update: { added, removed }, counts }),
          applyTimeoutMs,
        );
        if (answer?.kind === 'applied') {
          if (feed === 'config') this.#refusal ??= refusalOf(answer.verdict);
        } else if (place.thread === thread) {
          this.#options.levels.log.error('a worker does not take up what it is told: it is started again', { worker });
          thread.kill();
        }
      }),
    );
    const verdict = applyHere({ added, removed });
    if (feed === 'config' && refusalOf(verdict) === undefined) this.#told.taken();
    return verdict;
  }

  /** Every worker has it. */
  #use({ backends, listeners }: ProxySnapshot): void {
    const all = new Map<string, Backend>(backends).set(passthroughBackend.name, passthroughBackend);
    this.#outliers.apply(all);
    for (const backend of this.#ejections.keys()) if (!all.has(backend)) this.#ejections.delete(backend);
    this.#sockets.keep(new Set([...listeners.values()].map(({ port }) => port)));
  }

  #tellEjections(backend: string, hosts: readonly EjectedHost[]): void {
    if (hosts.length > 0) this.#ejections.set(backend, hosts);
    else this.#ejections.delete(backend);
    this.#broadcast({ kind: 'ejections', backend, hosts });
  }

  // The life of a worker.

  #start(place: Place): void {
    const { config, version, environment, maxConnections, levels, clock, start = startThread } = this.#options;
    const { index } = place;
    place.name = `worker-${index}-${this.#deaths.deaths}`;
    place.restarts.started();
    const thread = new WorkerThread({
      data: {
        worker: index,
        workers: this.#places.length,
        config,
        version,
        environment,
        maxConnections,
        logLevels: levels.describe(),
        memory: this.#memory,
      },
      start,
      clock,
      onMessage: (message) => this.#receive(place, thread, message),
      onEnd: (failure) => this.#onEnd(place, failure),
    });
    place.thread = thread;
    if (this.#revocations) thread.post({ kind: 'revocations', lists: this.#revocations });
    if (this.#certificate) thread.post({ kind: 'certificate', certificate: this.#certificate });
    // Its answers say nothing new: the others were told the same.
    for (const told of this.#told.again()) thread.post({ kind: 'apply', requestId: 0, ...told });
    for (const [backend, hosts] of this.#ejections) thread.post({ kind: 'ejections', backend, hosts });
  }

  #onEnd(place: Place, failure: Error | undefined): void {
    const { log } = this.#options.levels;
    const { index: worker, name, restarts } = place;
    place.thread = undefined;
    place.handed.clear();
    SharedCounts.clear(this.#memory.connections, { worker, width: 1 });
    this.#told.clearCounts(worker);
    releaseBuckets(this.#memory.buckets, worker);
    this.#merger.remove(name);
    if (!failure) return;
    this.#deaths.deaths++;
    log.error('a worker died: its connections ended with it', {
      worker: name,
      livedMs: restarts.livedMs,
      error: messageOf(failure),
      stack: failure.stack,
    });
    if (this.#isDraining) return place.drained.resolve();
    this.#checkReady();
    restarts.after(() => {
      this.#start(place);
      log.info('a worker was started again', { worker: place.name });
      this.#checkReady();
    });
  }

  #receive(place: Place, thread: WorkerThread, message: Exclude<FromWorker, WorkerAnswer>): void {
    switch (message.kind) {
      case 'ready':
        place.isReady = message.isReady;
        return this.#checkReady();
      case 'socket-wanted': {
        const { requestId, port } = message;
        try {
          return thread.post({ kind: 'socket', requestId, fd: place.handed.hand(requestId, port) });
        } catch (error) {
          return thread.post({ kind: 'socket-failed', requestId, error: messageOf(error) });
        }
      }
      case 'socket-taken':
        return place.handed.taken(message.requestId);
      case 'outcome':
        return this.#outliers.note(message.backend, message.host, message.status);
      case 'keys-wanted':
        return this.#options.askForKeys?.(message.keySet);
      case 'log':
        return writePosted(this.#options.levels.log, message, { worker: place.index });
      case 'access-log':
        return this.#logs.write(message.path, message.text, () =>
          thread.post({ kind: 'access-log-written', path: message.path }),
        );
      case 'drained':
        return place.drained.resolve();
    }
  }

  /** One that is being started again was ready: the others serve meanwhile. */
  #checkReady(): void {
    if (this.#isDraining) return;
    const isReady = this.#places.every((place) => place.isReady) && this.#places.some(({ thread }) => thread);
    if (isReady === this.#isReady) return;
    this.#isReady = isReady;
    this.#options.onReady(isReady);
  }
}

function refusalOf({ refusal, rejected }: DeltaVerdict): string | undefined {
  if (refusal !== undefined) return refusal;
  return rejected.length === 0 ? undefined : rejected.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
}
