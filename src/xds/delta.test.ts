import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { createTestAuthority } from '../../test/support/certificates.ts';
import { freePort } from '../../test/support/free-port.ts';
import { silentLog } from '../lib/log.ts';
import { createRpcChannel } from '../rpc/channel.ts';
import type { ServerCertificate } from '../rpc/server-credentials.ts';
import { createRpcServer, type RpcServer } from '../rpc/server.ts';
import { rpcError } from '../rpc/status.ts';
import { deltaDiscoveryMethod, type DeltaRequest, type DeltaResponse, type DiscoveryNode } from '../wire/discovery.ts';
import { startDeltaClient, type DeltaClient, type DeltaFeed, type DeltaUpdate } from './delta-client.ts';
import { createDeltaServer, type DeltaServer } from './delta-server.ts';
import type { DeltaAnswer } from './server-session.ts';
import { createMutableSource, type MutableSource, type SourceResource } from './source.ts';

const policies = 'type.googleapis.com/test.Policy';
const addresses = 'type.googleapis.com/test.Address';
const ownType = 'type.googleapis.com/test.Own';
const node: DiscoveryNode = { id: 'ztunnel~1~a.b~c', metadata: { NAMESPACE: 'istio-system' } };

describe('delta xDS', () => {
  let folder: string;
  let certificate: ServerCertificate;
  const path = (name: string): string => join(folder, name);
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ambit-xds-'));
    const authority = await createTestAuthority();
    certificate = await authority.signServer({ dnsNames: ['istiod.test'], ips: [] });
    writeFileSync(path('root.pem'), authority.rootPem);
    writeFileSync(path('token'), 'good');
  });
  after(() => rmSync(folder, { recursive: true }));

  test('a client gets all there is, then each change, and says that it is synced', async () => {
    await using plane = await startPlane();
    plane.policies.update([['ns/p', resource('p1')]]);
    plane.addresses.update([
      ['w1', resource('one')],
      ['w2', resource('two')],
    ]);
    await using client = follow(plane);
    await client.synced;
    assert.deepEqual(client.state(), { 'ns/p': 'p1', w1: 'one', w2: 'two' });
    plane.addresses.update([
      ['w1', resource('uno')],
      ['w2', undefined],
      ['w3', resource('three')],
    ]);
    await client.until(() => client.state()['w3'] === 'three');
    assert.deepEqual(client.state(), { 'ns/p': 'p1', w1: 'uno', w3: 'three' });
    await plane.until(() => plane.answers.length === 3);
    assert.deepEqual(
      plane.answers.map(({ refusal }) => refusal),
      [undefined, undefined, undefined],
    );
    const [connection] = plane.server.connections();
    assert.equal(connection?.node.id, node.id);
    assert.deepEqual(
      connection?.types.map(({ resourceCount }) => resourceCount),
      [1, 2],
    );
  });

  test('a client with nothing to get is synced too', async () => {
    await using plane = await startPlane();
    await using client = follow(plane);
    await client.synced;
    assert.deepEqual(client.state(), {});
  });

  test('a policy comes before the address that names it, and goes after it', async () => {
    await using plane = await startPlane();
    await using raw = await openRaw(plane);
    raw.subscribe(addresses);
    raw.subscribe(policies);
    for (const response of [await raw.next(), await raw.next()]) raw.acknowledge(response);
    // The referring side changes first, in the same turn.
    plane.addresses.update([['w1', resource('with p')]]);
    plane.policies.update([['ns/p', resource('p')]]);
    const added = [await raw.next(), await raw.next({ acknowledge: true })];
    assert.deepEqual(
      added.map(({ typeUrl }) => typeUrl),
      [policies, addresses],
    );
    raw.acknowledge(added[0]);
    plane.policies.update([['ns/p', undefined]]);
    plane.addresses.update([['w1', resource('without')]]);
    const removed = [await raw.next({ acknowledge: true }), await raw.next({ acknowledge: true })];
    assert.deepEqual(
      removed.map(({ typeUrl }) => typeUrl),
      [addresses, policies],
    );
    assert.deepEqual(removed[1]?.removed, ['ns/p']);
  });

  test('a policy that waits for an answer holds back the addresses of later changes', async () => {
    await using plane = await startPlane();
    await using raw = await openRaw(plane);
    raw.subscribe(policies);
    raw.subscribe(addresses);
    const [first, second] = [await raw.next(), await raw.next()];
    assert.deepEqual([first.typeUrl, second.typeUrl], [policies, addresses]);
    raw.acknowledge(second);
    plane.policies.update([['ns/p', resource('p')]]);
    plane.addresses.update([['w1', resource('with p')]]);
    await raw.quiet();
    raw.acknowledge(first);
    assert.equal((await raw.next()).typeUrl, policies);
    assert.equal((await raw.next()).typeUrl, addresses);
  });

  test('a slow client gets only the latest state of each name', async () => {
    await using plane = await startPlane();
    await using raw = await openRaw(plane);
    raw.subscribe(addresses);
    const first = await raw.next();
    for (let i = 0; i < 1000; i++) {
      plane.addresses.update([
        ['w1', resource(`state ${i}`)],
        [`passing-${i}`, resource('x')],
      ]);
      plane.addresses.update([[`passing-${i}`, undefined]]);
      if (i % 100 === 0) await raw.quiet();
    }
    raw.acknowledge(first);
    const next = await raw.next();
    assert.deepEqual(
      next.resources.map(({ name, body }) => [name, text(body)]),
      [['w1', 'state 999']],
    );
    assert.deepEqual(next.removed, []);
    raw.acknowledge(next);
    await raw.quiet();
  });

  test('what the client has is not sent again, and what is gone is named', async () => {
    await using plane = await startPlane();
    plane.addresses.update([
      ['same', resource('same')],
      ['changed', resource('new')],
    ]);
    await using raw = await openRaw(plane);
    raw.subscribe(addresses, { versions: { same: 'same', changed: 'old', gone: 'gone' } });
    const { resources, removed } = await raw.next();
    assert.deepEqual(
      resources.map(({ name }) => name),
      ['changed'],
    );
    assert.deepEqual(removed, ['gone']);
  });

  test('single names are answered by name or alias, also when there is no such thing', async () => {
    await using plane = await startPlane();
    plane.addresses.update([
      ['w1', { ...resource('one'), aliases: ['net/10.0.0.1'] }],
      ['w2', resource('two')],
    ]);
    await using raw = await openRaw(plane);
    raw.subscribe(addresses, { subscribe: ['*'], unsubscribe: ['*'] });
    raw.acknowledge(await raw.next());
    raw.subscribe(addresses, { subscribe: ['net/10.0.0.1', 'nobody'] });
    const answer = await raw.next({ acknowledge: true });
    assert.deepEqual(
      answer.resources.map(({ name, aliases }) => [name, aliases]),
      [['w1', ['net/10.0.0.1']]],
    );
    assert.deepEqual(answer.removed, ['nobody']);
    plane.addresses.update([
      ['w2', resource('unseen')],
      ['w1', resource('changed')],
    ]);
    assert.deepEqual((await raw.next()).removed, ['w1'], 'its alias is gone, so nobody asks for it any more');
  });

  test('a response is taken in part: the rest counts, and the server hears what was refused', async () => {
    await using plane = await startPlane();
    plane.addresses.update([
      ['good', resource('fine')],
      ['bad', resource('poison 1')],
    ]);
    await using client = follow(plane);
    await client.synced;
    assert.deepEqual(client.state(), { good: 'fine' });
    await plane.until(() => plane.answers.some(({ refusal }) => refusal !== undefined));
    assert.match(plane.answers.find(({ refusal }) => refusal)?.refusal ?? '', /^bad: it is poison$/);
    plane.addresses.update([['bad', resource('healed')]]);
    await client.until(() => client.state()['bad'] === 'healed');
    // Refused again: the last good version stays in force, and is what the client claims to have.
    plane.addresses.update([['bad', resource('poison 2')]]);
    await plane.until(() => plane.answers.filter(({ refusal }) => refusal !== undefined).length === 2);
    assert.equal(client.state()['bad'], 'healed');
  });

  test('a feed may take its time: it answers when it has, and all that comes meanwhile waits in order', async () => {
    await using plane = await startPlane();
    plane.policies.update([['ns/p', resource('p1')]]);
    plane.addresses.update([['w1', resource('poison')]]);
    const holds: (() => void)[] = [];
    await using client = follow(plane, () => new Promise<void>((resolve) => void holds.push(resolve)));
    await client.until(() => client.updates.length === 1);
    assert.deepEqual(client.state(), {});
    // Of both feeds' responses one is being applied, and nothing is answered.
    assert.equal(plane.answers.length, 0);
    holds[0]?.();
    await client.until(() => client.updates.length === 2);
    assert.deepEqual(client.state(), { 'ns/p': 'p1' });
    assert.equal(client.syncedCount(), 0);
    holds[1]?.();
    await client.synced;
    await plane.until(() => plane.answers.length === 2);
    assert.deepEqual(
      plane.answers.map(({ refusal }) => refusal),
      [undefined, 'w1: it is poison'],
    );
  });

  test('what a feed was taking its time for when the connection was lost is told again', async () => {
    const first = await startPlane();
    first.policies.update([['ns/p', resource('p1')]]);
    const holds: (() => void)[] = [];
    await using client = follow(first, () => new Promise<void>((resolve) => void holds.push(resolve)));
    await client.until(() => client.updates.length === 1);
    await first.server.close();
    await using second = await startPlane(first.port);
    second.policies.update([['ns/p', resource('p2')]]);
    await client.until(() => {
      for (const release of holds) release();
      return client.state()['ns/p'] === 'p2';
    });
  });

  test('what was being applied, or waited, when the connection was lost is told to be gone where it is', async () => {
    const first = await startPlane();
    first.policies.update([['ns/p', resource('p1')]]);
    first.addresses.update([['w1', resource('one')]]);
    const holds: (() => void)[] = [];
    let isHeld = true;
    await using client = follow(first, () =>
      isHeld ? new Promise<void>((resolve) => void holds.push(resolve)) : Promise.resolve(),
    );
    await client.until(() => client.updates.length === 1);
    await first.server.close();
    await using second = await startPlane(first.port);
    second.policies.update([['ns/new', resource('new')]]);
    // Who came back now would not speak of what is being applied.
    const isBack = second.until(() => second.server.connections().length > 0);
    await Promise.race([isBack, new Promise((resolve) => setTimeout(resolve, 300))]);
    isHeld = false;
    for (const release of holds) release();
    await client.until(() => isDeepStrictEqual(client.state(), { 'ns/new': 'new' }));
  });

  test('what could not be removed is told to be gone again after a lost connection', async () => {
    const first = await startPlane();
    first.policies.update([['ns/p', resource('p1')]]);
    let fails = false;
    await using client = follow(first, () => (fails ? Promise.reject(new Error('not now')) : Promise.resolve()));
    await client.synced;
    fails = true;
    first.policies.update([['ns/p', undefined]]);
    await first.until(() => first.answers.some(({ refusal }) => refusal?.includes('not now') ?? false));
    assert.deepEqual(client.state(), { 'ns/p': 'p1' });
    fails = false;
    await first.server.close();
    await using second = await startPlane(first.port);
    second.addresses.update([['last', resource('last')]]);
    await client.until(() => client.state()['last'] === 'last' && client.state()['ns/p'] === undefined);
  });

  test('after a lost connection the client keeps what it has, and gets only what changed', async () => {
    const first = await startPlane();
    first.addresses.update([
      ['kept', resource('kept')],
      ['gone', resource('gone')],
    ]);
    await using client = follow(first);
    await client.synced;
    await first.server.close();
    assert.deepEqual(client.state(), { kept: 'kept', gone: 'gone' });
    await using second = await startPlane(first.port);
    second.addresses.update([
      ['kept', resource('kept')],
      ['new', resource('new')],
    ]);
    const updatesBefore = client.updates.length;
    await client.until(() => client.state()['new'] === 'new');
    assert.deepEqual(client.state(), { kept: 'kept', new: 'new' });
    const names = client.updates.slice(updatesBefore).flatMap(({ added }) => added.map(({ name }) => name));
    assert.deepEqual(names, ['new']);
    assert.equal(client.syncedCount(), 1);
  });

  test('what was refused, and is gone after a lost connection, is told to be gone', async () => {
    const first = await startPlane();
    first.policies.update([['ns/bad', resource('poison')]]);
    await using client = follow(first);
    await client.synced;
    await first.server.close();
    await using second = await startPlane(first.port);
    second.policies.update([['ns/new', resource('new')]]);
    await client.until(() => client.state()['ns/new'] === 'new');
    await client.until(() => client.updates.some(({ removed }) => removed.includes('ns/bad')));
  });

  test('what was refused comes again after a lost connection, also where the server is back at what it had before', async () => {
    const first = await startPlane();
    first.policies.update([['ns/a', resource('good')]]);
    await using client = follow(first);
    await client.until(() => client.state()['ns/a'] === 'good');
    first.policies.update([['ns/a', resource('poison')]]);
    await client.until(() => client.updates.some(({ added }) => added.some(({ version }) => version === 'poison')));
    await first.server.close();
    const told = client.updates.length;
    await using second = await startPlane(first.port);
    second.policies.update([['ns/a', resource('good')]]);
    await client.until(() => client.updates.slice(told).some(({ added }) => added.some(({ name }) => name === 'ns/a')));
  });

  test('who is not known, or names no node, is refused, and the server lives', async () => {
    await using plane = await startPlane();
    writeFileSync(path('wrong'), 'wrong');
    await using stranger = await openRaw(plane, { token: 'wrong' });
    stranger.subscribe(addresses);
    assert.equal((await stranger.closed)?.code, 'rpc.unauthenticated');
    await using nameless = await openRaw(plane);
    nameless.send({ ...emptyRequest, typeUrl: addresses });
    assert.equal((await nameless.closed)?.code, 'rpc.invalid-argument');
    await using impostor = await openRaw(plane);
    impostor.send({ ...emptyRequest, typeUrl: addresses, node: { id: 'x', metadata: { NAMESPACE: 'elsewhere' } } });
    assert.equal((await impostor.closed)?.code, 'rpc.permission-denied');
    await using client = follow(plane);
    await client.synced;
    assert.equal(plane.server.connections().length, 1);
  });

  test('a fleet that connects at once gets its large responses a few at a time, small ones meanwhile', async () => {
    await using plane = await startPlane();
    plane.addresses.update(Array.from({ length: 501 }, (_, i) => [`w${i}`, resource('large')] as const));
    await using clients = new AsyncDisposableStack();
    const first = [];
    for (let i = 0; i < 8; i++) {
      const client = clients.use(await openRaw(plane));
      client.subscribe(addresses);
      first.push({ client, response: await client.next() });
    }
    const ninth = clients.use(await openRaw(plane));
    ninth.subscribe(addresses);
    ninth.subscribe(policies);
    const small = await ninth.next();
    assert.equal(small.typeUrl, policies);
    ninth.acknowledge(small);
    await plane.until(() => plane.answers.length === 1);
    const large = ninth.next();
    const [one] = first;
    if (one) one.client.acknowledge(one.response);
    assert.equal((await large).resources.length, 501);
    // The answer that made room came before the response that needed it.
    assert.equal(plane.answers.length, 2);
  });

  test('what every client holds follows their answers, and newcomers do not count until they have a first view', async () => {
    await using plane = await startPlane();
    assert.equal(plane.server.heldEpoch(), 0);
    assert.equal(plane.server.publish(), 1);
    assert.equal(plane.server.heldEpoch(), 1, 'without clients, all is held');
    await using fast = follow(plane);
    await fast.synced;
    await using slow = await openRaw(plane);
    slow.subscribe(policies);
    slow.subscribe(addresses);
    const initial = [await slow.next(), await slow.next()];
    assert.equal(plane.server.heldEpoch(), 1);
    for (const response of initial) slow.acknowledge(response);
    await plane.until(() => plane.answers.length === 4);
    plane.policies.update([['ns/p', resource('p')]]);
    assert.equal(plane.server.publish(), 2);
    const update = await slow.next();
    await plane.until(() => plane.answers.length === 5);
    assert.equal(plane.server.heldEpoch(), 1);
    slow.acknowledge(update);
    await plane.until(() => plane.server.heldEpoch() === 2);
  });

  test('refusals are told by name until the client takes the resource, or is gone', async () => {
    await using plane = await startPlane();
    const poisoned = follow(plane);
    await poisoned.synced;
    plane.addresses.update([
      ['w1', resource('good')],
      ['w2', resource('poison')],
    ]);
    plane.server.publish();
    await plane.until(() => plane.server.refusals(addresses).size > 0);
    assert.deepEqual([...plane.server.refusals(addresses)], [['w2', { clients: 1, reason: 'w2: it is poison' }]]);
    plane.addresses.update([['w2', resource('cured')]]);
    plane.server.publish();
    await plane.until(() => plane.server.refusals(addresses).size === 0);
    plane.addresses.update([['w3', resource('poison')]]);
    plane.server.publish();
    await plane.until(() => plane.server.refusals(addresses).size > 0);
    await poisoned[Symbol.asyncDispose]();
    await plane.until(() => plane.server.refusals(addresses).size === 0);
  });

  test('a type may be of each client its own, and of some not at all', async () => {
    await using plane = await startPlane();
    plane.own.update([['listener/main', resource('mine')]]);
    await using raw = await openRaw(plane, { nodeId: 'owner' });
    raw.subscribe(ownType);
    const first = await raw.next({ acknowledge: true });
    assert.deepEqual(
      first.resources.map(({ name, version }) => [name, version]),
      [['listener/main', 'mine']],
    );
    await using other = await openRaw(plane);
    other.subscribe(ownType);
    other.subscribe(policies);
    assert.equal((await other.next({ acknowledge: true })).typeUrl, policies);
    plane.own.update([['listener/main', resource('changed')]]);
    plane.policies.update([['ns/p', resource('p')]]);
    assert.deepEqual(
      (await raw.next()).resources.map(({ version }) => version),
      ['changed'],
    );
    assert.equal((await other.next()).typeUrl, policies);
  });

  test('of a type that is a transaction, one accepted response ends every refusal, whatever it carries', async () => {
    await using plane = await startPlane();
    plane.own.update([
      ['a', resource('bad')],
      ['b', resource('good')],
    ]);
    await using raw = await openRaw(plane, { nodeId: 'owner' });
    raw.subscribe(ownType);
    const refused = await raw.next();
    raw.send({ ...emptyRequest, typeUrl: ownType, responseNonce: refused.nonce, refusal: 'a: it is bad' });
    const refusals = (): unknown => [...plane.server.refusals(ownType, (client) => client)];
    await plane.until(() => plane.server.refusals(ownType).size > 0);
    assert.deepEqual(refusals(), [['istio-system/ztunnel', { clients: 1, reason: 'a: it is bad' }]]);
    assert.equal(plane.server.refusals(ownType, () => undefined).size, 0);
    plane.own.update([['a', resource('mended')]]);
    await raw.next({ acknowledge: true });
    await plane.until(() => plane.server.refusals(ownType).size === 0);
  });

  interface Plane extends AsyncDisposable {
    readonly port: number;
    readonly policies: MutableSource;
    readonly addresses: MutableSource;
    /** Of the type that only the node `owner` has. */
    readonly own: MutableSource;
    readonly answers: DeltaAnswer[];
    readonly server: DeltaServer<string> & Pick<RpcServer, 'close'>;
    until(condition: () => boolean): Promise<void>;
  }

  /** Another one may take its place: the kernel gives the port to nobody. */
  async function startPlane(givenPort?: number): Promise<Plane> {
    const port = givenPort ?? (await freePort());
    const rpc = createRpcServer({ certificate, log: silentLog() });
    const sources = { policies: createMutableSource(), addresses: createMutableSource(), own: createMutableSource() };
    const answers: DeltaAnswer[] = [];
    const changes = createChanges();
    const server = createDeltaServer<string>({
      types: [
        { typeUrl: policies, source: sources.policies },
        { typeUrl: addresses, source: sources.addresses },
        {
          typeUrl: ownType,
          isTransaction: true,
          sourceOf: (_client, { id }) => (id === 'owner' ? sources.own : undefined),
        },
      ],
      authenticate(call) {
        if (call.metadata.get('authorization') === 'Bearer good') return Promise.resolve('istio-system/ztunnel');
        return Promise.reject(rpcError('unauthenticated', 'the token is not valid'));
      },
      admit(_client, { metadata }) {
        if (metadata['NAMESPACE'] !== 'istio-system') throw rpcError('permission-denied', 'not your namespace');
      },
      onAnswer(_connection, answer) {
        answers.push(answer);
        changes.happened();
      },
      onProgress: changes.happened,
      log: silentLog(),
    });
    server.register(rpc);
    const bound = await rpc.listen({ host: '127.0.0.1', port });
    const close = (): Promise<void> => rpc.close();
    return {
      port: bound,
      ...sources,
      answers,
      server: { ...server, close },
      until: changes.until,
      [Symbol.asyncDispose]: close,
    };
  }

  interface Follower extends AsyncDisposable {
    readonly client: DeltaClient;
    readonly synced: Promise<void>;
    readonly updates: DeltaUpdate[];
    syncedCount(): number;
    state(): Record<string, string>;
    until(condition: () => boolean): Promise<void>;
  }

  /** `wait`: each update is applied once this is over; absent: at once. */
  function follow(plane: Plane, wait?: () => Promise<void>): Follower {
    const state = new Map<string, string>();
    const updates: DeltaUpdate[] = [];
    const changes = createChanges();
    const stop = new AbortController();
    const synced = Promise.withResolvers<void>();
    let syncedCount = 0;
    const take = (update: DeltaUpdate): { rejected: { name: string; reason: string }[] } => {
      const rejected: { name: string; reason: string }[] = [];
      for (const { name, body } of update.added) {
        if (text(body).startsWith('poison')) rejected.push({ name, reason: 'it is poison' });
        else state.set(name, text(body));
      }
      for (const name of update.removed) state.delete(name);
      changes.happened();
      return { rejected };
    };
    const apply: DeltaFeed['apply'] = (update) => {
      updates.push(update);
      changes.happened();
      return wait ? wait().then(() => take(update)) : take(update);
    };
    const client = startDeltaClient({
      address: `https://127.0.0.1:${plane.port}`,
      tlsServerName: 'istiod.test',
      rootCertPath: path('root.pem'),
      tokenPath: path('token'),
      clusterId: 'Kubernetes',
      node,
      types: [
        { typeUrl: policies, apply },
        { typeUrl: addresses, apply },
      ],
      onSynced() {
        syncedCount++;
        synced.resolve();
      },
      log: silentLog(),
      signal: stop.signal,
    });
    return {
      client,
      synced: synced.promise,
      updates,
      syncedCount: () => syncedCount,
      state: () => Object.fromEntries(state),
      until: changes.until,
      async [Symbol.asyncDispose]() {
        stop.abort();
        await client.done;
      },
    };
  }

  interface Raw extends AsyncDisposable {
    send(request: DeltaRequest): void;
    subscribe(
      typeUrl: string,
      more?: { versions?: Record<string, string>; subscribe?: string[]; unsubscribe?: string[] },
    ): void;
    acknowledge(response: DeltaResponse | undefined): void;
    next(options?: { acknowledge: boolean }): Promise<DeltaResponse>;
    /** Asserts that the server has nothing to say: its answer to a round trip comes first. */
    quiet(): Promise<void>;
    readonly closed: Promise<{ code: string } | undefined>;
  }

  async function openRaw(
    plane: Plane,
    { token = 'token', nodeId = node.id }: { token?: string; nodeId?: string } = {},
  ): Promise<Raw> {
    const channel = createRpcChannel({
      address: `127.0.0.1:${plane.port}`,
      tlsServerName: 'istiod.test',
      rootCertPath: path('root.pem'),
      tokenPath: path(token),
    });
    const received: DeltaResponse[] = [];
    const changes = createChanges();
    const closed = Promise.withResolvers<{ code: string } | undefined>();
    const stream = await channel.stream(deltaDiscoveryMethod, {
      onMessage(response) {
        received.push(response);
        changes.happened();
      },
      onClose: (error) => closed.resolve(error),
    });
    let first = true;
    const raw: Raw = {
      closed: closed.promise,
      send: (request) => void stream.write(request),
      subscribe(typeUrl, { versions = {}, subscribe = [], unsubscribe = [] } = {}) {
        raw.send({
          ...emptyRequest,
          ...(first ? { node: { ...node, id: nodeId } } : {}),
          typeUrl,
          subscribe,
          unsubscribe,
          initialVersions: new Map(Object.entries(versions)),
        });
        first = false;
      },
      acknowledge(response) {
        if (response) raw.send({ ...emptyRequest, typeUrl: response.typeUrl, responseNonce: response.nonce });
      },
      async next({ acknowledge } = { acknowledge: false }) {
        await changes.until(() => received.length > 0);
        const response = received.shift();
        assert.ok(response);
        if (acknowledge) raw.acknowledge(response);
        return response;
      },
      async quiet() {
        await using other = follow(plane);
        await other.synced;
        assert.deepEqual(received, []);
      },
      async [Symbol.asyncDispose]() {
        stream.cancel();
        await closed.promise;
        channel.close();
      },
    };
    return raw;
  }
});

const emptyRequest: DeltaRequest = {
  typeUrl: '',
  subscribe: [],
  unsubscribe: [],
  initialVersions: new Map(),
  responseNonce: '',
};

function resource(content: string): SourceResource {
  return { version: content, body: Buffer.from(content) };
}

function text(body: Uint8Array): string {
  return Buffer.from(body).toString();
}

/** Waits for conditions without polling: `happened` makes the waiters look again. */
function createChanges(): { happened: () => void; until: (condition: () => boolean) => Promise<void> } {
  let waiters: (() => void)[] = [];
  return {
    happened() {
      const woken = waiters;
      waiters = [];
      for (const wake of woken) wake();
    },
    async until(condition) {
      while (!condition()) await new Promise<void>((resolve) => waiters.push(resolve));
    },
  };
}
