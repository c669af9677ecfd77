import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { logScopes } from './log-scopes.ts';

test('every scope that the code opens can have a level', () => {
  const folder = import.meta.dirname;
  const files = globSync('**/*.ts', { cwd: folder }).filter((path) => !path.endsWith('.test.ts'));
  const opened = files.flatMap((path) => {
    const text = readFileSync(join(folder, path), 'utf8');
    return [...text.matchAll(/\.child\('([a-z-]+)'/g)].map(([, scope]) => scope);
  });
  const known = new Set(logScopes.names.map((name) => name.split('.').at(-1)));
  assert.ok(opened.length > 5, `${opened.length}`);
  assert.deepEqual(
    opened.filter((scope) => !known.has(scope)),
    [],
  );
});
