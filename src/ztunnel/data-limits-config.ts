/** The limits of the data path that people may want to change, from the environment. */
import { descriptorLimit } from '../net/index.ts';
import { connectionLimits } from './data/connection-limits.ts';
import type { DataLimits } from './data/data-context.ts';

interface LimitReaders {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly problems: string[];
  /** A duration such as `30s`, by its name. */
  readonly duration: (name: string, fallbackMs: number) => number;
}

const hourMs = 3600_000;
const minuteMs = 60_000;

/**
 * `MAX_CONNECTIONS`, `MAX_CONNECTIONS_PER_POD` and `MAX_IDLE_TUNNELS` are of the process: its data parts share them evenly. By default they follow
 * from the descriptors that the process may open. `HALF_CLOSE_TIMEOUT`, `WAYPOINT_DRAIN_TIME`: durations. `LOCALHOST_APP_TUNNEL`:
 * as upstream has it.
 */
export function parseDataLimits({ env, problems, duration }: LimitReaders, workers: number): Partial<DataLimits> {
  const count = (name: string): number | undefined => {
    const text = env[name];
    if (text === undefined || text === '') return undefined;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1) {
      problems.push(`${name} is "${text}", not a number of connections`);
      return undefined;
    }
    return Math.ceil(value / workers);
  };
  const byDescriptors = connectionLimits(descriptorLimit(), workers);
  const maxConnections = count('MAX_CONNECTIONS') ?? byDescriptors.maxConnections;
  return {
    maxConnections,
    maxPodConnections: count('MAX_CONNECTIONS_PER_POD') ?? Math.ceil(maxConnections / 2),
    maxIdleTunnels: count('MAX_IDLE_TUNNELS') ?? byDescriptors.maxIdleTunnels,
    halfCloseTimeoutMs: duration('HALF_CLOSE_TIMEOUT', hourMs),
    waypointDrainMs: duration('WAYPOINT_DRAIN_TIME', minuteMs),
    localhostAppTunnel: env['LOCALHOST_APP_TUNNEL'] !== 'false',
    allowTls12: env['TLS12_ENABLED'] === 'true',
    trustDomainAliases: (env['TRUST_DOMAIN_ALIASES'] ?? '').split(',').flatMap((name) => name.trim() || []),
  };
}
