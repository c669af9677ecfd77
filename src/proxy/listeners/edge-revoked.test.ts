import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { connect as connectTcp, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { testIdentity } from '../../../test/support/certificates.ts';
import { openOpensslRoot, type OpensslAuthority } from '../../../test/support/openssl-authority.ts';
import type { TlsSecret } from '../../api/l7/index.ts';
import { silentLog } from '../../lib/log.ts';
import { listen } from '../../net/index.ts';
import { engineBench } from '../engine/engine-fixtures.ts';
import { ClientRevocations } from './client-revocations.ts';
import { EdgeServer } from './edge-server.ts';
import { LiveConnections, type ListenerContext } from './listener-context.ts';

const goawayType = 7;
const skip = spawnSync('openssl', ['version']).status !== 0;

interface Edge extends AsyncDisposable {
  /** The configuration of now has these lists, and `authority` (default: the first one) for clients. */
  useLists(revocations: string | undefined, authority?: OpensslAuthority): void;
  /** The configuration of now has no secret. */
  loseSecrets(): void;
  /** "in" once the server has taken a request, else "out". */
  visit(leaf: { readonly certPem: string; readonly keyPem: string } | undefined, how?: VisitOptions): Promise<Visit>;
  readonly refusals: string[];
  readonly errors: string[];
}

interface VisitOptions {
  readonly session?: Buffer | undefined;
  /** Called when the server has answered the hello, and waits for the certificate. */
  readonly midway?: () => void;
}

interface Visit {
  readonly outcome: 'in' | 'out';
  readonly socket: TLSSocket;
  readonly closed: Promise<void>;
  /** It was asked to leave: GOAWAY (RFC 9113, 6.8). */
  readonly sentAway: Promise<void>;
}

/** A gateway's HTTPS port whose own certificate and whose clients are of one authority. */
async function openEdge(root: OpensslAuthority, required: boolean, lists?: string): Promise<Edge> {
  const { place } = engineBench();
  const own = root.leaf(testIdentity('shop/edge'));
  const server = {
    name: 'https',
    protocol: 'https',
    hostname: '*',
    tls: {
      mode: 'terminate',
      certificates: ['shop/cert'],
      minVersion: 'TLSv1.2',
      cipherSuites: [],
      clientCa: { secret: 'shop/ca', required },
    },
  };
  const places = [{ ...place, server }];
  const refusals: string[] = [];
  const errors: string[] = [];
  const log = {
    ...silentLog(),
    warn: (_: string, fields?: { reason?: unknown }) => void refusals.push(String(fields?.reason)),
    error: (_: string, fields?: { meanwhile?: unknown }) => void errors.push(String(fields?.meanwhile)),
  };
  const clientRevocations = new ClientRevocations({ onRevoked: (role) => void refusals.push(`counted: ${role}`), log });
  let secrets: ReadonlyMap<string, TlsSecret> = new Map();
  const live = new LiveConnections();
  const apply = (next: ReadonlyMap<string, TlsSecret>): void => {
    secrets = next;
    clientRevocations.apply(secrets);
    live.review();
  };
  const useLists = (revocations: string | undefined, authority = root): void => {
    const cert = { kind: 'secret', name: 'shop/cert', certificateChain: own.certPem, privateKey: own.keyPem } as const;
    const ca: TlsSecret = {
      kind: 'secret',
      name: 'shop/ca',
      caCertificates: authority.certPem,
      ...(revocations === undefined ? {} : { revocations }),
    };
    apply(
      new Map([
        [cert.name, cert],
        [ca.name, ca],
      ]),
    );
  };
  useLists(lists);
  const context = {
    services: { ...place.services, log },
    identity: testIdentity('shop/edge'),
    config: () => ({ serverPlaces: () => places, snapshot: { listeners: new Map(), secrets } }) as never,
    clientRevocations,
    ended: new AbortController().signal,
    live,
  } as Partial<ListenerContext> as ListenerContext;
  const edge = new EdgeServer(context, 'https');
  const served: Promise<void>[] = [];
  const sockets: TLSSocket[] = [];
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    onConnection: (accepted) => void served.push(edge.serve(accepted)),
  });
  return {
    useLists,
    loseSecrets: () => apply(new Map()),
    refusals,
    errors,
    async visit(leaf, { session, midway } = {}) {
      const raw = connectTcp({ host: '127.0.0.1', port: listener.address.port });
      const socket = connect({
        socket: midway ? calledMidway(raw, midway) : raw,
        servername: 'shop.example',
        rejectUnauthorized: false,
        ALPNProtocols: ['h2'],
        ...(session ? { session } : {}),
        ...(leaf ? { cert: leaf.certPem, key: leaf.keyPem } : {}),
      });
      sockets.push(socket);
      socket.on('error', () => {});
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      // The settings of HTTP/2 come first from who serves it.
      const first = await new Promise<Buffer>((resolve) => {
        socket.once('data', resolve).once('close', () => resolve(Buffer.alloc(0)));
      });
      const outcome = first.length > 0 ? 'in' : 'out';
      const sentAway = new Promise<void>((resolve) => {
        socket.on('data', (bytes: Buffer) => typesOf(bytes).includes(goawayType) && resolve());
        if (typesOf(first).includes(goawayType)) resolve();
      });
      return { outcome, socket, closed, sentAway };
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(served);
      await listener.close();
    },
  };
}

/** Types of HTTP/2 frames: who says nothing is sent whole ones alone. */
function typesOf(bytes: Buffer): number[] {
  const types: number[] = [];
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) types.push(bytes[at + 3] ?? -1);
  return types;
}

/** `raw`, whose reader gets the server's first answer once `midway` was called. */
function calledMidway(raw: Socket, midway: () => void): Duplex {
  const stream = new Duplex({
    read() {},
    write: (chunk: Buffer, _, done) => void raw.write(chunk, () => done()),
    final: (done) => void raw.end(() => done()),
    destroy(error, done) {
      raw.destroy();
      done(error);
    },
  });
  raw.on('error', () => {}).once('close', () => stream.destroy());
  raw.once('data', midway).on('data', (chunk: Buffer) => void stream.push(chunk));
  return stream;
}

describe('a gateway whose clients show certificates', { skip }, () => {
  it('refuses and cuts who is revoked, and lets the others be', async () => {
    using root = openOpensslRoot('clients');
    const [ann, bob] = [root.leaf(testIdentity('a/ann')), root.leaf(testIdentity('a/bob'))];
    await using edge = await openEdge(root, true, root.crl().toString());
    const [before, other] = [await edge.visit(ann), await edge.visit(bob)];
    assert.deepEqual([before.outcome, other.outcome], ['in', 'in']);
    root.revoke(ann.certPem);
    edge.useLists(root.crl().toString());
    await before.closed;
    assert.equal((await edge.visit(ann)).outcome, 'out');
    assert.match(edge.refusals.at(-1) ?? '', /client's certificate is refused: .* serial [0-9a-f]+, is revoked/);
    assert.equal(edge.refusals.filter((line) => line === 'counted: server').length, 2);
    assert.equal((await edge.visit(bob)).outcome, 'in');
    assert.equal(other.socket.destroyed, false);
  });

  it('cuts who is revoked by lists that come after the connection', async () => {
    using root = openOpensslRoot('clients');
    const [ann, bob] = [root.leaf(testIdentity('a/ann')), root.leaf(testIdentity('a/bob'))];
    await using edge = await openEdge(root, true);
    const [before, other] = [await edge.visit(ann), await edge.visit(bob)];
    edge.useLists('broken');
    assert.deepEqual(edge.errors, ['clients with certificates are refused']);
    assert.equal((await edge.visit(bob)).outcome, 'out');
    root.revoke(ann.certPem);
    edge.useLists(root.crl().toString());
    await before.closed;
    assert.equal(other.socket.destroyed, false);
    assert.equal((await edge.visit(bob)).outcome, 'in');
  });

  it('lists that cannot be read leave the last good ones in force, and without any refuse everybody', async () => {
    using root = openOpensslRoot('clients');
    const [ann, bob] = [root.leaf(testIdentity('a/ann')), root.leaf(testIdentity('a/bob'))];
    root.revoke(ann.certPem);
    await using edge = await openEdge(root, true, root.crl().toString());
    edge.useLists('broken');
    assert.deepEqual(edge.errors, ['the last good lists stay in force']);
    assert.deepEqual([(await edge.visit(ann)).outcome, (await edge.visit(bob)).outcome], ['out', 'in']);
    edge.useLists(undefined);
    assert.equal((await edge.visit(ann)).outcome, 'in', 'who takes them away revokes nothing any more');
    await using fresh = await openEdge(root, true, 'broken');
    assert.equal((await fresh.visit(bob)).outcome, 'out');
  });

  it('cuts who is revoked by the lists of a secret that was deleted and made again', async () => {
    using root = openOpensslRoot('clients');
    const [ann, bob] = [root.leaf(testIdentity('a/ann')), root.leaf(testIdentity('a/bob'))];
    await using edge = await openEdge(root, true, root.crl().toString());
    const [before, other] = [await edge.visit(ann), await edge.visit(bob)];
    edge.loseSecrets();
    assert.equal((await edge.visit(bob)).outcome, 'out', 'nobody new is let in without');
    assert.equal(before.socket.destroyed || other.socket.destroyed, false, 'a slip of the hand cuts nobody');
    root.revoke(ann.certPem);
    edge.useLists(root.crl().toString());
    await before.closed;
    assert.equal((await edge.visit(bob)).outcome, 'in');
    assert.equal(other.socket.destroyed, false);
  });

  it('asks clients to leave for whom the authorities of now do not vouch', async () => {
    using root = openOpensslRoot('clients');
    using other = openOpensslRoot('others');
    const [ann, bob] = [root.leaf(testIdentity('a/ann')), other.leaf(testIdentity('a/bob'))];
    await using edge = await openEdge(root, true);
    await using lenient = await openEdge(root, false);
    const [before, unasked] = [await edge.visit(ann), await lenient.visit(ann)];
    edge.loseSecrets();
    for (const one of [edge, lenient]) one.useLists(undefined, other);
    await before.sentAway;
    assert.deepEqual([(await edge.visit(ann)).outcome, (await edge.visit(bob)).outcome], ['out', 'in']);
    let isUnaskedSentAway = false;
    void unasked.sentAway.then(() => (isUnaskedSentAway = true));
    lenient.useLists(undefined, other);
    assert.equal(isUnaskedSentAway || unasked.socket.destroyed, false, 'who needs no certificate stays');
  });

  it('asks a client to leave whose authority was replaced during its handshake', async () => {
    using root = openOpensslRoot('clients');
    using other = openOpensslRoot('others');
    await using edge = await openEdge(root, true);
    const visit = await edge.visit(root.leaf(testIdentity('a/ann')), { midway: () => edge.useLists(undefined, other) });
    assert.equal(visit.outcome, 'in', 'it proved itself to the authority of its hello');
    await visit.sentAway;
  });

  it('resumes no session: each handshake shows the whole chain', async () => {
    using root = openOpensslRoot('clients');
    const ann = root.leaf(testIdentity('a/ann'));
    await using edge = await openEdge(root, true);
    const { socket } = await edge.visit(ann);
    const again = await edge.visit(ann, { session: socket.getSession() });
    assert.deepEqual([again.outcome, again.socket.isSessionReused()], ['in', false]);
  });

  it('refuses a revoked certificate where none is needed as well', async () => {
    using root = openOpensslRoot('clients');
    const ann = root.leaf(testIdentity('a/ann'));
    root.revoke(ann.certPem);
    await using edge = await openEdge(root, false, root.crl().toString());
    assert.deepEqual([(await edge.visit(ann)).outcome, (await edge.visit(undefined)).outcome], ['out', 'in']);
  });
});
