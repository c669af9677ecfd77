import { deepEqual } from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '../../lib/log.ts';
import { askAgent } from './agent-call.ts';
import { startPluginEndpoint } from './endpoint.ts';

test('an agent that ends late leaves the path to the next one', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'plugin-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'pluginevent.sock');
  const start = (): ReturnType<typeof startPluginEndpoint> =>
    startPluginEndpoint({ path, admit: async () => ({ enrolled: true }), log: silentLog() });
  const before = await start();
  const after = await start();
  before.close();
  const pod = { name: 'web', namespace: 'shop', netns: '/run/netns/web', ips: [] };
  deepEqual(await askAgent(path, pod), { kind: 'admitted' });
  deepEqual([readdirSync(folder), statSync(path).mode & 0o777], [['pluginevent.sock'], 0o600]);
  after.close();
  deepEqual(readdirSync(folder), []);
});
