/** Whose certificates the authorities of a gateway's clients have revoked: lists that come with their CA certificates. */
import type { TlsSecret } from '../../api/l7/index.ts';
import { createRevocations, parseRevocationLists, type PeerRole, type Revocations } from '../../identity/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';

export interface ClientRevocationsOptions {
  /** Told of each connection that is refused or cut. */
  readonly onRevoked: (role: PeerRole) => void;
  readonly log: Log;
}

/** `kind: 'unusable'`: there are lists that cannot be read, and there never were others: no client can be told from a revoked one. */
export type ClientLists =
  | { readonly kind: 'lists'; readonly revocations: Revocations }
  | { readonly kind: 'unusable'; readonly reason: string };

export class ClientRevocations {
  readonly #options: ClientRevocationsOptions;
  readonly #bySecret = new Map<string, { readonly text: string; readonly lists: ClientLists }>();

  constructor(options: ClientRevocationsOptions) {
    this.#options = options;
  }

  /** The lists of now, by the names of secrets: connections that live are asked again, and cut when they are revoked. */
  apply(secrets: ReadonlyMap<string, TlsSecret>): void {
    for (const name of this.#bySecret.keys()) if (!secrets.has(name)) this.#bySecret.delete(name);
    for (const [name, { caCertificates, revocations: text = '' }] of secrets) {
      const known = this.#bySecret.get(name);
      if (caCertificates === undefined || known?.text === text || (!known && text === '')) continue;
      this.#bySecret.set(name, { text, lists: this.#read(name, text, known?.lists) });
    }
  }

  /** Undefined: the authorities of that secret revoke nothing. */
  of(secret: string): ClientLists | undefined {
    return this.#bySecret.get(secret)?.lists;
  }

  #read(secret: string, text: string, before: ClientLists | undefined): ClientLists {
    const { onRevoked, log } = this.#options;
    try {
      const lists = parseRevocationLists(Buffer.from(text));
      const revocations = before?.kind === 'lists' ? before.revocations : createRevocations({ onRevoked });
      revocations.update(lists);
      return { kind: 'lists', revocations };
    } catch (error) {
      const reason = messageOf(error);
      const isKept = before?.kind === 'lists';
      const meanwhile = isKept ? 'the last good lists stay in force' : 'clients with certificates are refused';
      log.error('revocation lists cannot be used', { secret, error: reason, meanwhile });
      return isKept ? before : { kind: 'unusable', reason };
    }
  }
}
