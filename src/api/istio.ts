/** Istio's kinds (security, networking, telemetry, extensions), fields as in their CRDs. */
import type { Condition, KubeObject } from './meta.ts';

export interface IstioStatus {
  conditions?: Condition[];
  observedGeneration?: number;
  validationMessages?: unknown[];
}

export interface WorkloadSelector {
  matchLabels?: Record<string, string>;
}

export interface PolicyTargetReference {
  group?: string;
  kind: string;
  name: string;
  namespace?: string;
}

export interface AuthorizationSource {
  principals?: string[];
  notPrincipals?: string[];
  requestPrincipals?: string[];
  notRequestPrincipals?: string[];
  namespaces?: string[];
  notNamespaces?: string[];
  ipBlocks?: string[];
  notIpBlocks?: string[];
  remoteIpBlocks?: string[];
  notRemoteIpBlocks?: string[];
  /** `<namespace>/<name>` or `<name>` */
  serviceAccounts?: string[];
  notServiceAccounts?: string[];
  trustDomains?: string[];
  notTrustDomains?: string[];
}

export interface AuthorizationOperation {
  hosts?: string[];
  notHosts?: string[];
  ports?: string[];
  notPorts?: string[];
  methods?: string[];
  notMethods?: string[];
  paths?: string[];
  notPaths?: string[];
}

export interface AuthorizationCondition {
  key: string;
  values?: string[];
  notValues?: string[];
}

export interface AuthorizationRule {
  from?: { source?: AuthorizationSource }[];
  to?: { operation?: AuthorizationOperation }[];
  when?: AuthorizationCondition[];
}

export type AuthorizationAction = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';

export interface AuthorizationPolicySpec {
  selector?: WorkloadSelector;
  targetRef?: PolicyTargetReference;
  targetRefs?: PolicyTargetReference[];
  rules?: AuthorizationRule[];
  action?: AuthorizationAction;
  provider?: { name?: string };
}

export interface AuthorizationPolicy extends KubeObject {
  spec?: AuthorizationPolicySpec;
  status?: IstioStatus;
}

export type MutualTlsMode = 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT';

export interface PeerAuthenticationSpec {
  selector?: WorkloadSelector;
  mtls?: { mode?: MutualTlsMode };
  /** Keys are decimal port numbers. */
  portLevelMtls?: Record<string, { mode?: MutualTlsMode }>;
}

export interface PeerAuthentication extends KubeObject {
  spec?: PeerAuthenticationSpec;
  status?: IstioStatus;
}

export interface JwtRule {
  issuer: string;
  audiences?: string[];
  jwksUri?: string;
  /** Alias of jwksUri. */
  jwks_uri?: string;
  jwks?: string;
  fromHeaders?: { name: string; prefix?: string }[];
  fromParams?: string[];
  fromCookies?: string[];
  outputPayloadToHeader?: string;
  outputClaimToHeaders?: { header: string; claim: string }[];
  forwardOriginalToken?: boolean;
  timeout?: string;
  spaceDelimitedClaims?: string[];
}

export interface RequestAuthentication extends KubeObject {
  spec?: {
    selector?: WorkloadSelector;
    targetRef?: PolicyTargetReference;
    targetRefs?: PolicyTargetReference[];
    jwtRules?: JwtRule[];
  };
  status?: IstioStatus;
}

export interface StringMatch {
  exact?: string;
  prefix?: string;
  regex?: string;
}

export interface Destination {
  host: string;
  subset?: string;
  port?: { number?: number };
}

export interface HeaderOperations {
  request?: { set?: Record<string, string>; add?: Record<string, string>; remove?: string[] };
  response?: { set?: Record<string, string>; add?: Record<string, string>; remove?: string[] };
}

export interface HttpMatchRequest {
  name?: string;
  uri?: StringMatch;
  scheme?: StringMatch;
  method?: StringMatch;
  authority?: StringMatch;
  headers?: Record<string, StringMatch>;
  withoutHeaders?: Record<string, StringMatch>;
  queryParams?: Record<string, StringMatch>;
  port?: number;
  sourceLabels?: Record<string, string>;
  sourceNamespace?: string;
  gateways?: string[];
  ignoreUriCase?: boolean;
  statPrefix?: string;
}

export interface Percent {
  value?: number;
}

export interface HttpRouteDestination {
  destination: Destination;
  weight?: number;
  headers?: HeaderOperations;
}

export interface HttpRetry {
  attempts?: number;
  perTryTimeout?: string;
  retryOn?: string;
  retryRemoteLocalities?: boolean;
  retryIgnorePreviousHosts?: boolean;
  backoff?: string;
}

export interface CorsPolicy {
  allowOrigin?: string[];
  allowOrigins?: StringMatch[];
  allowMethods?: string[];
  allowHeaders?: string[];
  exposeHeaders?: string[];
  maxAge?: string;
  allowCredentials?: boolean;
  unmatchedPreflights?: 'UNSPECIFIED' | 'FORWARD' | 'IGNORE';
}

export interface IstioHttpRoute {
  name?: string;
  match?: HttpMatchRequest[];
  route?: HttpRouteDestination[];
  redirect?: {
    uri?: string;
    authority?: string;
    port?: number;
    derivePort?: 'FROM_PROTOCOL_DEFAULT' | 'FROM_REQUEST_PORT';
    scheme?: string;
    redirectCode?: number;
  };
  directResponse?: { status: number; body?: { string?: string; bytes?: string } };
  delegate?: { name?: string; namespace?: string };
  rewrite?: { uri?: string; authority?: string; uriRegexRewrite?: { match?: string; rewrite?: string } };
  timeout?: string;
  retries?: HttpRetry;
  fault?: {
    delay?: { percent?: number; fixedDelay?: string; exponentialDelay?: string; percentage?: Percent };
    abort?: { httpStatus?: number; grpcStatus?: string; http2Error?: string; percentage?: Percent };
  };
  mirror?: Destination;
  mirrors?: { destination: Destination; percentage?: Percent }[];
  mirrorPercent?: number;
  mirror_percent?: number;
  mirrorPercentage?: Percent;
  corsPolicy?: CorsPolicy;
  headers?: HeaderOperations;
}

export interface L4MatchAttributes {
  destinationSubnets?: string[];
  port?: number;
  sourceSubnet?: string;
  sourceLabels?: Record<string, string>;
  gateways?: string[];
  sourceNamespace?: string;
}

export interface VirtualServiceSpec {
  hosts?: string[];
  gateways?: string[];
  http?: IstioHttpRoute[];
  tls?: {
    match: (Omit<L4MatchAttributes, 'sourceSubnet'> & { sniHosts: string[] })[];
    route?: { destination: Destination; weight?: number }[];
  }[];
  tcp?: { match?: L4MatchAttributes[]; route?: { destination: Destination; weight?: number }[] }[];
  exportTo?: string[];
}

export interface VirtualService extends KubeObject {
  spec?: VirtualServiceSpec;
  status?: IstioStatus;
}

export interface ClientTlsSettings {
  mode?: 'DISABLE' | 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL';
  clientCertificate?: string;
  privateKey?: string;
  caCertificates?: string;
  caCrl?: string;
  credentialName?: string;
  subjectAltNames?: string[];
  sni?: string;
  insecureSkipVerify?: boolean;
}

export interface LoadBalancerSettings {
  simple?: 'UNSPECIFIED' | 'LEAST_CONN' | 'RANDOM' | 'PASSTHROUGH' | 'ROUND_ROBIN' | 'LEAST_REQUEST';
  consistentHash?: {
    httpHeaderName?: string;
    httpCookie?: { name: string; path?: string; ttl?: string; attributes?: { name: string; value?: string }[] };
    useSourceIp?: boolean;
    httpQueryParameterName?: string;
    ringHash?: { minimumRingSize?: number };
    maglev?: { tableSize?: number };
    minimumRingSize?: number;
  };
  localityLbSetting?: {
    distribute?: { from?: string; to?: Record<string, number> }[];
    failover?: { from?: string; to?: string }[];
    failoverPriority?: string[];
    enabled?: boolean;
  };
  warmup?: { duration: string; minimumPercent?: number; aggression?: number };
  warmupDurationSecs?: string;
}

export interface ConnectionPoolSettings {
  tcp?: {
    maxConnections?: number;
    connectTimeout?: string;
    tcpKeepalive?: { probes?: number; time?: string; interval?: string };
    maxConnectionDuration?: string;
    idleTimeout?: string;
  };
  http?: {
    http1MaxPendingRequests?: number;
    http2MaxRequests?: number;
    maxRequestsPerConnection?: number;
    maxRetries?: number;
    idleTimeout?: string;
    h2UpgradePolicy?: 'DEFAULT' | 'DO_NOT_UPGRADE' | 'UPGRADE';
    useClientProtocol?: boolean;
    maxConcurrentStreams?: number;
  };
}

export interface OutlierDetection {
  consecutiveErrors?: number;
  splitExternalLocalOriginErrors?: boolean;
  consecutiveLocalOriginFailures?: number;
  consecutiveGatewayErrors?: number;
  consecutive5xxErrors?: number;
  interval?: string;
  baseEjectionTime?: string;
  maxEjectionPercent?: number;
  minHealthPercent?: number;
}

export interface PortTrafficPolicy {
  port?: { number?: number };
  loadBalancer?: LoadBalancerSettings;
  connectionPool?: ConnectionPoolSettings;
  outlierDetection?: OutlierDetection;
  tls?: ClientTlsSettings;
}

export interface TrafficPolicy extends Omit<PortTrafficPolicy, 'port'> {
  portLevelSettings?: PortTrafficPolicy[];
  tunnel?: { protocol?: string; targetHost: string; targetPort: number };
  proxyProtocol?: { version?: 'V1' | 'V2' };
  retryBudget?: { percent?: number; minRetryConcurrency?: number };
}

export interface DestinationRuleSpec {
  host: string;
  trafficPolicy?: TrafficPolicy;
  subsets?: { name: string; labels?: Record<string, string>; trafficPolicy?: TrafficPolicy }[];
  exportTo?: string[];
  workloadSelector?: WorkloadSelector;
}

export interface DestinationRule extends KubeObject {
  spec?: DestinationRuleSpec;
  status?: IstioStatus;
}

export interface IstioPort {
  number: number;
  protocol?: string;
  name: string;
  targetPort?: number;
}

export interface ServerTlsSettings {
  httpsRedirect?: boolean;
  mode?: 'PASSTHROUGH' | 'SIMPLE' | 'MUTUAL' | 'AUTO_PASSTHROUGH' | 'ISTIO_MUTUAL' | 'OPTIONAL_MUTUAL';
  serverCertificate?: string;
  privateKey?: string;
  caCertificates?: string;
  caCrl?: string;
  credentialName?: string;
  credentialNames?: string[];
  subjectAltNames?: string[];
  verifyCertificateSpki?: string[];
  verifyCertificateHash?: string[];
  minProtocolVersion?: string;
  maxProtocolVersion?: string;
  cipherSuites?: string[];
}

export interface IstioGateway extends KubeObject {
  spec?: {
    servers?: {
      port: IstioPort;
      bind?: string;
      hosts: string[];
      tls?: ServerTlsSettings;
      defaultEndpoint?: string;
      name?: string;
    }[];
    selector?: Record<string, string>;
  };
  status?: IstioStatus;
}

export interface WorkloadEntrySpec {
  address?: string;
  ports?: Record<string, number>;
  labels?: Record<string, string>;
  network?: string;
  locality?: string;
  weight?: number;
  serviceAccount?: string;
}

export interface WorkloadEntry extends KubeObject {
  spec?: WorkloadEntrySpec;
  status?: IstioStatus;
}

export interface WorkloadGroup extends KubeObject {
  spec?: {
    metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
    template: WorkloadEntrySpec;
    probe?: Record<string, unknown>;
  };
  status?: IstioStatus;
}

export interface ServiceEntrySpec {
  hosts: string[];
  addresses?: string[];
  ports?: IstioPort[];
  location?: 'MESH_EXTERNAL' | 'MESH_INTERNAL';
  resolution?: 'NONE' | 'STATIC' | 'DNS' | 'DNS_ROUND_ROBIN' | 'DYNAMIC_DNS';
  endpoints?: WorkloadEntrySpec[];
  workloadSelector?: { labels?: Record<string, string> };
  exportTo?: string[];
  subjectAltNames?: string[];
}

export interface ServiceEntry extends KubeObject {
  spec?: ServiceEntrySpec;
  status?: IstioStatus & { addresses?: { value?: string; host?: string }[] };
}

export interface Sidecar extends KubeObject {
  spec?: {
    workloadSelector?: { labels?: Record<string, string> };
    ingress?: {
      port: Partial<IstioPort>;
      bind?: string;
      captureMode?: 'DEFAULT' | 'IPTABLES' | 'NONE';
      defaultEndpoint?: string;
      tls?: ServerTlsSettings;
      connectionPool?: ConnectionPoolSettings;
    }[];
    egress?: {
      port?: Partial<IstioPort>;
      bind?: string;
      captureMode?: 'DEFAULT' | 'IPTABLES' | 'NONE';
      hosts: string[];
    }[];
    inboundConnectionPool?: ConnectionPoolSettings;
    outboundTrafficPolicy?: { mode?: 'REGISTRY_ONLY' | 'ALLOW_ANY'; egressProxy?: Destination };
  };
  status?: IstioStatus;
}

export interface EnvoyFilter extends KubeObject {
  spec?: {
    workloadSelector?: { labels?: Record<string, string> };
    targetRefs?: PolicyTargetReference[];
    configPatches?: Record<string, unknown>[];
    priority?: number;
  };
  status?: IstioStatus;
}

export interface ProxyConfig extends KubeObject {
  spec?: {
    selector?: WorkloadSelector;
    concurrency?: number;
    environmentVariables?: Record<string, string>;
    image?: { imageType?: string };
  };
  status?: IstioStatus;
}

export interface Telemetry extends KubeObject {
  spec?: {
    selector?: WorkloadSelector;
    targetRef?: PolicyTargetReference;
    targetRefs?: PolicyTargetReference[];
    tracing?: {
      match?: { mode?: string };
      providers?: { name: string }[];
      randomSamplingPercentage?: number;
      disableSpanReporting?: boolean;
      customTags?: Record<string, Record<string, unknown>>;
      useRequestIdForTraceSampling?: boolean;
      enableIstioTags?: boolean;
    }[];
    metrics?: {
      providers?: { name: string }[];
      overrides?: {
        match?: { metric?: string; customMetric?: string; mode?: string };
        disabled?: boolean;
        tagOverrides?: Record<string, { operation?: 'UPSERT' | 'REMOVE'; value?: string }>;
      }[];
      reportingInterval?: string;
    }[];
    accessLogging?: {
      match?: { mode?: string };
      providers?: { name: string }[];
      disabled?: boolean;
      filter?: { expression?: string };
    }[];
  };
  status?: IstioStatus;
}

export interface WasmModule {
  url: string;
  sha256?: string;
  imagePullPolicy?: string;
  imagePullSecret?: string;
  pluginConfig?: Record<string, unknown>;
  pluginName?: string;
  failStrategy?: 'FAIL_CLOSE' | 'FAIL_OPEN' | 'FAIL_RELOAD';
  vmConfig?: { env?: { name: string; valueFrom?: string; value?: string }[] };
  type?: string;
}

interface ExtensionTarget {
  selector?: WorkloadSelector;
  targetRefs?: PolicyTargetReference[];
  priority?: number;
  match?: { mode?: string; ports?: { number: number }[] }[];
}

export interface WasmPlugin extends KubeObject {
  spec?: ExtensionTarget &
    WasmModule & {
      targetRef?: PolicyTargetReference;
      phase?: 'UNSPECIFIED_PHASE' | 'AUTHN' | 'AUTHZ' | 'STATS';
    };
  status?: IstioStatus;
}

export interface TrafficExtension extends KubeObject {
  spec?: ExtensionTarget & {
    phase?: 'UNSPECIFIED' | 'AUTHN' | 'AUTHZ' | 'STATS';
    wasm?: WasmModule;
    lua?: { inlineCode: string };
  };
  status?: IstioStatus;
}
