/** The network namespace of one pod, held open by descriptor while the pod has it. */
import { statSync } from 'node:fs';
import { AmbitError, codeOf } from '../../lib/errors.ts';
import { closeNetns, netnsIdentity, openNetns } from '../../net/index.ts';

export interface HeldNetnsOptions {
  /** A path for `openNetns`. Throws `net.netns-absent`. */
  readonly find: () => string;
  readonly hasNetwork: (netns: number) => boolean;
  /** Identity of the agent's own namespace: a pod that shows it is not a pod. */
  readonly homeNetns: string;
}

export class HeldNetns {
  readonly #options: HeldNetnsOptions;
  #held: { readonly fd: number; readonly identity: string } | undefined;

  constructor(options: HeldNetnsOptions) {
    this.#options = options;
  }

  /** Good for this turn; undefined while none is open. */
  get fd(): number | undefined {
    return this.#held?.fd;
  }

  /** Whether the namespace that the pod has now is the one that is open. */
  isCurrent(): boolean {
    const path = this.#tryFind();
    const found = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
    return found !== undefined && `${found.dev}:${found.ino}` === this.#held?.identity;
  }

  /** Closes it when the pod has another one, or none. Returns whether it did. */
  closeIfLost(): boolean {
    if (!this.#held || this.isCurrent()) return false;
    this.close();
    return true;
  }

  /** Opens what the pod has, unless one is open. Throws `net.netns-absent`, `cni.host-netns`. */
  open(): number {
    if (this.#held) return this.#held.fd;
    const path = this.#options.find();
    const fd = openNetns(path);
    const identity = netnsIdentity(fd);
    if (identity === this.#options.homeNetns) {
      closeNetns(fd);
      throw new AmbitError(`Cannot enrol pod: "${path}" is the node's own network namespace`, {
        code: 'cni.host-netns',
        blame: 'internal',
      });
    }
    let hasNetwork = false;
    try {
      hasNetwork = this.#options.hasNetwork(fd);
    } finally {
      if (!hasNetwork) closeNetns(fd);
    }
    if (!hasNetwork) {
      throw new AmbitError(`Cannot enrol pod: "${path}" has no network yet, as no link is up in it`, {
        code: 'net.netns-absent',
        blame: 'internal',
      });
    }
    this.#held = { fd, identity };
    return fd;
  }

  close(): void {
    if (!this.#held) return;
    const { fd } = this.#held;
    this.#held = undefined;
    closeNetns(fd);
  }

  #tryFind(): string | undefined {
    try {
      return this.#options.find();
    } catch (error) {
      if (codeOf(error) !== 'net.netns-absent') throw error;
      return undefined;
    }
  }
}
