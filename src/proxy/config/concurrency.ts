/** How many threads serve the connections of a proxy: as istio-proxy reads it, with a default of our own. */
import { availableParallelism } from 'node:os';
import { messageOf } from '../../lib/errors.ts';
import type { ProxyArguments } from './proxy-config.ts';

/** More would hold a copy of what is told each, for cores that nobody has. */
const most = 1024;

/**
 * `--concurrency`, else `concurrency` in the JSON of `PROXY_CONFIG`: a number of threads, 0 for one a core. Neither: one. Adds to
 * `problems`.
 */
export function parseConcurrency(
  env: Readonly<Record<string, string | undefined>>,
  { concurrency: flag, cores = availableParallelism() }: ProxyArguments,
  problems: string[],
): number {
  const [name, value] =
    flag === undefined ? ['PROXY_CONFIG.concurrency', ofProxyConfig(env, problems)] : ['--concurrency', flag];
  if (value === undefined || value === null) return 1;
  const threads = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof threads === 'number' && Number.isInteger(threads) && threads >= 0 && threads <= most) {
    return threads === 0 ? cores : threads;
  }
  problems.push(`${name} is ${JSON.stringify(value)}, not a number of threads, or 0 for one a core`);
  return 1;
}

function ofProxyConfig(env: Readonly<Record<string, string | undefined>>, problems: string[]): unknown {
  const text = env['PROXY_CONFIG'];
  if (text === undefined || text.trim() === '') return undefined;
  try {
    const config: unknown = JSON.parse(text);
    if (typeof config === 'object' && config !== null && !Array.isArray(config)) {
      return 'concurrency' in config ? config.concurrency : undefined;
    }
    problems.push('PROXY_CONFIG is no JSON object');
  } catch (error) {
    problems.push(`PROXY_CONFIG is no JSON: ${messageOf(error)}`);
  }
  return undefined;
}
