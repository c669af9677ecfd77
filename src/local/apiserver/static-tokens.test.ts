import { deepEqual, equal } from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '../../lib/log.ts';
import { openStaticTokens } from './static-tokens.ts';

test('tokens are read again when their file changes, and kept while it is broken', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-tokens-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'tokens.json');
  const tokens = openStaticTokens(path, silentLog());
  equal(tokens.find('first-token-0123456789'), undefined);
  writeFileSync(path, JSON.stringify([{ token: 'first-token-0123456789', user: 'one', groups: ['a'] }]));
  deepEqual(tokens.find('first-token-0123456789'), { username: 'one', groups: ['a', 'system:authenticated'] });
  writeFileSync(path, '[{"token":');
  equal(tokens.find('first-token-0123456789')?.username, 'one');
  writeFileSync(path, JSON.stringify([{ token: 'second-token-0123456789', user: 'two' }]));
  equal(tokens.find('first-token-0123456789'), undefined);
  equal(tokens.find('second-token-0123456789')?.username, 'two');
  rmSync(path);
  equal(tokens.find('second-token-0123456789'), undefined);
});

test('an issued token needs no file', () => {
  const tokens = openStaticTokens('/nonexistent/tokens.json', silentLog());
  const token = tokens.issue({ username: 'inside', groups: [] });
  equal(tokens.find(token)?.username, 'inside');
  equal(tokens.find(`${token}x`), undefined);
});
