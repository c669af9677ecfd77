/** `npm run soak -- --minutes 10`: a pair of ztunnel data parts under churn. Fails when a response is wrong, or memory, descriptors or handles are not flat at the end. */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, workers: { type: 'string', default: '1' } },
});
const minutes = Number(values.minutes);
if (!(minutes > 0) || !(Number(values.workers) >= 1)) {
  process.stderr.write('Usage: npm run soak -- [--minutes N] [--workers N]\n');
  process.exit(2);
}
const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
const program = [process.execPath, '--expose-gc', `${import.meta.dirname}/churn.ts`, String(minutes)];
const { status } = spawnSync(
  'unshare',
  [...asRoot, '--net', '--kill-child', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', ...program],
  { stdio: 'inherit', env: { ...process.env, AMBIT_TEST_WORKERS: values.workers } },
);
process.exit(status ?? 1);
