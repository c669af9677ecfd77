/** The proxy of one pod: three listeners inside its network namespace, and its own tunnel pool. */
import { setMaxListeners } from 'node:events';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { createHbonePool, type HbonePool } from '../../hbone/index.ts';
import { closeNetns, listen, type AcceptedSocket, type Listener } from '../../net/index.ts';
import type { DataContext, PodContext } from './data-context.ts';
import { HboneInbound } from './inbound-hbone.ts';
import { servePlaintext } from './inbound-plaintext.ts';
import type { PodToServe } from '../messages.ts';
import { serveOutbound } from './outbound.ts';
import { hbonePort, outboundPort, plaintextPort, proxyMark } from '../ports.ts';
import { tunnelDialer, type TunnelKey } from './tunnel-dialer.ts';

export class PodProxy {
  readonly target: PodToServe;
  readonly #context: PodContext;
  readonly #pool: HbonePool<TunnelKey>;
  readonly #inbound: HboneInbound;
  readonly #ended = new AbortController();
  readonly #listeners: Listener[] = [];

  constructor(target: PodToServe, context: DataContext) {
    this.target = target;
    // Each handshake and dial of the pod listens for its end.
    setMaxListeners(0, this.#ended.signal);
    this.#context = { ...context, target, ended: this.#ended.signal };
    this.#inbound = new HboneInbound(this.#context);
    const { clock, log, limits } = context;
    this.#pool = createHbonePool({
      dial: tunnelDialer(this.#context),
      clock,
      log: log.child('pool', { pod: target.pod.uid }),
      limits: { dialTimeoutMs: limits.connectTimeoutMs + limits.handshakeTimeoutMs },
    });
  }

  /** Opens the listeners, all or none. */
  async start(): Promise<void> {
    const at = this.target.listenAt;
    const pod = this.#context;
    const pool = this.#pool;
    try {
      await this.#listen(at?.inboundPort ?? hbonePort, (accepted) => this.#inbound.serve(accepted));
      await this.#listen(at?.plaintextPort ?? plaintextPort, (accepted) => servePlaintext(accepted, pod));
      await this.#listen(at?.outboundPort ?? outboundPort, (accepted) => serveOutbound(accepted, { pod, pool }));
    } catch (error) {
      this.end();
      throw error;
    }
  }

  /** No new connections; clients are told, live ones go on. */
  drain(): void {
    this.#closeListeners();
    this.#inbound.drain();
    this.#pool.drain();
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
    this.#context.connections.cutPod(this.target.pod.uid, error);
    this.#inbound.close(error);
    this.#pool.close(undefined, error);
    if (this.target.netns !== undefined) closeNetns(this.target.netns);
  }

  async #listen(port: number, onConnection: (accepted: AcceptedSocket) => Promise<void>): Promise<void> {
    const { netns, listenAt } = this.target;
    const { log } = this.#context;
    const listener = await listen({
      ...(netns === undefined ? {} : { netns, mark: proxyMark, transparent: true }),
      host: listenAt?.host ?? '::',
      port,
      // The ztunnel that comes next listens here before this one stops to.
      reusePort: true,
      onConnection: (accepted) => {
        // Accepted in the same turn in which the pod left: its namespace is closed.
        if (this.#ended.signal.aborted) return void accepted.socket.destroy();
        onConnection(accepted).catch((error: unknown) => {
          // They do not reject; if one does, it must not take the other connections of the node with it.
          log.error('connection broke the proxy', { port, error: messageOf(error) });
          accepted.socket.destroy();
        });
      },
      onError: (error) => log.error('listener failed', { port, error: error.message }),
    });
    this.#listeners.push(listener);
  }

  #closeListeners(): void {
    for (const listener of this.#listeners.splice(0)) void listener.close();
  }
}
