/** What the API server acknowledged is there after kill -9. */
import { equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { kinds, type ConfigMap } from '../../src/api/index.ts';
import { loadKubeconfig, openKubeClient, startInformer, type KubeClient } from '../../src/kube/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { freePort } from '../support/free-port.ts';
import { createState, removeState, startServerProcess, type ServerProcess } from './apiserver-process.ts';

const writers = 24;
const log = silentLog();
const clientOf = (server: ServerProcess): KubeClient => openKubeClient(loadKubeconfig(server.kubeconfig), { log });

/** The newest acknowledged value of each object; undefined after an acknowledged deletion. */
type Acknowledged = Map<string, string | undefined>;

/** Creates, updates and deletes objects of its own until a call fails. What was in flight then may be there or not. */
async function writeUntilKilled(
  client: KubeClient,
  writer: number,
  acknowledged: Acknowledged,
  onWrite: () => void,
): Promise<string> {
  for (let i = 0; ; i++) {
    const name = `w${writer}-${i}`;
    const put = (value: string): ConfigMap => ({ metadata: { name, namespace: 'default' }, data: { value } });
    try {
      let object = await client.create(kinds.ConfigMap, put('first'));
      acknowledged.set(name, 'first');
      onWrite();
      object = await client.replace(kinds.ConfigMap, { ...object, data: { value: 'second' } });
      acknowledged.set(name, 'second');
      onWrite();
      if (i % 3 !== 0) continue;
      await client.delete(kinds.ConfigMap, name, 'default');
      acknowledged.set(name, undefined);
      onWrite();
    } catch {
      return name;
    }
  }
}

test('kill -9 in the middle of many writes loses no acknowledged one', { timeout: 170_000 }, async (t) => {
  const stateDir = createState();
  t.after(() => removeState(stateDir));
  const acknowledged: Acknowledged = new Map();
  let totalWrites = 0;
  for (let round = 0; round < 3; round++) {
    const server = await startServerProcess(stateDir);
    const client = clientOf(server);
    let writes = 0;
    const killAt = 400 + round * 137;
    let killed: Promise<void> | undefined;
    const inFlight = await Promise.all(
      Array.from({ length: writers }, (_, i) =>
        writeUntilKilled(client, round * writers + i, acknowledged, () => {
          writes++;
          if (writes === killAt) killed = server.end('SIGKILL');
        }),
      ),
    );
    await killed;
    await client.close();
    totalWrites += writes;

    const again = await startServerProcess(stateDir);
    const reader = clientOf(again);
    const { items } = await reader.list(kinds.ConfigMap, { namespace: 'default' });
    const found = new Map(items.map((item) => [item.metadata.name, item.data?.['value']]));
    for (const [name, value] of acknowledged) if (!inFlight.includes(name)) equal(found.get(name), value, name);
    for (const name of inFlight) {
      // The write in flight may have reached the disk; the one before it must have.
      const value = acknowledged.get(name);
      const possible =
        value === undefined ? [undefined, 'first'] : value === 'first' ? ['first', 'second'] : ['second', undefined];
      ok(possible.includes(found.get(name)), `${name}: ${found.get(name)} after ${value}`);
      acknowledged.set(name, found.get(name));
    }
    await reader.close();
    await again.end('SIGTERM');
  }
  ok(totalWrites > 1000, `${totalWrites} writes were acknowledged`);
});

test('an informer lives through kill -9 and a restart of the server', { timeout: 170_000 }, async (t) => {
  const stateDir = createState();
  t.after(() => removeState(stateDir));
  const port = await freePort();
  let server = await startServerProcess(stateDir, { port });
  const stop = new AbortController();
  t.after(() => stop.abort());
  const client = clientOf(server);
  await client.create(kinds.ConfigMap, { metadata: { name: 'before', namespace: 'default' } });
  const seen = new Set<string>();
  let wake: (() => void) | undefined;
  const informer = startInformer(client, kinds.ConfigMap, {
    namespace: 'default',
    signal: stop.signal,
    log,
    onAdd: (object) => {
      seen.add(object.metadata.name ?? '');
      wake?.();
    },
  });
  await informer.synced;
  await server.end('SIGKILL');
  server = await startServerProcess(stateDir, { port });
  t.after(() => server.end('SIGTERM'));
  const writer = clientOf(server);
  await writer.create(kinds.ConfigMap, { metadata: { name: 'after', namespace: 'default' } });
  while (!seen.has('after')) await new Promise<void>((resolve) => (wake = resolve));
  for (const name of ['before', 'after']) ok(informer.store.has(`default/${name}`), name);
  stop.abort();
  await writer.close();
  await client.close();
});
