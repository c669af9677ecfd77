import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from './fake-clock.ts';
import { Questions } from './questions.ts';

test('each question gets its own answer, or none: in time, and while there is somebody', async () => {
  const clock = createFakeClock();
  const questions = new Questions<string>(clock);
  const put: number[] = [];
  const ask = (timeoutMs: number): Promise<string | undefined> => questions.ask((id) => put.push(id), timeoutMs);
  const first = ask(100);
  const second = ask(200);
  deepEqual(put, [1, 2]);
  questions.answer(2, 'two');
  clock.advance(100);
  questions.answer(1, 'too late');
  deepEqual(await Promise.all([first, second]), [undefined, 'two']);
  const third = ask(100);
  questions.end();
  deepEqual([await third, put], [undefined, [1, 2, 3]]);
});
