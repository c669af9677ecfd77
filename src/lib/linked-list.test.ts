import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LinkedList } from './linked-list.ts';

interface Member {
  readonly name: string;
}

function listOf(...names: string[]): { list: LinkedList<Member>; links: ReturnType<LinkedList<Member>['add']>[] } {
  const list = new LinkedList<Member>();
  return { list, links: names.map((name) => list.add({ name })) };
}

function namesIn(list: Iterable<Member>): string[] {
  return [...list].map(({ name }) => name);
}

test('members are seen in the order of adding, and leave from any place', () => {
  const { list, links } = listOf('a', 'b', 'c', 'd');
  assert.equal(list.size, 4);
  for (const [i, left] of [
    [1, ['a', 'c', 'd']],
    [0, ['c', 'd']],
    [3, ['c']],
    [2, []],
  ] as const) {
    assert.equal(list.remove(links[i]!), true);
    assert.deepEqual(namesIn(list), left);
    assert.equal(list.size, left.length);
  }
  assert.equal(list.remove(links[2]!), false, 'it is out already');
  assert.equal(list.size, 0);
});

test('what left refers to no neighbour', () => {
  const { list, links } = listOf('a', 'b', 'c');
  list.remove(links[1]!);
  assert.deepEqual([links[1]!.next, links[1]!.previous], [undefined, undefined]);
});

test('who walks along sees what comes meanwhile and not what left, wherever it stands', () => {
  const { list, links } = listOf('a', 'b', 'c', 'd');
  const seen: string[] = [];
  for (const { name } of list) {
    seen.push(name);
    // Itself and the one that would be next.
    if (name === 'a') for (const i of [0, 1]) list.remove(links[i]!);
    if (name === 'd') list.add({ name: 'e' });
  }
  assert.deepEqual(seen, ['a', 'c', 'd', 'e']);
});

test('several walk along at once, and one that stops early leaves nothing behind', () => {
  const { list, links } = listOf('a', 'b', 'c');
  const [first, second] = [list[Symbol.iterator](), list[Symbol.iterator]()];
  assert.equal(first.next().value?.name, 'a');
  assert.deepEqual(namesIn({ [Symbol.iterator]: () => second }), ['a', 'b', 'c']);
  for (const { name } of list) if (name === 'b') break;
  first.return(undefined);
  assert.equal(links[0]!.next, links[1], 'no bookmark is between them');
  assert.equal(links[1]!.next, links[2]);
});
