import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isOlder } from '../kube/index.ts';
import { isHeld, Watermark } from './watermark.ts';

it('a position is held once every data plane has answered what was published with it', () => {
  let published = 0;
  let held = 0;
  const watermark = new Watermark({ publish: () => ++published, heldEpoch: () => held });
  assert.equal(watermark.held(), undefined);
  watermark.published({ policies: '10' });
  assert.equal(watermark.held(), undefined, 'published, but not answered');
  held = 1;
  assert.deepEqual(watermark.held(), { policies: '10' });
  watermark.published({ policies: '12' });
  watermark.published({ policies: '15' });
  assert.deepEqual(watermark.held(), { policies: '10' });
  held = 2;
  assert.deepEqual(watermark.held(), { policies: '12' });
  held = 9;
  assert.deepEqual(watermark.held(), { policies: '15' });
});

it('a version is held from its position on', () => {
  assert.equal(isHeld({ policies: '9' }, 'policies', '10', isOlder), false);
  assert.equal(isHeld({ policies: '10' }, 'policies', '10', isOlder), true);
  assert.equal(isHeld({ policies: '11' }, 'policies', '10', isOlder), true);
  assert.equal(isHeld({}, 'policies', '10', isOlder), false);
  assert.equal(isHeld(undefined, 'policies', '10', isOlder), false);
});
