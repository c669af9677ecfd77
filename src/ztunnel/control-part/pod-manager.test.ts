import assert from 'node:assert/strict';
import { fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createFakeClock, type FakeClock } from '../../lib/fake-clock.ts';
import { AmbitError } from '../../lib/errors.ts';
import { silentLog } from '../../lib/log.ts';
import type { SpiffeId } from '../../api/names.ts';
import type { CertificateStatus } from '../../identity/index.ts';
import type { PodListeners } from '../messages.ts';
import { closeListeners, closeTarget } from '../pod-descriptors.ts';
import { PodManager } from './pod-manager.ts';

interface World {
  readonly manager: PodManager;
  readonly clock: FakeClock;
  readonly events: string[];
  /** Fails the tries to serve while it is set. */
  failure: Error | undefined;
  /** UIDs of pods that another ztunnel serves. */
  readonly elsewhere: Set<string>;
  /** Certificates as the manager of certificates has them. */
  issue(account: string): void;
  refuse(account: string): void;
  readonly descriptors: number[];
}

const folder = mkdtempSync(join(tmpdir(), 'pods-'));
after(() => rmSync(folder, { recursive: true }));

const settled = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};

function world(): World {
  const events: string[] = [];
  const clock = createFakeClock();
  const statuses = new Map<SpiffeId, CertificateStatus>();
  const rotated = new Set<() => void>();
  const open = new Map<string, PodListeners>();
  const descriptors: number[] = [];
  const descriptor = (): number => {
    const fd = openSync('/dev/null', 'r');
    descriptors.push(fd);
    return fd;
  };
  const identity = (account: string): SpiffeId => `spiffe://td/ns/shop/sa/${account}` as SpiffeId;
  const set = (account: string, state: unknown): void => {
    statuses.set(identity(account), { identity: identity(account), state, holders: 1 } as CertificateStatus);
    for (const run of rotated) run();
  };
  const state: World = {
    events,
    clock,
    descriptors,
    failure: undefined,
    elsewhere: new Set(),
    issue: (account) => set(account, { kind: 'available' }),
    refuse(account) {
      const cause = new AmbitError('no', { code: 'rpc.permission-denied', blame: 'upstream' });
      const error = new AmbitError('refused', { code: 'identity.not-issued', blame: 'upstream', cause });
      set(account, { kind: 'unavailable', error, retryAtMs: 0 });
    },
    manager: new PodManager({
      trustDomain: 'td',
      certificates: {
        retain: (held) => void events.push(`retain ${held}`),
        release: (held) => void events.push(`release ${held}`),
        list: () => [...statuses.values()],
        onRotate(run) {
          rotated.add(() => run({} as never));
          return () => {};
        },
      },
      listeners: {
        async open({ uid }) {
          events.push(`open ${uid}`);
          const listeners = open.get(uid) ?? { hbone: descriptor(), plaintext: descriptor(), outbound: descriptor() };
          open.set(uid, listeners);
          return listeners;
        },
        served: (uid) => void events.push(`held ${uid}`),
        close(uid) {
          const listeners = open.get(uid);
          if (listeners) closeListeners(listeners);
          open.delete(uid);
        },
        closeAll() {
          for (const listeners of open.values()) closeListeners(listeners);
          open.clear();
        },
        servedByAnother: async ({ uid }) => state.elsewhere.has(uid),
      },
      clock,
      log: silentLog(),
      async serve(target) {
        closeTarget(target);
        events.push(`serve ${target.pod.uid}`);
        if (state.failure) throw state.failure;
      },
      drain: (uid) => void events.push(`drain ${uid}`),
      remove: (uid) => void events.push(`remove ${uid}`),
      onReady: (isReady) => void events.push(`ready ${isReady}`),
    }),
  };
  return state;
}

/** A world whose first snapshot was empty: it took over. */
async function runningWorld(): Promise<World> {
  const state = world();
  state.manager.ready(true);
  await settled();
  state.events.length = 0;
  return state;
}

const pod = { uid: 'u', name: 'web', namespace: 'shop', serviceAccount: 'sa' };
const other = { uid: 'v', name: 'db', namespace: 'shop', serviceAccount: 'db' };
let namespaces = 0;
/** What looks like another network namespace each time: a folder of its own. */
const namespaceOf = (): number => openSync(mkdtempSync(join(folder, `${namespaces++}-`)), 'r');
const again = (fd: number): number => openSync(`/proc/self/fd/${fd}`, 'r');
const isOpen = (fd: number): boolean => {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
};
const served = ({ events }: World): string[] => events.filter((event) => event.startsWith('serve'));

test('a pod has its certificate held while it is here, and its descriptors closed after', async () => {
  const state = await runningWorld();
  const { manager, events } = state;
  const netns = namespaceOf();
  await manager.serve(pod, netns, false);
  assert.equal(isOpen(netns), false);
  assert.ok(state.descriptors.every(isOpen));
  manager.remove('u');
  manager.remove('u');
  const identity = 'spiffe://td/ns/shop/sa/sa';
  assert.deepEqual(events, [`retain ${identity}`, 'open u', 'serve u', 'held u', `release ${identity}`, 'remove u']);
  assert.ok(!state.descriptors.some(isOpen));
  assert.deepEqual(manager.counts, { started: 1, stopped: 1 });
});

test('a pod that is announced again holds its certificate once', async () => {
  const { manager, events } = await runningWorld();
  const netns = namespaceOf();
  const same = again(netns);
  await manager.serve(pod, netns, false);
  await manager.serve(pod, same, false);
  const balance = events.filter((event) => event.startsWith('retain')).length;
  assert.equal(balance - events.filter((event) => event.startsWith('release')).length, 1);
  assert.equal(manager.counts.started, 1);
});

test('a pod that is served goes on so when something new of it cannot be told, until it can', async () => {
  const state = await runningWorld();
  const { manager, clock, events } = state;
  const netns = namespaceOf();
  const same = again(netns);
  await manager.serve(pod, netns, false);
  state.failure = new Error('no descriptor left');
  await assert.rejects(manager.serve({ ...pod, mark: 7 }, same, false), /no descriptor left/);
  assert.ok(!events.includes('remove u'));
  assert.ok(state.descriptors.every(isOpen));
  assert.equal(manager.pendingCount, 0);
  state.failure = undefined;
  clock.advance(5000);
  await settled();
  assert.deepEqual([served(state).length, isOpen(same), manager.counts.started], [3, false, 1]);
});

test('a pod that cannot be served is told, its listeners closed, and tried again until it can', async () => {
  const state = await runningWorld();
  const { manager, clock, events } = state;
  const netns = namespaceOf();
  state.failure = new Error('no data part');
  await assert.rejects(manager.serve(pod, netns, false), /no data part/);
  assert.equal(manager.pendingCount, 1);
  // Nobody accepts from them, but the kernel would give them connections.
  assert.ok(!state.descriptors.some(isOpen));
  clock.advance(5000);
  await settled();
  assert.equal(isOpen(netns), true);
  state.failure = undefined;
  clock.advance(5000);
  await settled();
  assert.equal(manager.pendingCount, 0);
  assert.equal(isOpen(netns), false);
  assert.equal(served(state).length, 3);
  assert.equal(events.at(-1), 'held u');
});

test('a pod that leaves while it waits for the next try is not tried again', async () => {
  const state = await runningWorld();
  const netns = namespaceOf();
  state.failure = new Error('no data part');
  await assert.rejects(state.manager.serve(pod, netns, false));
  state.manager.retainOnly(new Set());
  state.clock.advance(60_000);
  await settled();
  assert.equal(isOpen(netns), false);
  assert.equal(served(state).length, 1);
});

test('a pod that leaves while its listeners are opened is not served', async () => {
  const state = await runningWorld();
  const serving = state.manager.serve(pod, namespaceOf(), false);
  state.manager.remove('u');
  await assert.rejects(serving, { code: 'ztunnel.pod-removed' });
  assert.deepEqual(served(state), []);
  assert.ok(!state.descriptors.some(isOpen));
});

test('the pods of the first snapshot wait until there is a certificate for each identity', async () => {
  const state = world();
  const { manager, events } = state;
  state.elsewhere.add('u').add('v');
  await manager.serve(pod, namespaceOf(), true);
  await manager.serve(other, namespaceOf(), true);
  state.issue('sa');
  manager.ready(true);
  state.clock.advance(60_000);
  await settled();
  assert.deepEqual(served(state), []);
  assert.equal(events.at(-1), 'ready false');
  state.issue('db');
  await settled();
  assert.deepEqual(served(state), ['serve u', 'serve v']);
  assert.equal(events.at(-1), 'ready true');
});

test('a pod that comes while others wait is served at once', async () => {
  const state = world();
  state.elsewhere.add('u');
  await state.manager.serve(pod, namespaceOf(), true);
  state.manager.ready(true);
  await state.manager.serve(other, namespaceOf(), false);
  assert.deepEqual(served(state), ['serve v']);
});

test('a waiting pod that nobody serves any more is served with its own certificate, or after a while without', async () => {
  const state = world();
  const { manager, clock } = state;
  state.elsewhere.add('u').add('v');
  await manager.serve(pod, namespaceOf(), true);
  await manager.serve(other, namespaceOf(), true);
  state.issue('sa');
  manager.ready(true);
  clock.advance(1000);
  await settled();
  assert.deepEqual(served(state), []);
  // The ztunnel before us was killed.
  state.elsewhere.clear();
  clock.advance(1000);
  await settled();
  assert.deepEqual(served(state), ['serve u']);
  for (let i = 0; i < 10; i++) {
    clock.advance(1000);
    await settled();
  }
  assert.deepEqual(served(state), ['serve u', 'serve v']);
  assert.ok(!state.events.includes('ready true'));
});

test('an identity that the authority keeps refusing does not hold up the node', async () => {
  const state = world();
  const { manager, clock } = state;
  state.elsewhere.add('u').add('v');
  await manager.serve(pod, namespaceOf(), true);
  await manager.serve(other, namespaceOf(), true);
  state.issue('sa');
  state.refuse('db');
  manager.ready(true);
  await settled();
  assert.deepEqual(served(state), []);
  for (let i = 0; i < 6; i++) {
    clock.advance(1000);
    await settled();
  }
  assert.deepEqual(served(state), ['serve u', 'serve v']);
  assert.equal(state.events.at(-1), 'ready true');
});

test('a waiting pod that is announced again is answered when it is served, or soon that it is not', async () => {
  const state = world();
  const { manager, clock } = state;
  state.elsewhere.add('u');
  const netns = namespaceOf();
  const copies = [again(netns), again(netns), again(netns)] as const;
  await manager.serve(pod, netns, true);
  manager.ready(true);
  const first = manager.serve(pod, copies[0], false);
  clock.advance(3000);
  await assert.rejects(first, { code: 'ztunnel.not-ready' });
  const second = manager.serve(pod, copies[1], false);
  clock.advance(0);
  await assert.rejects(second, { code: 'ztunnel.not-ready' });
  const third = manager.serve(pod, copies[2], false);
  state.issue('sa');
  await third;
  assert.deepEqual(served(state), ['serve u']);
  // Numbers are used again: once the listeners are closed, too, none is left.
  manager.drain();
  assert.ok(![netns, ...copies, ...state.descriptors].some(isOpen));
});

test('the node is ready while the agent is connected, once it took over', async () => {
  const state = world();
  const { manager, events } = state;
  manager.ready(true);
  await settled();
  manager.ready(false);
  manager.ready(true);
  assert.deepEqual(events, ['ready false', 'ready true', 'ready false', 'ready true']);
});

test('a draining pod is told to the data parts once it is served', async () => {
  const state = world();
  const { manager, events } = state;
  await manager.serve(pod, namespaceOf(), true);
  manager.drainPod('u');
  manager.drainPod('unknown');
  assert.ok(!events.includes('drain u'));
  state.issue('sa');
  manager.ready(true);
  await settled();
  assert.equal(events.filter((event) => event === 'drain u').length, 1);
  manager.drainPod('u');
  assert.equal(events.filter((event) => event === 'drain u').length, 2);
});

test('one that drains takes no pods, lets them leave, and holds no descriptors', async () => {
  const state = await runningWorld();
  const { manager, events } = state;
  await manager.serve(pod, namespaceOf(), false);
  manager.drain();
  const netns = namespaceOf();
  await assert.rejects(manager.serve(other, netns, false), { code: 'ztunnel.draining' });
  manager.remove('u');
  assert.ok(events.includes('remove u'));
  assert.ok(![netns, ...state.descriptors].some(isOpen));
});

test('a pod with another namespace is served there', async () => {
  const state = await runningWorld();
  await state.manager.serve(pod, namespaceOf(), false);
  await state.manager.serve(pod, namespaceOf(), false);
  assert.deepEqual(served(state), ['serve u', 'serve u']);
  assert.equal(state.manager.counts.started, 2);
});
