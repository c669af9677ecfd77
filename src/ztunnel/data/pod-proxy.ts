/** The proxy of one pod: it accepts from the pod's listening sockets, and has a tunnel pool of its own. */
import { setMaxListeners } from 'node:events';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { createHbonePool, tunnelDialer, type HbonePool, type TunnelKey } from '../../hbone/index.ts';
import { adoptListenSocket, closeNetns, listen, type AcceptedSocket, type Listener } from '../../net/index.ts';
import type { DataContext, PodContext } from './data-context.ts';
import type { ThroughMesh } from '../dns/exchange.ts';
import { PodDns } from '../dns/pod-dns.ts';
import { HboneInbound } from './inbound-hbone.ts';
import { servePlaintext } from './inbound-plaintext.ts';
import { openNameServerStream } from './name-server-stream.ts';
import type { PodInfo, PodListeners, PodToServe } from '../messages.ts';
import { closeListeners } from '../pod-descriptors.ts';
import { markOf } from '../ports.ts';
import { serveOutbound } from './outbound.ts';

export class PodProxy {
  readonly target: PodToServe;
  readonly #context: PodContext;
  readonly #pool: HbonePool<TunnelKey>;
  readonly #inbound: HboneInbound;
  readonly #ended = new AbortController();
  readonly #listeners: Listener[] = [];
  readonly #dns: PodDns | undefined;
  /** Descriptors that nobody accepts from yet. */
  #unserved: Record<string, number>;

  constructor(target: PodToServe, context: DataContext) {
    this.target = target;
    this.#unserved = { ...target.listeners };
    // Each handshake and dial of the pod listens for its end.
    setMaxListeners(0, this.#ended.signal);
    this.#context = { ...context, target, ended: this.#ended.signal };
    this.#inbound = new HboneInbound(this.#context);
    const { clock, log, limits, dns, idleTunnels } = context;
    this.#pool = createHbonePool({
      dial: dialerOf(this.#context),
      idle: idleTunnels,
      clock,
      log: log.child('pool', { pod: target.pod.uid }),
      limits: { dialTimeoutMs: limits.connectTimeoutMs + limits.handshakeTimeoutMs },
    });
    const path = { pod: this.#context, pool: this.#pool };
    const throughMesh: ThroughMesh = (server, signal) => openNameServerStream(server, path, signal);
    this.#dns = dns && new PodDns({ ...this.#context, throughMesh }, dns);
  }

  /** Accepts from all listeners, or from none. */
  async start(): Promise<void> {
    const pod = this.#context;
    const pool = this.#pool;
    try {
      await this.#accept('hbone', (accepted) => this.#inbound.serve(accepted));
      await this.#accept('plaintext', (accepted) => servePlaintext(accepted, pod));
      await this.#accept('outbound', (accepted) => serveOutbound(accepted, { pod, pool }));
      if (this.#dns) await this.#dns.start(this.#unserved);
    } catch (error) {
      this.end();
      throw error;
    }
  }

  /** The agent knows more of the pod, or otherwise: its resolvers, its mark. */
  update({ mark, resolver, ...names }: PodInfo): void {
    // In place: whoever serves the pod looks it up there, each time.
    Object.assign(this.target.pod, names, { mark, resolver });
  }

  /** The pod is about to end: its peers are told to move on, and served until it does. */
  sendPeersAway(): void {
    this.#inbound.drain();
  }

  /** Accepts no more; clients are told, and what was accepted goes on, also where it still has to reach its destination. */
  drain(): void {
    this.#closeListeners();
    this.#dns?.drain();
    this.#inbound.drain();
  }

  /** Peers that may still open tunnels. */
  get hasClients(): boolean {
    return this.#inbound.hasClients;
  }

  /** Ends everything of this pod at once. */
  end(): void {
    if (this.#ended.signal.aborted) return;
    const error = new AmbitError('connection closed: the pod left the proxy', {
      code: 'ztunnel.pod-removed',
      blame: 'internal',
    });
    this.#closeListeners();
    this.#ended.abort(error);
    this.#dns?.close();
    this.#context.connections.cutPod(this.target.pod.uid, error);
    this.#inbound.close(error);
    this.#pool.close(undefined, error);
    if (this.target.netns !== undefined) closeNetns(this.target.netns);
  }

  async #accept(name: ListenerName, onConnection: (accepted: AcceptedSocket) => Promise<void>): Promise<void> {
    const { listenAt } = this.target;
    const { log, connections } = this.#context;
    const handlers = {
      onConnection: (accepted: AcceptedSocket) =>
        connections.whenLogged(
          () => serve(accepted),
          () => void accepted.socket.resetAndDestroy(),
        ),
      onError: (error: Error) => log.error('listener failed', { listener: name, error: error.message }),
    };
    const serve = (accepted: AcceptedSocket): void => {
      // Accepted in the same turn in which the pod left: its namespace is closed.
      if (this.#ended.signal.aborted) return void accepted.socket.destroy();
      onConnection(accepted).catch((error: unknown) => {
        // They do not reject; if one does, it must not take the other connections of the node with it.
        log.error('connection broke the proxy', { listener: name, error: messageOf(error) });
        accepted.socket.destroy();
      });
    };
    const fd = this.#unserved[name];
    // From here on it is the listener's, also when it fails.
    delete this.#unserved[name];
    const at = listenAt && { host: listenAt.host, port: listenAt[listenAtPort[name]] };
    if (fd === undefined && !at)
      throw new AmbitError(`Cannot serve pod: it came without the listener "${name}"`, {
        code: 'ztunnel.no-listener',
        blame: 'internal',
      });
    const listener = await (fd === undefined
      ? listen({ ...(at as { host: string; port: number }), ...handlers })
      : adoptListenSocket({ fd, ...handlers }));
    // The pod may have left meanwhile.
    if (this.#ended.signal.aborted) void listener.close();
    else this.#listeners.push(listener);
  }

  #closeListeners(): void {
    for (const listener of this.#listeners.splice(0)) void listener.close();
    closeListeners(this.#unserved as unknown as PodListeners);
    this.#unserved = {};
  }
}

type ListenerName = 'hbone' | 'plaintext' | 'outbound';

const listenAtPort = { hbone: 'inboundPort', plaintext: 'plaintextPort', outbound: 'outboundPort' } as const;

/** From the pod's namespace and with the pod's certificate. */
function dialerOf(pod: PodContext): ReturnType<typeof tunnelDialer> {
  const { target, certificates, ended, revocations, limits } = pod;
  const { netns } = target;
  return tunnelDialer({
    certificate: (identity, signal) => certificates.get(identity, signal),
    ended,
    ...(netns === undefined ? {} : { from: () => ({ netns, mark: markOf(target.pod) }) }),
    connectTimeoutMs: limits.connectTimeoutMs,
    handshakeTimeoutMs: limits.handshakeTimeoutMs,
    keepAliveMs: limits.keepAliveMs,
    allowTls12: limits.allowTls12,
    revocations,
  });
}
