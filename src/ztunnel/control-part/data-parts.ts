/** The data parts as the control part uses them: questions with answers, over messages. One that dies is started again with all state. */
import type { Clock } from '../../lib/clock.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { Questions } from '../../lib/questions.ts';
import { endedOrLate, Restarts } from '../../lib/restarts.ts';
import {
  MetricsMerger,
  type MetricsRegistry,
  type MetricsSnapshot,
  type NamedProfile,
  type ProfileKind,
} from '../../telemetry/index.ts';
import type { ConnectionReport, ControlMessage, DataMessage, DataPart, DataReport, PodToServe } from '../messages.ts';
import { isDnsListener } from '../dns/dns-listeners.ts';
import { closeTarget, duplicateTarget, withoutListeners } from '../pod-descriptors.ts';

/** What a data part tells of itself. */
export interface DataPartEvents {
  readonly post: (message: DataMessage) => void;
  /** It ended without having been told to; nothing of it is left. */
  readonly died: (error: Error) => void;
}

export interface DataPartsOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Of the control part. */
  readonly metrics: MetricsRegistry;
  /** Starts of the data parts, called again for one that died. */
  readonly starts: readonly ((events: DataPartEvents) => DataPart)[];
  /** What a data part that starts later than others must be told before its pods. */
  readonly snapshot: () => readonly ControlMessage[];
  readonly onCertificateWanted: (message: Extract<DataMessage, { kind: 'certificate-wanted' }>) => void;
}

/** Nobody who reads a report waits longer for a data part that does not answer. */
const serveAgainMs = 5000;
const reportTimeoutMs = 2000;

/** How long a pod waits for a data part before it is tried again. */
const serveTimeoutMs = 15_000;

/** After the deadline of a drain, how long its data parts may take to say that they are done. */
const drainGraceMs = 2000;

interface Place {
  readonly index: number;
  /** Of the data part that is there now; another after a restart. */
  name: string;
  /** Absent between its death and the next start. */
  part: DataPart | undefined;
  readonly questions: Questions<DataMessage>;
  readonly drained: PromiseWithResolvers<void>;
  readonly restarts: Restarts;
}

export class DataParts {
  readonly #options: DataPartsOptions;
  readonly #places: Place[];
  readonly #merger = new MetricsMerger();
  /** The pods as a data part that starts again must be told them, with descriptors of ours. Only where there are several. */
  readonly #pods = new Map<string, PodToServe>();
  #draining = false;
  readonly #deaths: { deaths: number };

  constructor(options: DataPartsOptions) {
    this.#options = options;
    this.#deaths = options.metrics
      .group({
        metrics: {
          deaths: {
            name: 'ambit_ztunnel_data_part_deaths',
            help: 'Data parts that ended by an error and were started again',
            kind: 'counter',
          },
        },
        labelNames: [],
      })
      .acquire([]).values;
    this.#places = options.starts.map((_, index) => ({
      index,
      name: '',
      part: undefined,
      questions: new Questions(options.clock),
      drained: Promise.withResolvers(),
      restarts: new Restarts(options.clock),
    }));
    for (const place of this.#places) this.#start(place);
  }

  broadcast(message: ControlMessage): void {
    for (const { part } of this.#places) part?.post(message);
  }

  /** Takes the target's descriptors; each part gets its own. Rejects when one of them cannot serve the pod. */
  async serve(target: PodToServe): Promise<void> {
    const { uid } = target.pod;
    const asked = this.#places.filter(({ part }) => part);
    const targets = [target];
    try {
      while (targets.length < asked.length) targets.push(duplicateTarget(target));
      if (this.#places.length > 1 && !this.#draining) {
        this.#forget(uid);
        this.#pods.set(uid, duplicateTarget(target));
      }
    } catch (error) {
      for (const each of targets) closeTarget(each);
      throw error;
    }
    if (asked.length === 0) closeTarget(target);
    const answers = await Promise.all(asked.map((place, i) => this.#askToServe(place, targets[i] ?? target)));
    const failed = answers.find((answer) => answer?.kind === 'pod-failed');
    const problem = failed?.error ?? (answers.some((answer) => answer) ? undefined : 'no data part answers');
    if (problem !== undefined) throw new AmbitError(problem, { code: 'ztunnel.pod-failed', blame: 'internal' });
  }

  /** Ends the pod's listeners and connections at once. */
  remove(uid: string): void {
    this.#forget(uid);
    this.broadcast({ kind: 'remove-pod', uid });
  }

  /** One of each data part that answers. */
  async report(): Promise<DataReport[]> {
    return (await this.#reports(false)).map(({ report }) => report);
  }

  /** Of all data parts together; one that does not answer counts as it last said. */
  async metrics(): Promise<MetricsSnapshot> {
    for (const { name, report } of await this.#reports(true)) this.#merger.update(name, report.metrics);
    return this.#merger.snapshot();
  }

  /** Live connections of a pod, a page at a time, so that no loop has to make all of them at once. */
  async *connections(
    podUid: string,
    direction: ConnectionReport['direction'],
    limit = 200,
  ): AsyncGenerator<readonly ConnectionReport[]> {
    for (const place of this.#places) {
      for (let afterId = 0; ;) {
        const answer = await this.#ask(
          place,
          (requestId) => ({ kind: 'connections-wanted', requestId, podUid, direction, afterId, limit }),
          reportTimeoutMs,
        );
        const page = answer?.kind === 'connections' ? answer.connections : [];
        const last = page.at(-1);
        if (last) yield page;
        if (!last || page.length < limit) break;
        afterId = last.id;
      }
    }
  }

  /** Of the data parts that have a thread of their own. */
  async profiles(kind: ProfileKind, durationMs: number): Promise<NamedProfile[]> {
    const answers = await Promise.all(
      this.#places
        .filter(({ part }) => part !== undefined && 'stop' in part)
        .map(async (place) => {
          const { name } = place;
          const ask = (requestId: number): ControlMessage => ({
            kind: 'profile-wanted',
            requestId,
            of: kind,
            durationMs,
          });
          return { thread: name, answer: await this.#ask(place, ask, durationMs + reportTimeoutMs) };
        }),
    );
    return answers.flatMap(({ thread, answer }) =>
      answer?.kind === 'profile' ? [{ thread, recorded: answer.profile }] : [],
    );
  }

  /** Resolves when all are done; one that does not say so in time is ended. */
  async drain(deadlineMs: number): Promise<void> {
    const { clock, log } = this.#options;
    this.#draining = true;
    for (const uid of this.#pods.keys()) this.#forget(uid);
    for (const place of this.#places) {
      place.restarts.cancel();
      if (!place.part) place.drained.resolve();
    }
    this.broadcast({ kind: 'drain', deadlineMs });
    await Promise.all(
      this.#places.map(async (place) => {
        const onLate = (): void => log.warn('data part does not end: it is stopped', { part: place.name });
        await endedOrLate(place.drained.promise, { clock, deadlineMs: deadlineMs + drainGraceMs, onLate });
        await place.part?.stop?.();
      }),
    );
  }

  #start(place: Place): void {
    place.name = `data-${place.index}-${this.#deaths.deaths}`;
    place.restarts.started();
    const start = this.#options.starts[place.index];
    place.part = start?.({
      post: (message) => this.#receive(place, message),
      died: (error) => this.#onDeath(place, error),
    });
  }

  #onDeath(place: Place, error: Error): void {
    const { restarts } = place;
    this.#deaths.deaths++;
    this.#options.log.error('data part died: its connections ended with it', {
      part: place.name,
      livedMs: restarts.livedMs,
      error: messageOf(error),
      stack: error.stack,
    });
    place.part = undefined;
    this.#merger.remove(place.name);
    place.questions.end();
    if (this.#draining) return place.drained.resolve();
    restarts.after(() => this.#restart(place));
  }

  #restart(place: Place): void {
    const { log, snapshot } = this.#options;
    this.#start(place);
    for (const message of snapshot()) place.part?.post(message);
    log.info('data part started again', { part: place.name, pods: this.#pods.size });
    for (const target of this.#pods.values()) void this.#serveAgain(place, target);
  }

  /** Until it is served, the pod leaves, or the data part dies once more. */
  async #serveAgain(place: Place, target: PodToServe): Promise<void> {
    const { log, clock } = this.#options;
    const { uid } = target.pod;
    const { name } = place;
    let problem: string | undefined;
    try {
      const answer = await this.#askToServe(place, duplicateTarget(target));
      problem = answer?.kind === 'pod-failed' ? answer.error : undefined;
    } catch (error) {
      // Descriptors run out where many pods come at once.
      problem = messageOf(error);
    }
    if (problem === undefined) return;
    log.error('data part cannot serve pod again yet', { part: name, pod: uid, error: problem });
    clock.after(serveAgainMs, () => {
      if (place.name === name && this.#pods.get(uid) === target) void this.#serveAgain(place, target);
    });
  }

  #forget(uid: string): void {
    const kept = this.#pods.get(uid);
    this.#pods.delete(uid);
    if (kept) closeTarget(kept);
  }

  #askToServe(place: Place, target: PodToServe): Promise<DataMessage | undefined> {
    // One of them answers a pod's DNS queries: every datagram would wake all.
    const answersDns = placeOf(target.pod.uid, this.#places.length) === place.index;
    const own = answersDns ? target : withoutListeners(target, isDnsListener);
    return this.#ask(place, (requestId) => ({ kind: 'serve-pod', requestId, target: own }), serveTimeoutMs);
  }

  async #reports(withMetrics: boolean): Promise<{ name: string; report: DataReport }[]> {
    const answers = await Promise.all(
      this.#places.map(async (place) => {
        const { name } = place;
        const ask = (requestId: number): ControlMessage => ({ kind: 'report-wanted', requestId, withMetrics });
        return { name, answer: await this.#ask(place, ask, reportTimeoutMs) };
      }),
    );
    return answers.flatMap(({ name, answer }) => (answer?.kind === 'report' ? [{ name, report: answer.report }] : []));
  }

  /** Undefined: it died, is not there, or did not answer in time. */
  #ask(place: Place, make: (requestId: number) => ControlMessage, timeoutMs: number): Promise<DataMessage | undefined> {
    const { part, questions } = place;
    if (!part) return Promise.resolve(undefined);
    return questions.ask((requestId) => part.post(make(requestId)), timeoutMs);
  }

  #receive(place: Place, message: DataMessage): void {
    switch (message.kind) {
      case 'certificate-wanted':
        return this.#options.onCertificateWanted(message);
      case 'drained':
        return place.drained.resolve();
      case 'pod-served':
      case 'pod-failed':
      case 'report':
      case 'connections':
      case 'profile':
        place.questions.answer(message.requestId, message);
    }
  }
}

/** The same for a pod always, and different pods spread. */
function placeOf(uid: string, count: number): number {
  let sum = 0;
  for (let i = 0; i < uid.length; i++) sum = (sum * 31 + uid.charCodeAt(i)) % 65_521;
  return sum % count;
}
