import { deepEqual, notEqual, throws } from 'node:assert/strict';
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
