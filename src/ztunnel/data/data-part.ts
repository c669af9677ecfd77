/** Data part: everything that touches connections, told what to do by messages. Runs in the control part's thread or in a worker. */
import { systemClock, type Clock } from '../../lib/clock.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { spiffeId, type NetworkId, type SpiffeId } from '../../api/names.ts';
import { createCountedRevocations, parseRevocationLists, type Revocations } from '../../identity/index.ts';
import { MeshState } from '../../mesh/index.ts';
import { netnsIdentity, type NameQuery } from '../../net/index.ts';
import {
  MetricsRegistry,
  profileThread,
  registerOnDemandDns,
  registerTcpMetrics,
  type AccessLog,
} from '../../telemetry/index.ts';
import { createAuthorizer, type Authorizer } from './authorize.ts';
import { CertificateStore } from './certificate-store.ts';
import { ConnectionRegistry } from './connections.ts';
import { createDataContext, dataDefaults, type DataContext, type DataLimits } from './data-context.ts';
import { shareDns, type DnsSettings } from '../dns/dns-shared.ts';
import type { ControlMessage, DataMessage, DataPart, DataReport, PodToServe } from '../messages.ts';
import { closeTarget } from '../pod-descriptors.ts';
import { PodProxy } from './pod-proxy.ts';

export interface DataPartOptions {
  readonly network: NetworkId;
  /** Which of the data parts it is, from 0. */
  readonly worker?: number;
  readonly log: Log;
  readonly accessLog: AccessLog;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly limits?: Partial<DataLimits>;
  /** Default: the name servers of this process. */
  readonly nameQuery?: NameQuery;
  /** Absent: pods' DNS queries are not answered here. */
  readonly dns?: DnsSettings | undefined;
  /** Takes what the data part says; called in its thread. */
  readonly post: (message: DataMessage) => void;
}

/** Connections that were cut are gone after this. */
const cutWithinMs = 500;

/** Starts a data part without pods. It lives until it has drained. */
export function startDataPart(options: DataPartOptions): DataPart {
  const part = new Part(options);
  return { post: (message) => part.handle(message) };
}

/** How often a draining part looks whether its last peers have left. */
const drainLookMs = 100;

class Part {
  readonly #options: DataPartOptions;
  readonly #log: Log;
  readonly #metrics: MetricsRegistry;
  readonly #mesh = new MeshState();
  readonly #connections: ConnectionRegistry;
  readonly #authorizer: Authorizer;
  readonly #certificates: CertificateStore;
  readonly #revocations: Revocations;
  readonly #context: DataContext;
  readonly #pods = new Map<string, PodProxy>();
  /** Starts and ends of one pod happen one after the other. */
  readonly #queues = new Map<string, Promise<void>>();
  #draining = false;

  constructor(options: DataPartOptions) {
    const { log, accessLog, network, worker = 0, clock = systemClock, random = Math.random } = options;
    const limits = { ...dataDefaults, ...options.limits };
    this.#options = options;
    this.#log = log;
    this.#metrics = new MetricsRegistry({ clock, log });
    const tcpMetrics = registerTcpMetrics(this.#metrics);
    this.#connections = new ConnectionRegistry({ clock, accessLog, tcpMetrics });
    this.#authorizer = createAuthorizer({ mesh: this.#mesh, connections: this.#connections, clock, log });
    this.#certificates = new CertificateStore({
      clock,
      want: (identity) => options.post({ kind: 'certificate-wanted', identity }),
      timeoutMs: limits.handshakeTimeoutMs,
    });
    this.#revocations = createCountedRevocations(this.#metrics);
    this.#context = createDataContext(
      {
        mesh: this.#mesh,
        network,
        worker,
        clock,
        log,
        random,
        limits,
        connections: this.#connections,
        authorizer: this.#authorizer,
        certificates: this.#certificates,
        countNameLookup: registerOnDemandDns(this.#metrics),
        revocations: this.#revocations,
        dns: options.dns && shareDns(options.dns, { metrics: this.#metrics, clock }),
      },
      options.nameQuery,
    );
    this.#metrics.gauge(
      'workload_manager_active_proxy_count',
      'The total number of proxies currently running',
      () => this.#pods.size,
      'max',
    );
    this.#metrics.gauge(
      'ambit_ztunnel_connections_live',
      'Connections that are open now',
      () => this.#connections.size,
    );
  }

  handle(message: ControlMessage): void {
    switch (message.kind) {
      case 'addresses':
        return this.#mesh.applyAddresses(message.update);
      case 'authorizations':
        return this.#mesh.applyAuthorizations(message.update);
      case 'serve-pod':
        return this.#enqueue(message.target.pod.uid, () => this.#servePod(message.requestId, message.target));
      case 'drain-pod':
        return this.#enqueue(message.uid, () => this.#pods.get(message.uid)?.sendPeersAway());
      case 'remove-pod':
        // At once, even while a start is under way: that start then finds itself ended.
        this.#removePod(message.uid);
        return this.#enqueue(message.uid, () => this.#removePod(message.uid));
      case 'certificate':
        return this.#certificates.put(message.identity, message.certificate);
      case 'certificate-failed':
        return this.#certificates.fail(message.identity, message.error);
      case 'revocations':
        return this.#revocations.update(parseRevocationLists(message.lists));
      case 'report-wanted':
        return this.#options.post({ kind: 'report', requestId: message.requestId, report: this.#report(message) });
      case 'profile-wanted': {
        const { requestId, of, durationMs } = message;
        return void profileThread(of, durationMs).then(
          (profile) => this.#options.post({ kind: 'profile', requestId, profile }),
          (error: unknown) => this.#log.warn('cannot profile', { error: messageOf(error) }),
        );
      }
      case 'connections-wanted': {
        const { requestId, podUid } = message;
        const connections = this.#connections.reportPage(podUid, message);
        return this.#options.post({ kind: 'connections', requestId, connections });
      }
      case 'drain':
        return this.#drain(message.deadlineMs);
    }
  }

  #enqueue(uid: string, work: () => Promise<void> | void): void {
    const done = (this.#queues.get(uid) ?? Promise.resolve()).then(work).catch((error: unknown) => {
      this.#log.error('cannot change pod', { pod: uid, error: messageOf(error) });
    });
    this.#queues.set(uid, done);
    void done.then(() => {
      if (this.#queues.get(uid) === done) this.#queues.delete(uid);
    });
  }

  async #servePod(requestId: number, target: PodToServe): Promise<void> {
    const { uid } = target.pod;
    try {
      if (this.#draining) {
        closeTarget(target);
        throw new AmbitError('Cannot serve pod: the proxy is draining', {
          code: 'ztunnel.draining',
          blame: 'internal',
        });
      }
      const running = this.#pods.get(uid);
      if (running && sameNamespace(running.target, target)) {
        // Told again what we know: the descriptors are too many. What the agent found out since then counts from now on.
        running.update(target.pod);
        closeTarget(target);
        return this.#options.post({ kind: 'pod-served', requestId });
      }
      this.#removePod(uid);
      const proxy = new PodProxy(target, this.#context);
      await proxy.start();
      this.#pods.set(uid, proxy);
      this.#options.post({ kind: 'pod-served', requestId });
    } catch (error) {
      this.#options.post({ kind: 'pod-failed', requestId, error: messageOf(error) });
    }
  }

  #removePod(uid: string): void {
    const proxy = this.#pods.get(uid);
    if (!proxy) return;
    this.#pods.delete(uid);
    proxy.end();
    this.#certificates.keepOnly(this.#identities());
  }

  #identities(): Set<SpiffeId> {
    const identities = new Set<SpiffeId>();
    for (const { target } of this.#pods.values()) {
      const own = this.#mesh.workloadOfPod(target.pod);
      if (own) identities.add(spiffeId(own.trustDomain, own.namespace, own.serviceAccount));
    }
    return identities;
  }

  #report({ withMetrics }: { withMetrics: boolean }): DataReport {
    return {
      pods: [...this.#pods.values()].map(({ target: { pod } }) => ({
        pod,
        connectionCount: this.#connections.countOfPod(pod.uid),
      })),
      metrics: withMetrics ? this.#metrics.snapshot() : [],
    };
  }

  #drain(deadlineMs: number): void {
    if (this.#draining) return;
    this.#draining = true;
    for (const proxy of this.#pods.values()) proxy.drain();
    let cancelLook = (): void => {};
    let finished = false;
    const finish = (): void => {
      if (finished) return;
      finished = true;
      cancel();
      for (const uid of this.#pods.keys()) this.#removePod(uid);
      this.#authorizer.close();
      this.#options.post({ kind: 'drained' });
    };
    let cancel = this.#context.clock.after(deadlineMs, () => {
      forget();
      cancelLook();
      this.#connections.cutAll(
        new AmbitError('connection closed from drain', { code: 'ztunnel.drained', blame: 'internal' }),
      );
      // What was cut is logged when its sockets have closed, which is a matter of turns.
      const forgetCut = this.#connections.whenIdle(finish);
      cancel = this.#context.clock.after(cutWithinMs, () => {
        forgetCut();
        finish();
      });
    });
    // A turn later, so that what has just been accepted counts; and not while a handshake may end in a tunnel.
    const finishWhenIdle = (): void => {
      if (this.#connections.size === 0 && ![...this.#pods.values()].some((proxy) => proxy.hasClients)) return finish();
      cancelLook = this.#context.clock.after(drainLookMs, finishWhenIdle);
    };
    const forget = this.#connections.whenIdle(() => setImmediate(finishWhenIdle));
  }
}

function sameNamespace(a: PodToServe, b: PodToServe): boolean {
  if (a.netns === undefined || b.netns === undefined) return a.netns === b.netns;
  return netnsIdentity(a.netns) === netnsIdentity(b.netns);
}
