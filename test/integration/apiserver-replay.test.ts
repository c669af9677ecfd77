/**
 * Ten thousand writes through several kill -9: what was acknowledged is there, and watches that resume from the last revision
 * they saw miss nothing, invent nothing, and keep the order.
 */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { Agent, request } from 'node:https';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../support/free-port.ts';
import { send, type Answer } from './apiserver-oracle.ts';
import { adminToken, createState, removeState, startServerProcess, type ServerProcess } from './apiserver-process.ts';

const totalWrites = 10_000;
const writers = 16;
const kills = 5;

const collections = [
  '/api/v1/namespaces/default/configmaps',
  '/api/v1/namespaces/default/secrets',
  '/apis/apps/v1/namespaces/default/replicasets',
];

interface KubeBody {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion: string;
    readonly labels?: Record<string, string>;
  };
}

interface KubeList {
  readonly items: readonly KubeBody[];
  readonly metadata: { readonly resourceVersion: string };
}

/** The label that each write changes. */
const valueOf = (object: KubeBody): string => object.metadata.labels?.['value'] ?? '';

class Cluster {
  readonly agent: Agent = new Agent({ keepAlive: true, maxSockets: writers + 4 });
  port = 0;
  writes = 0;
  /** Values by path; undefined after an acknowledged deletion. */
  readonly model = new Map<string, string | undefined>();
  /** Revisions of acknowledged writes, by collection. */
  readonly acknowledged = new Map<string, Set<string>>(collections.map((path) => [path, new Set()]));
  uncertain = 0;
  onWrite: () => void = () => undefined;

  /** Undefined: the server went away before it answered. */
  async call(method: string, path: string, body?: unknown): Promise<Answer | undefined> {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    return send(this.port, method, path, { agent: this.agent, type, ...(body !== undefined && { body }) }).catch(
      () => undefined,
    );
  }

  async list(collection: string): Promise<KubeList> {
    const answer = await this.call('GET', collection);
    if (answer?.status !== 200) throw new Error(`Cannot list ${collection}: ${answer?.text ?? 'no answer'}`);
    return answer.body as unknown as KubeList;
  }

  /** One write; what happened is found out where the server went away. */
  async write(method: string, collection: string, name: string, value: string | undefined): Promise<void> {
    const path = `${collection}/${name}`;
    const target = method === 'POST' ? collection : path;
    const answer = await this.call(
      method,
      target,
      value === undefined ? undefined : bodyOf(collection, name, value, method),
    );
    if (answer) {
      ok(answer.status < 300, `${method} ${target}: ${answer.text.slice(0, 300)}`);
      this.model.set(path, value);
      const { resourceVersion } = (answer.body['metadata'] ?? {}) as { resourceVersion?: string };
      if (value !== undefined) this.acknowledged.get(collection)?.add(resourceVersion ?? '');
      this.writes++;
      this.onWrite();
      return;
    }
    this.uncertain++;
    const possible = [this.model.get(path), value];
    for (;;) {
      const found = await this.call('GET', path);
      if (found) {
        const actual = found.status === 404 ? undefined : valueOf(found.body as unknown as KubeBody);
        ok(possible.includes(actual), `${path} is ${actual}, not one of ${possible.join(', ')}`);
        this.model.set(path, actual);
        return;
      }
      await sleep(20);
    }
  }
}

function bodyOf(collection: string, name: string, value: string, method: string): unknown {
  const metadata = { name, labels: { value } };
  if (method === 'PATCH' || !collection.endsWith('replicasets')) return { metadata };
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'a', image: 'a' }] } };
  return { metadata, spec: { replicas: 0, selector: { matchLabels: labels }, template } };
}

/** Follows a collection from a revision through every restart; its fold is what a client would hold. */
class Follower {
  readonly fold = new Map<string, string>();
  readonly seen = new Set<string>();
  readonly problems: string[] = [];
  #revision: number;
  #stopped = false;

  constructor(revision: number) {
    this.#revision = revision;
  }

  async follow(cluster: Cluster, collection: string): Promise<void> {
    while (!this.#stopped) {
      await this.#once(cluster, `${collection}?watch=1&resourceVersion=${this.#revision}`);
      await sleep(10);
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  #once(cluster: Cluster, path: string): Promise<void> {
    return new Promise((resolve) => {
      const headers = { authorization: `Bearer ${adminToken}` };
      const sent = request({
        host: '127.0.0.1',
        port: cluster.port,
        path,
        agent: false,
        rejectUnauthorized: false,
        headers,
      });
      sent.on('error', () => resolve());
      sent.on('response', (response) => {
        response.on('error', () => resolve());
        const lines = createInterface(response);
        lines.on('line', (line) => {
          if (this.#stopped) sent.destroy();
          else if (line.endsWith('}')) this.#take(line);
        });
        lines.on('error', () => resolve());
        lines.on('close', () => resolve());
      });
      sent.end();
    });
  }

  #take(line: string): void {
    let event: { type: string; object: KubeBody };
    try {
      event = JSON.parse(line) as { type: string; object: KubeBody };
    } catch {
      return; // Cut off by the kill.
    }
    const { type, object } = event;
    if (type === 'ERROR') {
      this.problems.push(line);
      return this.stop();
    }
    const { name, resourceVersion } = object.metadata;
    if (Number(resourceVersion) <= this.#revision) this.problems.push(`${resourceVersion} after ${this.#revision}`);
    if ((type === 'ADDED') === this.fold.has(name))
      this.problems.push(`${type} ${name}, known: ${this.fold.has(name)}`);
    this.#revision = Number(resourceVersion);
    if (type === 'DELETED') this.fold.delete(name);
    else {
      this.fold.set(name, valueOf(object));
      this.seen.add(resourceVersion);
    }
  }
}

async function writeUntilDone(cluster: Cluster, writer: number): Promise<void> {
  const names: { collection: string; name: string }[] = [];
  for (let i = 0; cluster.writes < totalWrites; i++) {
    const value = `v${i}`;
    const chosen = names[Math.floor(Math.random() * names.length)];
    const dice = Math.random();
    if (!chosen || (dice < 0.3 && names.length < 40)) {
      const collection = collections[i % collections.length] ?? '';
      const name = `w${writer}-${i}`;
      await cluster.write('POST', collection, name, value);
      if (cluster.model.get(`${collection}/${name}`) !== undefined) names.push({ collection, name });
    } else if (dice < 0.85) {
      await cluster.write(dice < 0.6 ? 'PUT' : 'PATCH', chosen.collection, chosen.name, value);
    } else {
      await cluster.write('DELETE', chosen.collection, chosen.name, undefined);
      if (cluster.model.get(`${chosen.collection}/${chosen.name}`) === undefined)
        names.splice(names.indexOf(chosen), 1);
    }
  }
}

test('ten thousand writes, five kills, and watches that resume', { timeout: 170_000 }, async (t) => {
  const stateDir = createState();
  const port = await freePort();
  let server: ServerProcess = await startServerProcess(stateDir, { port, controllers: false });
  const cluster = new Cluster();
  cluster.port = port;
  t.after(async () => {
    cluster.agent.destroy();
    await server.end('SIGKILL');
    removeState(stateDir);
  });

  const followers = new Map<string, Follower>();
  const following: Promise<void>[] = [];
  for (const collection of collections) {
    const { items, metadata } = await cluster.list(collection);
    const follower = new Follower(Number(metadata.resourceVersion));
    for (const item of items) follower.fold.set(item.metadata.name, valueOf(item));
    followers.set(collection, follower);
    following.push(follower.follow(cluster, collection));
  }

  const killAt = Array.from({ length: kills }, () => Math.floor(Math.random() * totalWrites * 0.95)).toSorted(
    (a, b) => a - b,
  );
  let restarting: Promise<void> | undefined;
  cluster.onWrite = () => {
    if (restarting || cluster.writes < (killAt[0] ?? Infinity)) return;
    killAt.shift();
    restarting = server.end('SIGKILL').then(async () => {
      server = await startServerProcess(stateDir, { port, controllers: false });
      restarting = undefined;
    });
  };
  await Promise.all(Array.from({ length: writers }, (_, i) => writeUntilDone(cluster, i)));
  await restarting;

  for (const collection of collections) {
    const follower = followers.get(collection);
    const { items } = await cluster.list(collection);
    const stored = new Map(items.map((item) => [item.metadata.name, valueOf(item)]));
    for (const [path, value] of cluster.model) {
      const at = path.lastIndexOf('/');
      if (path.slice(0, at) === collection) equal(stored.get(path.slice(at + 1)), value, path);
    }
    const missing = (): string[] =>
      [...(cluster.acknowledged.get(collection) ?? [])].filter((rv) => !follower?.seen.has(rv));
    for (let i = 0; i < 1200 && (missing().length > 0 || follower?.fold.size !== stored.size); i++) await sleep(50);
    deepEqual(follower?.problems, [], collection);
    deepEqual(missing(), [], `${collection}: acknowledged writes that the watch did not see`);
    const invented = [...(follower?.seen ?? [])].filter((rv) => cluster.acknowledged.get(collection)?.has(rv) !== true);
    ok(invented.length <= cluster.uncertain, `${invented.length} events of writes that nobody made`);
    deepEqual(follower?.fold, stored, collection);
    follower?.stop();
  }
  await server.end('SIGKILL');
  await Promise.all(following);
  ok(cluster.writes >= totalWrites);
});
