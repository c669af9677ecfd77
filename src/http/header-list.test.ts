import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderList } from './header-list.ts';

test('setting leaves one field of the name, at the place of the first', () => {
  const list = new HeaderList(['a', '1', 'x', '1', 'b', '2', 'x', '2', 'x', '3']);
  list.set('x', 'new').set('c', '3');
  assert.deepEqual(list.fields, ['a', '1', 'x', 'new', 'b', '2', 'c', '3']);
});

test('removing takes all fields of the name, and only names', () => {
  const list = new HeaderList(['x', 'a', 'a', 'x', 'x', 'x']);
  assert.deepEqual(list.remove('x').fields, ['a', 'x']);
});

test('a copy shares nothing', () => {
  const list = new HeaderList(['a', '1']);
  const copy = list.copy().set('a', '2');
  assert.equal(list.get('a'), '1');
  assert.equal(copy.get('a'), '2');
});
