/** Whose certificates the authorities of servers outside of the mesh have revoked: lists that come with their CA certificates, as clients'. */
import type { TLSSocket } from 'node:tls';
import type { TlsSecret, UpstreamTls } from '../../api/l7/index.ts';
import { AmbitError } from '../../lib/errors.ts';
import { ClientRevocations, type ClientRevocationsOptions } from '../listeners/client-revocations.ts';

export class ServerRevocations {
  readonly #lists: ClientRevocations;
  readonly #onRevoked: ClientRevocationsOptions['onRevoked'];
  #secrets: ReadonlyMap<string, TlsSecret> = new Map();

  constructor(options: Omit<ClientRevocationsOptions, 'meanwhile'>) {
    this.#lists = new ClientRevocations({ ...options, meanwhile: 'connections to servers of the authority fail' });
    this.#onRevoked = options.onRevoked;
  }

  /** The lists of now: connections that live are asked again, and cut when their server's certificate is revoked. */
  apply(secrets: ReadonlyMap<string, TlsSecret>): void {
    this.#secrets = secrets;
    this.#lists.apply(secrets);
  }

  /** Right after the handshake. A server that may go on is asked about again with each change of the lists. Throws `upstream.tls`. */
  check(socket: TLSSocket, { ca }: UpstreamTls): void {
    if (ca.kind !== 'secret') return;
    const found = this.#lists.of(ca.secret);
    if (!found) return;
    const peer = { socket, rootsPem: this.#secrets.get(ca.secret)?.caCertificates ?? '', role: 'client' } as const;
    const problem = found.kind === 'lists' ? found.revocations.problemOf(peer) : found.reason;
    if (found.kind === 'lists' && problem === undefined) return found.revocations.track(peer);
    if (found.kind === 'lists') this.#onRevoked('client');
    socket.destroy();
    throw new AmbitError(`Cannot go on with the server: ${problem}`, { code: 'upstream.tls', blame: 'upstream' });
  }
}
