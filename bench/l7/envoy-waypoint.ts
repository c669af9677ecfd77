/** Envoy as a waypoint, built as Istio builds it (ambient-l7, 1.6): CONNECT terminated, an inner HTTP listener, CONNECT originated. */

export interface EnvoyWaypointOptions {
  readonly port: number;
  readonly hbonePort: number;
  readonly originPort: number;
  readonly protocol: 'http1' | 'http2';
  /** PEM files. */
  readonly certificate: string;
  readonly key: string;
  readonly root: string;
}

type Json = Readonly<Record<string, unknown>>;

const prefixed = (name: string): string => `type.googleapis.com/envoy.${name}`;
const socketAddress = (port: number): Json => ({ socket_address: { address: '127.0.0.1', port_value: port } });
const rawInternal: Json = {
  name: 'internal_upstream',
  typed_config: {
    '@type': prefixed('extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport'),
    transport_socket: {
      name: 'raw_buffer',
      typed_config: { '@type': prefixed('extensions.transport_sockets.raw_buffer.v3.RawBuffer') },
    },
  },
};

export function envoyWaypoint(options: EnvoyWaypointOptions): Json {
  const { port, hbonePort, originPort, protocol } = options;
  return {
    bootstrap_extensions: [
      {
        name: 'internal_listener',
        typed_config: { '@type': prefixed('extensions.bootstrap.internal_listener.v3.InternalListener') },
      },
    ],
    static_resources: {
      listeners: [
        {
          name: 'connect_terminate',
          address: socketAddress(port),
          filter_chains: [{ transport_socket: tls(options, 'Downstream'), filters: [connectTerminate] }],
        },
        { name: 'main_internal', internal_listener: {}, filter_chains: [{ filters: [mainHttp] }] },
        {
          name: 'connect_originate',
          internal_listener: {},
          filter_chains: [
            {
              filters: [
                {
                  name: 'tcp_proxy',
                  typed_config: {
                    '@type': prefixed('extensions.filters.network.tcp_proxy.v3.TcpProxy'),
                    stat_prefix: 'originate',
                    cluster: 'originate',
                    tunneling_config: { hostname: `127.0.0.1:${originPort}` },
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [
        internalCluster('main_internal', {}),
        internalCluster('connect_originate', httpOptions(protocol)),
        {
          name: 'originate',
          type: 'STATIC',
          ...httpOptions('http2'),
          transport_socket: tls(options, 'Upstream'),
          load_assignment: {
            cluster_name: 'originate',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(hbonePort) } }] }],
          },
        },
      ],
    },
  };
}

function httpOptions(protocol: 'http1' | 'http2'): Json {
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': prefixed('extensions.upstreams.http.v3.HttpProtocolOptions'),
        explicit_http_config: protocol === 'http2' ? { http2_protocol_options: {} } : { http_protocol_options: {} },
      },
    },
  };
}

function internalCluster(listener: string, more: Json): Json {
  const address = { envoy_internal_address: { server_listener_name: listener, endpoint_id: '0' } };
  return {
    name: listener,
    type: 'STATIC',
    transport_socket: rawInternal,
    ...more,
    load_assignment: { cluster_name: listener, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
  };
}

function tls({ certificate, key, root }: EnvoyWaypointOptions, side: 'Downstream' | 'Upstream'): Json {
  return {
    name: 'tls',
    typed_config: {
      '@type': prefixed(`extensions.transport_sockets.tls.v3.${side}TlsContext`),
      ...(side === 'Downstream' ? { require_client_certificate: true } : {}),
      common_tls_context: {
        alpn_protocols: ['h2'],
        tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
        tls_certificates: [{ certificate_chain: { filename: certificate }, private_key: { filename: key } }],
        validation_context: { trusted_ca: { filename: root } },
      },
    },
  };
}

const router: Json = {
  name: 'router',
  typed_config: { '@type': prefixed('extensions.filters.http.router.v3.Router') },
};

const connectTerminate: Json = {
  name: 'http',
  typed_config: {
    '@type': prefixed('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'terminate',
    codec_type: 'HTTP2',
    http2_protocol_options: { allow_connect: true },
    upgrade_configs: [{ upgrade_type: 'CONNECT' }],
    route_config: {
      name: 'terminate',
      virtual_hosts: [
        {
          name: 'any',
          domains: ['*'],
          routes: [
            {
              match: { connect_matcher: {} },
              route: { cluster: 'main_internal', upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }] },
            },
          ],
        },
      ],
    },
    http_filters: [router],
  },
};

const rbacFilter: Json = {
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
};

export function httpManager(cluster: string): Json {
  return {
    name: 'http',
    typed_config: {
      '@type': prefixed('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
      stat_prefix: 'inner',
      codec_type: 'AUTO',
      generate_request_id: true,
      normalize_path: true,
      route_config: {
        name: 'inner',
        virtual_hosts: [
          {
            name: 'any',
            domains: ['*'],
            routes: [
              { match: { path_separated_prefix: '/never' }, direct_response: { status: 404 } },
              { match: { prefix: '/' }, route: { cluster, timeout: '0s' } },
            ],
          },
        ],
      },
      http_filters: [rbacFilter, router],
    },
  };
}

const mainHttp: Json = httpManager('connect_originate');
