/** Entry point of a worker thread of a proxy: one engine. An error that nobody catches ends the thread, with its connections. */
import { parentPort, workerData } from 'node:worker_threads';
import { createCountedRevocations, parseRevocationLists } from '../../identity/index.ts';
import { systemClock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { createPostingLog } from '../../lib/posted-log.ts';
import { duplicateDescriptor, releaseMemory } from '../../net/index.ts';
import { createLogLevels } from '../../telemetry/admin/log-levels.ts';
import { MetricsRegistry, profileThread } from '../../telemetry/index.ts';
import type { DeltaUpdate, DeltaVerdict } from '../../xds/index.ts';
import { createEnginePart } from '../engine-part.ts';
import { passthroughBackend } from '../engine/compiled-config.ts';
import { HandedCertificates } from './handed-certificates.ts';
import type { FeedName, FromWorker, ProxyWorkerData, ToWorker } from './messages.ts';
import { OutlierRelay } from './relayed-outliers.ts';
import { SharedBuckets } from './shared-buckets.ts';
import { backendWidth, SharedCounts } from './shared-counts.ts';

if (!parentPort) throw new Error('This file runs as a worker thread');
const port = parentPort;
const { worker, workers, config, version, environment, maxConnections, logLevels, memory } =
  workerData as ProxyWorkerData;
const say = (message: FromWorker): void => port.postMessage(message);

const clock = systemClock;
const levels = createLogLevels(createPostingLog(say), 'info');
levels.set(logLevels);
const { log } = levels;
const metrics = new MetricsRegistry({ clock, log });
const revocations = createCountedRevocations(metrics);
const certificates = new HandedCertificates(clock);
const relay = new OutlierRelay(memory.failing, say);
const buckets = new SharedBuckets(memory.buckets, worker);
const counts = new Map<string, SharedCounts>();
const sockets = new Map<number, PromiseWithResolvers<number>>();
let nextRequest = 1;
const written = new Map<string, () => void>();

const engine = createEnginePart({
  config,
  clock,
  log,
  metrics,
  certificates,
  revocations,
  environment,
  version,
  maxConnections,
  openAccessLog: (path) => (text, done) => {
    written.set(path, done);
    say({ kind: 'access-log', path, text });
  },
  askForKeys: (keySet) => say({ kind: 'keys-wanted', keySet }),
  onReady: (isReady) => say({ kind: 'ready', isReady }),
  share: {
    workers,
    connections: new SharedCounts(memory.connections, { worker, width: 1 }),
    countsOf: (backend) => counts.get(backend),
    bucketsOf: (rule, shape) => buckets.store(rule, shape),
    openOutliers: relay.open,
    openSocket(wanted) {
      const requestId = nextRequest++;
      const asked = Promise.withResolvers<number>();
      sockets.set(requestId, asked);
      say({ kind: 'socket-wanted', requestId, port: wanted });
      return asked.promise;
    },
  },
});

releaseMemory();
port.on('message', (said: ToWorker) => {
  switch (said.kind) {
    case 'apply': {
      const { requestId, feed, update } = said;
      for (const [backend, shared] of said.counts) {
        counts.set(backend, new SharedCounts(shared, { worker, width: backendWidth }));
      }
      const verdict = take(feed, update);
      // What was refused may be taken with the next that is told.
      if (feed === 'config' && verdict.refusal === undefined) forgetCounts();
      return say({ kind: 'applied', requestId, verdict });
    }
    case 'certificate':
      return certificates.take(said.certificate);
    case 'revocations':
      return revocations.update(parseRevocationLists(said.lists));
    case 'ejections':
      return relay.told(said.backend, said.hosts);
    case 'socket':
      return takeSocket(said.requestId, said.fd);
    case 'socket-failed': {
      sockets.get(said.requestId)?.reject(new Error(said.error));
      return void sockets.delete(said.requestId);
    }
    case 'metrics-wanted':
      return say({ kind: 'metrics', requestId: said.requestId, metrics: metrics.snapshot() });
    case 'endpoints-wanted':
      return say({ kind: 'endpoints', requestId: said.requestId, endpoints: engine.upstreams.describe() });
    case 'profile-wanted': {
      const { requestId, of, durationMs } = said;
      return void profileThread(of, durationMs).then(
        (profile) => say({ kind: 'profile', requestId, profile }),
        (error: unknown) => log.warn('cannot profile', { error: messageOf(error) }),
      );
    }
    case 'log-levels':
      levels.reset();
      levels.set(said.levels);
      return;
    case 'access-log-written': {
      const done = written.get(said.path);
      written.delete(said.path);
      return done?.();
    }
    case 'drain':
      return void drain(said.lingerMs, said.deadlineMs);
  }
});

/** Node closes what it listens on when this thread ends, however it ends; the main thread's own descriptor is closed there. */
function takeSocket(requestId: number, fd: number): void {
  const asked = sockets.get(requestId);
  sockets.delete(requestId);
  try {
    asked?.resolve(duplicateDescriptor(fd));
  } catch (error) {
    asked?.reject(error);
  } finally {
    say({ kind: 'socket-taken', requestId });
  }
}

/** Pools of backends that go keep theirs. */
function forgetCounts(): void {
  const { snapshot } = engine.proxy;
  for (const name of counts.keys()) {
    if (snapshot && !snapshot.backends.has(name) && name !== passthroughBackend.name) counts.delete(name);
  }
}

/** What cannot be applied is refused, as by a proxy without workers: the next one would die of it as well. */
function take(feed: FeedName, update: DeltaUpdate): DeltaVerdict {
  try {
    return engine.feeds[feed].apply(update);
  } catch (error) {
    const reason = `not applied: ${messageOf(error)}`;
    log.error('discovery response not applied', { feed, error: messageOf(error) });
    return { rejected: update.added.map(({ name }) => ({ name, reason })), refusal: reason };
  }
}

async function drain(lingerMs: number, deadlineMs: number): Promise<void> {
  await engine.proxy.drain({ lingerMs, deadlineMs });
  await engine.telemetry.close();
  say({ kind: 'drained' });
}
