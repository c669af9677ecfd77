import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { meshWorkload } from '../../mesh/fixtures.ts';
import { MeshState } from '../../mesh/index.ts';
import { LateNews } from './late-news.ts';

function newsOf() {
  const clock = createFakeClock();
  const mesh = new MeshState();
  const end = new AbortController();
  return { clock, mesh, end, news: new LateNews({ mesh, clock, ended: end.signal }) };
}

const never = new AbortController().signal;

test('who waits hears of the first change that brings it, of the mesh or of the configuration', async () => {
  const { mesh, news, clock } = newsOf();
  let configured = false;
  const ofMesh = news.wait(() => mesh.workload(meshWorkload().uid), never);
  const ofConfig = news.wait(() => (configured ? 'configured' : undefined), never);
  news.look();
  assert.equal(news.waiting, 2);
  mesh.applyAddresses({ updated: [{ kind: 'workload', workload: meshWorkload() }], removed: [] });
  assert.equal((await ofMesh)?.name, 'web');
  configured = true;
  news.look();
  assert.equal(await ofConfig, 'configured');
  assert.deepEqual([news.waiting, clock.pending], [0, 0]);
});

test('nobody waits past the deadline, for who gave up, past the end, or in a crowd', async () => {
  const { news, clock, end } = newsOf();
  const nothing = (): undefined => undefined;
  const late = news.wait(nothing, never);
  clock.advance(10_000);
  assert.equal(await late, undefined);

  const peer = new AbortController();
  const left = news.wait(nothing, peer.signal);
  peer.abort();
  assert.equal(await left, undefined);

  const crowd = Array.from({ length: 4096 }, () => news.wait(nothing, new AbortController().signal));
  assert.equal(await news.wait(nothing, never), undefined);
  end.abort();
  await Promise.all(crowd);
  assert.equal(await news.wait(nothing, never), undefined);
  assert.deepEqual([news.waiting, clock.pending], [0, 0]);
});
