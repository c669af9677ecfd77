/** The pods of this node, as the node agent names them: has the data parts serve them and their certificates ready. */
import type { Clock } from '../../lib/clock.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { spiffeId, type SpiffeId } from '../../api/names.ts';
import type { CertificateManager } from '../../identity/index.ts';
import { closeDescriptor, duplicateDescriptor, netnsIdentity } from '../../net/index.ts';
import type { PodInfo, PodListeners, PodToServe } from '../messages.ts';
import { closeListeners, duplicateListeners } from '../pod-descriptors.ts';
import type { ZdsHandler } from './zds-client.ts';

export interface PodManagerOptions {
  readonly trustDomain: string;
  readonly certificates: CertificateManager;
  readonly clock: Clock;
  readonly log: Log;
  /** Opens the listening sockets of the pod in the namespace. */
  readonly listen: (netns: number) => PodListeners;
  /** Has every data part serve the pod; it owns the descriptors. */
  readonly serve: (target: PodToServe) => Promise<void>;
  readonly remove: (uid: string) => void;
  readonly onReady: (isReady: boolean) => void;
}

interface Pod {
  readonly identity: SpiffeId;
  state: 'starting' | 'up' | 'pending';
  /** Ours until the pod leaves: data parts get duplicates. */
  sockets: { readonly netns: string; readonly listeners: PodListeners } | undefined;
  /** Ends a retry and closes its descriptor. */
  cancelRetry: () => void;
}

const retryMs = 5000;

export class PodManager implements ZdsHandler {
  readonly #options: PodManagerOptions;
  readonly #pods = new Map<string, Pod>();
  /** Counted here, read by metrics. */
  counts = { started: 0, stopped: 0 };

  constructor(options: PodManagerOptions) {
    this.#options = options;
  }

  /** Takes our hands off the listening sockets: data parts close theirs as they drain. */
  close(): void {
    for (const pod of this.#pods.values()) {
      pod.cancelRetry();
      if (pod.sockets) closeListeners(pod.sockets.listeners);
      pod.sockets = undefined;
    }
  }

  /** Pods that could not be served yet; they are tried again. */
  get pendingCount(): number {
    return [...this.#pods.values()].filter((pod) => pod.state === 'pending').length;
  }

  async serve(info: PodInfo, netns: number): Promise<void> {
    const { trustDomain, certificates, log } = this.#options;
    const identity = spiffeId(trustDomain, info.namespace, info.serviceAccount);
    const before = this.#pods.get(info.uid);
    const pod: Pod = {
      identity,
      state: before?.state === 'up' ? 'up' : 'starting',
      sockets: before?.sockets,
      cancelRetry: () => {},
    };
    this.#pods.set(info.uid, pod);
    // Ahead of the first handshake.
    certificates.retain(identity);
    if (before) {
      before.cancelRetry();
      certificates.release(before.identity);
    }
    try {
      await this.#tryServe(pod, info, netns);
      log.info('pod served', { pod: info.uid, name: info.name, namespace: info.namespace, identity });
    } catch (error) {
      log.error('pod not served', {
        pod: info.uid,
        name: info.name,
        namespace: info.namespace,
        error: messageOf(error),
      });
      if (this.#pods.get(info.uid) === pod) return this.#retryLater(pod, info, netns, error);
      closeDescriptor(netns);
      throw error;
    }
    closeDescriptor(netns);
  }

  remove(uid: string): void {
    const pod = this.#pods.get(uid);
    if (!pod) return;
    this.#pods.delete(uid);
    pod.cancelRetry();
    this.#options.remove(uid);
    if (pod.sockets) closeListeners(pod.sockets.listeners);
    this.#options.certificates.release(pod.identity);
    this.counts.stopped++;
    this.#options.log.info('pod removed', { pod: uid });
  }

  retainOnly(uids: ReadonlySet<string>): void {
    for (const uid of this.#pods.keys()) if (!uids.has(uid)) this.remove(uid);
  }

  ready(isReady: boolean): void {
    this.#options.onReady(isReady);
  }

  async #tryServe(pod: Pod, info: PodInfo, netns: number): Promise<void> {
    const listeners = duplicateListeners(this.#listenersOf(pod, netns));
    await this.#options.serve({ pod: info, netns: duplicateDescriptor(netns), listeners });
    if (this.#pods.get(info.uid) !== pod) {
      throw new AmbitError('Cannot serve pod: it left', { code: 'ztunnel.pod-removed', blame: 'internal' });
    }
    if (pod.state !== 'up') this.counts.started++;
    pod.state = 'up';
  }

  #listenersOf(pod: Pod, netns: number): PodListeners {
    const identity = netnsIdentity(netns);
    if (pod.sockets && pod.sockets.netns !== identity) {
      closeListeners(pod.sockets.listeners);
      pod.sockets = undefined;
    }
    pod.sockets ??= { netns: identity, listeners: this.#options.listen(netns) };
    return pod.sockets.listeners;
  }

  /** The agent hears of the failure; the pod is tried again without it. */
  #retryLater(pod: Pod, info: PodInfo, netns: number, error: unknown): never {
    pod.state = 'pending';
    const close = (): void => {
      pod.cancelRetry = () => {};
      closeDescriptor(netns);
    };
    const schedule = (): void => {
      const cancel = this.#options.clock.after(retryMs, () => {
        this.#tryServe(pod, info, netns).then(close, () => {
          if (this.#pods.get(info.uid) === pod) schedule();
          else closeDescriptor(netns);
        });
        // While a try is under way nobody else closes the descriptor.
        pod.cancelRetry = () => {};
      });
      pod.cancelRetry = () => {
        cancel();
        close();
      };
    };
    schedule();
    throw error;
  }
}
