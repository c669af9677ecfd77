import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stripVTControlCharacters, styleText } from 'node:util';
import { load } from 'js-yaml';
import { createTestContext } from './test-context.ts';
import { formatAge, formatTable, printList } from './output.ts';

interface Row {
  readonly name: string;
  readonly count?: number;
}

const columns = [
  { title: 'NAME', value: (row: Row) => row.name },
  { title: 'COUNT', value: (row: Row) => String(row.count ?? '') },
];
const rows: readonly Row[] = [{ name: 'a-long-name', count: 3 }, { name: 'b' }];

describe('tables', () => {
  it('line columns up, put a dash for nothing, and leave no spaces at the end', () => {
    assert.equal(formatTable(rows, columns), 'NAME         COUNT\na-long-name  3\nb            -\n');
  });

  it('have a header alone when there is nothing to list', () => {
    assert.equal(formatTable([], columns), 'NAME  COUNT\n');
  });

  it('line columns up whatever colours cells have', () => {
    const coloured = [
      { title: 'NAME', value: (row: Row) => styleText('red', row.name, { validateStream: false }) },
      ...columns.slice(1),
    ];
    assert.equal(stripVTControlCharacters(formatTable(rows, coloured)), formatTable(rows, columns));
  });
});

describe('lists', () => {
  for (const [format, parse] of [
    ['json', JSON.parse],
    ['yaml', load],
  ] as const) {
    it(`are arrays of whole rows in ${format}`, () => {
      const context = createTestContext();
      printList(context, rows, { format, columns });
      assert.deepEqual(parse(context.stdout()), rows);
      const empty = createTestContext();
      printList(empty, [], { format, columns });
      assert.deepEqual(parse(empty.stdout()), []);
    });
  }

  it('are tables when asked', () => {
    const context = createTestContext();
    printList(context, rows, { format: 'table', columns });
    assert.equal(context.stdout(), formatTable(rows, columns));
  });
});

describe('ages', () => {
  const now = Date.parse('2026-01-10T00:00:00Z');
  const cases: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [7199, '119m'],
    [7200, '2h'],
    [172_799, '47h'],
    [172_800, '2d'],
    [-5, '0s'],
  ];
  for (const [seconds, text] of cases) {
    it(`of ${seconds} seconds are ${text}`, () => {
      assert.equal(formatAge(new Date(now - seconds * 1000).toISOString(), now), text);
    });
  }

  it('of nothing are nothing', () => {
    assert.equal(formatAge('', now), '');
  });
});
