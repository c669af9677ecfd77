/** Live connections: one record each from its first moment to its line in the access log. */
import type { SpiffeId, WorkloadUid } from '../../api/names.ts';
import type { MeshService, MeshWorkload } from '../../api/workload.ts';
import type { Clock } from '../../lib/clock.ts';
import { LightSignal, type Abortable } from '../../lib/light-signal.ts';
import { LinkedList, type Link } from '../../lib/linked-list.ts';
import type { AccessLog, AccessLogPeer, Series, TcpMetricName, TcpMetrics } from '../../telemetry/index.ts';
import type { ConnectionFacts } from '../../policy/index.ts';
import type { ConnectionReport } from '../messages.ts';
import { describeFailure, flagsOfCut } from './failures.ts';
import {
  accessPeer,
  identityOf,
  labelSetOf,
  trafficLabels,
  type ResponseFlags,
  type Traffic,
  type WorkloadLabels,
} from './traffic.ts';

export interface ConnectionTelemetry {
  readonly clock: Clock;
  readonly accessLog: AccessLog;
  readonly tcpMetrics: TcpMetrics;
}

/** What is known of a connection when it is opened; ends that become known later are filled in by `describe`. */
export interface ConnectionStart {
  readonly podUid: string;
  readonly direction: 'inbound' | 'outbound';
  readonly src: string;
  readonly originalDst: string;
}

export interface ConnectionDescription {
  readonly protocol: 'HBONE' | 'TCP';
  /** Where it really goes: the tunnel's end, or the application. */
  readonly actualDst: string;
  /** CONNECT target. */
  readonly hboneAddr?: string;
  readonly sourceWorkload: MeshWorkload | undefined;
  /** When the mesh does not know the source: what it says of itself. */
  readonly sourceLabels?: WorkloadLabels;
  readonly sourceIdentity?: SpiffeId | undefined;
  readonly destinationWorkload: MeshWorkload | undefined;
  /** What the far end says of itself, where the workload is only the gateway to it. */
  readonly destinationLabels?: WorkloadLabels;
  readonly destinationIdentity?: SpiffeId | undefined;
  readonly service: MeshService | undefined;
  readonly traceId?: string | undefined;
}

export interface ConnectionEnd {
  readonly flags?: ResponseFlags;
  readonly error?: Error | undefined;
  /** The policy that decided. */
  readonly policy?: string | undefined;
}

/** An inbound connection as the re-check sees it. */
export interface AuthorizedConnection {
  readonly own: MeshWorkload;
  readonly facts: ConnectionFacts;
}

/** One connection. `finish` is called exactly once, whatever happened. */
export class Connection {
  /** Ascending in the order of their beginning. */
  readonly id: number;
  readonly start: ConnectionStart;
  /** Its registry's. */
  place: Link<Connection> | undefined;
  readonly #telemetry: ConnectionTelemetry;
  readonly #onFinish: (connection: Connection) => void;
  readonly #startedMs: number;
  /** Made when somebody waits for it: most connections are never cut. */
  #abort: AbortController | undefined;
  #wait: LightSignal | undefined;
  #cutError: Error | undefined;
  #description: ConnectionDescription | undefined;
  #series: Series<TcpMetricName> | undefined;
  #traffic: Traffic | undefined;
  #cut: ((error: Error) => void) | undefined;
  #cutBy: string | undefined;
  #finished = false;
  /** From the client to the server, and back. */
  bytesReceived = 0;
  bytesSent = 0;
  #authorized: AuthorizedConnection | undefined;
  #policy: string | undefined;

  constructor(
    id: number,
    start: ConnectionStart,
    { telemetry, onFinish }: { telemetry: ConnectionTelemetry; onFinish: (connection: Connection) => void },
  ) {
    this.id = id;
    this.start = start;
    this.#telemetry = telemetry;
    this.#onFinish = onFinish;
    this.#startedMs = telemetry.clock.nowMs();
  }

  /** Aborts when the connection is cut before it is established. */
  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.#cutError) this.#abort.abort(this.#cutError);
    }
    return this.#abort.signal;
  }

  /** The same, for who waits in every connection. */
  get wait(): Abortable {
    if (!this.#wait) {
      this.#wait = new LightSignal();
      if (this.#cutError) this.#wait.abort(this.#cutError);
    }
    return this.#wait;
  }

  /** Why it was cut; undefined while it was not. */
  get cutError(): Error | undefined {
    return this.#cutError;
  }

  /** Set once policies are asked; from then on changes ask again. */
  get authorized(): AuthorizedConnection | undefined {
    return this.#authorized;
  }

  /** Before the policies are asked, so that a change in between is not missed. */
  authorize(asked: AuthorizedConnection): void {
    this.#authorized = asked;
  }

  /** The policy that allowed it. */
  allowedBy(policy: string | undefined): void {
    this.#policy = policy;
  }

  /** Names the ends; the connection counts as opened from here. Once. */
  describe(description: ConnectionDescription): void {
    this.#description = description;
    this.#traffic = {
      reporter: this.start.direction === 'outbound' ? 'source' : 'destination',
      source: description.sourceWorkload ?? description.sourceLabels,
      sourceIdentity: description.sourceIdentity,
      destination: description.destinationLabels ?? description.destinationWorkload,
      destinationIdentity: description.destinationIdentity ?? identityOf(description.destinationWorkload),
      service: description.service,
    };
    const { traffic, open } = this.#telemetry.tcpMetrics;
    this.#series = traffic.acquire(labelSetOf(this.#traffic));
    this.#series.values.opened++;
    open[this.#traffic.reporter].values.open++;
  }

  /** `cut` ends both sides; from now on aborting calls it. */
  established(cut: (error: Error) => void): void {
    this.#cut = cut;
    // Nobody waits any more, and an idle connection is counted in bytes.
    this.#abort = undefined;
    this.#wait = undefined;
    this.#telemetry.accessLog.opened(() => ({ ...this.#peers(), ...this.#told() }));
    if (this.#cutError) cut(this.#cutError);
  }

  /** Bytes of the client (`a` of the pump), counted as they pass. */
  countReceived(byteCount: number): void {
    this.bytesReceived += byteCount;
    if (this.#series) this.#series.values.received += byteCount;
  }

  countSent(byteCount: number): void {
    this.bytesSent += byteCount;
    if (this.#series) this.#series.values.sent += byteCount;
  }

  /** Ends it from outside: drain, removal, policy change (then with the policy). `finish` follows from whoever runs it. */
  cut(error: Error, policy?: string): void {
    if (this.#cutError) return;
    this.#cutError = error;
    this.#cutBy = policy;
    this.#abort?.abort(error);
    this.#wait?.abort(error);
    this.#cut?.(error);
  }

  finish(end: ConnectionEnd): void {
    if (this.#finished) return;
    this.#finished = true;
    const { clock, accessLog } = this.#telemetry;
    // What ended under it, a tunnel of a revoked certificate, counts as it would have been cut here.
    this.#count(this.#cutError ? flagsOfCut(this.#cutError) : (end.flags ?? flagsOfCut(end.error)));
    // Who cut it knows better than the socket that noticed.
    const failure = this.#cutError ?? end.error;
    const { direction } = this.start;
    const { protocol = 'TCP', actualDst = this.start.originalDst } = this.#description ?? {};
    const error = failure && describeFailure(failure, { direction, protocol, actualDst });
    if (this.#description) {
      accessLog.complete({
        ...this.#peers(),
        ...this.#told(),
        ...this.#localBytes(),
        durationMs: clock.nowMs() - this.#startedMs,
        policy: this.#cutBy ?? end.policy ?? this.#policy,
        error,
      });
    } else accessLog.failed({ ...this.#peers(), direction, error });
    this.#onFinish(this);
  }

  report(): ConnectionReport {
    const about = this.#description;
    return {
      id: this.id,
      direction: this.start.direction,
      src: this.start.src,
      originalDst: this.start.originalDst,
      actualDst: about?.actualDst ?? this.start.originalDst,
      protocol: about?.protocol ?? 'TCP',
      hboneAddr: about?.hboneAddr,
      sourceWorkload: about?.sourceWorkload && workloadKey(about.sourceWorkload),
      destinationWorkload: about?.destinationWorkload && workloadKey(about.destinationWorkload),
      service: about?.service?.hostname,
      sourceIdentity: about?.sourceIdentity,
      destinationIdentity: about?.destinationIdentity,
      startedMs: this.#startedMs,
      ...this.#localBytes(),
      policy: this.#policy,
    };
  }

  #count(flags: ResponseFlags): void {
    const { traffic, open } = this.#telemetry.tcpMetrics;
    if (!this.#series || !this.#traffic) return;
    if (flags === '-') this.#series.values.closed++;
    else {
      traffic.record(trafficLabels(this.#traffic, flags), (values) => {
        values.closed++;
        values.failed++;
      });
    }
    traffic.release(this.#series);
    open[this.#traffic.reporter].values.open--;
  }

  #told(): { direction: 'inbound' | 'outbound'; traceId: string | undefined } {
    return { direction: this.start.direction, traceId: this.#description?.traceId };
  }

  /** As the workload here sees it: sent by it, received by it. */
  #localBytes(): { bytesSent: number; bytesReceived: number } {
    const { bytesSent, bytesReceived } = this;
    return this.start.direction === 'outbound'
      ? { bytesSent: bytesReceived, bytesReceived: bytesSent }
      : { bytesSent, bytesReceived };
  }

  #peers(): {
    source: AccessLogPeer;
    destination: AccessLogPeer & { hboneAddr?: string | undefined; service?: string | undefined };
  } {
    const about = this.#description;
    if (!about) return { source: { addr: this.start.src }, destination: { addr: this.start.originalDst } };
    const source = accessPeer(this.start.src, about.sourceWorkload, about.sourceIdentity);
    const said = about.sourceWorkload ? undefined : about.sourceLabels;
    return {
      source: said
        ? { ...source, workload: said.workloadName, namespace: said.namespace, cluster: said.clusterId }
        : source,
      destination: {
        ...accessPeer(about.actualDst, about.destinationWorkload, about.destinationIdentity),
        hboneAddr: about.hboneAddr,
        service: about.service?.hostname,
      },
    };
  }
}

function workloadKey({ namespace, name }: MeshWorkload): string {
  return `${namespace}/${name}`;
}

/** Which connections of a pod to tell of: so many after that id. */
export interface ConnectionPage {
  readonly direction: ConnectionReport['direction'];
  readonly afterId: number;
  readonly limit: number;
}

/** The live connections of a pod, in the order of their beginning. */
interface PodConnections {
  readonly live: LinkedList<Connection>;
  /** It is forgotten with its last connection. */
  isGone: boolean;
}

/** Each holds a descriptor, and counts against no limit of connections yet. */
const maxUnlogged = 1000;

/** All live connections of a data part, by pod. */
export class ConnectionRegistry {
  /** What every connection gets. */
  readonly #lifetime: ConstructorParameters<typeof Connection>[2];
  #nextId = 1;
  readonly #byPod = new Map<string, PodConnections>();
  readonly #idleWaiters = new Set<() => void>();
  /** Connections that wait for the log. */
  #unlogged = 0;
  #size = 0;

  constructor(telemetry: ConnectionTelemetry) {
    this.#lifetime = { telemetry, onFinish: (connection) => this.#remove(connection) };
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Runs `take` once what becomes of a connection can be logged: at once, but where the log's reader is slow. `refuse` runs
   * instead when too many wait already.
   */
  whenLogged(take: () => void, refuse: () => void): void {
    const room = this.#lifetime.telemetry.accessLog.room();
    if (!room) return take();
    if (this.#unlogged >= maxUnlogged) return refuse();
    this.#unlogged++;
    void room.then(() => {
      this.#unlogged--;
      take();
    });
  }

  open(start: ConnectionStart): Connection {
    const connection = new Connection(this.#nextId++, start, this.#lifetime);
    let pod = this.#byPod.get(start.podUid);
    if (!pod) this.#byPod.set(start.podUid, (pod = { live: new LinkedList(), isGone: false }));
    connection.place = pod.live.add(connection);
    this.#size++;
    return connection;
  }

  ofPod(uid: string): Iterable<Connection> {
    return this.#byPod.get(uid)?.live ?? [];
  }

  /** Inbound connections of pods whose workload is one of `uids`, among others that asked no policy: each look is a step. */
  *inboundOf(uids: ReadonlySet<WorkloadUid>): Iterable<Connection> {
    for (const { live } of this.#byPod.values()) {
      for (const connection of live) {
        const { authorized } = connection;
        // All connections of a pod are to the same workload.
        if (authorized && !uids.has(authorized.own.uid)) break;
        yield connection;
      }
    }
  }

  *all(): Iterable<Connection> {
    for (const { live } of this.#byPod.values()) yield* live;
  }

  countOfPod(uid: string): number {
    return this.#byPod.get(uid)?.live.size ?? 0;
  }

  reportPage(uid: string, { direction, afterId, limit }: ConnectionPage): ConnectionReport[] {
    const page: ConnectionReport[] = [];
    for (const connection of this.ofPod(uid)) {
      if (connection.id <= afterId || connection.start.direction !== direction) continue;
      if (page.length >= limit) break;
      page.push(connection.report());
    }
    return page;
  }

  /** The pod is no longer served: its connections end. */
  cutPod(uid: string, error: Error): void {
    const pod = this.#byPod.get(uid);
    if (!pod) return;
    pod.isGone = true;
    for (const connection of pod.live) connection.cut(error);
    if (pod.live.size === 0) this.#byPod.delete(uid);
  }

  cutAll(error: Error): void {
    for (const connection of this.all()) connection.cut(error);
  }

  /** Calls `run` when no connection is left, at once if there is none; the returned function forgets it. */
  whenIdle(run: () => void): () => void {
    if (this.#size === 0) run();
    else this.#idleWaiters.add(run);
    return () => void this.#idleWaiters.delete(run);
  }

  #remove(connection: Connection): void {
    const { podUid } = connection.start;
    const pod = this.#byPod.get(podUid);
    if (!pod || !connection.place || !pod.live.remove(connection.place)) return;
    if (pod.isGone && pod.live.size === 0) this.#byPod.delete(podUid);
    this.#size--;
    if (this.#size > 0) return;
    for (const run of this.#idleWaiters) run();
    this.#idleWaiters.clear();
  }
}
