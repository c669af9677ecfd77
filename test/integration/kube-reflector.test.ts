/**
 * Informers through a proxy that breaks connections, against a real API server whose objects change all the time: what
 * they hold in the end is what the server holds, and what they told their handlers adds up to it.
 */
import { deepEqual, fail, ok } from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createGraph, type Graph, type Source } from '../../src/collection/index.ts';
import { kinds, type KindRef, type KubeObject } from '../../src/api/index.ts';
import {
  isKubeError,
  objectKey,
  openKubeClient,
  registerInformerMetrics,
  startInformer,
  type ClusterAccess,
  type Informer,
  type KubeClient,
} from '../../src/kube/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { MetricsRegistry } from '../../src/telemetry/index.ts';
import { openFaultProxy, type Fault, type FaultProxy, type ProxiedRequest } from '../support/fault-proxy.ts';
import { startKubernetesApiServer } from '../support/kubernetes-apiserver.ts';
import { adminToken, createState, removeState, startServerProcess } from './apiserver-process.ts';

const log = silentLog();
const seed = Number(process.env['SEED'] ?? 20261123);
const churnWrites = Number(process.env['CHURN_WRITES'] ?? 1000);
/** The churn ends after this long, however few its writes were. */
const churnMs = 60_000;
/** A binary with Kubernetes' own server: then that is what the informers watch. */
const kubernetes = process.env['AMBIT_TEST_KUBERNETES'];
/** Of the ten kinds. */
const wantedFaults = 8;
const objectsPerKind = 120;
const maxLineBytes = 64 * 1024;

/** A small generator with a seed (mulberry32). */
function createRandom(state: number): () => number {
  let a = state;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Payload = (text: string) => object;
const churned: readonly { readonly kind: KindRef; readonly payload: Payload }[] = [
  { kind: kinds.ConfigMap, payload: (text) => ({ data: { text } }) },
  { kind: kinds.Secret, payload: (text) => ({ stringData: { text } }) },
  { kind: kinds.ServiceAccount, payload: (text) => ({ automountServiceAccountToken: text.length % 2 === 0 }) },
  {
    kind: kinds.EndpointSlice,
    payload: (text) => ({
      addressType: 'IPv4',
      endpoints: [{ addresses: [`10.1.${text.length % 250}.1`] }],
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    }),
  },
];

/** Something goes wrong with about every second request. */
function chooseFault(random: () => number, { isWatch, isStream, isContinued }: ProxiedRequest): Fault | undefined {
  const roll = random();
  const afterBytes = Math.floor(random() ** 2 * 60_000);
  if (roll < 0.1) return { kind: 'reset', afterBytes };
  if (roll < 0.2) return { kind: 'truncate', afterBytes };
  if (roll < 0.25) return { kind: 'status', code: 429, retryAfterSeconds: 0 };
  if (roll < 0.3) return { kind: 'status', code: random() < 0.5 ? 500 : 503 };
  if (roll < 0.34) return { kind: 'delay', ms: 20 };
  if (roll < 0.4 && isWatch) return { kind: 'stall', afterBytes };
  if (roll < 0.46 && isWatch) return { kind: 'expire' };
  if (roll < 0.5 && (isContinued || isWatch)) return { kind: 'status', code: 410 };
  if (roll < 0.52 && isStream) return { kind: 'status', code: 422 };
  return undefined;
}

/** Takes what handlers are told, and holds it against what they were told before. */
function createFold(source: Source<KubeObject>): {
  readonly held: Map<string, KubeObject>;
  readonly mistakes: string[];
  readonly handlers: {
    onAdd(object: KubeObject): void;
    onUpdate(before: KubeObject, after: KubeObject): void;
    onDelete(object: KubeObject): void;
  };
} {
  const held = new Map<string, KubeObject>();
  const mistakes: string[] = [];
  return {
    held,
    mistakes,
    handlers: {
      onAdd(object) {
        const key = objectKey(object);
        if (held.has(key)) mistakes.push(`${key} was added twice`);
        held.set(key, object);
        source.set(key, object);
      },
      onUpdate(previous, object) {
        const key = objectKey(object);
        if (held.get(key) !== previous) mistakes.push(`${key} was updated from something else`);
        if (previous.metadata.uid !== object.metadata.uid) mistakes.push(`${key} changed its uid`);
        held.set(key, object);
        source.set(key, object);
      },
      onDelete(object) {
        const key = objectKey(object);
        if (held.get(key)?.metadata.uid !== object.metadata.uid) mistakes.push(`${key} was deleted as somebody else`);
        held.delete(key);
        source.delete(key);
      },
    },
  };
}

/** Creates, changes, deletes and makes anew until the time is up. */
async function churn(
  client: KubeClient,
  random: () => number,
  goesOn: () => boolean,
  onWrite: () => void,
): Promise<void> {
  while (goesOn()) {
    const { kind, payload } = churned[Math.floor(random() * churned.length)]!;
    const name = `o${Math.floor(random() * objectsPerKind)}`;
    // Now and then one that is longer than any line may be.
    const isLarge = kind === kinds.ConfigMap && random() < 0.03;
    const text = (isLarge ? 'large ' : 'x').repeat(isLarge ? 20_000 : 1 + Math.floor(random() * 300));
    const labels = { half: random() < 0.5 ? 'a' : 'b' };
    const object: KubeObject = { metadata: { name, namespace: 'churn', labels }, ...payload(text) };
    const roll = random();
    try {
      if (roll < 0.25) await client.delete(kind, name, 'churn');
      else if (roll < 0.55) await client.create(kind, object);
      else await client.patch(kind, name, 'churn', { ...object, metadata: { labels } }, { type: 'merge' });
      onWrite();
    } catch (error) {
      if (!isKubeError(error)) throw error;
    }
  }
}

async function eventually(check: () => boolean, what: () => string, limitMs: number): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  while (!check()) {
    // Only now: to say what is wrong may be to throw it.
    if (performance.now() >= deadlineMs) fail(what());
    await delay(20);
  }
}

/** What matters of a set of objects. */
function digest(objects: Iterable<KubeObject>): Record<string, string> {
  const entries = [...objects].map((object): [string, string] => {
    const { managedFields: _managed, ...metadata } = object.metadata;
    const { apiVersion: _version, kind: _kind, ...rest } = object;
    return [objectKey(object), JSON.stringify(sortKeys({ ...rest, metadata }))];
  });
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sortKeys(inner)]),
  );
}

interface Followed {
  readonly name: string;
  readonly kind: KindRef;
  readonly selects: (object: KubeObject) => boolean;
  readonly informer: Informer<KubeObject>;
  readonly fold: ReturnType<typeof createFold>;
  readonly source: Source<KubeObject>;
}

describe(`informers on a bad line to ${kubernetes ? "Kubernetes' own API server" : 'the embedded API server'}`, () => {
  const stop = new AbortController();
  let access: ClusterAccess;
  let end: () => PromiseLike<void>;
  let admin: KubeClient;

  before(async () => {
    if (kubernetes) {
      const server = await startKubernetesApiServer(kubernetes);
      end = () => server[Symbol.asyncDispose]();
      const { url, token } = server;
      access = { server: url, insecureSkipTlsVerify: true, namespace: 'default', token: () => token };
    } else {
      const stateDir = createState();
      const server = await startServerProcess(stateDir);
      end = async () => {
        await server.end('SIGKILL');
        removeState(stateDir);
      };
      const url = `https://127.0.0.1:${server.port}`;
      access = { server: url, insecureSkipTlsVerify: true, namespace: 'default', token: () => adminToken };
    }
    admin = openKubeClient(access, { log });
    await admin.create(kinds.Namespace, { metadata: { name: 'churn' } });
  });
  after(async () => {
    stop.abort();
    await admin?.close();
    await end?.();
  });

  /** Two informers a kind, one that streams its list and one in pages, and one of a part. */
  function follow(client: KubeClient, graph: Graph, registry: MetricsRegistry): Followed[] {
    const metrics = registerInformerMetrics(registry);
    const ways = [
      { way: 'stream', selects: () => true, options: {} },
      { way: 'pages', selects: () => true, options: { streamsLists: false, pageSize: 25 } },
      {
        way: 'part',
        selects: (object: KubeObject) => object.metadata.labels?.['half'] === 'a',
        options: { labelSelector: 'half=a', pageSize: 10 },
      },
    ];
    return churned.flatMap(({ kind }) =>
      ways.map(({ way, selects, options }) => {
        const name = `${kind.plural} ${way}`;
        const source = graph.source<KubeObject>(name);
        const fold = createFold(source);
        const informer = startInformer(client, kind, {
          namespace: 'churn',
          signal: stop.signal,
          log,
          metrics,
          ...fold.handlers,
          backoff: { initialMs: 10, maxMs: 200, jitter: 0.5 },
          watchTimeoutSeconds: 2,
          overdueMs: 500,
          maxSilenceMs: 1500,
          maxLineBytes,
          ...options,
        });
        return { name, kind, selects, informer, fold, source };
      }),
    );
  }

  it(`end equal to the server (seed ${seed})`, { timeout: 150_000 }, async (t) => {
    const random = createRandom(seed);
    let isFaulty = true;
    await using proxy: FaultProxy = await openFaultProxy({
      target: access.server,
      choose: (request) => (isFaulty ? chooseFault(random, request) : undefined),
    });
    const { token } = access;
    ok(token);
    const client = openKubeClient(
      { server: proxy.url, insecureSkipTlsVerify: false, namespace: 'default', token },
      { log },
    );
    const graph = createGraph();
    const registry = new MetricsRegistry({ clock: systemClock, log });
    const followed = follow(client, graph, registry);

    const endAtMs = performance.now() + churnMs;
    let writes = 0;
    const goesOn = (): boolean =>
      (writes < churnWrites || proxy.counts.size < wantedFaults) && performance.now() < endAtMs;
    const cutting = (async (): Promise<void> => {
      while (goesOn()) {
        await delay(3000 + random() * 3000);
        proxy.cutAll();
      }
    })();
    const writers = Array.from({ length: 6 }, (_, i) =>
      churn(admin, createRandom(seed + i + 1), goesOn, () => writes++),
    );
    await Promise.all([...writers, cutting]);
    isFaulty = false;

    const truth = new Map<KindRef, KubeObject[]>();
    for (const { kind } of churned) truth.set(kind, (await admin.list(kind, { namespace: 'churn' })).items);
    for (const { name, kind, selects, informer, fold, source } of followed) {
      const wanted = digest((truth.get(kind) ?? []).filter(selects));
      const text = JSON.stringify(wanted);
      await eventually(
        () => JSON.stringify(digest(informer.store.values())) === text,
        () => {
          deepEqual(digest(informer.store.values()), wanted, name);
          return name;
        },
        60_000,
      );
      deepEqual(fold.mistakes, [], name);
      deepEqual(digest(fold.held.values()), wanted, `what the handlers of ${name} were told`);
      graph.flush();
      deepEqual(digest([...source.entries()].map(([, object]) => object)), wanted, `the collection of ${name}`);
      ok(informer.isSynced);
      await eventually(
        () => informer.health().phase === 'watching',
        () => `${name} watches`,
        60_000,
      );
    }
    const faults = [...proxy.counts].map(([kind, count]) => `${kind}: ${count}`);
    t.diagnostic(`${writes} writes, ${faults.toSorted().join(', ')}`);
    for (const line of registry.write('text').split('\n')) {
      if (line.startsWith('ambit_kube_failures')) t.diagnostic(line);
    }
    ok(proxy.counts.size >= wantedFaults, 'nearly every kind of fault was made');
    ok(writes >= 300, `${writes} writes`);
    stop.abort();
    await client.close();
  });
});
