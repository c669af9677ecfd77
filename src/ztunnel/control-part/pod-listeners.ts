/** The listening sockets of the pods, opened inside their network namespaces or taken from the listener holder. */
import { AmbitError } from '../../lib/errors.ts';
import { isListenedOn, netnsIdentity, openListenSocket } from '../../net/index.ts';
import type { HolderClient } from '../holder/holder-client.ts';
import { dnsListenerNames, openDnsListener } from '../dns/dns-listeners.ts';
import type { PodListeners } from '../messages.ts';
import { closeListeners } from '../pod-descriptors.ts';
import { hbonePort, outboundPort, plaintextPort, proxyMark } from '../ports.ts';

/** TCP ports by the name of their listener. */
const portOf = { hbone: hbonePort, plaintext: plaintextPort, outbound: outboundPort } as const;
const names = Object.keys(portOf) as (keyof typeof portOf)[];

export interface ListenerStoreOptions {
  /** Pods get sockets for their DNS queries too. Default false. */
  readonly captureDns?: boolean;
}

/** A pod's namespace, and what sockets in it are marked with. */
export interface ListenIn {
  readonly uid: string;
  readonly netns: number;
  readonly mark?: number | undefined;
  /** Of the pod, where we were told. */
  readonly resolver?: { readonly nameservers: readonly string[] } | undefined;
}

export class ListenerStore {
  readonly #holder: Pick<HolderClient, 'hold' | 'take' | 'look' | 'release'>;
  readonly #open = new Map<string, { readonly netns: string; readonly listeners: PodListeners }>();

  /** The namespace that was asked for last, by pod. */
  readonly #wanted = new Map<string, string>();
  readonly #captureDns: boolean;

  constructor(holder: Pick<HolderClient, 'hold' | 'take' | 'look' | 'release'>, options: ListenerStoreOptions = {}) {
    this.#holder = holder;
    this.#captureDns = options.captureDns ?? false;
  }

  /**
   * The listening sockets of the pod, all of them or none; they stay the store's until `close`. A socket that nobody accepts
   * from takes connections away from one beside it, so have them served at once, or close them. Throws `net.*`.
   */
  async open(pod: ListenIn): Promise<PodListeners> {
    const netns = netnsIdentity(pod.netns);
    this.#wanted.set(pod.uid, netns);
    const known = this.#open.get(pod.uid);
    if (known?.netns === netns) return known.listeners;
    const opened: Record<string, number> = {};
    const dnsNames = this.#captureDns ? dnsListenerNames(pod.resolver?.nameservers.length) : [];
    try {
      // Held ones first: those that are opened here begin to get connections at once.
      await Promise.all(
        [...names, ...dnsNames].map(async (listener) => {
          const held = await this.#holder.take({ pod: pod.uid, netns, listener });
          if (held !== undefined) opened[listener] = held;
        }),
      );
      // The pod may have left, or come back, and its descriptor be something else by now.
      if (this.#wanted.get(pod.uid) !== netns || netnsIdentity(pod.netns) !== netns)
        throw new AmbitError('Cannot listen for pod: it left that network namespace', {
          code: 'ztunnel.pod-removed',
          blame: 'internal',
        });
      for (const name of names) opened[name] ??= openListener(pod, portOf[name]);
      for (const name of dnsNames) {
        const fd = opened[name] ?? openDnsListener(name, { netns: pod.netns, mark: pod.mark ?? proxyMark });
        // There is no IPv6 in the namespace.
        if (fd !== undefined) opened[name] = fd;
      }
    } catch (error) {
      closeListeners(opened as unknown as PodListeners);
      throw error;
    }
    const listeners = opened as unknown as PodListeners;
    // Whoever asked twice at once has two of each: one is enough.
    const other = this.#open.get(pod.uid);
    if (other?.netns === netns) {
      closeListeners(listeners);
      return other.listeners;
    }
    // Of an earlier namespace: the holder must not be given numbers that are others' by then.
    if (other) this.#release(pod.uid);
    this.#open.set(pod.uid, { netns, listeners });
    return listeners;
  }

  /** They are accepted from: now they may be held. */
  served(uid: string): void {
    const { netns, listeners } = this.#open.get(uid) ?? {};
    if (netns === undefined || !listeners) return;
    this.#holder.hold(
      uid,
      Object.entries(listeners).map(([listener, fd]) => ({ name: { pod: uid, netns, listener }, fd })),
    );
  }

  /** Nobody accepts from them here any more, and nobody else should. */
  close(uid: string): void {
    this.#wanted.delete(uid);
    this.#release(uid);
  }

  /** Takes our hands off all of them; what is held stays held for a successor. */
  closeAll(): void {
    for (const { listeners } of this.#open.values()) closeListeners(listeners);
    this.#open.clear();
    this.#wanted.clear();
  }

  #release(uid: string): void {
    const open = this.#open.get(uid);
    this.#open.delete(uid);
    this.#holder.release(uid);
    if (open) closeListeners(open.listeners);
  }

  /** Whether somebody else accepts the pod's connections now. */
  async servedByAnother({ uid, netns }: ListenIn): Promise<boolean> {
    if (!isListenedOn({ netns, host: '::', port: hbonePort })) return false;
    const { held, accepted } = await this.#holder.look({ pod: uid, netns: netnsIdentity(netns), listener: 'hbone' });
    // What listens is the socket that is held, or another that the holder does not know.
    return !held || accepted;
  }
}

function openListener({ netns, mark }: ListenIn, port: number): number {
  return openListenSocket({
    netns,
    host: '::',
    port,
    mark: mark ?? proxyMark,
    transparent: true,
    // A ztunnel that cannot be handed ours listens here beside us before we stop to.
    reusePort: true,
  });
}
