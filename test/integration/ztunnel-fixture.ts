/** ztunnel data parts without a control plane: a certificate authority in memory and messages by hand. */
import type { MeshAddress, MeshService, MeshWorkload } from '../../src/api/workload.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openLog } from '../../src/lib/log.ts';
import { defaultNetwork } from '../../src/mesh/fixtures.ts';
import { openListenSocket } from '../../src/net/index.ts';
import type { Authorization } from '../../src/policy/index.ts';
import { MetricsRegistry, openAccessLog, writeSnapshot } from '../../src/telemetry/index.ts';
import { createLogLevels, type LogLevels } from '../../src/telemetry/admin/index.ts';
import { DataParts, type DataPartEvents } from '../../src/ztunnel/control-part/data-parts.ts';
import { startDataWorker } from '../../src/ztunnel/control-part/data-worker.ts';
import { startDataPart, type DataPartOptions } from '../../src/ztunnel/data/data-part.ts';
import type { TestAuthority } from '../support/certificates.ts';
import type { ConnectionReport, ControlMessage, DataPart, DataReport, PodToServe } from '../../src/ztunnel/messages.ts';

export interface TestDataPart {
  send(message: ControlMessage): void;
  setAddresses(...parts: (MeshWorkload | MeshService)[]): void;
  setPolicies(updated: readonly Authorization[], removed?: readonly string[]): void;
  /** The data parts, as the control part has them. */
  readonly data: DataParts;
  /** Each data part that was started, by its number; the last one wins. */
  readonly parts: DataPart[];
  serve(target: PodToServe): Promise<void>;
  /** What was sent has arrived, in workers too. */
  applied(): Promise<void>;
  report(): Promise<DataReport>;
  /** The exposition, as text. */
  metrics(): Promise<string>;
  connections(podUid: string, direction: ConnectionReport['direction']): Promise<readonly ConnectionReport[]>;
  drain(deadlineMs: number): Promise<void>;
  /** Access log lines so far. */
  readonly log: string[];
  /** Of the process's log, whose lines are on standard error. */
  readonly levels: LogLevels;
  readonly processLog: readonly string[];
  /** The first access log line that matches; waits for it. */
  logLine(pattern: RegExp): Promise<string>;
}

/** As many workers serve every test; 1: a data part in the test's own thread. */
export const testWorkers: number = Number(process.env['AMBIT_TEST_WORKERS'] ?? 1);

/** A data part (or several workers, as `AMBIT_TEST_WORKERS` says) whose certificates come from `authority`. */
export function startTestDataPart(
  authority: Pick<TestAuthority, 'certificate'>,
  limits: DataPartOptions['limits'] = {},
  more: Partial<Pick<DataPartOptions, 'network' | 'nameQuery' | 'random'>> = {},
): TestDataPart {
  const log: string[] = [];
  const logWaiters = new Set<() => void>();
  const { network = defaultNetwork } = more;
  const processLog: string[] = [];
  const write = (line: string): void => {
    processLog.push(line);
    process.stderr.write(line);
  };
  const levels = createLogLevels(openLog({ scope: 'ztunnel', level: 'debug', write }), 'warn');
  levels.set('access:info');
  const parts: DataPart[] = [];
  const told = new Map<string, ControlMessage>();
  const writeAccessLog = (text: string, done: () => void): void => {
    log.push(...text.trimEnd().split('\n'));
    for (const run of logWaiters) run();
    done();
  };
  const accessLog = openAccessLog({ format: 'text', nowMs: () => Date.now(), write: writeAccessLog });
  const data = new DataParts({
    clock: systemClock,
    log: levels.log,
    metrics: new MetricsRegistry({ clock: systemClock, log: levels.log }),
    starts:
      testWorkers === 1
        ? [({ post }) => startDataPart({ ...more, network, log: levels.log, limits, accessLog, post })]
        : Array.from({ length: testWorkers }, (_, worker) => (events: DataPartEvents) => {
            const options = {
              network,
              log: levels.log,
              levels,
              accessLogFormat: 'text',
              accessLogSampling: 1,
              limits,
              writeAccessLog,
            } as const;
            return (parts[worker] = startDataWorker(worker, options, events));
          }),
    snapshot: () => [...told.values()],
    onCertificateWanted({ identity }) {
      void authority.certificate(identity).then((certificate) => {
        data.broadcast({ kind: 'certificate', identity, certificate });
      });
    },
  });
  const tell = (message: ControlMessage): void => {
    if (message.kind === 'addresses' || message.kind === 'authorizations') {
      told.set(`${message.kind} ${told.size}`, message);
    }
    if (message.kind === 'remove-pod') data.remove(message.uid);
    else data.broadcast(message);
  };
  return {
    log,
    levels,
    processLog,
    data,
    parts,
    send: tell,
    setAddresses(...parts) {
      const updated = parts.map((part): MeshAddress =>
        'uid' in part ? { kind: 'workload', workload: part } : { kind: 'service', service: part },
      );
      tell({ kind: 'addresses', update: { updated, removed: [] } });
    },
    setPolicies: (updated, removed = []) => tell({ kind: 'authorizations', update: { updated, removed } }),
    async serve(target) {
      // Threads start at their own pace; the control part gives up on one that takes long, and tries again.
      while ((await data.report()).length < testWorkers);
      await data.serve(withSharedListeners(target));
    },
    async applied() {
      await data.report();
    },
    async report() {
      const [report] = await data.report();
      if (!report) throw new Error('no report');
      return report;
    },
    metrics: async () => [...writeSnapshot(await data.metrics(), 'text')].join(''),
    async connections(podUid, direction) {
      const found = [];
      for await (const page of data.connections(podUid, direction)) found.push(...page);
      return found;
    },
    drain: (deadlineMs) => data.drain(deadlineMs),
    logLine(pattern) {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          const line = log.find((candidate) => pattern.test(candidate));
          if (line === undefined) return;
          logWaiters.delete(look);
          clearTimeout(timer);
          resolve(line);
        };
        const timer = setTimeout(
          () => reject(new Error(`No access log line matches ${pattern} in:\n${log.join('\n')}`)),
          60_000,
        );
        logWaiters.add(look);
        look();
      });
    },
  };
}

/** Several workers accept from one socket each, as they do where the control part listens in a pod. */
function withSharedListeners(target: PodToServe): PodToServe {
  const { listenAt } = target;
  if (!listenAt || testWorkers === 1) return target;
  const open = (port: number): number => openListenSocket({ host: listenAt.host, port });
  const listeners = {
    hbone: open(listenAt.inboundPort),
    plaintext: open(listenAt.plaintextPort),
    outbound: open(listenAt.outboundPort),
  };
  return { ...target, listeners };
}
