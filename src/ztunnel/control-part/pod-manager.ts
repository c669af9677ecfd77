/** The pods of this node, as the node agent names them: has the data parts serve them and their certificates ready. */
import type { Clock } from '../../lib/clock.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { spiffeId, type SpiffeId } from '../../api/names.ts';
import type { CertificateManager } from '../../identity/index.ts';
import { closeDescriptor, duplicateDescriptor } from '../../net/index.ts';
import type { PodInfo, PodToServe } from '../messages.ts';
import type { ZdsHandler } from './zds-client.ts';

export interface PodManagerOptions {
  readonly trustDomain: string;
  readonly certificates: CertificateManager;
  readonly clock: Clock;
  readonly log: Log;
  /** Has every data part serve the pod; each owns its descriptor. */
  readonly serve: (target: PodToServe) => Promise<void>;
  readonly remove: (uid: string) => void;
  readonly onReady: (isReady: boolean) => void;
}

interface Pod {
  readonly identity: SpiffeId;
  state: 'starting' | 'up' | 'pending';
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

  /** Pods that could not be served yet; they are tried again. */
  get pendingCount(): number {
    return [...this.#pods.values()].filter((pod) => pod.state === 'pending').length;
  }

  async serve(info: PodInfo, netns: number): Promise<void> {
    const { trustDomain, certificates, log } = this.#options;
    const identity = spiffeId(trustDomain, info.namespace, info.serviceAccount);
    const before = this.#pods.get(info.uid);
    const pod: Pod = { identity, state: before?.state === 'up' ? 'up' : 'starting', cancelRetry: () => {} };
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
    await this.#options.serve({ pod: info, netns: duplicateDescriptor(netns) });
    if (this.#pods.get(info.uid) !== pod) {
      throw new AmbitError('Cannot serve pod: it left', { code: 'ztunnel.pod-removed', blame: 'internal' });
    }
    if (pod.state !== 'up') this.counts.started++;
    pod.state = 'up';
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
