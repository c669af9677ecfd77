import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { afterEach, before, beforeEach, describe, it } from 'node:test';
import { createTestAuthority, type TestAuthority } from '../../../test/support/certificates.ts';
import { eventually } from '../../../test/support/run.ts';
import { serviceKey } from '../../api/names.ts';
import { connectSingleTunnel } from '../../hbone/single-tunnel.ts';
import { connectTls, type WorkloadCertificate } from '../../identity/index.ts';
import { meshService } from '../../mesh/fixtures.ts';
import { listen, memoryChannelPair, tlsChannel, type ByteChannel, type Listener } from '../../net/index.ts';
import { read } from '../channel-fixtures.ts';
import { engineBench, type Bench } from '../engine/engine-fixtures.ts';
import type { HttpPlace } from '../engine/place.ts';
import type { TcpFilter } from '../engine/tcp-run.ts';
import { createEastWestServer } from './east-west-server.ts';
import { LiveConnections, type ListenerContext } from './listener-context.ts';

const web = meshService({ name: 'web', namespace: 'shop' });
const authority = `${web.hostname}:80`;

describe('a gateway between networks, asked for a tunnel', () => {
  let certificates: TestAuthority;
  let own: WorkloadCertificate;
  let bench: Bench;
  let listener: Listener;
  let filters: TcpFilter[];
  let live: LiveConnections;
  /** Connections to the backend that wait to stand. */
  let dials: { readonly stands: PromiseWithResolvers<ByteChannel>; readonly signal: AbortSignal }[];

  before(async () => {
    certificates = await createTestAuthority();
    own = await certificates.certificate('infra/east-west');
  });

  beforeEach(async () => {
    bench = engineBench();
    dials = [];
    filters = [];
    live = new LiveConnections();
    const key = serviceKey('shop', web.hostname);
    bench.place.services.mesh.applyAddresses({ updated: [{ kind: 'service', service: web }], removed: [] });
    const origin = { kind: 'Service', namespace: 'shop', name: 'web', generation: 1 };
    const destinations = [{ weight: 1, target: { kind: 'backend', backend: 'web' } as const }];
    const dial = async (_backend: string, _client: unknown, signal: AbortSignal): Promise<unknown> => {
      const stands = Promise.withResolvers<ByteChannel>();
      signal.addEventListener('abort', () => stands.reject(new Error('the caller gave up')), { once: true });
      dials.push({ stands, signal });
      return { channel: await stands.promise, host: {} };
    };
    const place: HttpPlace = {
      ...bench.place,
      protocol: 'tcp',
      tcpFilters: filters,
      table: { ...bench.place.table, tcp: [{ name: 'tcp', origin, destinationSubnets: [], destinations }] },
      services: { ...bench.place.services, upstreams: Object.assign(bench.upstreams, { connect: dial as never }) },
    };
    const config = {
      snapshot: { settings: place.settings, services: new Map([[key, {}]]) },
      servicePlace: () => place,
    };
    const context = {
      services: place.services,
      identity: own.identity,
      certificate: () => Promise.resolve(own),
      config: () => config as never,
      ended: new AbortController().signal,
      live,
    } as unknown as ListenerContext;
    const server = createEastWestServer(context, 'main');
    listener = await listen({
      host: '127.0.0.1',
      port: 0,
      onConnection: (accepted) => void server.serve(accepted),
    });
  });

  afterEach(() => listener.close());

  /** Resolves once it is answered 200. */
  async function open(signal?: AbortSignal): Promise<ByteChannel> {
    const tcp = connect(listener.address.port, '127.0.0.1');
    tcp.on('error', () => {});
    const certificate = await certificates.certificate('front/client');
    const { socket } = await connectTls({ socket: tcp, certificate, expected: [own.identity] });
    return connectSingleTunnel({
      channel: tlsChannel(socket),
      request: { authority },
      timeoutMs: 60_000,
      ...(signal ? { signal } : {}),
    });
  }

  const dialled = (): Promise<(typeof dials)[number]> => eventually(async () => dials[0], 'the backend is dialled');

  it('answers once the connection to the backend stands', async () => {
    let isAnswered = false;
    const opening = open().then((channel) => {
      isAnswered = true;
      return channel;
    });
    const { stands } = await dialled();
    // Another client is served from its first byte to its end meanwhile.
    const other = open();
    const second = await eventually(async () => dials[1], 'the other one is dialled');
    const [there, its] = memoryChannelPair();
    second.stands.resolve(there);
    const answered = await other;
    assert.equal(isAnswered, false);
    answered.reset();
    its.reset();
    const [upstream, application] = memoryChannelPair();
    stands.resolve(upstream);
    const tunnel = await opening;
    tunnel.write(Buffer.from('hello'));
    const seen = read(application);
    await eventually(async () => seen.text === 'hello' || undefined, 'the application has the bytes');
    tunnel.reset();
    await seen.closed;
  });

  it('refuses with the reason when nobody can be reached', async () => {
    const opening = open();
    const { stands } = await dialled();
    stands.reject(new Error('Cannot connect to 10.0.0.1:15008: refusé'));
    await assert.rejects(opening, {
      code: 'hbone.refused',
      status: 503,
      reason: 'Cannot connect to 10.0.0.1:15008: refus?',
    });
  });

  it('gives up in time to say so', async () => {
    const opening = open();
    const { signal } = await dialled();
    bench.clock.advance(7_999);
    assert.equal(signal.aborted, false);
    bench.clock.advance(1);
    assert.equal(signal.aborted, true);
    await assert.rejects(opening, { status: 503, reason: 'nobody took the connection within 8000 ms' });
  });

  it('says of a denial that it is one, before anybody is dialled', async () => {
    filters.push({
      name: 'authorization',
      onConnection: () => ({
        flag: '',
        details: 'rbac_access_denied_matched_policy[shop/no]',
        reason: 'policy shop/no denies it',
      }),
    });
    await assert.rejects(open(), { status: 401, reason: 'policy shop/no denies it' });
    assert.equal(dials.length, 0);
  });

  it('dials no further for a client that gave up', async () => {
    const gone = new AbortController();
    const opening = open(gone.signal);
    const { signal } = await dialled();
    gone.abort();
    await assert.rejects(opening, { code: 'hbone.aborted' });
    await eventually(async () => signal.aborted || undefined, 'the dial is given up');
    await eventually(async () => live.size === 0 || undefined, 'nothing lives on');
  });

  it('limits no tunnel that stands by the time for its answer', async () => {
    const opening = open();
    const { stands, signal } = await dialled();
    const [upstream, application] = memoryChannelPair();
    stands.resolve(upstream);
    const tunnel = await opening;
    bench.clock.advance(8_001);
    assert.equal(signal.aborted, false);
    const seen = read(application);
    tunnel.write(Buffer.from('late'));
    await eventually(async () => seen.text === 'late' || undefined, 'bytes pass');
    tunnel.reset();
    await seen.closed;
  });
});
