import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LightSignal, type Abortable } from './light-signal.ts';

/** What an AbortSignal does in the same place. */
function abortSignal(): { signal: Abortable; abort: (reason: Error) => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
}

function lightSignal(): { signal: Abortable; abort: (reason: Error) => void } {
  const signal = new LightSignal();
  return { signal, abort: (reason) => signal.abort(reason) };
}

for (const [name, make] of [
  ['an AbortSignal', abortSignal],
  ['a LightSignal', lightSignal],
] as const) {
  test(`${name} calls its listeners once, but for those that were taken back`, () => {
    const { signal, abort } = make();
    const called: string[] = [];
    const last = (): void => void called.push('last');
    const never = (): void => void called.push('never');
    signal.addEventListener('abort', never, { once: true });
    signal.addEventListener(
      'abort',
      () => {
        called.push(`first, aborted: ${signal.aborted}`);
        signal.removeEventListener('abort', last);
      },
      { once: true },
    );
    signal.addEventListener('abort', last, { once: true });
    signal.removeEventListener('abort', never);
    assert.equal(signal.aborted, false);
    const reason = new Error('over');
    abort(reason);
    abort(new Error('too late'));
    assert.deepEqual(called, ['first, aborted: true']);
    assert.equal(signal.reason, reason);
    signal.addEventListener('abort', never, { once: true });
    abort(reason);
    assert.deepEqual(called, ['first, aborted: true'], 'who comes later is told by `aborted` alone');
  });
}
