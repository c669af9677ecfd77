/** `meshConfig.extensionProviders` -> the providers that proxies call, and the backends that they need for it (ambient-l7, 3.2). */
import type { ExtensionProvider, ProviderAddress } from '../../api/extension-provider.ts';
import type { Provider, ProviderUse } from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { serviceKey } from '../../api/names.ts';
import type { Collection, Graph, Reader } from '../../collection/index.ts';
import { backendName, type BackendNeed, type ProxyResourceOf } from './contracts.ts';
import { fullHost } from './host-names.ts';
import type { L7Service, L7Services } from './l7-services.ts';
import type { ProxyGateway } from './proxy-gateways.ts';

export interface ProviderInputs {
  readonly gateways: Collection<ProxyGateway>;
  readonly meshConfigs: Collection<MeshConfig>;
  readonly services: L7Services;
  readonly clusterDomain: string;
  /** Rate limit services that policies ask, by name: one that is not configured is told as one that nobody can reach. */
  readonly askedProviders: Collection<string>;
}

export interface DerivedProviders {
  /** By `<gateway>|provider/<name>`. */
  readonly resources: Collection<ProxyResourceOf>;
  /** Backends by name, under the names of gateways. */
  readonly needs: Collection<{ readonly gateway: string; readonly backends: ReadonlyMap<string, BackendNeed> }>;
}

interface ProviderOf {
  readonly name: string;
  readonly use: ProviderUse;
  readonly need: BackendNeed | undefined;
}

/** Each proxy is told all of them: they are few, and policies come and go. */
export function deriveProviders(graph: Graph, inputs: ProviderInputs): DerivedProviders {
  const { gateways, meshConfigs, askedProviders } = inputs;
  const providers = graph.map('providers of proxies', gateways, (gateway, _, read): readonly ProviderOf[] => {
    const configured = (read.get(meshConfigs, gateway.cluster)?.extensionProviders ?? []).flatMap((provider) => {
      const use = useOf(provider);
      return use ? [{ name: provider.name, use, need: needOf(provider, gateway, inputs, read) }] : [];
    });
    const names = new Set(configured.map(({ name }) => name));
    const missing = [...read.all(askedProviders)].filter(([name]) => !names.has(name));
    return [
      ...configured,
      ...missing.map(([name]) => ({ name, use: { kind: 'rate-limit' as const }, need: undefined })),
    ];
  });
  return {
    resources: graph.flatMap('provider resources', providers, (list, gateway) =>
      list.map(({ name, use, need }) => {
        const resource: Provider = { kind: 'provider', name, use, ...(need ? { backend: backendName(need) } : {}) };
        return [`${gateway}|provider/${name}`, { gateway, resource }] as const;
      }),
    ),
    needs: graph.map('backends of providers', providers, (list, gateway) => ({
      gateway,
      backends: new Map(list.flatMap(({ need }) => (need ? [[backendName(need), need] as const] : []))),
    })),
  };
}

/** Undefined: nobody calls it, or nobody knows how. */
function useOf(provider: ExtensionProvider): ProviderUse | undefined {
  switch (provider.kind) {
    case 'envoyExtAuthzHttp':
      return {
        kind: 'ext-authz-http',
        ...extAuthz(provider),
        pathPrefix: provider.pathPrefix,
        includeHeaders: provider.includeRequestHeadersInCheck,
        addHeaders: Object.entries(provider.includeAdditionalHeadersInCheck),
        headersToUpstreamOnAllow: provider.headersToUpstreamOnAllow,
        headersToDownstreamOnDeny: provider.headersToDownstreamOnDeny,
        headersToDownstreamOnAllow: provider.headersToDownstreamOnAllow,
      };
    case 'envoyExtAuthzGrpc':
      return {
        kind: 'ext-authz-grpc',
        ...extAuthz(provider),
        pathPrefix: '',
        includeHeaders: [],
        addHeaders: [],
        headersToUpstreamOnAllow: [],
        headersToDownstreamOnDeny: [],
        headersToDownstreamOnAllow: [],
      };
    case 'envoyRateLimitGrpc':
      return { kind: 'rate-limit' };
    case 'opentelemetry': {
      const { http, grpc } = provider;
      return {
        kind: 'opentelemetry',
        protocol: http ? 'http' : 'grpc',
        path: http?.path ?? '',
        timeoutMs: http?.timeoutMs ?? grpc?.timeoutMs ?? exportTimeoutMs,
        headers: http?.headers ?? grpc?.initialMetadata ?? [],
      };
    }
    case 'zipkin':
      return { kind: 'zipkin', path: provider.path };
    case 'envoyFileAccessLog':
      return {
        kind: 'access-log-file',
        path: provider.path,
        // Empty: Istio's own format.
        format: provider.format ?? { kind: 'text', template: '' },
      };
    case 'prometheus':
    case 'unsupported':
      return undefined;
  }
}

/** Istio's default: the application's own timeout ends it before. */
const extAuthzTimeoutMs = 600_000;
const exportTimeoutMs = 10_000;

type ExtAuthz = Extract<ExtensionProvider, { readonly kind: 'envoyExtAuthzGrpc' | 'envoyExtAuthzHttp' }>;
type ExtAuthzUse = Extract<ProviderUse, { readonly statusOnError: number }>;

function extAuthz({
  timeoutMs = extAuthzTimeoutMs,
  failOpen,
  statusOnError = 403,
  body,
}: ExtAuthz): Pick<ExtAuthzUse, 'timeoutMs' | 'failOpen' | 'statusOnError' | 'body'> {
  return {
    timeoutMs,
    failOpen,
    statusOnError,
    ...(body
      ? {
          body: {
            maxBytes: body.maxRequestBytes,
            allowPartial: body.allowPartialMessage,
            packAsBytes: body.packAsBytes,
          },
        }
      : {}),
  };
}

/** Undefined: it calls nobody, or a service that is not there, or not on that port: what that means is its user's to say. */
function needOf(
  provider: ExtensionProvider,
  gateway: ProxyGateway,
  inputs: ProviderInputs,
  read: Reader,
): BackendNeed | undefined {
  if (!('service' in provider)) return undefined;
  const service = serviceOf(provider, gateway, inputs, read);
  if (!service?.ports.some(({ port }) => port === provider.port)) return undefined;
  return { service: service.key, hostname: service.hostname, port: provider.port };
}

function serviceOf(
  { service }: ProviderAddress,
  gateway: ProxyGateway,
  { services, clusterDomain }: ProviderInputs,
  read: Reader,
): L7Service | undefined {
  const slash = service.indexOf('/');
  if (slash < 0) return services.find(fullHost(service, gateway.namespace, clusterDomain), gateway.namespace, read);
  const namespace = service.slice(0, slash);
  return read.get(services.all, serviceKey(namespace, fullHost(service.slice(slash + 1), namespace, clusterDomain)));
}
