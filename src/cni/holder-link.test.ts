import { deepEqual, equal } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createFakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { listenSeqpacket, type SeqpacketConnection } from '../net/index.ts';
import { decodeHolderRequest } from '../wire/listener-holder.ts';
import { HolderLink } from './holder-link.ts';

interface World {
  readonly link: HolderLink;
  readonly heard: string[];
  readonly tick: () => void;
  readonly until: (count: number) => Promise<void>;
  readonly start: () => void;
  readonly stop: () => void;
}

function world(t: TestContext): World {
  const folder = mkdtempSync(join(tmpdir(), 'link-'));
  const path = join(folder, 's');
  const clock = createFakeClock();
  const heard: string[] = [];
  const waiting: (() => void)[] = [];
  const connections: SeqpacketConnection[] = [];
  let listener: { close(): void } | undefined;
  const state: World = {
    heard,
    link: new HolderLink({ path, log: silentLog(), clock }),
    tick: () => clock.advance(1000),
    async until(count) {
      while (heard.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
      equal(heard.length, count);
    },
    start() {
      listener = listenSeqpacket({
        path,
        onConnection(connection) {
          connections.push(connection);
          return {
            onMessage(bytes) {
              const request = decodeHolderRequest(bytes);
              if (request.kind === 'foreign') heard.push(`foreign ${request.present}`);
              else heard.push(`${request.kind} ${request.kind === 'drop' ? request.pod : ''}`);
              for (const resolve of waiting.splice(0)) resolve();
            },
            onClose() {},
          };
        },
      });
    },
    stop() {
      listener?.close();
      for (const connection of connections.splice(0)) connection.close();
    },
  };
  t.after(() => {
    state.link.close();
    state.stop();
    rmSync(folder, { recursive: true });
  });
  return state;
}

test('a holder hears of foreign proxies and of pods that left, each change once', async (t) => {
  const { link, heard, start, until } = world(t);
  start();
  link.setForeign(false);
  link.setForeign(false);
  link.drop('u1');
  link.setForeign(true);
  await until(3);
  deepEqual(heard, ['foreign false', 'drop u1', 'foreign true']);
});

test('a holder that starts later, or again, hears how it is', async (t) => {
  const { link, heard, start, stop, until, tick } = world(t);
  link.setForeign(true);
  link.drop('nobody keeps it');
  start();
  tick();
  await until(1);
  stop();
  start();
  while (heard.length < 2) {
    await new Promise((resolve) => setImmediate(resolve));
    tick();
  }
  deepEqual(heard, ['foreign true', 'foreign true']);
});
