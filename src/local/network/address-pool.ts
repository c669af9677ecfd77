/** Which addresses of a node's /24 are taken. Freed ones come back as late as possible. */
import { AmbitError } from '../../lib/errors.ts';

const firstHost = 2;
const lastHost = 254;

export class AddressPool {
  readonly #taken = new Set<number>();
  #next = firstHost;

  /** The last part of a free address. `preferred` (a pod's address of before a restart) wins if it is free. Throws `network.no-address`. */
  take(preferred?: number): number {
    if (preferred !== undefined && isHost(preferred) && !this.#taken.has(preferred)) {
      this.#taken.add(preferred);
      return preferred;
    }
    for (let tried = firstHost; tried <= lastHost; tried++) {
      const host = this.#next;
      this.#next = host === lastHost ? firstHost : host + 1;
      if (this.#taken.has(host)) continue;
      this.#taken.add(host);
      return host;
    }
    throw new AmbitError(`Cannot give the pod an address: all ${lastHost - firstHost + 1} of the node are taken`, {
      code: 'network.no-address',
      blame: 'downstream',
    });
  }

  /** Keeps an address from being given before its former owner asks for it again. */
  skipPast(host: number): void {
    if (isHost(host) && host >= this.#next) this.#next = host === lastHost ? firstHost : host + 1;
  }

  free(host: number): void {
    this.#taken.delete(host);
  }
}

/** The last part of `ip` if it is an address of the node's pods. */
export function hostOf(ip: string | undefined, nodeIndex: number): number | undefined {
  const prefix = `10.244.${nodeIndex}.`;
  if (ip === undefined || !ip.startsWith(prefix)) return undefined;
  const host = Number(ip.slice(prefix.length));
  return isHost(host) ? host : undefined;
}

function isHost(host: number): boolean {
  return Number.isInteger(host) && host >= firstHost && host <= lastHost;
}
