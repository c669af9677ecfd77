/** ztunnel data parts without a control plane: a certificate authority in memory and messages by hand. */
import type { MeshAddress, MeshService, MeshWorkload } from '../../src/api/workload.ts';
import { openLog } from '../../src/lib/log.ts';
import { defaultNetwork } from '../../src/mesh/fixtures.ts';
import type { Authorization } from '../../src/policy/index.ts';
import { openAccessLog } from '../../src/telemetry/index.ts';
import { startDataPart, type DataPartOptions } from '../../src/ztunnel/data/data-part.ts';
import type { TestAuthority } from '../support/certificates.ts';
import type { ControlMessage, DataMessage, DataReport, PodToServe } from '../../src/ztunnel/messages.ts';

export interface TestDataPart {
  send(message: ControlMessage): void;
  setAddresses(...parts: (MeshWorkload | MeshService)[]): void;
  setPolicies(updated: readonly Authorization[], removed?: readonly string[]): void;
  serve(target: PodToServe): Promise<void>;
  report(): Promise<DataReport>;
  drain(deadlineMs: number): Promise<void>;
  /** Access log lines so far. */
  readonly log: string[];
  /** The first access log line that matches; waits for it. */
  logLine(pattern: RegExp): Promise<string>;
}

/** A data part whose certificates come from `authority`. */
export function startTestDataPart(authority: TestAuthority, limits: DataPartOptions['limits'] = {}): TestDataPart {
  const log: string[] = [];
  const waiting = new Map<number, (message: DataMessage) => void>();
  const logWaiters = new Set<() => void>();
  let nextRequest = 1;
  let onDrained = (): void => {};
  const part = startDataPart({
    network: defaultNetwork,
    log: openLog({ scope: 'ztunnel', level: 'warn' }),
    limits,
    accessLog: openAccessLog({
      format: 'text',
      nowMs: () => Date.now(),
      write(text, done) {
        log.push(...text.trimEnd().split('\n'));
        for (const run of logWaiters) run();
        done();
      },
    }),
    post(message) {
      switch (message.kind) {
        case 'certificate-wanted':
          return void authority.certificate(message.identity).then((certificate) => {
            part.post({ kind: 'certificate', identity: message.identity, certificate });
          });
        case 'drained':
          return onDrained();
        case 'pod-served':
        case 'pod-failed':
        case 'report':
          waiting.get(message.requestId)?.(message);
          waiting.delete(message.requestId);
      }
    },
  });
  const ask = (make: (requestId: number) => ControlMessage): Promise<DataMessage> =>
    new Promise((resolve) => {
      const requestId = nextRequest++;
      waiting.set(requestId, resolve);
      part.post(make(requestId));
    });
  return {
    log,
    send: (message) => part.post(message),
    setAddresses(...parts) {
      const updated = parts.map((part): MeshAddress =>
        'uid' in part ? { kind: 'workload', workload: part } : { kind: 'service', service: part },
      );
      part.post({ kind: 'addresses', update: { updated, removed: [] } });
    },
    setPolicies: (updated, removed = []) => part.post({ kind: 'authorizations', update: { updated, removed } }),
    async serve(target) {
      const answer = await ask((requestId) => ({ kind: 'serve-pod', requestId, target }));
      if (answer.kind === 'pod-failed') throw new Error(answer.error);
    },
    async report() {
      const answer = await ask((requestId) => ({ kind: 'report-wanted', requestId, metrics: 'text' }));
      if (answer.kind !== 'report') throw new Error('no report');
      return answer.report;
    },
    drain: (deadlineMs) =>
      new Promise((resolve) => {
        onDrained = resolve;
        part.post({ kind: 'drain', deadlineMs });
      }),
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
          5000,
        );
        logWaiters.add(look);
        look();
      });
    },
  };
}
