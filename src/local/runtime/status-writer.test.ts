import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { KubeError, type KubeClient } from '../../kube/index.ts';
import { silentLog } from '../../lib/log.ts';
import { StatusWriter } from './status-writer.ts';

const pod = { namespace: 'shop', name: 'web', uid: 'u1' };

/** Records patches; `answers` says what each of the first ones meets. */
function open(answers: readonly ('ok' | Error)[] = []): { writer: StatusWriter; patches: unknown[] } {
  const patches: unknown[] = [];
  const client = {
    async patch(_kind: unknown, name: string, namespace: string, patch: unknown) {
      const answer = answers[patches.length];
      patches.push({ name, namespace, ...(patch as object) });
      await new Promise((resolve) => setImmediate(resolve));
      if (answer instanceof Error) throw answer;
      return {};
    },
  } as unknown as KubeClient;
  return { writer: new StatusWriter({ client, log: silentLog(), signal: new AbortController().signal }), patches };
}

test('changes of one moment are one write, and the last one wins', async () => {
  const { writer, patches } = open();
  writer.write(pod, { phase: 'Pending' });
  writer.write(pod, { phase: 'Running' });
  await writer.flushed(pod);
  deepEqual(patches, [{ name: 'web', namespace: 'shop', metadata: { uid: 'u1' }, status: { phase: 'Running' } }]);
});

test('what changes while a write is under way is written after it; what does not change is not', async () => {
  const { writer, patches } = open();
  writer.write(pod, { phase: 'Pending' });
  await Promise.resolve();
  await Promise.resolve();
  writer.write(pod, { phase: 'Running' });
  await writer.flushed(pod);
  writer.write(pod, { phase: 'Running' });
  await writer.flushed(pod);
  equal(patches.length, 2);
});

test('a field that is gone is removed by name', async () => {
  const { writer, patches } = open();
  writer.write(pod, { phase: 'Pending', message: 'wait' });
  await writer.flushed(pod);
  writer.write(pod, { phase: 'Running' });
  await writer.flushed(pod);
  deepEqual((patches[1] as { status: unknown }).status, { phase: 'Running', message: null });
});

test('a failure is tried again, a pod that is gone is not', async () => {
  const failing = open([new Error('away'), new Error('away'), 'ok']);
  failing.writer.write(pod, { phase: 'Running' });
  await failing.writer.flushed(pod);
  equal(failing.patches.length, 3);
  for (const status of [404, 409]) {
    const gone = open([Object.assign(Object.create(KubeError.prototype) as KubeError, { status })]);
    gone.writer.write(pod, { phase: 'Running' });
    await gone.writer.flushed(pod);
    equal(gone.patches.length, 1);
  }
});
