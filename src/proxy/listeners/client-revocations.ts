/** Whose certificates the authorities of a gateway's clients have revoked: lists that come with their CA certificates. */
import type { TlsSecret } from '../../api/l7/index.ts';
import { createRevocations, parseRevocationLists, type PeerRole, type Revocations } from '../../identity/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';

export interface ClientRevocationsOptions {
  /** Told of each connection that is refused or cut. */
  readonly onRevoked: (role: PeerRole) => void;
  /** What becomes of peers while there are no lists that can be read, for the log. Default: of clients. */
  readonly meanwhile?: string;
  readonly log: Log;
}

/** `kind: 'unusable'`: there are lists that cannot be read, and none before them: no client can be told from a revoked one. */
export type ClientLists =
  | { readonly kind: 'lists'; readonly revocations: Revocations }
  | { readonly kind: 'unusable'; readonly reason: string };

interface OfSecret {
  /** As it was told last. */
  readonly text: string;
  /** One from the secret's first day on, so that lists which come later reach connections that were there before. */
  readonly revocations: Revocations;
  /** Whether lists of somebody's are in force. */
  readonly hasLists: boolean;
  readonly lists: ClientLists;
}

export class ClientRevocations {
  readonly #options: ClientRevocationsOptions;
  readonly #bySecret = new Map<string, OfSecret>();
  /** Of secrets that are gone while clients of theirs are here: should they come again, their lists reach these too. */
  readonly #ofGone = new Map<string, OfSecret>();

  constructor(options: ClientRevocationsOptions) {
    this.#options = options;
  }

  /** The lists of now, by the names of secrets: connections that live are asked again, and cut when they are revoked. */
  apply(secrets: ReadonlyMap<string, TlsSecret>): void {
    for (const [name, { revocations }] of this.#ofGone) if (revocations.size === 0) this.#ofGone.delete(name);
    for (const [name, gone] of this.#bySecret) {
      if (secrets.get(name)?.caCertificates !== undefined) continue;
      this.#bySecret.delete(name);
      this.#ofGone.set(name, gone);
    }
    for (const [name, { caCertificates, revocations: text = '' }] of secrets) {
      if (caCertificates === undefined) continue;
      const known = this.#bySecret.get(name) ?? this.#ofGone.get(name);
      this.#ofGone.delete(name);
      this.#bySecret.set(name, known?.text === text ? known : this.#read(name, text, known));
    }
  }

  /** Undefined: the secret has no authorities. */
  of(secret: string): ClientLists | undefined {
    return this.#bySecret.get(secret)?.lists;
  }

  #read(secret: string, text: string, before: OfSecret | undefined): OfSecret {
    const { onRevoked, log, meanwhile: without = 'clients with certificates are refused' } = this.#options;
    const revocations = before?.revocations ?? createRevocations({ onRevoked });
    try {
      revocations.update(parseRevocationLists(Buffer.from(text)));
      return { text, revocations, hasLists: text !== '', lists: { kind: 'lists', revocations } };
    } catch (error) {
      const reason = messageOf(error);
      const isKept = before?.hasLists === true;
      const meanwhile = isKept ? 'the last good lists stay in force' : without;
      log.error('revocation lists cannot be used', { secret, error: reason, meanwhile });
      return isKept ? { ...before, text } : { text, revocations, hasLists: false, lists: { kind: 'unusable', reason } };
    }
  }
}
