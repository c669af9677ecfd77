/** The DNS proxy of one pod: its sockets, adopted, and what answers on them. */
import type { Socket } from 'node:net';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { MeshState } from '../../mesh/index.ts';
import { adoptListenSocket, type Listener } from '../../net/index.ts';
import { waitForMesh } from '../data/wait-for-mesh.ts';
import type { PodToServe } from '../messages.ts';
import { markOf } from '../ports.ts';
import { DatagramServer } from './datagram-server.ts';
import { openDnsListener, parseDnsListenerName } from './dns-listeners.ts';
import { SocketExchange, type ThroughMesh } from './exchange.ts';
import { DnsResponder, type DnsShared } from './responder.ts';
import { serveDnsClient } from './tcp-client.ts';

/** Shorter than what resolvers wait: the client is to hear of it. */
const ownWorkloadMs = 2000;
const connectTimeoutMs = 3000;
const maxTcpClients = 128;

/** The pod whose queries are answered. */
export interface DnsPod {
  readonly target: PodToServe;
  readonly mesh: MeshState;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** Aborts when the pod goes away, before its namespace is closed. */
  readonly ended: AbortSignal;
  readonly throughMesh?: ThroughMesh;
}

export class PodDns {
  readonly #pod: DnsPod;
  readonly #log: Log;
  readonly #exchange: SocketExchange;
  readonly #responder: DnsResponder;
  readonly #udp: DatagramServer[] = [];
  readonly #tcp: Listener[] = [];
  readonly #clients = new Set<Socket>();
  #isClosed = false;

  constructor(pod: DnsPod, shared: DnsShared) {
    this.#pod = pod;
    const { mesh, clock, random, ended, target, throughMesh } = pod;
    this.#log = pod.log.child('dns', { pod: target.pod.name, namespace: target.pod.namespace });
    const { netns } = target;
    this.#exchange = new SocketExchange({
      ...(netns === undefined ? {} : { inside: { netns, mark: markOf(target.pod) } }),
      connectTimeoutMs,
      throughMesh,
    });
    const probe = (): ReturnType<typeof mesh.workloadOfPod> => mesh.workloadOfPod(target.pod);
    this.#responder = new DnsResponder({
      shared,
      mesh,
      clock,
      random,
      ended,
      log: this.#log,
      own: () => probe() ?? waitForMesh({ mesh, clock, timeoutMs: ownWorkloadMs, signal: ended, probe }),
      resolver: () => target.pod.resolver,
      exchange: this.#exchange.ask,
    });
  }

  /** Takes those of `listeners` that are for DNS out of it, each its own from then on. When it rejects, the rest is still in there. */
  async start(listeners: Record<string, number>): Promise<void> {
    for (const [name, fd] of Object.entries(listeners)) {
      const what = parseDnsListenerName(name);
      if (!what) continue;
      delete listeners[name];
      const { protocol, family, serverIndex } = what;
      if (protocol === 'udp') {
        const server = await DatagramServer.start({
          fd,
          family,
          log: this.#log,
          isNoise: (from) => {
            const isOwn = this.#exchange.isOwn(from);
            if (isOwn) this.#log.debug('query of ours came back', { port: from.port });
            return isOwn;
          },
          respond: (message) => this.#responder.respond(message, { protocol, serverIndex }),
          reopen: () => this.#reopen(name),
        });
        if (this.#isClosed) server.close();
        else this.#udp.push(server);
      } else {
        const listener = await adoptListenSocket({
          fd,
          onConnection: ({ socket }) => this.#serveTcp(socket, serverIndex),
          onError: (error) => this.#log.warn('DNS listener failed', { error: messageOf(error) }),
        });
        if (this.#isClosed) void listener.close();
        else this.#tcp.push(listener);
      }
    }
  }

  /** Takes nothing new: that is for the next ztunnel. Who has asked is answered. */
  drain(): void {
    for (const listener of this.#tcp.splice(0)) void listener.close();
    for (const server of this.#udp) {
      server.stopReceiving().catch((error: unknown) => {
        this.#log.warn('DNS socket is not handed over', { error: messageOf(error) });
      });
    }
  }

  /** Ends it at once. */
  close(): void {
    this.#isClosed = true;
    for (const listener of this.#tcp.splice(0)) void listener.close();
    for (const client of this.#clients) client.destroy();
    for (const server of this.#udp.splice(0)) server.close();
  }

  /** Undefined where there is no namespace to open it in. */
  #reopen(name: string): number | undefined {
    const { netns, pod } = this.#pod.target;
    return netns === undefined || this.#isClosed ? undefined : openDnsListener(name, { netns, mark: markOf(pod) });
  }

  #serveTcp(socket: Socket, serverIndex: number): void {
    if (this.#isClosed || this.#clients.size >= maxTcpClients) return void socket.resetAndDestroy();
    this.#clients.add(socket);
    socket.on('close', () => this.#clients.delete(socket));
    serveDnsClient(socket, (message) => this.#responder.respond(message, { protocol: 'tcp', serverIndex }));
  }
}
