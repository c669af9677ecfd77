import { deepEqual, equal, notEqual, rejects, throws } from 'node:assert/strict';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { test } from 'node:test';
import type { HeldSocketName } from '../../wire/listener-holder.ts';
import { ListenerStore } from './pod-listeners.ts';

test('listeners of an earlier namespace are released before their descriptors can be others', async (t) => {
  // Any two namespaces: what listens in them is held already.
  const [earlier, later] = [openSync('/proc/self/ns/uts', 'r'), openSync('/proc/self/ns/ipc', 'r')];
  const events: string[] = [];
  let held: readonly { readonly name: HeldSocketName; readonly fd: number }[] = [];
  const store = new ListenerStore({
    take: async () => openSync('/dev/null', 'r'),
    look: async () => ({ held: true, accepted: false }),
    hold(pod, sockets) {
      held = sockets;
      events.push(`hold ${pod}`);
    },
    release(pod) {
      for (const { fd } of held) fstatSync(fd);
      held = [];
      events.push(`release ${pod}`);
    },
  });
  t.after(() => {
    store.closeAll();
    closeSync(earlier);
    closeSync(later);
  });
  const before = await store.open({ uid: 'p', netns: earlier });
  store.served('p');
  deepEqual(await store.open({ uid: 'p', netns: earlier }), before);
  deepEqual(events, ['hold p']);
  const { hbone } = before;
  const after = await store.open({ uid: 'p', netns: later });
  notEqual(after.hbone, hbone);
  throws(() => fstatSync(hbone));
  deepEqual(events, ['hold p', 'release p']);
  store.served('p');
  deepEqual(events, ['hold p', 'release p', 'hold p']);
});

test('a namespace that was asked for before a later one never takes its place', async (t) => {
  const [earlier, later] = [openSync('/proc/self/ns/uts', 'r'), openSync('/proc/self/ns/ipc', 'r')];
  const answers: (() => void)[] = [];
  let isSlow = true;
  let held: readonly { readonly name: HeldSocketName; readonly fd: number }[] = [];
  const store = new ListenerStore({
    async take() {
      if (isSlow) await new Promise<void>((resolve) => answers.push(resolve));
      return openSync('/dev/null', 'r');
    },
    look: async () => ({ held: true, accepted: false }),
    hold: (_pod, sockets) => void (held = sockets),
    release() {},
  });
  t.after(() => {
    store.closeAll();
    closeSync(earlier);
    closeSync(later);
  });
  const refused = rejects(store.open({ uid: 'p', netns: earlier }), { code: 'ztunnel.pod-removed' });
  isSlow = false;
  const listeners = await store.open({ uid: 'p', netns: later });
  for (const answer of answers) answer();
  await refused;
  equal(await store.open({ uid: 'p', netns: later }), listeners);
  store.served('p');
  deepEqual(
    held.map(({ fd }) => fd).toSorted((a, b) => a - b),
    Object.values(listeners).toSorted((a, b) => a - b),
  );
  for (const fd of Object.values(listeners)) fstatSync(fd);
});
