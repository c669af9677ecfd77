/** What a filter of the user's costs: a call to a module that changes one header, one after another and 64 at once, and the process. */
import { readFileSync } from 'node:fs';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { ExtensionProcess } from '../../src/proxy/filters/extension/extension-process.ts';

const calls = 20_000;
const request = {
  method: 'GET',
  scheme: 'http',
  authority: 'web.shop',
  path: '/api/items?page=1',
  headers: { accept: 'application/json', 'user-agent': 'bench', 'x-client': 'web', 'x-team': 'red' },
  source: { address: '10.244.1.3', principal: 'spiffe://cluster.local/ns/front/sa/client' },
};
const extension = new ExtensionProcess({
  extension: {
    name: 'bench/extension',
    source: `export default () => ({ onRequest: ({ headers }) => ({ headers: { 'x-checked': headers['x-team'] ?? '' } }) });`,
    config: '',
    timeoutMs: 10_000,
    memoryMb: 64,
  },
  clock: systemClock,
  log: silentLog(),
});

async function measure(name: string, atOnce: number): Promise<void> {
  const before = process.cpuUsage();
  const start = performance.now();
  let left = calls;
  const caller = async (): Promise<void> => {
    while (left-- > 0) await extension.onRequest(request);
  };
  await Promise.all(Array.from({ length: atOnce }, caller));
  const { user, system } = process.cpuUsage(before);
  const wallUs = ((performance.now() - start) * 1000) / calls;
  process.stdout.write(
    `${name}: ${((user + system) / calls).toFixed(1)} us of the proxy's CPU, ${wallUs.toFixed(1)} us of time a call\n`,
  );
}

await measure('warm-up', 16);
await measure('one after another', 1);
await measure('64 at once', 64);
const pid = extension.pid;
if (pid !== undefined) {
  const rss = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  process.stdout.write(`its process: ${(Number(rss) / 1024).toFixed(0)} MB of RSS\n`);
}
extension.close();
