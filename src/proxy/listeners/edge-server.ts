/** A port of a gateway: HTTP, HTTPS, TLS that is passed through, TCP; the server by name, of the configuration of now. */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { TlsSecret } from '../../api/l7/index.ts';
import { chainProblem, isPeerOf } from '../../identity/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { canonicalIp } from '../../lib/ip.ts';
import { HandshakeSlots, tcpChannel, tlsChannel, type AcceptedSocket } from '../../net/index.ts';
import type { ServerPlace } from '../engine/compiled-config.ts';
import type { DownstreamConnection } from '../engine/http-run.ts';
import type { PlaceFinder } from '../engine/http-entry.ts';
import type { HttpPlace } from '../engine/place.ts';
import { shareOf } from '../workers/share.ts';
import { serveApplication, serveHttp } from './application-connection.ts';
import { serverContext } from './edge-tls.ts';
import type { ListenerContext } from './listener-context.ts';
import { peekClientHello } from './peek-client-hello.ts';
import { tellRefusal } from './refusals.ts';
import { hostOf, isStillServed, placeForHost, placeUnderTls } from './server-names.ts';

const handshakeTimeoutMs = 10_000;
/** Handshakes at once on a port: one more, and the oldest has to go. Who means it needs a moment alone. */
const maxHandshakes = 2000;

export class EdgeServer {
  readonly #context: ListenerContext;
  readonly #name: string;
  readonly #handshakes: HandshakeSlots;

  constructor(context: ListenerContext, name: string) {
    this.#context = context;
    this.#handshakes = new HandshakeSlots(shareOf(maxHandshakes, context.share));
    this.#name = name;
  }

  /** Serves one connection to its end. Never throws. */
  async serve(accepted: AcceptedSocket): Promise<void> {
    const { socket, remoteAddress, remotePort } = accepted;
    const { services } = this.#context;
    const places = this.#places();
    const connection: DownstreamConnection = {
      sourceAddress: remoteAddress,
      sourcePort: remotePort,
      sourceIdentity: undefined,
      sourceWorkload: undefined,
      destinationAddress: canonicalIp(socket.localAddress ?? ''),
      destinationPort: this.#port(),
      localIdentity: this.#context.identity,
      sni: undefined,
      isTls: false,
    };
    const first = places[0];
    try {
      if (!first) throw new Error('no listener of the Gateway is valid on this port');
      const { protocol } = first.server;
      if (protocol === 'http') {
        const placeOf = this.#placeOf(undefined);
        const tcpPlace = this.#placeNamed(first.server.name);
        // A port that comes to ask for TLS asks it of everybody.
        const isWanted = (): boolean => this.#places().some(({ server }) => server.protocol === 'http');
        const common = { context: this.#context, connection, placeOf, tcpPlace, isWanted, trust: 'edge' as const };
        await serveApplication({ ...common, channel: tcpChannel(socket), protocol: 'http', place: first });
      } else if (protocol === 'tcp') {
        const placeOf = (): HttpPlace => first;
        const tcpPlace = this.#placeNamed(first.server.name);
        const common = { context: this.#context, connection, placeOf, tcpPlace, trust: 'edge' as const };
        await serveApplication({ ...common, channel: tcpChannel(socket), protocol: 'tcp', place: first });
      } else {
        this.#handshakes.begin(socket);
        await this.#serveTls(socket, connection);
      }
    } catch (error) {
      this.#handshakes.end(socket);
      socket.resetAndDestroy();
      if (this.#context.ended.aborted) return;
      const fields = { client: remoteAddress, listener: this.#name, reason: messageOf(error) };
      tellRefusal(services, first ? 'handshake' : 'configuration', 'refused a connection', fields);
    }
  }

  async #serveTls(socket: Socket, plain: DownstreamConnection): Promise<void> {
    const hello = await peekClientHello(socket, handshakeTimeoutMs);
    const sni = hello.sni?.toLowerCase();
    const place = placeForHost(this.#places(), sni ?? '');
    if (!place) throw new Error(`no listener is for the server name ${JSON.stringify(sni ?? '')}`);
    const { server } = place;
    const connection = { ...plain, sni };
    const context = this.#context;
    const tcpPlace = this.#placeNamed(server.name);
    if (server.tls?.mode !== 'terminate') {
      this.#handshakes.end(socket);
      const common = { context, connection, placeOf: () => place, tcpPlace, trust: 'edge' as const };
      await serveApplication({ ...common, channel: tcpChannel(socket), protocol: 'tls', place });
      return;
    }
    const secrets = this.#secrets();
    const { secureContext, clientCertificate } = serverContext(server.tls, secrets);
    const isHttp = server.protocol === 'https';
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext,
      ALPNProtocols: isHttp ? ['h2', 'http/1.1'] : [],
      requestCert: clientCertificate !== 'none',
      rejectUnauthorized: clientCertificate === 'required',
    });
    await handshake(secure);
    this.#handshakes.end(socket);
    if (clientCertificate === 'required') refuseStrangers(secure);
    if (server.tls.clientCa) this.#refuseRevoked(secure, server.tls.clientCa.secret);
    const channel = tlsChannel(secure);
    const secured = { ...connection, isTls: true };
    if (isHttp) {
      const placeOf = this.#placeOf(server.name);
      const version = secure.alpnProtocol === 'h2' ? 'http/2' : 'http/1';
      const isVouchedFor = this.#vouching(secure, server.tls.clientCa, secrets);
      const isWanted = (): boolean => isStillServed(this.#places(), sni ?? '', server) && isVouchedFor();
      serveHttp({ context, connection: secured, placeOf, isWanted, trust: 'edge' }, channel, version);
      return;
    }
    const common = { context, connection: secured, placeOf: () => place, tcpPlace, trust: 'edge' as const };
    await serveApplication({ ...common, channel, protocol: 'tcp', place });
  }

  /** Also where a client needs no certificate: one that it shows must hold. */
  #refuseRevoked(socket: TLSSocket, secret: string): void {
    const lists = this.#context.clientRevocations?.of(secret);
    if (!lists || !socket.getPeerX509Certificate()) return;
    const rootsPem = this.#secrets().get(secret)?.caCertificates ?? '';
    const peer = { socket, rootsPem, role: 'server' } as const;
    const problem = lists.kind === 'lists' ? lists.revocations.problemOf(peer) : lists.reason;
    if (lists.kind === 'lists' && problem === undefined) return lists.revocations.track(peer);
    if (lists.kind === 'lists') lists.revocations.refused('server');
    socket.destroy();
    throw new Error(`the client's certificate is refused: ${problem}`);
  }

  /** Whether the authorities of now vouch for a client that had to prove itself to those of its handshake, which were in `secrets`. */
  #vouching(
    socket: TLSSocket,
    clientCa: NonNullable<ServerPlace['server']['tls']>['clientCa'],
    secrets: ReadonlyMap<string, TlsSecret>,
  ): () => boolean {
    if (clientCa?.required !== true) return () => true;
    let last = { roots: secrets.get(clientCa.secret)?.caCertificates, isVouchedFor: true };
    return () => {
      const roots = this.#secrets().get(clientCa.secret)?.caCertificates;
      // A secret that is away for a moment says nothing.
      if (roots !== undefined && roots !== last.roots) last = { roots, isVouchedFor: isPeerOf(socket, roots) };
      return last.isVouchedFor;
    };
  }

  /** Where its connections are handled by the configuration of then. */
  #placeNamed(serverName: string): () => HttpPlace | undefined {
    return () => this.#places().find(({ server }) => server.name === serverName);
  }

  /** A request goes by its host; under TLS only among what the server name allows, and without TLS never to a server that has it. */
  #placeOf(serverName: string | undefined): PlaceFinder {
    // Clients ask for one host again and again: what it means is looked up once a configuration.
    let last:
      | { readonly places: readonly ServerPlace[]; readonly authority: string; readonly place: FoundPlace }
      | undefined;
    return (request) => {
      const unmatched = (): HttpPlace | undefined => this.#context.config()?.unmatchedPlace(this.#name);
      if (request === undefined) return unmatched();
      const places = this.#places();
      const { authority } = request;
      if (last?.places !== places || last.authority !== authority) {
        last = { places, authority, place: placeForRequest(places, serverName, authority) };
      }
      return last.place ?? (serverName === undefined ? unmatched() : undefined);
    };
  }

  #places(): readonly ServerPlace[] {
    return this.#context.config()?.serverPlaces(this.#name) ?? [];
  }

  #port(): number {
    return this.#context.config()?.snapshot.listeners.get(this.#name)?.port ?? 0;
  }

  #secrets(): Parameters<typeof serverContext>[1] {
    return this.#context.config()?.snapshot.secrets ?? new Map();
  }
}

type FoundPlace = ReturnType<typeof placeUnderTls>;

function placeForRequest(
  places: readonly ServerPlace[],
  serverName: string | undefined,
  authority: string,
): FoundPlace {
  if (serverName !== undefined) return placeUnderTls(places, serverName, authority);
  const plain = places.filter(({ server }) => server.protocol === 'http');
  return placeForHost(plain, hostOf(authority));
}

/** Node leaves it to whoever accepts: a TLSSocket of its own takes any certificate, whoever issued it. */
function refuseStrangers(socket: TLSSocket): void {
  const problem = socket.getPeerX509Certificate() ? chainProblem(socket) : 'it showed none';
  if (problem === undefined) return;
  socket.destroy();
  throw new Error(`the client's certificate is refused: ${problem}`);
}

function handshake(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(new Error('the TLS handshake took too long')), handshakeTimeoutMs);
    const settle = (): void => {
      clearTimeout(timer);
      socket.off('secure', done).off('error', fail).off('_tlsError', fail).off('close', closed);
      socket.on('error', () => {});
    };
    const done = (): void => {
      settle();
      resolve();
    };
    const fail = (error: Error): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const closed = (): void => fail(new Error('the client hung up during the TLS handshake'));
    socket.once('secure', done).once('error', fail).once('_tlsError', fail).once('close', closed);
  });
}
