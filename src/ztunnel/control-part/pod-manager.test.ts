import assert from 'node:assert/strict';
import { fstatSync, openSync } from 'node:fs';
import { test } from 'node:test';
import type { Clock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import type { CertificateManager } from '../../identity/index.ts';
import { closeTarget } from '../pod-descriptors.ts';
import { PodManager } from './pod-manager.ts';

interface World {
  readonly manager: PodManager;
  readonly events: string[];
  /** Fails the tries to serve while it is set. */
  failure: Error | undefined;
  /** Runs the retry that waits. */
  readonly retry: () => Promise<void>;
}

function world(): World {
  const events: string[] = [];
  let waiting: (() => void) | undefined;
  const clock: Clock = {
    nowMs: () => 0,
    after(_delayMs, run) {
      waiting = run;
      return () => (waiting = undefined);
    },
  };
  const certificates: Pick<CertificateManager, 'retain' | 'release'> = {
    retain: (identity) => void events.push(`retain ${identity}`),
    release: (identity) => void events.push(`release ${identity}`),
  };
  const state: World = {
    events,
    failure: undefined,
    async retry() {
      const run = waiting;
      waiting = undefined;
      run?.();
      await new Promise((resolve) => setImmediate(resolve));
    },
    manager: new PodManager({
      trustDomain: 'td',
      certificates: certificates as CertificateManager,
      clock,
      log: silentLog(),
      listen: () => ({ hbone: namespaceOf(), plaintext: namespaceOf(), outbound: namespaceOf() }),
      async serve(target) {
        const { pod } = target;
        closeTarget(target);
        events.push(`serve ${pod.uid}`);
        if (state.failure) throw state.failure;
      },
      remove: (uid) => void events.push(`remove ${uid}`),
      onReady: (isReady) => void events.push(`ready ${isReady}`),
    }),
  };
  return state;
}

const pod = { uid: 'u', name: 'web', namespace: 'shop', serviceAccount: 'sa' };
const namespaceOf = (): number => openSync('/dev/null', 'r');
const isOpen = (fd: number): boolean => {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
};

test('a pod has its certificate held while it is here, and its descriptor closed', async () => {
  const { manager, events } = world();
  const netns = namespaceOf();
  await manager.serve(pod, netns);
  manager.remove('u');
  manager.remove('u');
  const identity = 'spiffe://td/ns/shop/sa/sa';
  assert.deepEqual(events, [`retain ${identity}`, 'serve u', 'remove u', `release ${identity}`]);
  assert.equal(isOpen(netns), false);
  assert.deepEqual(manager.counts, { started: 1, stopped: 1 });
});

test('a pod that is announced again holds its certificate once', async () => {
  const { manager, events } = world();
  await manager.serve(pod, namespaceOf());
  await manager.serve(pod, namespaceOf());
  assert.equal(
    events.filter((event) => event.startsWith('retain')).length -
      events.filter((event) => event.startsWith('release')).length,
    1,
  );
  assert.equal(manager.counts.started, 1);
});

test('a pod that cannot be served is told, and tried again until it can', async () => {
  const state = world();
  const { manager, events } = state;
  const netns = namespaceOf();
  state.failure = new Error('no listener');
  await assert.rejects(manager.serve(pod, netns), /no listener/);
  assert.equal(manager.pendingCount, 1);
  await state.retry();
  assert.equal(isOpen(netns), true);
  state.failure = undefined;
  await state.retry();
  assert.equal(manager.pendingCount, 0);
  assert.equal(isOpen(netns), false);
  assert.equal(events.filter((event) => event === 'serve u').length, 3);
});

test('a pod that leaves while it waits is not tried again', async () => {
  const state = world();
  const netns = namespaceOf();
  state.failure = new Error('no listener');
  await assert.rejects(state.manager.serve(pod, netns));
  state.manager.retainOnly(new Set());
  await state.retry();
  assert.equal(isOpen(netns), false);
  assert.equal(state.events.filter((event) => event === 'serve u').length, 1);
});
