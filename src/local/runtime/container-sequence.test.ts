import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import type { Container } from '../../api/index.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { runContainers } from './container-sequence.ts';
import type { ContainerSupervisor } from './container-supervisor.ts';

/** Runs until it is stopped, or ends at once with `exitCode`. */
function supervised(container: Container, said: string[], exitCode?: number): ContainerSupervisor {
  const ended = Promise.withResolvers<void>();
  return {
    container,
    firstStart: Promise.resolve(true),
    firstHook: Promise.resolve(),
    end: exitCode === undefined ? undefined : { exitCode },
    run() {
      said.push(`${container.name} runs`);
      if (exitCode !== undefined) ended.resolve();
      return ended.promise;
    },
    stop() {
      // One that ended is told as well, and has nothing to do.
      if (exitCode === undefined) said.push(`${container.name} stops`);
      ended.resolve();
    },
  } as Partial<ContainerSupervisor> as ContainerSupervisor;
}

const sidecar = (name: string): Container => ({ name, restartPolicy: 'Always' });

test('init containers come first; sidecars are there from then on, and end last, in reverse order', async () => {
  const said: string[] = [];
  const stopping = new AbortController();
  const running = runContainers({
    init: [
      supervised(sidecar('first'), said),
      supervised({ name: 'setup' }, said, 0),
      supervised(sidecar('second'), said),
    ],
    main: [supervised({ name: 'main' }, said)],
    onInitialized() {
      said.push('initialized');
      setImmediate(() => stopping.abort());
    },
    graceMs: () => 1000,
    clock: createFakeClock(),
    signal: stopping.signal,
  });
  await running;
  deepEqual(said, [
    'first runs',
    'setup runs',
    'second runs',
    'initialized',
    'main runs',
    'main stops',
    'second stops',
    'first stops',
  ]);
});

test('an init container that fails keeps the others from running', async () => {
  const said: string[] = [];
  await runContainers({
    init: [supervised(sidecar('proxy'), said), supervised({ name: 'setup' }, said, 1)],
    main: [supervised({ name: 'main' }, said)],
    onInitialized: () => said.push('initialized'),
    graceMs: () => 1000,
    clock: createFakeClock(),
    signal: new AbortController().signal,
  });
  deepEqual(said, ['proxy runs', 'setup runs', 'proxy stops']);
});
