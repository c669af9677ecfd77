import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import {
  memoryChannelPair,
  pump,
  writeResult,
  type ByteChannel,
  type ChannelReader,
  type PumpResult,
} from './index.ts';

/** A channel that does what the test says and notes what it is told. */
class ScriptedChannel implements ByteChannel {
  readonly neverKeeps: boolean = false;
  readonly calls: string[] = [];
  answer: 0 | 1 | 2 = writeResult.done;
  reader!: ChannelReader;
  #closed = false;

  read(reader: ChannelReader): void {
    this.reader = reader;
  }
  write(bytes: Uint8Array): 0 | 1 | 2 {
    this.calls.push(`write ${bytes.length}`);
    return this.answer;
  }
  pause(): void {
    this.calls.push('pause');
  }
  resume(): void {
    this.calls.push('resume');
  }
  credit(byteCount: number): void {
    this.calls.push(`credit ${byteCount}`);
  }
  end(): void {
    this.calls.push('end');
  }
  reset(error?: Error): void {
    if (this.#closed) return;
    this.calls.push(`reset ${error?.message}`);
    this.close(error);
  }
  close(error?: Error): void {
    this.#closed = true;
    this.reader.onClose(error);
  }
}

function scripted(): { a: ScriptedChannel; b: ScriptedChannel; results: PumpResult[]; abort: (error: Error) => void } {
  const [a, b] = [new ScriptedChannel(), new ScriptedChannel()];
  const results: PumpResult[] = [];
  const running = pump(a, b, { onEnd: (result) => results.push(result) });
  return { a, b, results, abort: (error) => running.abort(error) };
}

test('bytes that were taken are credited at once', () => {
  const { a, b } = scripted();
  equal(a.reader.onData(new Uint8Array(10)), false);
  deepEqual([a.calls, b.calls], [['credit 10'], ['write 10']]);
});

test('a full target pauses the source and its credit until it drained', () => {
  const { a, b } = scripted();
  b.answer = writeResult.full;
  equal(a.reader.onData(new Uint8Array(10)), false);
  equal(a.reader.onData(new Uint8Array(5)), false);
  deepEqual(a.calls, ['pause']);
  b.answer = writeResult.done;
  b.reader.onDrain();
  deepEqual(a.calls, ['pause', 'credit 15', 'resume']);
});

test('memory that the target keeps is kept from the source', () => {
  const { a, b } = scripted();
  b.answer = writeResult.kept;
  equal(a.reader.onData(new Uint8Array(10)), true);
  deepEqual(a.calls, ['pause']);
});

test('a half-close passes through, and both closes end it', () => {
  const { a, b, results } = scripted();
  a.reader.onEnd();
  deepEqual(b.calls, ['end']);
  b.reader.onData(new Uint8Array(3));
  b.reader.onEnd();
  a.close();
  deepEqual(results, []);
  b.close();
  deepEqual(results, [{ bytesAtoB: 0, bytesBtoA: 3 }]);
});

test('a failure of one side resets the other and is told once, with its side', () => {
  const { b, a, results } = scripted();
  const error = new Error('lost');
  b.close(error);
  deepEqual(a.calls, ['reset lost']);
  deepEqual(results, [{ bytesAtoB: 0, bytesBtoA: 0, error, failed: 'b' }]);
});

test('an abort resets both', () => {
  const { a, b, results, abort } = scripted();
  const error = new Error('policy');
  abort(error);
  deepEqual([a.calls[0], b.calls[0]], ['reset policy', 'reset policy']);
  equal(results.length, 1);
  equal(results[0]?.error, error);
  equal(results[0]?.failed, undefined);
});

test('bytes are counted as they pass', async () => {
  const [near, a] = memoryChannelPair();
  const [b, far] = memoryChannelPair();
  const seen: string[] = [];
  const ended = new Promise<PumpResult>((resolve) => {
    pump(a, b, { onBytes: (from, byteCount) => seen.push(`${from} ${byteCount}`), onEnd: resolve });
  });
  const ignore = { onData: () => false, onDrain() {}, onClose() {} };
  near.read({ ...ignore, onEnd() {} });
  far.read({
    ...ignore,
    onEnd() {
      far.write(new Uint8Array(7));
      far.end();
    },
  });
  near.write(new Uint8Array(5));
  near.end();
  deepEqual(await ended, { bytesAtoB: 5, bytesBtoA: 7 });
  deepEqual(seen, ['a 5', 'b 7']);
});
