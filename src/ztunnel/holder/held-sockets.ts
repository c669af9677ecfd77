/** The listening sockets that the holder keeps, and who accepts from them: rules alone, descriptors are numbers to close. */
import type { Clock } from '../../lib/clock.ts';
import type { HeldSocketName } from '../../wire/listener-holder.ts';

export interface HeldSocketsOptions {
  readonly clock: Clock;
  /** How long a socket is kept that nobody accepts from: clients of it wait that long at most. */
  readonly abandonedMs: number;
  readonly maxSockets: number;
  readonly close: (fd: number) => void;
  /** A socket was closed because nobody came to accept from it. */
  readonly onAbandoned?: (name: HeldSocketName) => void;
}

interface Held<Client> {
  readonly name: HeldSocketName;
  /** What tells sockets apart whatever descriptor they came as. */
  readonly socketId: string;
  readonly fd: number;
  readonly acceptors: Set<Client>;
  cancelTimer: () => void;
}

/**
 * Two sockets may have one name: of a ztunnel and of its successor that opened its own. The kernel gives each some of the
 * connections, so one that nobody accepts from is closed at once while another of the same name is served.
 */
export class HeldSockets<Client> {
  readonly #options: HeldSocketsOptions;
  readonly #byPod = new Map<string, Held<Client>[]>();
  #size = 0;

  constructor(options: HeldSocketsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#size;
  }

  /** `client` accepts from the socket. Owns `fd` from now on. False when there is no room. */
  hold(client: Client, name: HeldSocketName, socketId: string, fd: number): boolean {
    const held = this.#byPod.get(name.pod) ?? [];
    const known = held.find((each) => sameName(each.name, name) && each.socketId === socketId);
    if (known) {
      this.#options.close(fd);
      known.cancelTimer();
      known.acceptors.add(client);
    } else {
      if (this.#size >= this.#options.maxSockets) {
        this.#options.close(fd);
        return false;
      }
      this.#byPod.set(name.pod, held);
      held.push({ name, socketId, fd, acceptors: new Set([client]), cancelTimer: () => {} });
      this.#size++;
    }
    // Its predecessors that nobody serves would get connections; those of an earlier namespace are of no use.
    for (const each of held.filter(({ acceptors }) => acceptors.size === 0)) {
      if (sameName(each.name, name) || each.name.netns !== name.netns) this.#close(each);
    }
    return true;
  }

  /** The newest socket of the name; its descriptor stays ours. `accepted`: by another than `client`. */
  find(client: Client, name: HeldSocketName): { readonly fd: number; readonly accepted: boolean } | undefined {
    const held = (this.#byPod.get(name.pod) ?? []).filter((each) => sameName(each.name, name));
    const newest = held.at(-1);
    if (!newest) return undefined;
    const accepted = held.some(({ acceptors }) => [...acceptors].some((acceptor) => acceptor !== client));
    return { fd: newest.fd, accepted };
  }

  /** The pod left. */
  drop(pod: string): void {
    for (const each of this.#byPod.get(pod) ?? []) this.#close(each);
  }

  /** `client` accepts no more: it ended, or drains. */
  leave(client: Client): void {
    for (const each of this.#all()) if (each.acceptors.delete(client) && each.acceptors.size === 0) this.#abandon(each);
  }

  clear(): void {
    for (const each of this.#all()) this.#close(each);
  }

  #abandon(held: Held<Client>): void {
    const { clock, abandonedMs, onAbandoned } = this.#options;
    const others = this.#byPod.get(held.name.pod) ?? [];
    if (others.some((other) => other.acceptors.size > 0 && sameName(other.name, held.name))) return this.#close(held);
    held.cancelTimer = clock.after(abandonedMs, () => {
      onAbandoned?.(held.name);
      this.#close(held);
    });
  }

  #close(held: Held<Client>): void {
    const others = (this.#byPod.get(held.name.pod) ?? []).filter((each) => each !== held);
    if (others.length === 0) this.#byPod.delete(held.name.pod);
    else this.#byPod.set(held.name.pod, others);
    this.#size--;
    held.cancelTimer();
    this.#options.close(held.fd);
  }

  #all(): Held<Client>[] {
    return [...this.#byPod.values()].flat();
  }
}

function sameName(a: HeldSocketName, b: HeldSocketName): boolean {
  return a.pod === b.pod && a.netns === b.netns && a.listener === b.listener;
}
