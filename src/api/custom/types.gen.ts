// Generated from src/api/custom by "npm run generate". Do not edit.
import type { Condition, KubeObject } from '../meta.ts';

/** security.istio.io AuthorizationPolicy */
export interface AuthorizationPolicy extends KubeObject {
  spec?: AuthorizationPolicySpec;
  status?: AuthorizationPolicyStatus;
}

export interface AuthorizationPolicySpec {
  /** Workloads that the object is for; without it, all of the namespace, or of the mesh in the root namespace. */
  selector?: AuthorizationPolicySpecSelector;
  /** The one target of the object; targetRefs says the same for several. */
  targetRef?: AuthorizationPolicySpecTargetRef;
  /** Targets of the object. */
  targetRefs?: AuthorizationPolicySpecTargetRef[];
  /** What is done with a request that a rule matches; ALLOW if nothing is said. */
  action?: 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';
  /** Who decides, when action is CUSTOM. */
  provider?: AuthorizationPolicySpecProvider;
  /** Requests that the policy is about: those that any rule matches. With no rule, none. */
  rules?: AuthorizationPolicySpecRule[];
}

export interface AuthorizationPolicySpecSelector {
  /** Labels that a pod must all have. */
  matchLabels?: Record<string, string>;
}

export interface AuthorizationPolicySpecTargetRef {
  /** API group of the target; empty for the core group. */
  group?: string;
  /** Kind of the target. */
  kind: string;
  /** Name of the target. */
  name: string;
  /** Must be empty: the target is in the namespace of the object. */
  namespace?: string;
}

export interface AuthorizationPolicySpecProvider {
  /** Name of an extension provider of the mesh configuration. */
  name?: string;
}

export interface AuthorizationPolicySpecRule {
  /** Callers, any of which matches; without it, all. */
  from?: AuthorizationPolicySpecRuleFrom[];
  /** Operations, any of which matches; without it, all. */
  to?: AuthorizationPolicySpecRuleTo[];
  /** Conditions, all of which must hold. */
  when?: AuthorizationPolicySpecRuleWhen[];
}

export interface AuthorizationPolicySpecRuleFrom {
  /** A caller: all of its fields must match. */
  source?: AuthorizationPolicySpecRuleFromSource;
}

export interface AuthorizationPolicySpecRuleFromSource {
  /** Identities of the peer, as cluster.local/ns/default/sa/curl; * at either end stands for anything. */
  principals?: string[];
  /** None of these identities. */
  notPrincipals?: string[];
  /** Issuer and subject of the token of the request, as issuer/subject. */
  requestPrincipals?: string[];
  /** None of these tokens. */
  notRequestPrincipals?: string[];
  /** Namespaces of the peer. */
  namespaces?: string[];
  /** None of these namespaces. */
  notNamespaces?: string[];
  /** Service accounts of the peer, as namespace/name, or name in the policy's own namespace. */
  serviceAccounts?: string[];
  /** None of these service accounts. */
  notServiceAccounts?: string[];
  /** Addresses or CIDR blocks of the peer of the connection. */
  ipBlocks?: string[];
  /** None of these addresses. */
  notIpBlocks?: string[];
  /** Addresses or CIDR blocks of the original client, by X-Forwarded-For or PROXY protocol. */
  remoteIpBlocks?: string[];
  /** None of these original clients. */
  notRemoteIpBlocks?: string[];
  /** Trust domains of the peer. */
  trustDomains?: string[];
  /** None of these trust domains. */
  notTrustDomains?: string[];
}

export interface AuthorizationPolicySpecRuleTo {
  /** An operation: all of its fields must match. */
  operation?: AuthorizationPolicySpecRuleToOperation;
}

export interface AuthorizationPolicySpecRuleToOperation {
  /** Hosts of the request, in any case. */
  hosts?: string[];
  /** None of these hosts. */
  notHosts?: string[];
  /** Destination ports, as text. */
  ports?: string[];
  /** None of these ports. */
  notPorts?: string[];
  /** HTTP methods; POST for gRPC. */
  methods?: string[];
  /** None of these methods. */
  notMethods?: string[];
  /** Paths of the request after normalisation; * at either end, or the segments {*} and {**}. */
  paths?: string[];
  /** None of these paths. */
  notPaths?: string[];
}

export interface AuthorizationPolicySpecRuleWhen {
  /** The attribute, as source.ip or request.headers[x-name]. */
  key: string;
  /** Values, any of which it must have. */
  values?: string[];
  /** Values, none of which it may have. */
  notValues?: string[];
}

export interface AuthorizationPolicyStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: AuthorizationPolicyStatusValidationMessage[];
}

export interface AuthorizationPolicyStatusValidationMessage {
  /** Which finding it is. */
  type?: AuthorizationPolicyStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface AuthorizationPolicyStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** security.istio.io PeerAuthentication */
export interface PeerAuthentication extends KubeObject {
  spec?: PeerAuthenticationSpec;
  status?: PeerAuthenticationStatus;
}

export interface PeerAuthenticationSpec {
  /** Workloads that the object is for; without it, all of the namespace, or of the mesh in the root namespace. */
  selector?: PeerAuthenticationSpecSelector;
  /** For all ports. */
  mtls?: PeerAuthenticationSpecMtls;
  /** For single ports of the workload; the keys are port numbers. */
  portLevelMtls?: Record<string, PeerAuthenticationSpecMtls>;
}

export interface PeerAuthenticationSpecSelector {
  /** Labels that a pod must all have. */
  matchLabels?: Record<string, string>;
}

export interface PeerAuthenticationSpecMtls {
  /** STRICT refuses plaintext, PERMISSIVE takes both; UNSET inherits from the namespace, then from the mesh. */
  mode?: 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT';
}

export interface PeerAuthenticationStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: PeerAuthenticationStatusValidationMessage[];
}

export interface PeerAuthenticationStatusValidationMessage {
  /** Which finding it is. */
  type?: PeerAuthenticationStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface PeerAuthenticationStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** security.istio.io RequestAuthentication */
export interface RequestAuthentication extends KubeObject {
  spec?: RequestAuthenticationSpec;
  status?: RequestAuthenticationStatus;
}

export interface RequestAuthenticationSpec {
  /** Workloads that the object is for; without it, all of the namespace, or of the mesh in the root namespace. */
  selector?: RequestAuthenticationSpecSelector;
  /** The one target of the object; targetRefs says the same for several. */
  targetRef?: RequestAuthenticationSpecTargetRef;
  /** Targets of the object. */
  targetRefs?: RequestAuthenticationSpecTargetRef[];
  /** One rule for each issuer. A token that fits none is refused; no token passes unauthenticated. */
  jwtRules?: RequestAuthenticationSpecJwtRule[];
}

export interface RequestAuthenticationSpecSelector {
  /** Labels that a pod must all have. */
  matchLabels?: Record<string, string>;
}

export interface RequestAuthenticationSpecTargetRef {
  /** API group of the target; empty for the core group. */
  group?: string;
  /** Kind of the target. */
  kind: string;
  /** Name of the target. */
  name: string;
  /** Must be empty: the target is in the namespace of the object. */
  namespace?: string;
}

export interface RequestAuthenticationSpecJwtRule {
  /** Who issued the token: its claim iss, exactly. */
  issuer?: string;
  /** Audiences, any of which the token must name; without it, all are taken. */
  audiences?: string[];
  /** Where the issuer's keys are; without it and jwks, found by OpenID discovery from issuer. */
  jwksUri?: string;
  /** Older spelling of jwksUri. */
  jwks_uri?: string;
  /** The issuer's keys, as the text of a JSON Web Key Set. */
  jwks?: string;
  /** Headers that may hold the token. */
  fromHeaders?: RequestAuthenticationSpecJwtRuleFromHeader[];
  /** Query parameters that may hold the token. */
  fromParams?: string[];
  /** Cookies that may hold the token. */
  fromCookies?: string[];
  /** Header by which the base64url payload of the token goes to the backend. */
  outputPayloadToHeader?: string;
  /** Claims that go to the backend as headers. */
  outputClaimToHeaders?: RequestAuthenticationSpecJwtRuleOutputClaimToHeader[];
  /** Whether the token stays in the request. */
  forwardOriginalToken?: boolean;
  /** How long the fetch of the keys may take; 5s if nothing is said. */
  timeout?: string;
  /** Claims whose text is a list of words, besides scope and permission. */
  spaceDelimitedClaims?: string[];
}

export interface RequestAuthenticationSpecJwtRuleFromHeader {
  /** Name of the header. */
  name: string;
  /** What precedes the token, as "Bearer ". */
  prefix?: string;
}

export interface RequestAuthenticationSpecJwtRuleOutputClaimToHeader {
  /** Name of the header. */
  header: string;
  /** Name of the claim; dots lead into objects. */
  claim: string;
}

export interface RequestAuthenticationStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: RequestAuthenticationStatusValidationMessage[];
}

export interface RequestAuthenticationStatusValidationMessage {
  /** Which finding it is. */
  type?: RequestAuthenticationStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface RequestAuthenticationStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** networking.istio.io VirtualService */
export interface VirtualService extends KubeObject {
  spec?: VirtualServiceSpec;
  status?: VirtualServiceStatus;
}

export interface VirtualServiceSpec {
  /** Hosts that it is about. Without one, it only serves as a delegate. */
  hosts?: string[];
  /** Gateways that it is for, as name or namespace/name; mesh for clients inside, the default. */
  gateways?: string[];
  /** Routes of HTTP requests; the first that matches is taken. */
  http?: VirtualServiceSpecHttp[];
  /** Routes of TLS connections that are passed on as they are. */
  tls?: VirtualServiceSpecTls[];
  /** Routes of other connections. */
  tcp?: VirtualServiceSpecTcp[];
  /** Namespaces that see it: . for its own, * for all. */
  exportTo?: string[];
}

export interface VirtualServiceSpecHttp {
  /** Name of the route, for logs. */
  name?: string;
  /** Requests that the route is for: those that any entry matches. Without it, all. */
  match?: VirtualServiceSpecHttpMatch[];
  /** Where they go, by weight. */
  route?: VirtualServiceSpecHttpRoute[];
  /** Answer with a redirect. */
  redirect?: VirtualServiceSpecHttpRedirect;
  /** Answer with this. */
  directResponse?: VirtualServiceSpecHttpDirectResponse;
  /** A VirtualService without hosts that says more. */
  delegate?: VirtualServiceSpecHttpDelegate;
  /** Changes of the request before it goes on. */
  rewrite?: VirtualServiceSpecHttpRewrite;
  /** How long the whole may take; no limit if nothing is said. */
  timeout?: string;
  /** What is tried again. */
  retries?: VirtualServiceSpecHttpRetries;
  /** Faults to inject, for tests. */
  fault?: VirtualServiceSpecHttpFault;
  /** Where a copy of each request goes, whose answer is dropped. */
  mirror?: VirtualServiceSpecHttpRouteDestination;
  /** Of the requests, from 0 to 100; all if nothing is said. */
  mirrorPercentage?: VirtualServiceSpecHttpFaultDelayPercentage;
  /** Older spelling of mirrorPercentage. */
  mirrorPercent?: number | null;
  /** Older spelling of mirrorPercentage. */
  mirror_percent?: number | null;
  /** Where copies go, if to several places. */
  mirrors?: VirtualServiceSpecHttpMirror[];
  /** Cross-origin resource sharing. */
  corsPolicy?: VirtualServiceSpecHttpCorsPolicy;
  /** Changes of headers. */
  headers?: VirtualServiceSpecHttpRouteHeaders;
}

export interface VirtualServiceSpecHttpMatch {
  /** Name of the match, for logs. */
  name?: string;
  /** Path of the request. */
  uri?: VirtualServiceSpecHttpMatchUri;
  /** Whether case does not matter in uri. */
  ignoreUriCase?: boolean;
  /** Scheme of the request. */
  scheme?: VirtualServiceSpecHttpMatchUri;
  /** Method of the request. */
  method?: VirtualServiceSpecHttpMatchUri;
  /** Authority of the request, with its port. */
  authority?: VirtualServiceSpecHttpMatchUri;
  /** Headers by name; an empty match means that the header is there. */
  headers?: Record<string, VirtualServiceSpecHttpMatchUri>;
  /** Headers that must not match. */
  withoutHeaders?: Record<string, VirtualServiceSpecHttpMatchUri>;
  /** Query parameters by name. */
  queryParams?: Record<string, VirtualServiceSpecHttpMatchUri>;
  /** Port that the request was for. */
  port?: number;
  /** Labels that the client has. */
  sourceLabels?: Record<string, string>;
  /** Namespace that the client is in. */
  sourceNamespace?: string;
  /** Gateways that it is for, in place of those of the object. */
  gateways?: string[];
  /** Prefix of the statistics of the route. */
  statPrefix?: string;
}

export interface VirtualServiceSpecHttpMatchUri {
  /** The whole text, in its case. */
  exact?: string;
  /** What the text begins with. */
  prefix?: string;
  /** RE2 expression that matches the whole text. */
  regex?: string;
}

export interface VirtualServiceSpecHttpRoute {
  /** Where to. */
  destination: VirtualServiceSpecHttpRouteDestination;
  /** Share, of the sum of all weights. */
  weight?: number;
  /** Changes of headers for this destination. */
  headers?: VirtualServiceSpecHttpRouteHeaders;
}

export interface VirtualServiceSpecHttpRouteDestination {
  /** Host of a Service or ServiceEntry; a short name is of the namespace of the object. */
  host: string;
  /** A subset that a DestinationRule of the host names. */
  subset?: string;
  /** Port of the host, where it has several. */
  port?: VirtualServiceSpecHttpRouteDestinationPort;
}

export interface VirtualServiceSpecHttpRouteDestinationPort {
  /** Number of the port. */
  number?: number;
}

export interface VirtualServiceSpecHttpRouteHeaders {
  /** Changes before the request goes to the backend. */
  request?: VirtualServiceSpecHttpRouteHeadersRequest;
  /** Changes before the response goes to the client. */
  response?: VirtualServiceSpecHttpRouteHeadersRequest;
}

export interface VirtualServiceSpecHttpRouteHeadersRequest {
  /** Headers to set, in place of what is there. */
  set?: Record<string, string>;
  /** Headers to add to what is there. */
  add?: Record<string, string>;
  /** Headers to remove. */
  remove?: string[];
}

export interface VirtualServiceSpecHttpRedirect {
  /** Path of the new location. */
  uri?: string;
  /** What takes the place of the prefix that matched. */
  prefixRewrite?: string;
  /** Host of the new location. */
  authority?: string;
  /** Scheme of the new location, http or https. */
  scheme?: string;
  /** Port of the new location. */
  port?: number;
  /** Where the port of the new location comes from. */
  derivePort?: 'FROM_PROTOCOL_DEFAULT' | 'FROM_REQUEST_PORT';
  /** Status of the answer; 301 if nothing is said. */
  redirectCode?: number;
}

export interface VirtualServiceSpecHttpDirectResponse {
  /** Status of the answer. */
  status: number;
  /** Body of the answer. */
  body?: VirtualServiceSpecHttpDirectResponseBody;
}

export interface VirtualServiceSpecHttpDirectResponseBody {
  /** As text. */
  string?: string;
  /** In base64. */
  bytes?: string;
}

export interface VirtualServiceSpecHttpDelegate {
  /** Name of the VirtualService. */
  name?: string;
  /** Its namespace; that of the object if nothing is said. */
  namespace?: string;
}

export interface VirtualServiceSpecHttpRewrite {
  /** What takes the place of the prefix, or path, that matched. */
  uri?: string;
  /** The new host. */
  authority?: string;
  /** Replacement in the path by an expression. */
  uriRegexRewrite?: VirtualServiceSpecHttpRewriteUriRegexRewrite;
}

export interface VirtualServiceSpecHttpRewriteUriRegexRewrite {
  /** RE2 expression for what is replaced. */
  match?: string;
  /** What takes its place; \1 is what the first group matched. */
  rewrite?: string;
}

export interface VirtualServiceSpecHttpRetries {
  /** How many; 0 for none. */
  attempts?: number;
  /** How long each may take. */
  perTryTimeout?: string;
  /** Causes, with commas between: 5xx, reset, connect-failure, 503, ... */
  retryOn?: string;
  /** Time before the first; it grows. 25ms if nothing is said. */
  backoff?: string;
  /** Whether endpoints elsewhere are tried. */
  retryRemoteLocalities?: boolean | null;
  /** Whether endpoints that failed are left out. */
  retryIgnorePreviousHosts?: boolean | null;
}

export interface VirtualServiceSpecHttpFault {
  /** Time that requests are held for. */
  delay?: VirtualServiceSpecHttpFaultDelay;
  /** An answer in place of that of the backend. */
  abort?: VirtualServiceSpecHttpFaultAbort;
}

export interface VirtualServiceSpecHttpFaultDelay {
  /** The time. */
  fixedDelay?: string;
  /** Not in use. */
  exponentialDelay?: string;
  /** Of the requests, from 0 to 100. */
  percentage?: VirtualServiceSpecHttpFaultDelayPercentage;
  /** Older spelling of percentage. */
  percent?: number;
}

export interface VirtualServiceSpecHttpFaultDelayPercentage {
  /** The number. */
  value?: number;
}

export interface VirtualServiceSpecHttpFaultAbort {
  /** Status of the answer. */
  httpStatus?: number;
  /** gRPC status of the answer, as UNAVAILABLE. */
  grpcStatus?: string;
  /** Not in use. */
  http2Error?: string;
  /** Of the requests, from 0 to 100. */
  percentage?: VirtualServiceSpecHttpFaultDelayPercentage;
}

export interface VirtualServiceSpecHttpMirror {
  /** Where to. */
  destination: VirtualServiceSpecHttpRouteDestination;
  /** Of the requests, from 0 to 100. */
  percentage?: VirtualServiceSpecHttpFaultDelayPercentage;
}

export interface VirtualServiceSpecHttpCorsPolicy {
  /** Origins that may ask. */
  allowOrigins?: VirtualServiceSpecHttpMatchUri[];
  /** No longer in use: see allowOrigins. */
  allowOrigin?: string[];
  /** Methods that they may use. */
  allowMethods?: string[];
  /** Headers that they may send. */
  allowHeaders?: string[];
  /** Headers of the answer that they may read. */
  exposeHeaders?: string[];
  /** For how long the answer to a preflight may be kept. */
  maxAge?: string;
  /** Whether they may send credentials. */
  allowCredentials?: boolean | null;
  /** What happens to preflights of other origins. */
  unmatchedPreflights?: 'UNSPECIFIED' | 'FORWARD' | 'IGNORE';
}

export interface VirtualServiceSpecTls {
  /** Connections that the route is for: those that any entry matches. */
  match: VirtualServiceSpecTlsMatch[];
  /** Where they go, by weight. */
  route?: VirtualServiceSpecTlsRoute[];
}

export interface VirtualServiceSpecTlsMatch {
  /** Server names, any of which matches. */
  sniHosts: string[];
  /** Addresses or CIDR blocks that the connection was for. */
  destinationSubnets?: string[];
  /** Port that the request was for. */
  port?: number;
  /** Labels that the client has. */
  sourceLabels?: Record<string, string>;
  /** Namespace that the client is in. */
  sourceNamespace?: string;
  /** Gateways that it is for, in place of those of the object. */
  gateways?: string[];
}

export interface VirtualServiceSpecTlsRoute {
  /** Where to. */
  destination: VirtualServiceSpecHttpRouteDestination;
  /** Share, of the sum of all weights. */
  weight?: number;
}

export interface VirtualServiceSpecTcp {
  /** Connections that the route is for: those that any entry matches. Without it, all. */
  match?: VirtualServiceSpecTcpMatch[];
  /** Where they go, by weight. */
  route?: VirtualServiceSpecTlsRoute[];
}

export interface VirtualServiceSpecTcpMatch {
  /** Addresses or CIDR blocks that the connection was for. */
  destinationSubnets?: string[];
  /** Port that the request was for. */
  port?: number;
  /** Labels that the client has. */
  sourceLabels?: Record<string, string>;
  /** Namespace that the client is in. */
  sourceNamespace?: string;
  /** Gateways that it is for, in place of those of the object. */
  gateways?: string[];
  /** No longer in use. */
  sourceSubnet?: string;
}

export interface VirtualServiceStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: VirtualServiceStatusValidationMessage[];
}

export interface VirtualServiceStatusValidationMessage {
  /** Which finding it is. */
  type?: VirtualServiceStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface VirtualServiceStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** networking.istio.io DestinationRule */
export interface DestinationRule extends KubeObject {
  spec?: DestinationRuleSpec;
  status?: DestinationRuleStatus;
}

export interface DestinationRuleSpec {
  /** The host; a short name is of the namespace of the object. */
  host: string;
  /** For all of the host. */
  trafficPolicy?: DestinationRuleSpecTrafficPolicy;
  /** Named parts of the host, for routes to lead to. */
  subsets?: DestinationRuleSpecSubset[];
  /** Namespaces whose clients it is for: . for its own, * for all. */
  exportTo?: string[];
  /** Clients that it is for. */
  workloadSelector?: DestinationRuleSpecWorkloadSelector;
}

export interface DestinationRuleSpecTrafficPolicy {
  /** How an endpoint is chosen. */
  loadBalancer?: DestinationRuleSpecTrafficPolicyLoadBalancer;
  /** Limits on connections and requests. */
  connectionPool?: DestinationRuleSpecTrafficPolicyConnectionPool;
  /** When an endpoint is left out because it fails. */
  outlierDetection?: DestinationRuleSpecTrafficPolicyOutlierDetection;
  /** TLS towards the host. */
  tls?: DestinationRuleSpecTrafficPolicyTls;
  /** For single ports; what is said here replaces all of the above. */
  portLevelSettings?: DestinationRuleSpecTrafficPolicyPortLevelSetting[];
  /** A tunnel through the host to somewhere else. */
  tunnel?: DestinationRuleSpecTrafficPolicyTunnel;
  /** A PROXY protocol header with the client's address. */
  proxyProtocol?: DestinationRuleSpecTrafficPolicyProxyProtocol;
  /** How much of the traffic may be retries. */
  retryBudget?: DestinationRuleSpecTrafficPolicyRetryBudget;
}

export interface DestinationRuleSpecTrafficPolicyLoadBalancer {
  /** The algorithm; LEAST_REQUEST if nothing is said. LEAST_CONN is an older name of it. */
  simple?: 'UNSPECIFIED' | 'LEAST_CONN' | 'RANDOM' | 'PASSTHROUGH' | 'ROUND_ROBIN' | 'LEAST_REQUEST';
  /** The same endpoint for the same value of something in the request. */
  consistentHash?: DestinationRuleSpecTrafficPolicyLoadBalancerConsistentHash;
  /** Preference of near endpoints. */
  localityLbSetting?: DestinationRuleSpecTrafficPolicyLoadBalancerLocalityLbSetting;
  /** Preference of endpoints of the same zone, as far as they have room. */
  zoneAwareLbSetting?: DestinationRuleSpecTrafficPolicyLoadBalancerZoneAwareLbSetting;
  /** Slow start of new endpoints. */
  warmup?: DestinationRuleSpecTrafficPolicyLoadBalancerWarmup;
  /** Older spelling of warmup.duration. */
  warmupDurationSecs?: string;
}

export interface DestinationRuleSpecTrafficPolicyLoadBalancerConsistentHash {
  /** Hash of this header. */
  httpHeaderName?: string;
  /** Hash of a cookie. */
  httpCookie?: DestinationRuleSpecTrafficPolicyLoadBalancerConsistentHashHttpCookie;
  /** Hash of the client's address. */
  useSourceIp?: boolean;
  /** Hash of this query parameter. */
  httpQueryParameterName?: string;
  /** By a ring of virtual nodes. */
  ringHash?: DestinationRuleSpecTrafficPolicyLoadBalancerConsistentHashRingHash;
  /** By a Maglev table. */
  maglev?: DestinationRuleSpecTrafficPolicyLoadBalancerConsistentHashMaglev;
  /** Older spelling of ringHash.minimumRingSize. */
  minimumRingSize?: number;
}

export interface DestinationRuleSpecTrafficPolicyLoadBalancerConsistentHashHttpCookie {
  /** Name of the cookie. */
  name: string;
  /** Path of a cookie that the proxy makes. */
  path?: string;
  /** Lifetime of a cookie that the proxy makes where there is none; 0s for a session. */
  ttl?: string;
  /** Further attributes of a cookie that the proxy makes. */
  attributes?: DestinationRuleSpecTrafficPolicyLoadBalancerConsistentHashHttpCookieAttribute[];
}

export interface DestinationRuleSpecTrafficPolicyLoadBalancerConsistentHashHttpCookieAttribute {
  /** Name of the attribute. */
  name: string;
  /** Its value, if it has one. */
  value?: string;
}

export interface DestinationRuleSpecTrafficPolicyLoadBalancerConsistentHashRingHash {
  /** Virtual nodes at least; 1024 if nothing is said. */
  minimumRingSize?: number;
}

export interface DestinationRuleSpecTrafficPolicyLoadBalancerConsistentHashMaglev {
  /** Entries of the table, a prime; 65537 if nothing is said. */
  tableSize?: number;
}

export interface DestinationRuleSpecTrafficPolicyLoadBalancerLocalityLbSetting {
  /** Shares of the traffic by where it comes from. */
  distribute?: DestinationRuleSpecTrafficPolicyLoadBalancerLocalityLbSettingDistribute[];
  /** Where to go when a region has no healthy endpoint. */
  failover?: DestinationRuleSpecTrafficPolicyLoadBalancerLocalityLbSettingFailover[];
  /** Labels, as key or key=value, that make endpoints nearer the more of them are equal. */
  failoverPriority?: string[];
  /** Whether it is in force. */
  enabled?: boolean | null;
}

export interface DestinationRuleSpecTrafficPolicyLoadBalancerLocalityLbSettingDistribute {
  /** Where it comes from, as region/zone/subzone; * at the end for the rest. */
  from?: string;
  /** Shares by locality, 100 together. */
  to?: Record<string, number>;
}

export interface DestinationRuleSpecTrafficPolicyLoadBalancerLocalityLbSettingFailover {
  /** The region without. */
  from?: string;
  /** The region instead. */
  to?: string;
}

export interface DestinationRuleSpecTrafficPolicyLoadBalancerZoneAwareLbSetting {
  /** Whether it is in force. */
  enabled?: boolean | null;
  /** Endpoints below which zones do not matter. */
  minClusterSize?: number | null;
  /** Where to go when a region has no healthy endpoint. */
  failover?: DestinationRuleSpecTrafficPolicyLoadBalancerLocalityLbSettingFailover[];
  /** Labels, as key or key=value, that make endpoints nearer the more of them are equal. */
  failoverPriority?: string[];
}

export interface DestinationRuleSpecTrafficPolicyLoadBalancerWarmup {
  /** For how long an endpoint gets less than its share. */
  duration: string;
  /** Of its share, at the start; 10 if nothing is said. */
  minimumPercent?: number | null;
  /** Above 1, the share grows faster at first. */
  aggression?: number | null;
}

export interface DestinationRuleSpecTrafficPolicyConnectionPool {
  /** For connections. */
  tcp?: DestinationRuleSpecTrafficPolicyConnectionPoolTcp;
  /** For requests. */
  http?: DestinationRuleSpecTrafficPolicyConnectionPoolHttp;
}

export interface DestinationRuleSpecTrafficPolicyConnectionPoolTcp {
  /** Connections at a time. */
  maxConnections?: number;
  /** How long opening a connection may take; 10s if nothing is said. */
  connectTimeout?: string;
  /** How long a connection lives at most. */
  maxConnectionDuration?: string;
  /** How long a connection may be without bytes; 0s for ever. */
  idleTimeout?: string;
  /** Probes of connections without bytes. */
  tcpKeepalive?: DestinationRuleSpecTrafficPolicyConnectionPoolTcpTcpKeepalive;
}

export interface DestinationRuleSpecTrafficPolicyConnectionPoolTcpTcpKeepalive {
  /** Probes without an answer until a connection counts as dead. */
  probes?: number;
  /** Without bytes for how long until the first probe. */
  time?: string;
  /** Time between probes. */
  interval?: string;
}

export interface DestinationRuleSpecTrafficPolicyConnectionPoolHttp {
  /** Requests that may wait for a connection. */
  http1MaxPendingRequests?: number;
  /** Requests at a time. */
  http2MaxRequests?: number;
  /** Requests until a connection is closed; 0 for no limit, 1 for no keep-alive. */
  maxRequestsPerConnection?: number;
  /** Retries at a time, of all requests. */
  maxRetries?: number;
  /** How long a connection may be without requests; 1h if nothing is said. */
  idleTimeout?: string;
  /** Whether HTTP/1.1 goes to the host as HTTP/2. */
  h2UpgradePolicy?: 'DEFAULT' | 'DO_NOT_UPGRADE' | 'UPGRADE';
  /** Whether the host gets the version of HTTP that the client speaks. */
  useClientProtocol?: boolean;
  /** Streams at a time on one HTTP/2 connection. */
  maxConcurrentStreams?: number;
  /** PING frames on HTTP/2 connections. */
  http2KeepAlive?: DestinationRuleSpecTrafficPolicyConnectionPoolHttpHttp2KeepAlive;
}

export interface DestinationRuleSpecTrafficPolicyConnectionPoolHttpHttp2KeepAlive {
  /** Time between them. */
  interval?: string;
  /** How long the answer may take until the connection is closed. */
  timeout?: string;
}

export interface DestinationRuleSpecTrafficPolicyOutlierDetection {
  /** Answers 5xx in a row; 5 if nothing is said, 0 for never. */
  consecutive5xxErrors?: number | null;
  /** Answers 502, 503 or 504 in a row; 0 for never. */
  consecutiveGatewayErrors?: number | null;
  /** No longer in use: see consecutiveGatewayErrors. */
  consecutiveErrors?: number;
  /** Whether failures to connect count apart from answers. */
  splitExternalLocalOriginErrors?: boolean;
  /** Failures to connect in a row, when they count apart. */
  consecutiveLocalOriginFailures?: number | null;
  /** Status codes that count as errors. */
  outlierDetectionHttpErrorCodes?: number[];
  /** Time between looks; 10s if nothing is said. */
  interval?: string;
  /** How long an endpoint stays out the first time; 30s if nothing is said. */
  baseEjectionTime?: string;
  /** Of the endpoints, out at a time; 10 if nothing is said. */
  maxEjectionPercent?: number;
  /** Of the endpoints, healthy, below which all are used again. */
  minHealthPercent?: number;
}

export interface DestinationRuleSpecTrafficPolicyTls {
  /** Whether TLS is used, and with which certificate. */
  mode?: 'DISABLE' | 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL';
  /** File with the certificate of the client. */
  clientCertificate?: string;
  /** File with its key. */
  privateKey?: string;
  /** File with the certificates to check the server by; system for those of the operating system. */
  caCertificates?: string;
  /** File with revoked certificates. */
  caCrl?: string;
  /** Secret with all of these. */
  credentialName?: string;
  /** Names, one of which the certificate of the server must have. */
  subjectAltNames?: string[];
  /** Server name to send. */
  sni?: string;
  /** Whether any certificate will do. */
  insecureSkipVerify?: boolean | null;
}

export interface DestinationRuleSpecTrafficPolicyPortLevelSetting {
  /** The port. */
  port?: DestinationRuleSpecTrafficPolicyPortLevelSettingPort;
  /** How an endpoint is chosen. */
  loadBalancer?: DestinationRuleSpecTrafficPolicyLoadBalancer;
  /** Limits on connections and requests. */
  connectionPool?: DestinationRuleSpecTrafficPolicyConnectionPool;
  /** When an endpoint is left out because it fails. */
  outlierDetection?: DestinationRuleSpecTrafficPolicyOutlierDetection;
  /** TLS towards the host. */
  tls?: DestinationRuleSpecTrafficPolicyTls;
}

export interface DestinationRuleSpecTrafficPolicyPortLevelSettingPort {
  /** Number of the port. */
  number?: number;
}

export interface DestinationRuleSpecTrafficPolicyTunnel {
  /** CONNECT (if nothing is said) or POST. */
  protocol?: string;
  /** Host at the far end. */
  targetHost: string;
  /** Port at the far end. */
  targetPort: number;
}

export interface DestinationRuleSpecTrafficPolicyProxyProtocol {
  /** Version of the header; V1 if nothing is said. */
  version?: 'V1' | 'V2';
}

export interface DestinationRuleSpecTrafficPolicyRetryBudget {
  /** Retries at a time, of the requests at a time; 20 if nothing is said. */
  percent?: number | null;
  /** Retries at a time that are always allowed; 3 if nothing is said. */
  minRetryConcurrency?: number;
  /** Time over which requests are counted. */
  budgetInterval?: string;
}

export interface DestinationRuleSpecSubset {
  /** Name of the subset. */
  name: string;
  /** Labels that its endpoints have. */
  labels?: Record<string, string>;
  /** For the subset; each block replaces that of the host. */
  trafficPolicy?: DestinationRuleSpecTrafficPolicy;
}

export interface DestinationRuleSpecWorkloadSelector {
  /** Labels that a pod must all have. */
  matchLabels?: Record<string, string>;
}

export interface DestinationRuleStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: DestinationRuleStatusValidationMessage[];
}

export interface DestinationRuleStatusValidationMessage {
  /** Which finding it is. */
  type?: DestinationRuleStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface DestinationRuleStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** networking.istio.io Gateway */
export interface IstioGateway extends KubeObject {
  spec?: IstioGatewaySpec;
  status?: IstioGatewayStatus;
}

export interface IstioGatewaySpec {
  /** Labels of the pods that listen. */
  selector?: Record<string, string>;
  /** The listeners. */
  servers?: IstioGatewaySpecServer[];
}

export interface IstioGatewaySpecServer {
  /** Where it listens. */
  port: IstioGatewaySpecServerPort;
  /** Address, or unix:// and a path, to listen on. */
  bind?: string;
  /** Hosts that it serves, as host or namespace/host, of the VirtualServices of that namespace. */
  hosts: string[];
  /** TLS of the listener. */
  tls?: IstioGatewaySpecServerTls;
  /** Name of the listener. */
  name?: string;
  /** Not in use. */
  defaultEndpoint?: string;
}

export interface IstioGatewaySpecServerPort {
  /** Number of the port. */
  number: number;
  /** HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, MONGO, REDIS, MYSQL, TCP or TLS. */
  protocol: string;
  /** Name of the port. */
  name: string;
  /** Port of the endpoints; no longer in use. */
  targetPort?: number;
}

export interface IstioGatewaySpecServerTls {
  /** Whether HTTP clients are sent to HTTPS. */
  httpsRedirect?: boolean;
  /** Who ends TLS, and whether clients must show a certificate. */
  mode?: 'PASSTHROUGH' | 'SIMPLE' | 'MUTUAL' | 'AUTO_PASSTHROUGH' | 'ISTIO_MUTUAL' | 'OPTIONAL_MUTUAL';
  /** File with the certificate of the server. */
  serverCertificate?: string;
  /** File with its key. */
  privateKey?: string;
  /** File with the certificates to check clients by. */
  caCertificates?: string;
  /** File with revoked certificates of clients. */
  caCrl?: string;
  /** Secret with certificate, key and, where clients need one, the certificates to check them by. */
  credentialName?: string;
  /** Such Secrets, one for each type of key. */
  credentialNames?: string[];
  /** Secret or ConfigMap with the certificates to check clients by. */
  caCertCredentialName?: string;
  /** Files with certificates, one for each type of key. */
  tlsCertificates?: IstioGatewaySpecServerTlsTlsCertificate[];
  /** Names, one of which the certificate of a client must have. */
  subjectAltNames?: string[];
  /** Whether any certificate of a client will do. */
  insecureSkipVerify?: boolean | null;
  /** SHA-256 in base64 of public keys, one of which a client must have. */
  verifyCertificateSpki?: string[];
  /** SHA-256 in hex of certificates, one of which a client must have. */
  verifyCertificateHash?: string[];
  /** Oldest version of TLS; 1.2 if nothing is said. */
  minProtocolVersion?: 'TLS_AUTO' | 'TLSV1_0' | 'TLSV1_1' | 'TLSV1_2' | 'TLSV1_3';
  /** Newest version of TLS. */
  maxProtocolVersion?: 'TLS_AUTO' | 'TLSV1_0' | 'TLSV1_1' | 'TLSV1_2' | 'TLSV1_3';
  /** Ciphers, before TLS 1.3. */
  cipherSuites?: string[];
}

export interface IstioGatewaySpecServerTlsTlsCertificate {
  /** File with the certificate of the server. */
  serverCertificate?: string;
  /** File with its key. */
  privateKey?: string;
  /** File with the certificates to check clients by. */
  caCertificates?: string;
}

export interface IstioGatewayStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: IstioGatewayStatusValidationMessage[];
}

export interface IstioGatewayStatusValidationMessage {
  /** Which finding it is. */
  type?: IstioGatewayStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface IstioGatewayStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** networking.istio.io ServiceEntry */
export interface ServiceEntry extends KubeObject {
  spec: ServiceEntrySpec;
  status?: ServiceEntryStatus;
}

export interface ServiceEntrySpec {
  /** DNS names of the service; *. at the front for all names below. */
  hosts: string[];
  /** Virtual addresses or CIDR blocks of the service. */
  addresses?: string[];
  /** Ports of the service. */
  ports?: ServiceEntrySpecPort[];
  /** Whether the service is part of the mesh. */
  location?: 'MESH_EXTERNAL' | 'MESH_INTERNAL';
  /** How the addresses of the service are found; NONE takes the one that the client connected to. */
  resolution?: 'NONE' | 'STATIC' | 'DNS' | 'DNS_ROUND_ROBIN' | 'DYNAMIC_DNS';
  /** Endpoints of the service. */
  endpoints?: ServiceEntrySpecEndpoint[];
  /** Pods and WorkloadEntries that are its endpoints. */
  workloadSelector?: ServiceEntrySpecWorkloadSelector;
  /** Namespaces that see it: . for its own, * for all. */
  exportTo?: string[];
  /** Names, one of which the certificate of an endpoint must have. */
  subjectAltNames?: string[];
}

export interface ServiceEntrySpecPort {
  /** Number of the port. */
  number: number;
  /** HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, MONGO, REDIS, MYSQL, TCP or TLS. */
  protocol?: string;
  /** Name of the port. */
  name: string;
  /** Port of the endpoints, where it is another. */
  targetPort?: number;
}

export interface ServiceEntrySpecEndpoint {
  /** IP address, DNS name, or unix:// and a path. */
  address?: string;
  /** Ports of the endpoint by the name of the service's port. */
  ports?: Record<string, number>;
  /** Labels by which it is selected. */
  labels?: Record<string, string>;
  /** Network that it is in; endpoints of other networks are reached through gateways. */
  network?: string;
  /** Where it is, as region/zone/subzone. */
  locality?: string;
  /** Its share, against that of the others. */
  weight?: number;
  /** Service account whose identity it has. */
  serviceAccount?: string;
}

export interface ServiceEntrySpecWorkloadSelector {
  /** Labels that a workload must all have. */
  labels?: Record<string, string>;
}

export interface ServiceEntryStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: ServiceEntryStatusValidationMessage[];
}

export interface ServiceEntryStatusValidationMessage {
  /** Which finding it is. */
  type?: ServiceEntryStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface ServiceEntryStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** networking.istio.io Sidecar */
export interface Sidecar extends KubeObject {
  spec?: SidecarSpec;
  status?: SidecarStatus;
}

export interface SidecarSpec {
  /** Workloads that the object is for; without it, all of the namespace. */
  workloadSelector?: SidecarSpecWorkloadSelector;
  /** Listeners for traffic to the workload; without it, all of its ports. */
  ingress?: SidecarSpecIngress[];
  /** Listeners for traffic from the workload, and the hosts that it may reach. */
  egress?: SidecarSpecEgress[];
  /** Limits on connections to the workload. */
  inboundConnectionPool?: SidecarSpecIngressConnectionPool;
  /** What happens to traffic to hosts that the mesh does not know. */
  outboundTrafficPolicy?: SidecarSpecOutboundTrafficPolicy;
}

export interface SidecarSpecWorkloadSelector {
  /** Labels that a workload must all have. */
  labels?: Record<string, string>;
}

export interface SidecarSpecIngress {
  /** Where it listens. */
  port: SidecarSpecIngressPort;
  /** Address, or unix:// and a path, to listen on. */
  bind?: string;
  /** How traffic comes to the listener. */
  captureMode?: 'DEFAULT' | 'IPTABLES' | 'NONE';
  /** Where the workload listens, as 127.0.0.1:8080 or unix:///path. */
  defaultEndpoint?: string;
  /** TLS of the listener. */
  tls?: SidecarSpecIngressTls;
  /** Limits on connections to the workload at this port. */
  connectionPool?: SidecarSpecIngressConnectionPool;
}

export interface SidecarSpecIngressPort {
  /** Number of the port. */
  number?: number;
  /** HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, MONGO, REDIS, MYSQL, TCP or TLS. */
  protocol?: string;
  /** Name of the port. */
  name?: string;
  /** Port of the endpoints; no longer in use. */
  targetPort?: number;
}

export interface SidecarSpecIngressTls {
  /** Whether HTTP clients are sent to HTTPS. */
  httpsRedirect?: boolean;
  /** Who ends TLS, and whether clients must show a certificate. */
  mode?: 'PASSTHROUGH' | 'SIMPLE' | 'MUTUAL' | 'AUTO_PASSTHROUGH' | 'ISTIO_MUTUAL' | 'OPTIONAL_MUTUAL';
  /** File with the certificate of the server. */
  serverCertificate?: string;
  /** File with its key. */
  privateKey?: string;
  /** File with the certificates to check clients by. */
  caCertificates?: string;
  /** File with revoked certificates of clients. */
  caCrl?: string;
  /** Secret with certificate, key and, where clients need one, the certificates to check them by. */
  credentialName?: string;
  /** Such Secrets, one for each type of key. */
  credentialNames?: string[];
  /** Secret or ConfigMap with the certificates to check clients by. */
  caCertCredentialName?: string;
  /** Files with certificates, one for each type of key. */
  tlsCertificates?: SidecarSpecIngressTlsTlsCertificate[];
  /** Names, one of which the certificate of a client must have. */
  subjectAltNames?: string[];
  /** Whether any certificate of a client will do. */
  insecureSkipVerify?: boolean | null;
  /** SHA-256 in base64 of public keys, one of which a client must have. */
  verifyCertificateSpki?: string[];
  /** SHA-256 in hex of certificates, one of which a client must have. */
  verifyCertificateHash?: string[];
  /** Oldest version of TLS; 1.2 if nothing is said. */
  minProtocolVersion?: 'TLS_AUTO' | 'TLSV1_0' | 'TLSV1_1' | 'TLSV1_2' | 'TLSV1_3';
  /** Newest version of TLS. */
  maxProtocolVersion?: 'TLS_AUTO' | 'TLSV1_0' | 'TLSV1_1' | 'TLSV1_2' | 'TLSV1_3';
  /** Ciphers, before TLS 1.3. */
  cipherSuites?: string[];
}

export interface SidecarSpecIngressTlsTlsCertificate {
  /** File with the certificate of the server. */
  serverCertificate?: string;
  /** File with its key. */
  privateKey?: string;
  /** File with the certificates to check clients by. */
  caCertificates?: string;
}

export interface SidecarSpecIngressConnectionPool {
  /** For connections. */
  tcp?: SidecarSpecIngressConnectionPoolTcp;
  /** For requests. */
  http?: SidecarSpecIngressConnectionPoolHttp;
}

export interface SidecarSpecIngressConnectionPoolTcp {
  /** Connections at a time. */
  maxConnections?: number;
  /** How long opening a connection may take; 10s if nothing is said. */
  connectTimeout?: string;
  /** How long a connection lives at most. */
  maxConnectionDuration?: string;
  /** How long a connection may be without bytes; 0s for ever. */
  idleTimeout?: string;
  /** Probes of connections without bytes. */
  tcpKeepalive?: SidecarSpecIngressConnectionPoolTcpTcpKeepalive;
}

export interface SidecarSpecIngressConnectionPoolTcpTcpKeepalive {
  /** Probes without an answer until a connection counts as dead. */
  probes?: number;
  /** Without bytes for how long until the first probe. */
  time?: string;
  /** Time between probes. */
  interval?: string;
}

export interface SidecarSpecIngressConnectionPoolHttp {
  /** Requests that may wait for a connection. */
  http1MaxPendingRequests?: number;
  /** Requests at a time. */
  http2MaxRequests?: number;
  /** Requests until a connection is closed; 0 for no limit, 1 for no keep-alive. */
  maxRequestsPerConnection?: number;
  /** Retries at a time, of all requests. */
  maxRetries?: number;
  /** How long a connection may be without requests; 1h if nothing is said. */
  idleTimeout?: string;
  /** Whether HTTP/1.1 goes to the host as HTTP/2. */
  h2UpgradePolicy?: 'DEFAULT' | 'DO_NOT_UPGRADE' | 'UPGRADE';
  /** Whether the host gets the version of HTTP that the client speaks. */
  useClientProtocol?: boolean;
  /** Streams at a time on one HTTP/2 connection. */
  maxConcurrentStreams?: number;
  /** PING frames on HTTP/2 connections. */
  http2KeepAlive?: SidecarSpecIngressConnectionPoolHttpHttp2KeepAlive;
}

export interface SidecarSpecIngressConnectionPoolHttpHttp2KeepAlive {
  /** Time between them. */
  interval?: string;
  /** How long the answer may take until the connection is closed. */
  timeout?: string;
}

export interface SidecarSpecEgress {
  /** Where it listens. */
  port?: SidecarSpecIngressPort;
  /** Address, or unix:// and a path, to listen on. */
  bind?: string;
  /** How traffic comes to the listener. */
  captureMode?: 'DEFAULT' | 'IPTABLES' | 'NONE';
  /** Hosts, as namespace/host; * and . as namespace. */
  hosts: string[];
}

export interface SidecarSpecOutboundTrafficPolicy {
  /** Refuse it, or let it pass. */
  mode?: 'REGISTRY_ONLY' | 'ALLOW_ANY';
  /** Where it goes, in place of its own destination. */
  egressProxy?: SidecarSpecOutboundTrafficPolicyEgressProxy;
}

export interface SidecarSpecOutboundTrafficPolicyEgressProxy {
  /** Host of a Service or ServiceEntry; a short name is of the namespace of the object. */
  host: string;
  /** A subset that a DestinationRule of the host names. */
  subset?: string;
  /** Port of the host, where it has several. */
  port?: SidecarSpecOutboundTrafficPolicyEgressProxyPort;
}

export interface SidecarSpecOutboundTrafficPolicyEgressProxyPort {
  /** Number of the port. */
  number?: number;
}

export interface SidecarStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: SidecarStatusValidationMessage[];
}

export interface SidecarStatusValidationMessage {
  /** Which finding it is. */
  type?: SidecarStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface SidecarStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** networking.istio.io WorkloadEntry */
export interface WorkloadEntry extends KubeObject {
  spec: WorkloadEntrySpec;
  status?: WorkloadEntryStatus;
}

export interface WorkloadEntrySpec {
  /** IP address, DNS name, or unix:// and a path. */
  address?: string;
  /** Ports of the endpoint by the name of the service's port. */
  ports?: Record<string, number>;
  /** Labels by which it is selected. */
  labels?: Record<string, string>;
  /** Network that it is in; endpoints of other networks are reached through gateways. */
  network?: string;
  /** Where it is, as region/zone/subzone. */
  locality?: string;
  /** Its share, against that of the others. */
  weight?: number;
  /** Service account whose identity it has. */
  serviceAccount?: string;
}

export interface WorkloadEntryStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: WorkloadEntryStatusValidationMessage[];
}

export interface WorkloadEntryStatusValidationMessage {
  /** Which finding it is. */
  type?: WorkloadEntryStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface WorkloadEntryStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** networking.istio.io WorkloadGroup */
export interface WorkloadGroup extends KubeObject {
  spec: WorkloadGroupSpec;
  status?: WorkloadGroupStatus;
}

export interface WorkloadGroupSpec {
  /** Metadata of the entries. */
  metadata?: WorkloadGroupSpecMetadata;
  /** What the entries are like. */
  template: WorkloadGroupSpecTemplate;
  /** How the health of an endpoint is found. */
  probe?: WorkloadGroupSpecProbe;
}

export interface WorkloadGroupSpecMetadata {
  /** Labels of the entries. */
  labels?: Record<string, string>;
  /** Annotations of the entries. */
  annotations?: Record<string, string>;
}

export interface WorkloadGroupSpecTemplate {
  /** IP address, DNS name, or unix:// and a path. */
  address?: string;
  /** Ports of the endpoint by the name of the service's port. */
  ports?: Record<string, number>;
  /** Labels by which it is selected. */
  labels?: Record<string, string>;
  /** Network that it is in; endpoints of other networks are reached through gateways. */
  network?: string;
  /** Where it is, as region/zone/subzone. */
  locality?: string;
  /** Its share, against that of the others. */
  weight?: number;
  /** Service account whose identity it has. */
  serviceAccount?: string;
}

export interface WorkloadGroupSpecProbe {
  /** An HTTP request that must be answered with 2xx or 3xx. */
  httpGet?: WorkloadGroupSpecProbeHttpGet;
  /** A connection that must open. */
  tcpSocket?: WorkloadGroupSpecProbeTcpSocket;
  /** A command that must end with 0. */
  exec?: WorkloadGroupSpecProbeExec;
  /** A gRPC health check that must say SERVING. */
  grpc?: WorkloadGroupSpecProbeGrpc;
  /** Time until the first probe. */
  initialDelaySeconds?: number;
  /** How long a probe may take; 1 if nothing is said. */
  timeoutSeconds?: number;
  /** Time between probes; 10 if nothing is said. */
  periodSeconds?: number;
  /** Successes in a row until it is healthy; 1 if nothing is said. */
  successThreshold?: number;
  /** Failures in a row until it is not; 3 if nothing is said. */
  failureThreshold?: number;
}

export interface WorkloadGroupSpecProbeHttpGet {
  /** Path to ask for; / if nothing is said. */
  path?: string;
  /** Port to ask at. */
  port: number;
  /** Host to ask; the endpoint if nothing is said. */
  host?: string;
  /** HTTP or HTTPS. */
  scheme?: string;
  /** Headers of the request. */
  httpHeaders?: WorkloadGroupSpecProbeHttpGetHttpHeader[];
}

export interface WorkloadGroupSpecProbeHttpGetHttpHeader {
  /** Name of the header. */
  name?: string;
  /** Its value. */
  value?: string;
}

export interface WorkloadGroupSpecProbeTcpSocket {
  /** Host to connect to. */
  host?: string;
  /** Port to connect to. */
  port: number;
}

export interface WorkloadGroupSpecProbeExec {
  /** Program and arguments. */
  command: string[];
}

export interface WorkloadGroupSpecProbeGrpc {
  /** Service to ask about. */
  service?: string;
  /** Port to ask at. */
  port?: number;
}

export interface WorkloadGroupStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: WorkloadGroupStatusValidationMessage[];
}

export interface WorkloadGroupStatusValidationMessage {
  /** Which finding it is. */
  type?: WorkloadGroupStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface WorkloadGroupStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** networking.istio.io EnvoyFilter */
export interface EnvoyFilter extends KubeObject {
  spec?: EnvoyFilterSpec;
  status?: EnvoyFilterStatus;
}

export interface EnvoyFilterSpec {
  /** Workloads that the object is for; without it, all of the namespace. */
  workloadSelector?: EnvoyFilterSpecWorkloadSelector;
  /** Targets of the object. */
  targetRefs?: EnvoyFilterSpecTargetRef[];
  /** The patches, in order. */
  configPatches?: EnvoyFilterSpecConfigPatch[];
  /** Order among EnvoyFilters: low ones first. */
  priority?: number;
}

export interface EnvoyFilterSpecWorkloadSelector {
  /** Labels that a workload must all have. */
  labels?: Record<string, string>;
}

export interface EnvoyFilterSpecTargetRef {
  /** API group of the target; empty for the core group. */
  group?: string;
  /** Kind of the target. */
  kind: string;
  /** Name of the target. */
  name: string;
  /** Must be empty: the target is in the namespace of the object. */
  namespace?: string;
}

export interface EnvoyFilterSpecConfigPatch {
  /** What kind of thing is patched. */
  applyTo?:
    | 'INVALID'
    | 'LISTENER'
    | 'FILTER_CHAIN'
    | 'NETWORK_FILTER'
    | 'HTTP_FILTER'
    | 'ROUTE_CONFIGURATION'
    | 'VIRTUAL_HOST'
    | 'HTTP_ROUTE'
    | 'CLUSTER'
    | 'EXTENSION_CONFIG'
    | 'BOOTSTRAP'
    | 'LISTENER_FILTER';
  /** Which of them. */
  match?: EnvoyFilterSpecConfigPatchMatch;
  /** The patch. */
  patch?: EnvoyFilterSpecConfigPatchPatch;
}

export interface EnvoyFilterSpecConfigPatchMatch {
  /** Which listeners. */
  context?: 'ANY' | 'SIDECAR_INBOUND' | 'SIDECAR_OUTBOUND' | 'GATEWAY' | 'WAYPOINT';
  /** Which proxies. */
  proxy?: EnvoyFilterSpecConfigPatchMatchProxy;
  /** Which listener. */
  listener?: EnvoyFilterSpecConfigPatchMatchListener;
  /** Which routes. */
  routeConfiguration?: EnvoyFilterSpecConfigPatchMatchRouteConfiguration;
  /** Which cluster. */
  cluster?: EnvoyFilterSpecConfigPatchMatchCluster;
  /** Which part of a waypoint. */
  waypoint?: EnvoyFilterSpecConfigPatchMatchWaypoint;
}

export interface EnvoyFilterSpecConfigPatchMatchProxy {
  /** Expression for the version of the proxy. */
  proxyVersion?: string;
  /** Entries of the proxy's metadata. */
  metadata?: Record<string, string>;
}

export interface EnvoyFilterSpecConfigPatchMatchListener {
  /** Port of the listener. */
  portNumber?: number;
  /** Not in use. */
  portName?: string;
  /** Name of the listener. */
  name?: string;
  /** Name of a listener filter. */
  listenerFilter?: string;
  /** A filter chain of the listener. */
  filterChain?: EnvoyFilterSpecConfigPatchMatchListenerFilterChain;
}

export interface EnvoyFilterSpecConfigPatchMatchListenerFilterChain {
  /** Name of the chain. */
  name?: string;
  /** Server name that the chain is for. */
  sni?: string;
  /** raw_buffer or tls. */
  transportProtocol?: string;
  /** ALPN protocols, with commas between. */
  applicationProtocols?: string;
  /** Destination port that the chain is for. */
  destinationPort?: number;
  /** A filter of the chain. */
  filter?: EnvoyFilterSpecConfigPatchMatchListenerFilterChainFilter;
}

export interface EnvoyFilterSpecConfigPatchMatchListenerFilterChainFilter {
  /** Name of the filter. */
  name?: string;
  /** A filter inside of it. */
  subFilter?: EnvoyFilterSpecConfigPatchMatchListenerFilterChainFilterSubFilter;
}

export interface EnvoyFilterSpecConfigPatchMatchListenerFilterChainFilterSubFilter {
  /** Name of the filter. */
  name?: string;
}

export interface EnvoyFilterSpecConfigPatchMatchRouteConfiguration {
  /** Port that the routes are for. */
  portNumber?: number;
  /** Name of that port. */
  portName?: string;
  /** Gateway that the routes are of, as namespace/name. */
  gateway?: string;
  /** Name of the route configuration. */
  name?: string;
  /** A virtual host of it. */
  vhost?: EnvoyFilterSpecConfigPatchMatchRouteConfigurationVhost;
}

export interface EnvoyFilterSpecConfigPatchMatchRouteConfigurationVhost {
  /** Name of the virtual host, as host:port. */
  name?: string;
  /** A domain of the virtual host. */
  domainName?: string;
  /** A route of the virtual host. */
  route?: EnvoyFilterSpecConfigPatchMatchRouteConfigurationVhostRoute;
}

export interface EnvoyFilterSpecConfigPatchMatchRouteConfigurationVhostRoute {
  /** Name of the route. */
  name?: string;
  /** What the route does. */
  action?: 'ANY' | 'ROUTE' | 'REDIRECT' | 'DIRECT_RESPONSE';
}

export interface EnvoyFilterSpecConfigPatchMatchCluster {
  /** Port of the service. */
  portNumber?: number;
  /** Host of the service. */
  service?: string;
  /** Subset of the service. */
  subset?: string;
  /** Name of the cluster. */
  name?: string;
}

export interface EnvoyFilterSpecConfigPatchMatchWaypoint {
  /** Port of the service. */
  portNumber?: number;
  /** A filter of the chain. */
  filter?: EnvoyFilterSpecConfigPatchMatchListenerFilterChainFilter;
  /** A route. */
  route?: EnvoyFilterSpecConfigPatchMatchWaypointRoute;
}

export interface EnvoyFilterSpecConfigPatchMatchWaypointRoute {
  /** Name of the route. */
  name?: string;
}

export interface EnvoyFilterSpecConfigPatchPatch {
  /** How the patch is applied. */
  operation?:
    | 'INVALID'
    | 'MERGE'
    | 'ADD'
    | 'REMOVE'
    | 'INSERT_BEFORE'
    | 'INSERT_AFTER'
    | 'INSERT_FIRST'
    | 'REPLACE'
    | 'MERGE_AND_REPLACE_LIST';
  /** Envoy's configuration. */
  value?: Record<string, unknown>;
  /** Where among the filters an added one goes. */
  filterClass?: 'UNSPECIFIED' | 'AUTHN' | 'AUTHZ' | 'STATS';
}

export interface EnvoyFilterStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: EnvoyFilterStatusValidationMessage[];
}

export interface EnvoyFilterStatusValidationMessage {
  /** Which finding it is. */
  type?: EnvoyFilterStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface EnvoyFilterStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** networking.istio.io ProxyConfig */
export interface ProxyConfig extends KubeObject {
  spec?: ProxyConfigSpec;
  status?: ProxyConfigStatus;
}

export interface ProxyConfigSpec {
  /** Workloads that the object is for; without it, all of the namespace, or of the mesh in the root namespace. */
  selector?: ProxyConfigSpecSelector;
  /** Threads that do work; 0 for one for each core. */
  concurrency?: number | null;
  /** Environment variables of the proxy. */
  environmentVariables?: Record<string, string>;
  /** Image of the proxy. */
  image?: ProxyConfigSpecImage;
}

export interface ProxyConfigSpecSelector {
  /** Labels that a pod must all have. */
  matchLabels?: Record<string, string>;
}

export interface ProxyConfigSpecImage {
  /** Variant of the image: default, debug or distroless. */
  imageType?: string;
}

export interface ProxyConfigStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: ProxyConfigStatusValidationMessage[];
}

export interface ProxyConfigStatusValidationMessage {
  /** Which finding it is. */
  type?: ProxyConfigStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface ProxyConfigStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** telemetry.istio.io Telemetry */
export interface Telemetry extends KubeObject {
  spec?: TelemetrySpec;
  status?: TelemetryStatus;
}

export interface TelemetrySpec {
  /** Workloads that the object is for; without it, all of the namespace, or of the mesh in the root namespace. */
  selector?: TelemetrySpecSelector;
  /** The one target of the object; targetRefs says the same for several. */
  targetRef?: TelemetrySpecTargetRef;
  /** Targets of the object. */
  targetRefs?: TelemetrySpecTargetRef[];
  /** Traces. */
  tracing?: TelemetrySpecTracing[];
  /** Metrics. */
  metrics?: TelemetrySpecMetric[];
  /** Access logs. */
  accessLogging?: TelemetrySpecAccessLogging[];
}

export interface TelemetrySpecSelector {
  /** Labels that a pod must all have. */
  matchLabels?: Record<string, string>;
}

export interface TelemetrySpecTargetRef {
  /** API group of the target; empty for the core group. */
  group?: string;
  /** Kind of the target. */
  kind: string;
  /** Name of the target. */
  name: string;
  /** Must be empty: the target is in the namespace of the object. */
  namespace?: string;
}

export interface TelemetrySpecTracing {
  /** Which traffic. */
  match?: TelemetrySpecTracingMatch;
  /** Extension providers of the mesh configuration. */
  providers?: TelemetrySpecTracingProvider[];
  /** Of the requests without a decision, traced. */
  randomSamplingPercentage?: number | null;
  /** Whether spans are not sent. */
  disableSpanReporting?: boolean | null;
  /** Whether trace headers are left as they are. */
  disableContextPropagation?: boolean | null;
  /** Further tags of spans, by name. */
  customTags?: Record<string, TelemetrySpecTracingCustomTags>;
  /** Whether the request id decides. */
  useRequestIdForTraceSampling?: boolean | null;
  /** Whether spans have Istio's own tags. */
  enableIstioTags?: boolean | null;
}

export interface TelemetrySpecTracingMatch {
  /** The side of the connection: CLIENT, SERVER, or both. */
  mode?: 'CLIENT_AND_SERVER' | 'CLIENT' | 'SERVER';
}

export interface TelemetrySpecTracingProvider {
  /** Name of the provider. */
  name: string;
}

export interface TelemetrySpecTracingCustomTags {
  /** Always this. */
  literal?: TelemetrySpecTracingCustomTagsLiteral;
  /** An environment variable of the proxy. */
  environment?: TelemetrySpecTracingCustomTagsEnvironment;
  /** A header of the request. */
  header?: TelemetrySpecTracingCustomTagsEnvironment;
  /** Text with operators, as in access logs. */
  formatter?: TelemetrySpecTracingCustomTagsFormatter;
}

export interface TelemetrySpecTracingCustomTagsLiteral {
  /** The value. */
  value: string;
}

export interface TelemetrySpecTracingCustomTagsEnvironment {
  /** Its name. */
  name: string;
  /** What to say where it is missing. */
  defaultValue?: string;
}

export interface TelemetrySpecTracingCustomTagsFormatter {
  /** The text. */
  value: string;
}

export interface TelemetrySpecMetric {
  /** Extension providers of the mesh configuration. */
  providers?: TelemetrySpecTracingProvider[];
  /** Changes of metrics, in order. */
  overrides?: TelemetrySpecMetricOverride[];
  /** Time between reports of an open connection. */
  reportingInterval?: string;
}

export interface TelemetrySpecMetricOverride {
  /** Which metrics. */
  match?: TelemetrySpecMetricOverrideMatch;
  /** Whether the metric is left out. */
  disabled?: boolean | null;
  /** Changes of tags, by name. */
  tagOverrides?: Record<string, TelemetrySpecMetricOverrideTagOverrides>;
}

export interface TelemetrySpecMetricOverrideMatch {
  /** One of Istio's metrics. */
  metric?:
    | 'ALL_METRICS'
    | 'REQUEST_COUNT'
    | 'REQUEST_DURATION'
    | 'REQUEST_SIZE'
    | 'RESPONSE_SIZE'
    | 'TCP_OPENED_CONNECTIONS'
    | 'TCP_CLOSED_CONNECTIONS'
    | 'TCP_SENT_BYTES'
    | 'TCP_RECEIVED_BYTES'
    | 'GRPC_REQUEST_MESSAGES'
    | 'GRPC_RESPONSE_MESSAGES';
  /** A metric by its name. */
  customMetric?: string;
  /** The side of the connection: CLIENT, SERVER, or both. */
  mode?: 'CLIENT_AND_SERVER' | 'CLIENT' | 'SERVER';
}

export interface TelemetrySpecMetricOverrideTagOverrides {
  /** Set the tag, or remove it. */
  operation?: 'UPSERT' | 'REMOVE';
  /** CEL expression for the value. */
  value?: string;
}

export interface TelemetrySpecAccessLogging {
  /** Which traffic. */
  match?: TelemetrySpecTracingMatch;
  /** Extension providers of the mesh configuration. */
  providers?: TelemetrySpecTracingProvider[];
  /** Whether nothing is logged. */
  disabled?: boolean | null;
  /** Which requests and connections. */
  filter?: TelemetrySpecAccessLoggingFilter;
}

export interface TelemetrySpecAccessLoggingFilter {
  /** CEL expression that is true for those. */
  expression?: string;
}

export interface TelemetryStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: TelemetryStatusValidationMessage[];
}

export interface TelemetryStatusValidationMessage {
  /** Which finding it is. */
  type?: TelemetryStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface TelemetryStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** extensions.istio.io WasmPlugin */
export interface WasmPlugin extends KubeObject {
  spec: WasmPluginSpec;
  status?: WasmPluginStatus;
}

export interface WasmPluginSpec {
  /** Workloads that the object is for; without it, all of the namespace, or of the mesh in the root namespace. */
  selector?: WasmPluginSpecSelector;
  /** The one target of the object; targetRefs says the same for several. */
  targetRef?: WasmPluginSpecTargetRef;
  /** Targets of the object. */
  targetRefs?: WasmPluginSpecTargetRef[];
  /** Where the module is: an image (oci://, or no scheme), http://, https:// or file://. */
  url: string;
  /** SHA-256 of the module, or of the image, in hex. */
  sha256?: string;
  /** When the image is fetched again. */
  imagePullPolicy?: 'UNSPECIFIED_POLICY' | 'IfNotPresent' | 'Always';
  /** Secret with the credentials for the registry. */
  imagePullSecret?: string;
  /** Not in use. */
  verificationKey?: string;
  /** Configuration for the module. */
  pluginConfig?: Record<string, unknown>;
  /** Name of the plugin inside of the module. */
  pluginName?: string;
  /** What happens when the module fails: refuse requests (FAIL_CLOSE, the default), go on without it, or load it again. */
  failStrategy?: 'FAIL_CLOSE' | 'FAIL_OPEN' | 'FAIL_RELOAD';
  /** The machine that the module runs in. */
  vmConfig?: WasmPluginSpecVmConfig;
  /** What the module handles. */
  type?: 'UNSPECIFIED_PLUGIN_TYPE' | 'HTTP' | 'NETWORK';
  /** Where among the filters it runs. */
  phase?: 'UNSPECIFIED_PHASE' | 'AUTHN' | 'AUTHZ' | 'STATS';
  /** Order within the phase: high ones first. */
  priority?: number | null;
  /** Traffic that it is for: that which any entry matches. Without it, all. */
  match?: WasmPluginSpecMatch[];
}

export interface WasmPluginSpecSelector {
  /** Labels that a pod must all have. */
  matchLabels?: Record<string, string>;
}

export interface WasmPluginSpecTargetRef {
  /** API group of the target; empty for the core group. */
  group?: string;
  /** Kind of the target. */
  kind: string;
  /** Name of the target. */
  name: string;
  /** Must be empty: the target is in the namespace of the object. */
  namespace?: string;
}

export interface WasmPluginSpecVmConfig {
  /** Environment variables of the module. */
  env?: WasmPluginSpecVmConfigEnv[];
}

export interface WasmPluginSpecVmConfigEnv {
  /** Name of the variable. */
  name: string;
  /** INLINE: value; HOST: the variable of the same name of the proxy. */
  valueFrom?: 'INLINE' | 'HOST';
  /** Its value. */
  value?: string;
}

export interface WasmPluginSpecMatch {
  /** The side of the connection. */
  mode?: 'UNDEFINED' | 'CLIENT' | 'SERVER' | 'CLIENT_AND_SERVER';
  /** Ports, any of which matches. */
  ports?: WasmPluginSpecMatchPort[];
}

export interface WasmPluginSpecMatchPort {
  /** Number of the port. */
  number: number;
}

export interface WasmPluginStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: WasmPluginStatusValidationMessage[];
}

export interface WasmPluginStatusValidationMessage {
  /** Which finding it is. */
  type?: WasmPluginStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface WasmPluginStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** extensions.istio.io TrafficExtension */
export interface TrafficExtension extends KubeObject {
  spec: TrafficExtensionSpec;
  status?: TrafficExtensionStatus;
}

export interface TrafficExtensionSpec {
  /** Workloads that the object is for; without it, all of the namespace, or of the mesh in the root namespace. */
  selector?: TrafficExtensionSpecSelector;
  /** Targets of the object. */
  targetRefs?: TrafficExtensionSpecTargetRef[];
  /** A WebAssembly module. */
  wasm?: TrafficExtensionSpecWasm;
  /** A Lua script. */
  lua?: TrafficExtensionSpecLua;
  /** Where among the filters it runs. */
  phase?: 'UNSPECIFIED' | 'AUTHN' | 'AUTHZ' | 'STATS';
  /** Order within the phase: high ones first. */
  priority?: number | null;
  /** Traffic that it is for: that which any entry matches. Without it, all. */
  match?: TrafficExtensionSpecMatch[];
}

export interface TrafficExtensionSpecSelector {
  /** Labels that a pod must all have. */
  matchLabels?: Record<string, string>;
}

export interface TrafficExtensionSpecTargetRef {
  /** API group of the target; empty for the core group. */
  group?: string;
  /** Kind of the target. */
  kind: string;
  /** Name of the target. */
  name: string;
  /** Must be empty: the target is in the namespace of the object. */
  namespace?: string;
}

export interface TrafficExtensionSpecWasm {
  /** Where the module is: an image (oci://, or no scheme), http://, https:// or file://. */
  url: string;
  /** SHA-256 of the module, or of the image, in hex. */
  sha256?: string;
  /** When the image is fetched again. */
  imagePullPolicy?: 'UNSPECIFIED_POLICY' | 'IfNotPresent' | 'Always';
  /** Secret with the credentials for the registry. */
  imagePullSecret?: string;
  /** Not in use. */
  verificationKey?: string;
  /** Configuration for the module. */
  pluginConfig?: Record<string, unknown>;
  /** Name of the plugin inside of the module. */
  pluginName?: string;
  /** What happens when the module fails: refuse requests (FAIL_CLOSE, the default), go on without it, or load it again. */
  failStrategy?: 'FAIL_CLOSE' | 'FAIL_OPEN' | 'FAIL_RELOAD';
  /** The machine that the module runs in. */
  vmConfig?: TrafficExtensionSpecWasmVmConfig;
  /** What the module handles. */
  type?: 'UNSPECIFIED_PLUGIN_TYPE' | 'HTTP' | 'NETWORK';
}

export interface TrafficExtensionSpecWasmVmConfig {
  /** Environment variables of the module. */
  env?: TrafficExtensionSpecWasmVmConfigEnv[];
}

export interface TrafficExtensionSpecWasmVmConfigEnv {
  /** Name of the variable. */
  name: string;
  /** INLINE: value; HOST: the variable of the same name of the proxy. */
  valueFrom?: 'INLINE' | 'HOST';
  /** Its value. */
  value?: string;
}

export interface TrafficExtensionSpecLua {
  /** The script. */
  inlineCode: string;
}

export interface TrafficExtensionSpecMatch {
  /** The side of the connection. */
  mode?: 'UNDEFINED' | 'CLIENT' | 'SERVER' | 'CLIENT_AND_SERVER';
  /** Ports, any of which matches. */
  ports?: TrafficExtensionSpecMatchPort[];
}

export interface TrafficExtensionSpecMatchPort {
  /** Number of the port. */
  number: number;
}

export interface TrafficExtensionStatus {
  /** One entry for each aspect that is reported. */
  conditions?: Condition[];
  /** Generation of the object that the status as a whole speaks of. */
  observedGeneration?: number | string;
  /** What the analysis of the configuration found. */
  validationMessages?: TrafficExtensionStatusValidationMessage[];
}

export interface TrafficExtensionStatusValidationMessage {
  /** Which finding it is. */
  type?: TrafficExtensionStatusValidationMessageType;
  /** How bad it is. */
  level?: 'UNKNOWN' | 'ERROR' | 'WARNING' | 'INFO';
  /** Where to read more. */
  documentationUrl?: string;
}

export interface TrafficExtensionStatusValidationMessageType {
  /** In words. */
  name?: string;
  /** As IST0000. */
  code?: string;
}

/** gateway.networking.k8s.io GatewayClass */
export interface GatewayClass extends KubeObject {
  spec: GatewayClassSpec;
  status?: GatewayClassStatus;
}

export interface GatewayClassSpec {
  /** The controller that serves it, as domain/path; it cannot be changed. */
  controllerName: string;
  /** What the class is for, in words. */
  description?: string;
  /** An object that configures all gateways of the class, of a kind that the controller knows. */
  parametersRef?: GatewayClassSpecParametersRef;
}

export interface GatewayClassSpecParametersRef {
  /** API group of the object; empty for the core group. */
  group: string;
  /** Kind of the object. */
  kind: string;
  /** Name of the object. */
  name: string;
  /** Namespace of the object; absent for a kind without namespaces. */
  namespace?: string;
}

export interface GatewayClassStatus {
  /** Whether the controller has accepted the class. */
  conditions?: Condition[];
  /** Features that the controller supports, by their names in the conformance suite. */
  supportedFeatures?: GatewayClassStatusSupportedFeature[];
}

export interface GatewayClassStatusSupportedFeature {
  /** Its name. */
  name: string;
}

/** gateway.networking.k8s.io Gateway */
export interface Gateway extends KubeObject {
  spec: GatewaySpec;
  status?: GatewayStatus;
}

export interface GatewaySpec {
  /** The GatewayClass, and by it the controller. */
  gatewayClassName: string;
  /** Ports that take connections. */
  listeners: GatewaySpecListener[];
  /** Addresses to listen on; the implementation chooses, if absent. */
  addresses?: GatewaySpecAddresse[];
  /** What is made for the gateway, and how. */
  infrastructure?: GatewaySpecInfrastructure;
  /** Which ListenerSets may add listeners. */
  allowedListeners?: GatewaySpecAllowedListeners;
  /** TLS of the gateway as a whole. */
  tls?: GatewaySpecTls;
  /** Whether routes that use default Gateways attach to this one. */
  defaultScope?: 'All' | 'None';
}

export interface GatewaySpecListener {
  /** Name of the listener; routes attach to it by this name. */
  name: string;
  /** Host name that requests must be for; any, if absent. */
  hostname?: string;
  /** Port number. */
  port: number;
  /** HTTP, HTTPS, TLS, TCP, UDP, or domain/protocol of an implementation. */
  protocol: string;
  /** What the listener does with TLS. */
  tls?: GatewaySpecListenerTls;
  /** Which routes may attach. */
  allowedRoutes?: GatewaySpecListenerAllowedRoutes;
}

export interface GatewaySpecListenerTls {
  /** Ends TLS here, or passes it on unopened. */
  mode?: 'Terminate' | 'Passthrough';
  /** Certificates with their keys to end TLS with. */
  certificateRefs?: GatewaySpecListenerTlsCertificateRef[];
  /** Options of an implementation, under keys with its domain. */
  options?: Record<string, string>;
}

export interface GatewaySpecListenerTlsCertificateRef {
  /** API group of the object; empty for the core group. */
  group?: string;
  /** Kind of the object. */
  kind?: string;
  /** Name of the object. */
  name: string;
  /** Namespace of the object, if another than here; it must be granted there by a ReferenceGrant. */
  namespace?: string;
}

export interface GatewaySpecListenerAllowedRoutes {
  /** Namespaces of the routes. */
  namespaces?: GatewaySpecListenerAllowedRoutesNamespaces;
  /** Kinds of the routes; those of the protocol, if absent. */
  kinds?: GatewaySpecListenerAllowedRoutesKind[];
}

export interface GatewaySpecListenerAllowedRoutesNamespaces {
  /** How the namespaces are chosen. */
  from?: 'All' | 'Selector' | 'Same';
  /** Labels of the namespaces, if they are chosen by Selector. */
  selector?: GatewaySpecListenerAllowedRoutesNamespacesSelector;
}

export interface GatewaySpecListenerAllowedRoutesNamespacesSelector {
  /** Labels that must be there with these values. */
  matchLabels?: Record<string, string>;
  /** Further demands, all of which must hold. */
  matchExpressions?: GatewaySpecListenerAllowedRoutesNamespacesSelectorMatchExpression[];
}

export interface GatewaySpecListenerAllowedRoutesNamespacesSelectorMatchExpression {
  /** The label. */
  key: string;
  /** In, NotIn, Exists or DoesNotExist. */
  operator: string;
  /** Values for In and NotIn. */
  values?: string[];
}

export interface GatewaySpecListenerAllowedRoutesKind {
  /** Its API group. */
  group?: string;
  /** Its kind. */
  kind: string;
}

export interface GatewaySpecAddresse {
  /** IPAddress, Hostname, NamedAddress, or domain/type of an implementation. */
  type?: string;
  /** The address; any, if absent. */
  value?: string;
}

export interface GatewaySpecInfrastructure {
  /** Labels for everything that is made for the gateway. */
  labels?: Record<string, string>;
  /** Annotations for everything that is made for the gateway. */
  annotations?: Record<string, string>;
  /** An object that configures this gateway, of a kind that the controller knows. */
  parametersRef?: GatewaySpecInfrastructureParametersRef;
}

export interface GatewaySpecInfrastructureParametersRef {
  /** API group of the object; empty for the core group. */
  group: string;
  /** Kind of the object. */
  kind: string;
  /** Name of the object. */
  name: string;
}

export interface GatewaySpecAllowedListeners {
  /** Namespaces of the ListenerSets. */
  namespaces?: GatewaySpecAllowedListenersNamespaces;
}

export interface GatewaySpecAllowedListenersNamespaces {
  /** How the namespaces are chosen. */
  from?: 'All' | 'Selector' | 'Same' | 'None';
  /** Labels of the namespaces, if they are chosen by Selector. */
  selector?: GatewaySpecListenerAllowedRoutesNamespacesSelector;
}

export interface GatewaySpecTls {
  /** TLS towards backends. */
  backend?: GatewaySpecTlsBackend;
  /** TLS towards clients, of all HTTPS listeners or of those on one port. */
  frontend?: GatewaySpecTlsFrontend;
}

export interface GatewaySpecTlsBackend {
  /** The certificate, with its key, by which backends know the gateway. */
  clientCertificateRef?: GatewaySpecListenerTlsCertificateRef;
}

export interface GatewaySpecTlsFrontend {
  /** TLS towards clients. */
  default: GatewaySpecTlsFrontendDefault;
  /** What differs on some ports. */
  perPort?: GatewaySpecTlsFrontendPerPort[];
}

export interface GatewaySpecTlsFrontendDefault {
  /** How certificates of clients are checked; none is asked for, if absent. */
  validation?: GatewaySpecTlsFrontendDefaultValidation;
}

export interface GatewaySpecTlsFrontendDefaultValidation {
  /** Certificates of the authorities that clients are trusted by. */
  caCertificateRefs: GatewaySpecTlsFrontendDefaultValidationCaCertificateRef[];
  /** Refuse clients without a valid certificate, or let them in. */
  mode?: 'AllowValidOnly' | 'AllowInsecureFallback';
}

export interface GatewaySpecTlsFrontendDefaultValidationCaCertificateRef {
  /** API group of the object; empty for the core group. */
  group: string;
  /** Kind of the object. */
  kind: string;
  /** Name of the object. */
  name: string;
  /** Namespace of the object, if another than here; it must be granted there by a ReferenceGrant. */
  namespace?: string;
}

export interface GatewaySpecTlsFrontendPerPort {
  /** The port of the listeners. */
  port: number;
  /** TLS towards clients. */
  tls: GatewaySpecTlsFrontendDefault;
}

export interface GatewayStatus {
  /** Addresses that the gateway listens on. */
  addresses?: GatewayStatusAddresse[];
  /** Number of ListenerSets that are attached to it. */
  attachedListenerSets?: number;
  /** Whether the gateway is accepted, and serves. */
  conditions?: Condition[];
  /** What became of each listener. */
  listeners?: GatewayStatusListener[];
}

export interface GatewayStatusAddresse {
  /** IPAddress, Hostname, NamedAddress, or domain/type of an implementation. */
  type?: string;
  /** The address. */
  value: string;
}

export interface GatewayStatusListener {
  /** The listener. */
  name: string;
  /** Number of routes that are attached to it. */
  attachedRoutes: number;
  /** Kinds of routes that it serves. */
  supportedKinds?: GatewaySpecListenerAllowedRoutesKind[];
  /** Whether it is accepted, in conflict, resolved and programmed. */
  conditions: Condition[];
}

/** gateway.networking.k8s.io ListenerSet */
export interface ListenerSet extends KubeObject {
  spec: ListenerSetSpec;
  status?: ListenerSetStatus;
}

export interface ListenerSetSpec {
  /** The Gateway that gets the listeners. */
  parentRef: ListenerSetSpecParentRef;
  /** Ports that take connections. */
  listeners: ListenerSetSpecListener[];
}

export interface ListenerSetSpecParentRef {
  /** API group of the parent. */
  group?: string;
  /** Kind of the parent. */
  kind?: string;
  /** Name of the parent. */
  name: string;
  /** Namespace of the parent, if another than here. */
  namespace?: string;
}

export interface ListenerSetSpecListener {
  /** Name of the listener; routes attach to it by this name. */
  name: string;
  /** Host name that requests must be for; any, if absent. */
  hostname?: string;
  /** Port number. */
  port: number;
  /** HTTP, HTTPS, TLS, TCP, UDP, or domain/protocol of an implementation. */
  protocol: string;
  /** What the listener does with TLS. */
  tls?: ListenerSetSpecListenerTls;
  /** Which routes may attach. */
  allowedRoutes?: ListenerSetSpecListenerAllowedRoutes;
}

export interface ListenerSetSpecListenerTls {
  /** Ends TLS here, or passes it on unopened. */
  mode?: 'Terminate' | 'Passthrough';
  /** Certificates with their keys to end TLS with. */
  certificateRefs?: ListenerSetSpecListenerTlsCertificateRef[];
  /** Options of an implementation, under keys with its domain. */
  options?: Record<string, string>;
}

export interface ListenerSetSpecListenerTlsCertificateRef {
  /** API group of the object; empty for the core group. */
  group?: string;
  /** Kind of the object. */
  kind?: string;
  /** Name of the object. */
  name: string;
  /** Namespace of the object, if another than here; it must be granted there by a ReferenceGrant. */
  namespace?: string;
}

export interface ListenerSetSpecListenerAllowedRoutes {
  /** Namespaces of the routes. */
  namespaces?: ListenerSetSpecListenerAllowedRoutesNamespaces;
  /** Kinds of the routes; those of the protocol, if absent. */
  kinds?: ListenerSetSpecListenerAllowedRoutesKind[];
}

export interface ListenerSetSpecListenerAllowedRoutesNamespaces {
  /** How the namespaces are chosen. */
  from?: 'All' | 'Selector' | 'Same';
  /** Labels of the namespaces, if they are chosen by Selector. */
  selector?: ListenerSetSpecListenerAllowedRoutesNamespacesSelector;
}

export interface ListenerSetSpecListenerAllowedRoutesNamespacesSelector {
  /** Labels that must be there with these values. */
  matchLabels?: Record<string, string>;
  /** Further demands, all of which must hold. */
  matchExpressions?: ListenerSetSpecListenerAllowedRoutesNamespacesSelectorMatchExpression[];
}

export interface ListenerSetSpecListenerAllowedRoutesNamespacesSelectorMatchExpression {
  /** The label. */
  key: string;
  /** In, NotIn, Exists or DoesNotExist. */
  operator: string;
  /** Values for In and NotIn. */
  values?: string[];
}

export interface ListenerSetSpecListenerAllowedRoutesKind {
  /** Its API group. */
  group?: string;
  /** Its kind. */
  kind: string;
}

export interface ListenerSetStatus {
  /** Whether the Gateway takes the listeners, and they serve. */
  conditions?: Condition[];
  /** What became of each listener. */
  listeners?: ListenerSetStatusListener[];
}

export interface ListenerSetStatusListener {
  /** The listener. */
  name: string;
  /** Number of routes that are attached to it. */
  attachedRoutes: number;
  /** Kinds of routes that it serves. */
  supportedKinds?: ListenerSetSpecListenerAllowedRoutesKind[];
  /** Whether it is accepted, in conflict, resolved and programmed. */
  conditions: Condition[];
}

/** gateway.networking.k8s.io HTTPRoute */
export interface HTTPRoute extends KubeObject {
  spec: HTTPRouteSpec;
  status?: HTTPRouteStatus;
}

export interface HTTPRouteSpec {
  /** What the route is attached to. */
  parentRefs?: HTTPRouteSpecParentRef[];
  /** Host names that requests must be for; any that the listener takes, if absent. */
  hostnames?: string[];
  /** Rules; the most specific match of all routes decides. */
  rules?: HTTPRouteSpecRule[];
  /** Attach the route to the default Gateways of this scope too. */
  useDefaultGateways?: 'All' | 'None';
}

export interface HTTPRouteSpecParentRef {
  /** API group of the parent; empty for a Service. */
  group?: string;
  /** Kind of the parent: Gateway, ListenerSet, or Service for routes in the mesh. */
  kind?: string;
  /** Namespace of the parent, if another than that of the route. */
  namespace?: string;
  /** Name of the parent. */
  name: string;
  /** Part of the parent to attach to: a listener of a Gateway, a port of a Service. */
  sectionName?: string;
  /** Attach only to listeners, or to the port of a Service, with this number. */
  port?: number;
}

export interface HTTPRouteSpecRule {
  /** Name of the rule, by which policies and status point at it. */
  name?: string;
  /** Demands, any of which is enough; every request, if absent. */
  matches?: HTTPRouteSpecRuleMatch[];
  /** What is done to requests or their responses on the way. */
  filters?: HTTPRouteSpecRuleFilter[];
  /** Where requests go, each backend for its share by weight. */
  backendRefs?: HTTPRouteSpecRuleBackendRef[];
  /** How long to wait; 0s for ever. */
  timeouts?: HTTPRouteSpecRuleTimeouts;
  /** When a request is tried again. */
  retry?: HTTPRouteSpecRuleRetry;
  /** Keeps the requests of a session at one endpoint. */
  sessionPersistence?: HTTPRouteSpecRuleSessionPersistence;
}

export interface HTTPRouteSpecRuleMatch {
  /** The path that a request must have. */
  path?: HTTPRouteSpecRuleMatchPath;
  /** Headers that a request must have, all of them. */
  headers?: HTTPRouteSpecRuleMatchHeader[];
  /** Query parameters that a request must have, all of them. */
  queryParams?: HTTPRouteSpecRuleMatchQueryParam[];
  /** The method that a request must have. */
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'CONNECT' | 'OPTIONS' | 'TRACE' | 'PATCH';
}

export interface HTTPRouteSpecRuleMatchPath {
  /** How the path is compared; prefixes by whole segments. */
  type?: 'Exact' | 'PathPrefix' | 'RegularExpression';
  /** What the path must be. */
  value?: string;
}

export interface HTTPRouteSpecRuleMatchHeader {
  /** How the value is compared. */
  type?: 'Exact' | 'RegularExpression';
  /** The header; case does not matter. */
  name: string;
  /** What its value must be. */
  value: string;
}

export interface HTTPRouteSpecRuleMatchQueryParam {
  /** How the value is compared. */
  type?: 'Exact' | 'RegularExpression';
  /** The parameter. */
  name: string;
  /** What its value must be. */
  value: string;
}

export interface HTTPRouteSpecRuleFilter {
  /** What the filter does; the field of that name says more. */
  type:
    | 'RequestHeaderModifier'
    | 'ResponseHeaderModifier'
    | 'RequestMirror'
    | 'RequestRedirect'
    | 'URLRewrite'
    | 'ExtensionRef'
    | 'CORS'
    | 'ExternalAuth';
  /** Changes the headers of requests. */
  requestHeaderModifier?: HTTPRouteSpecRuleFilterRequestHeaderModifier;
  /** Changes the headers of responses. */
  responseHeaderModifier?: HTTPRouteSpecRuleFilterRequestHeaderModifier;
  /** Sends copies to a further backend, whose answers are thrown away. */
  requestMirror?: HTTPRouteSpecRuleFilterRequestMirror;
  /** Answers with a redirect; what is not said stays as in the request. */
  requestRedirect?: HTTPRouteSpecRuleFilterRequestRedirect;
  /** Changes the address before the request is sent on. */
  urlRewrite?: HTTPRouteSpecRuleFilterUrlRewrite;
  /** A filter of an implementation, as an object of its own. */
  extensionRef?: HTTPRouteSpecRuleFilterExtensionRef;
  /** Says which pages of other origins may use the backend. */
  cors?: HTTPRouteSpecRuleFilterCors;
  /** Asks a server of authorization, and lets pass what it allows. */
  externalAuth?: HTTPRouteSpecRuleFilterExternalAuth;
}

export interface HTTPRouteSpecRuleFilterRequestHeaderModifier {
  /** Headers that replace those of the same name. */
  set?: HTTPRouteSpecRuleFilterRequestHeaderModifierSet[];
  /** Headers that come after those of the same name. */
  add?: HTTPRouteSpecRuleFilterRequestHeaderModifierSet[];
  /** Names of headers to take away; case does not matter. */
  remove?: string[];
}

export interface HTTPRouteSpecRuleFilterRequestHeaderModifierSet {
  /** Its name; case does not matter. */
  name: string;
  /** Its value. */
  value: string;
}

export interface HTTPRouteSpecRuleFilterRequestMirror {
  /** Where copies go. */
  backendRef: HTTPRouteSpecRuleFilterRequestMirrorBackendRef;
  /** How many of a hundred requests are copied; all, if neither this nor fraction is said. */
  percent?: number;
  /** Which part of the requests is copied. */
  fraction?: HTTPRouteSpecRuleFilterRequestMirrorFraction;
}

export interface HTTPRouteSpecRuleFilterRequestMirrorBackendRef {
  /** API group of the backend; empty for the core group. */
  group?: string;
  /** Kind of the backend. */
  kind?: string;
  /** Name of the backend. */
  name: string;
  /** Namespace of the object, if another than here; it must be granted there by a ReferenceGrant. */
  namespace?: string;
  /** Port of the backend: for a Service, its own port, not that of its pods. */
  port?: number;
}

export interface HTTPRouteSpecRuleFilterRequestMirrorFraction {
  /** So many. */
  numerator: number;
  /** Of so many. */
  denominator?: number;
}

export interface HTTPRouteSpecRuleFilterRequestRedirect {
  /** Scheme of the new address. */
  scheme?: 'http' | 'https';
  /** Host of the new address. */
  hostname?: string;
  /** Another path. */
  path?: HTTPRouteSpecRuleFilterRequestRedirectPath;
  /** Port of the new address; that of the scheme, or of the listener, if absent. */
  port?: number;
  /** Status code of the answer. */
  statusCode?: 301 | 302 | 303 | 307 | 308;
}

export interface HTTPRouteSpecRuleFilterRequestRedirectPath {
  /** Whether the whole path is replaced, or the prefix that matched. */
  type: 'ReplaceFullPath' | 'ReplacePrefixMatch';
  /** What replaces the whole path. */
  replaceFullPath?: string;
  /** What replaces the prefix that matched. */
  replacePrefixMatch?: string;
}

export interface HTTPRouteSpecRuleFilterUrlRewrite {
  /** The Host that the backend gets. */
  hostname?: string;
  /** Another path. */
  path?: HTTPRouteSpecRuleFilterRequestRedirectPath;
}

export interface HTTPRouteSpecRuleFilterExtensionRef {
  /** API group of the object; empty for the core group. */
  group: string;
  /** Kind of the object. */
  kind: string;
  /** Name of the object. */
  name: string;
}

export interface HTTPRouteSpecRuleFilterCors {
  /** Origins whose pages may send requests; * for all. */
  allowOrigins?: string[];
  /** Methods that they may use; * for all. */
  allowMethods?: ('GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'CONNECT' | 'OPTIONS' | 'TRACE' | 'PATCH' | '*')[];
  /** Request headers that they may send; * for all. */
  allowHeaders?: string[];
  /** Response headers that they may read; * for all. */
  exposeHeaders?: string[];
  /** Whether requests may carry cookies and other credentials. */
  allowCredentials?: boolean;
  /** For how many seconds the answer may be kept. */
  maxAge?: number;
}

export interface HTTPRouteSpecRuleFilterExternalAuth {
  /** How the server is asked: plain HTTP, or gRPC (ext_authz of Envoy). */
  protocol: 'HTTP' | 'GRPC';
  /** The server. */
  backendRef: HTTPRouteSpecRuleFilterRequestMirrorBackendRef;
  /** More of asking over gRPC. */
  grpc?: HTTPRouteSpecRuleFilterExternalAuthGrpc;
  /** More of asking over HTTP. */
  http?: HTTPRouteSpecRuleFilterExternalAuthHttp;
  /** Whether the server gets the body too. */
  forwardBody?: HTTPRouteSpecRuleFilterExternalAuthForwardBody;
}

export interface HTTPRouteSpecRuleFilterExternalAuthGrpc {
  /** Request headers that the server gets; all, if absent. */
  allowedHeaders?: string[];
}

export interface HTTPRouteSpecRuleFilterExternalAuthHttp {
  /** What comes before the path of the request when the server is asked. */
  path?: string;
  /** Request headers that the server gets beside those it always gets. */
  allowedHeaders?: string[];
  /** Headers of its answer that the backend gets; all but those of HTTP itself, if absent. */
  allowedResponseHeaders?: string[];
}

export interface HTTPRouteSpecRuleFilterExternalAuthForwardBody {
  /** How many bytes of the body at most; 0 for none. */
  maxSize?: number;
}

export interface HTTPRouteSpecRuleBackendRef {
  /** API group of the backend; empty for the core group. */
  group?: string;
  /** Kind of the backend. */
  kind?: string;
  /** Name of the backend. */
  name: string;
  /** Namespace of the object, if another than here; it must be granted there by a ReferenceGrant. */
  namespace?: string;
  /** Port of the backend: for a Service, its own port, not that of its pods. */
  port?: number;
  /** Share of the traffic, of the sum of all weights; 0 for none. */
  weight?: number;
  /** What is done to requests or their responses on the way. */
  filters?: HTTPRouteSpecRuleFilter[];
}

export interface HTTPRouteSpecRuleTimeouts {
  /** For the whole answer to the client, over all attempts. */
  request?: string;
  /** For one attempt at a backend. */
  backendRequest?: string;
}

export interface HTTPRouteSpecRuleRetry {
  /** Status codes of answers to try again after. */
  codes?: number[];
  /** How often it is tried again at most. */
  attempts?: number;
  /** How long to wait at least before an attempt. */
  backoff?: string;
}

export interface HTTPRouteSpecRuleSessionPersistence {
  /** What carries the session. */
  type?: 'Cookie' | 'Header';
  /** Name of the cookie or header; the implementation chooses, if absent. */
  sessionName?: string;
  /** How long a session lives at most. */
  absoluteTimeout?: string;
  /** More of the cookie. */
  cookieConfig?: HTTPRouteSpecRuleSessionPersistenceCookieConfig;
}

export interface HTTPRouteSpecRuleSessionPersistenceCookieConfig {
  /** Whether the cookie outlives the browser, for absoluteTimeout. */
  lifetimeType?: 'Permanent' | 'Session';
}

export interface HTTPRouteStatus {
  /** One entry for each parent, written by the controller that serves it. */
  parents: HTTPRouteStatusParent[];
}

export interface HTTPRouteStatusParent {
  /** The parent, as the route names it. */
  parentRef: HTTPRouteSpecParentRef;
  /** The controller that wrote the entry. */
  controllerName: string;
  /** Whether the parent takes the route, and whether its references resolve. */
  conditions: Condition[];
}

/** gateway.networking.k8s.io GRPCRoute */
export interface GRPCRoute extends KubeObject {
  spec: GRPCRouteSpec;
  status?: GRPCRouteStatus;
}

export interface GRPCRouteSpec {
  /** What the route is attached to. */
  parentRefs?: GRPCRouteSpecParentRef[];
  /** Host names that requests must be for; any that the listener takes, if absent. */
  hostnames?: string[];
  /** Rules; the most specific match of all routes decides. */
  rules?: GRPCRouteSpecRule[];
  /** Attach the route to the default Gateways of this scope too. */
  useDefaultGateways?: 'All' | 'None';
}

export interface GRPCRouteSpecParentRef {
  /** API group of the parent; empty for a Service. */
  group?: string;
  /** Kind of the parent: Gateway, ListenerSet, or Service for routes in the mesh. */
  kind?: string;
  /** Namespace of the parent, if another than that of the route. */
  namespace?: string;
  /** Name of the parent. */
  name: string;
  /** Part of the parent to attach to: a listener of a Gateway, a port of a Service. */
  sectionName?: string;
  /** Attach only to listeners, or to the port of a Service, with this number. */
  port?: number;
}

export interface GRPCRouteSpecRule {
  /** Name of the rule, by which policies and status point at it. */
  name?: string;
  /** Demands, any of which is enough; every call, if absent. */
  matches?: GRPCRouteSpecRuleMatch[];
  /** What is done to requests or their responses on the way. */
  filters?: GRPCRouteSpecRuleFilter[];
  /** Where calls go, each backend for its share by weight. */
  backendRefs?: GRPCRouteSpecRuleBackendRef[];
  /** Keeps the requests of a session at one endpoint. */
  sessionPersistence?: GRPCRouteSpecRuleSessionPersistence;
}

export interface GRPCRouteSpecRuleMatch {
  /** The service and method that a call must be of. */
  method?: GRPCRouteSpecRuleMatchMethod;
  /** Headers that a request must have, all of them. */
  headers?: GRPCRouteSpecRuleMatchHeader[];
}

export interface GRPCRouteSpecRuleMatchMethod {
  /** How the value is compared. */
  type?: 'Exact' | 'RegularExpression';
  /** What the service must be, with its package: foo.bar.Greeter; any, if absent. */
  service?: string;
  /** What the method must be; any, if absent. */
  method?: string;
}

export interface GRPCRouteSpecRuleMatchHeader {
  /** How the value is compared. */
  type?: 'Exact' | 'RegularExpression';
  /** The header; case does not matter. */
  name: string;
  /** What its value must be. */
  value: string;
}

export interface GRPCRouteSpecRuleFilter {
  /** What the filter does; the field of that name says more. */
  type: 'ResponseHeaderModifier' | 'RequestHeaderModifier' | 'RequestMirror' | 'ExtensionRef';
  /** Changes the metadata of responses. */
  responseHeaderModifier?: GRPCRouteSpecRuleFilterResponseHeaderModifier;
  /** Changes the metadata of requests. */
  requestHeaderModifier?: GRPCRouteSpecRuleFilterResponseHeaderModifier;
  /** Sends copies to a further backend, whose answers are thrown away. */
  requestMirror?: GRPCRouteSpecRuleFilterRequestMirror;
  /** A filter of an implementation, as an object of its own. */
  extensionRef?: GRPCRouteSpecRuleFilterExtensionRef;
}

export interface GRPCRouteSpecRuleFilterResponseHeaderModifier {
  /** Headers that replace those of the same name. */
  set?: GRPCRouteSpecRuleFilterResponseHeaderModifierSet[];
  /** Headers that come after those of the same name. */
  add?: GRPCRouteSpecRuleFilterResponseHeaderModifierSet[];
  /** Names of headers to take away; case does not matter. */
  remove?: string[];
}

export interface GRPCRouteSpecRuleFilterResponseHeaderModifierSet {
  /** Its name; case does not matter. */
  name: string;
  /** Its value. */
  value: string;
}

export interface GRPCRouteSpecRuleFilterRequestMirror {
  /** Where copies go. */
  backendRef: GRPCRouteSpecRuleFilterRequestMirrorBackendRef;
  /** How many of a hundred requests are copied; all, if neither this nor fraction is said. */
  percent?: number;
  /** Which part of the requests is copied. */
  fraction?: GRPCRouteSpecRuleFilterRequestMirrorFraction;
}

export interface GRPCRouteSpecRuleFilterRequestMirrorBackendRef {
  /** API group of the backend; empty for the core group. */
  group?: string;
  /** Kind of the backend. */
  kind?: string;
  /** Name of the backend. */
  name: string;
  /** Namespace of the object, if another than here; it must be granted there by a ReferenceGrant. */
  namespace?: string;
  /** Port of the backend: for a Service, its own port, not that of its pods. */
  port?: number;
}

export interface GRPCRouteSpecRuleFilterRequestMirrorFraction {
  /** So many. */
  numerator: number;
  /** Of so many. */
  denominator?: number;
}

export interface GRPCRouteSpecRuleFilterExtensionRef {
  /** API group of the object; empty for the core group. */
  group: string;
  /** Kind of the object. */
  kind: string;
  /** Name of the object. */
  name: string;
}

export interface GRPCRouteSpecRuleBackendRef {
  /** API group of the backend; empty for the core group. */
  group?: string;
  /** Kind of the backend. */
  kind?: string;
  /** Name of the backend. */
  name: string;
  /** Namespace of the object, if another than here; it must be granted there by a ReferenceGrant. */
  namespace?: string;
  /** Port of the backend: for a Service, its own port, not that of its pods. */
  port?: number;
  /** Share of the traffic, of the sum of all weights; 0 for none. */
  weight?: number;
  /** What is done to requests or their responses on the way. */
  filters?: GRPCRouteSpecRuleFilter[];
}

export interface GRPCRouteSpecRuleSessionPersistence {
  /** What carries the session. */
  type?: 'Cookie' | 'Header';
  /** Name of the cookie or header; the implementation chooses, if absent. */
  sessionName?: string;
  /** How long a session lives at most. */
  absoluteTimeout?: string;
  /** More of the cookie. */
  cookieConfig?: GRPCRouteSpecRuleSessionPersistenceCookieConfig;
}

export interface GRPCRouteSpecRuleSessionPersistenceCookieConfig {
  /** Whether the cookie outlives the browser, for absoluteTimeout. */
  lifetimeType?: 'Permanent' | 'Session';
}

export interface GRPCRouteStatus {
  /** One entry for each parent, written by the controller that serves it. */
  parents: GRPCRouteStatusParent[];
}

export interface GRPCRouteStatusParent {
  /** The parent, as the route names it. */
  parentRef: GRPCRouteSpecParentRef;
  /** The controller that wrote the entry. */
  controllerName: string;
  /** Whether the parent takes the route, and whether its references resolve. */
  conditions: Condition[];
}

/** gateway.networking.k8s.io TLSRoute */
export interface TLSRoute extends KubeObject {
  spec: TLSRouteSpec;
  status?: TLSRouteStatus;
}

export interface TLSRouteSpec {
  /** What the route is attached to. */
  parentRefs?: TLSRouteSpecParentRef[];
  /** Server names that connections must ask for, any of these. */
  hostnames: string[];
  /** The rule. */
  rules: TLSRouteSpecRule[];
  /** Attach the route to the default Gateways of this scope too. */
  useDefaultGateways?: 'All' | 'None';
}

export interface TLSRouteSpecParentRef {
  /** API group of the parent; empty for a Service. */
  group?: string;
  /** Kind of the parent: Gateway, ListenerSet, or Service for routes in the mesh. */
  kind?: string;
  /** Namespace of the parent, if another than that of the route. */
  namespace?: string;
  /** Name of the parent. */
  name: string;
  /** Part of the parent to attach to: a listener of a Gateway, a port of a Service. */
  sectionName?: string;
  /** Attach only to listeners, or to the port of a Service, with this number. */
  port?: number;
}

export interface TLSRouteSpecRule {
  /** Name of the rule, by which policies and status point at it. */
  name?: string;
  /** Where connections go, each backend for its share by weight. */
  backendRefs: TLSRouteSpecRuleBackendRef[];
}

export interface TLSRouteSpecRuleBackendRef {
  /** API group of the backend; empty for the core group. */
  group?: string;
  /** Kind of the backend. */
  kind?: string;
  /** Name of the backend. */
  name: string;
  /** Namespace of the object, if another than here; it must be granted there by a ReferenceGrant. */
  namespace?: string;
  /** Port of the backend: for a Service, its own port, not that of its pods. */
  port?: number;
  /** Share of the traffic, of the sum of all weights; 0 for none. */
  weight?: number;
}

export interface TLSRouteStatus {
  /** One entry for each parent, written by the controller that serves it. */
  parents: TLSRouteStatusParent[];
}

export interface TLSRouteStatusParent {
  /** The parent, as the route names it. */
  parentRef: TLSRouteSpecParentRef;
  /** The controller that wrote the entry. */
  controllerName: string;
  /** Whether the parent takes the route, and whether its references resolve. */
  conditions: Condition[];
}

/** gateway.networking.k8s.io TCPRoute */
export interface TCPRoute extends KubeObject {
  spec: TCPRouteSpec;
  status?: TCPRouteStatus;
}

export interface TCPRouteSpec {
  /** What the route is attached to. */
  parentRefs?: TCPRouteSpecParentRef[];
  /** The rule. */
  rules: TCPRouteSpecRule[];
  /** Attach the route to the default Gateways of this scope too. */
  useDefaultGateways?: 'All' | 'None';
}

export interface TCPRouteSpecParentRef {
  /** API group of the parent; empty for a Service. */
  group?: string;
  /** Kind of the parent: Gateway, ListenerSet, or Service for routes in the mesh. */
  kind?: string;
  /** Namespace of the parent, if another than that of the route. */
  namespace?: string;
  /** Name of the parent. */
  name: string;
  /** Part of the parent to attach to: a listener of a Gateway, a port of a Service. */
  sectionName?: string;
  /** Attach only to listeners, or to the port of a Service, with this number. */
  port?: number;
}

export interface TCPRouteSpecRule {
  /** Name of the rule, by which policies and status point at it. */
  name?: string;
  /** Where connections go, each backend for its share by weight. */
  backendRefs: TCPRouteSpecRuleBackendRef[];
}

export interface TCPRouteSpecRuleBackendRef {
  /** API group of the backend; empty for the core group. */
  group?: string;
  /** Kind of the backend. */
  kind?: string;
  /** Name of the backend. */
  name: string;
  /** Namespace of the object, if another than here; it must be granted there by a ReferenceGrant. */
  namespace?: string;
  /** Port of the backend: for a Service, its own port, not that of its pods. */
  port?: number;
  /** Share of the traffic, of the sum of all weights; 0 for none. */
  weight?: number;
}

export interface TCPRouteStatus {
  /** One entry for each parent, written by the controller that serves it. */
  parents: TCPRouteStatusParent[];
}

export interface TCPRouteStatusParent {
  /** The parent, as the route names it. */
  parentRef: TCPRouteSpecParentRef;
  /** The controller that wrote the entry. */
  controllerName: string;
  /** Whether the parent takes the route, and whether its references resolve. */
  conditions: Condition[];
}

/** gateway.networking.k8s.io UDPRoute */
export interface UDPRoute extends KubeObject {
  spec: UDPRouteSpec;
  status?: UDPRouteStatus;
}

export interface UDPRouteSpec {
  /** What the route is attached to. */
  parentRefs?: UDPRouteSpecParentRef[];
  /** The rule. */
  rules: UDPRouteSpecRule[];
  /** Attach the route to the default Gateways of this scope too. */
  useDefaultGateways?: 'All' | 'None';
}

export interface UDPRouteSpecParentRef {
  /** API group of the parent; empty for a Service. */
  group?: string;
  /** Kind of the parent: Gateway, ListenerSet, or Service for routes in the mesh. */
  kind?: string;
  /** Namespace of the parent, if another than that of the route. */
  namespace?: string;
  /** Name of the parent. */
  name: string;
  /** Part of the parent to attach to: a listener of a Gateway, a port of a Service. */
  sectionName?: string;
  /** Attach only to listeners, or to the port of a Service, with this number. */
  port?: number;
}

export interface UDPRouteSpecRule {
  /** Name of the rule, by which policies and status point at it. */
  name?: string;
  /** Where connections go, each backend for its share by weight. */
  backendRefs: UDPRouteSpecRuleBackendRef[];
}

export interface UDPRouteSpecRuleBackendRef {
  /** API group of the backend; empty for the core group. */
  group?: string;
  /** Kind of the backend. */
  kind?: string;
  /** Name of the backend. */
  name: string;
  /** Namespace of the object, if another than here; it must be granted there by a ReferenceGrant. */
  namespace?: string;
  /** Port of the backend: for a Service, its own port, not that of its pods. */
  port?: number;
  /** Share of the traffic, of the sum of all weights; 0 for none. */
  weight?: number;
}

export interface UDPRouteStatus {
  /** One entry for each parent, written by the controller that serves it. */
  parents: UDPRouteStatusParent[];
}

export interface UDPRouteStatusParent {
  /** The parent, as the route names it. */
  parentRef: UDPRouteSpecParentRef;
  /** The controller that wrote the entry. */
  controllerName: string;
  /** Whether the parent takes the route, and whether its references resolve. */
  conditions: Condition[];
}

/** gateway.networking.k8s.io ReferenceGrant */
export interface ReferenceGrant extends KubeObject {
  spec: ReferenceGrantSpec;
}

export interface ReferenceGrantSpec {
  /** Who may: any of these. */
  from: ReferenceGrantSpecFrom[];
  /** What they may name: any of these. */
  to: ReferenceGrantSpecTo[];
}

export interface ReferenceGrantSpecFrom {
  /** API group of the objects; empty for the core group. */
  group: string;
  /** Their kind. */
  kind: string;
  /** Their namespace. */
  namespace: string;
}

export interface ReferenceGrantSpecTo {
  /** API group of the objects; empty for the core group. */
  group: string;
  /** Their kind. */
  kind: string;
  /** The one object; all of the kind, if absent. */
  name?: string;
}

/** gateway.networking.k8s.io BackendTLSPolicy */
export interface BackendTLSPolicy extends KubeObject {
  spec: BackendTLSPolicySpec;
  status?: BackendTLSPolicyStatus;
}

export interface BackendTLSPolicySpec {
  /** Backends that the policy is for. */
  targetRefs: BackendTLSPolicySpecTargetRef[];
  /** How the certificate of the backend is checked. */
  validation: BackendTLSPolicySpecValidation;
  /** Options of an implementation, under keys with its domain. */
  options?: Record<string, string>;
}

export interface BackendTLSPolicySpecTargetRef {
  /** API group of the target. */
  group: string;
  /** Kind of the target. */
  kind: string;
  /** Name of the target. */
  name: string;
  /** Part of the target: a listener of a Gateway, a port of a Service, a rule of a route; all of it if absent. */
  sectionName?: string;
}

export interface BackendTLSPolicySpecValidation {
  /** Objects with the certificates of trusted authorities. */
  caCertificateRefs?: BackendTLSPolicySpecValidationCaCertificateRef[];
  /** Authorities by name instead: System for those of the host, or domain/name. */
  wellKnownCACertificates?: string;
  /** The server name that is asked for, and that the certificate must be for unless subjectAltNames is given. */
  hostname: string;
  /** Names of which the certificate must have one. */
  subjectAltNames?: BackendTLSPolicySpecValidationSubjectAltName[];
}

export interface BackendTLSPolicySpecValidationCaCertificateRef {
  /** API group of the object; empty for the core group. */
  group: string;
  /** Kind of the object. */
  kind: string;
  /** Name of the object. */
  name: string;
}

export interface BackendTLSPolicySpecValidationSubjectAltName {
  /** What the name is. */
  type: 'Hostname' | 'URI';
  /** A host name; *. stands for its first label. */
  hostname?: string;
  /** A URI, such as a SPIFFE ID. */
  uri?: string;
}

export interface BackendTLSPolicyStatus {
  /** One entry for each object through which the policy takes effect, written by the controller that serves it. */
  ancestors: BackendTLSPolicyStatusAncestor[];
}

export interface BackendTLSPolicyStatusAncestor {
  /** The ancestor: a Gateway, mostly, or the target itself. */
  ancestorRef: BackendTLSPolicyStatusAncestorAncestorRef;
  /** The controller that wrote the entry. */
  controllerName: string;
  /** Whether the policy is accepted there. */
  conditions: Condition[];
}

export interface BackendTLSPolicyStatusAncestorAncestorRef {
  /** API group of the parent; empty for a Service. */
  group?: string;
  /** Kind of the parent: Gateway, ListenerSet, or Service for routes in the mesh. */
  kind?: string;
  /** Namespace of the parent, if another than that of the route. */
  namespace?: string;
  /** Name of the parent. */
  name: string;
  /** Part of the parent to attach to: a listener of a Gateway, a port of a Service. */
  sectionName?: string;
  /** Attach only to listeners, or to the port of a Service, with this number. */
  port?: number;
}

/** gateway.networking.x-k8s.io XBackendTrafficPolicy */
export interface XBackendTrafficPolicy extends KubeObject {
  spec: XBackendTrafficPolicySpec;
  status?: XBackendTrafficPolicyStatus;
}

export interface XBackendTrafficPolicySpec {
  /** Backends that the policy is for. */
  targetRefs: XBackendTrafficPolicySpecTargetRef[];
  /** Keeps retries from overloading the backend. */
  retryConstraint?: XBackendTrafficPolicySpecRetryConstraint;
  /** Keeps the requests of a session at one endpoint. */
  sessionPersistence?: XBackendTrafficPolicySpecSessionPersistence;
}

export interface XBackendTrafficPolicySpecTargetRef {
  /** API group of the object; empty for the core group. */
  group: string;
  /** Kind of the object. */
  kind: string;
  /** Name of the object. */
  name: string;
}

export interface XBackendTrafficPolicySpecRetryConstraint {
  /** How much of the traffic may be retries. */
  budget?: XBackendTrafficPolicySpecRetryConstraintBudget;
  /** Retries that are allowed whatever the budget says. */
  minRetryRate?: XBackendTrafficPolicySpecRetryConstraintMinRetryRate;
}

export interface XBackendTrafficPolicySpecRetryConstraintBudget {
  /** How many of a hundred requests may be retries. */
  percent?: number;
  /** Over how long requests are counted. */
  interval?: string;
}

export interface XBackendTrafficPolicySpecRetryConstraintMinRetryRate {
  /** So many retries. */
  count?: number;
  /** In so long. */
  interval?: string;
}

export interface XBackendTrafficPolicySpecSessionPersistence {
  /** What carries the session. */
  type?: 'Cookie' | 'Header';
  /** Name of the cookie or header; the implementation chooses, if absent. */
  sessionName?: string;
  /** How long a session lives at most. */
  absoluteTimeout?: string;
  /** More of the cookie. */
  cookieConfig?: XBackendTrafficPolicySpecSessionPersistenceCookieConfig;
}

export interface XBackendTrafficPolicySpecSessionPersistenceCookieConfig {
  /** Whether the cookie outlives the browser, for absoluteTimeout. */
  lifetimeType?: 'Permanent' | 'Session';
}

export interface XBackendTrafficPolicyStatus {
  /** One entry for each object through which the policy takes effect, written by the controller that serves it. */
  ancestors: XBackendTrafficPolicyStatusAncestor[];
}

export interface XBackendTrafficPolicyStatusAncestor {
  /** The ancestor: a Gateway, mostly, or the target itself. */
  ancestorRef: XBackendTrafficPolicyStatusAncestorAncestorRef;
  /** The controller that wrote the entry. */
  controllerName: string;
  /** Whether the policy is accepted there. */
  conditions: Condition[];
}

export interface XBackendTrafficPolicyStatusAncestorAncestorRef {
  /** API group of the parent; empty for a Service. */
  group?: string;
  /** Kind of the parent: Gateway, ListenerSet, or Service for routes in the mesh. */
  kind?: string;
  /** Namespace of the parent, if another than that of the route. */
  namespace?: string;
  /** Name of the parent. */
  name: string;
  /** Part of the parent to attach to: a listener of a Gateway, a port of a Service. */
  sectionName?: string;
  /** Attach only to listeners, or to the port of a Service, with this number. */
  port?: number;
}

/** gateway.networking.x-k8s.io XBackend */
export interface XBackend extends KubeObject {
  spec: XBackendSpec;
  status?: XBackendStatus;
}

export interface XBackendSpec {
  /** What names the backend. */
  type: 'ExternalHostname';
  /** The backend by its host name. */
  externalHostname?: XBackendSpecExternalHostname;
  /** The port of the backend. */
  port: XBackendSpecPort;
  /** What is spoken on the port. */
  protocol?: 'TCP' | 'HTTP' | 'HTTP2' | 'HTTP11' | 'H2C' | 'MCP';
  /** TLS towards the backend. */
  tls?: XBackendSpecTls;
}

export interface XBackendSpecExternalHostname {
  /** A name that DNS knows, not one of the cluster. */
  hostname: string;
}

export interface XBackendSpecPort {
  /** Name of the port. */
  name?: string;
  /** Number of the port. */
  port: number;
}

export interface XBackendSpecTls {
  /** Who shows a certificate. */
  mode: 'None' | 'ServerOnly' | 'ClientAndServer';
  /** The certificate, with its key, that the backend is shown. */
  clientCertificateRef?: XBackendSpecTlsClientCertificateRef;
  /** How the certificate of the backend is checked. */
  validation?: XBackendSpecTlsValidation;
}

export interface XBackendSpecTlsClientCertificateRef {
  /** API group of the object; empty for the core group. */
  group?: string;
  /** Kind of the object. */
  kind?: string;
  /** Name of the object. */
  name: string;
  /** Namespace of the object, if another than here; it must be granted there by a ReferenceGrant. */
  namespace?: string;
}

export interface XBackendSpecTlsValidation {
  /** Objects with the certificates of trusted authorities. */
  caCertificateRefs?: XBackendSpecTlsValidationCaCertificateRef[];
  /** Authorities by name instead: System for those of the host, or domain/name. */
  wellKnownCACertificates?: string;
  /** The server name that is asked for, and that the certificate must be for unless subjectAltNames is given. */
  hostname: string;
  /** Names of which the certificate must have one. */
  subjectAltNames?: XBackendSpecTlsValidationSubjectAltName[];
}

export interface XBackendSpecTlsValidationCaCertificateRef {
  /** API group of the object; empty for the core group. */
  group: string;
  /** Kind of the object. */
  kind: string;
  /** Name of the object. */
  name: string;
}

export interface XBackendSpecTlsValidationSubjectAltName {
  /** What the name is. */
  type: 'Hostname' | 'URI';
  /** A host name; *. stands for its first label. */
  hostname?: string;
  /** A URI, such as a SPIFFE ID. */
  uri?: string;
}

export interface XBackendStatus {
  /** One entry for each parent whose routes use the backend. */
  parents?: XBackendStatusParent[];
}

export interface XBackendStatusParent {
  /** The parent. */
  parentRef: XBackendStatusParentParentRef;
  /** The controller that wrote the entry. */
  controllerName: string;
  /** Whether the backend is accepted there. */
  conditions?: Condition[];
}

export interface XBackendStatusParentParentRef {
  /** API group of the parent; empty for a Service. */
  group?: string;
  /** Kind of the parent: Gateway, ListenerSet, or Service for routes in the mesh. */
  kind?: string;
  /** Namespace of the parent, if another than that of the route. */
  namespace?: string;
  /** Name of the parent. */
  name: string;
  /** Part of the parent to attach to: a listener of a Gateway, a port of a Service. */
  sectionName?: string;
  /** Attach only to listeners, or to the port of a Service, with this number. */
  port?: number;
}

/** gateway.networking.x-k8s.io XMesh */
export interface XMesh extends KubeObject {
  spec: XMeshSpec;
  status?: XMeshStatus;
}

export interface XMeshSpec {
  /** The controller that serves it, as domain/path; it cannot be changed. */
  controllerName: string;
  /** What the mesh is for, in words. */
  description?: string;
  /** An object that configures the mesh, of a kind that the controller knows. */
  parametersRef?: XMeshSpecParametersRef;
}

export interface XMeshSpecParametersRef {
  /** API group of the object; empty for the core group. */
  group: string;
  /** Kind of the object. */
  kind: string;
  /** Name of the object. */
  name: string;
  /** Namespace of the object; absent for a kind without namespaces. */
  namespace?: string;
}

export interface XMeshStatus {
  /** Whether the controller has accepted the mesh. */
  conditions?: Condition[];
  /** Features that the controller supports, by their names in the conformance suite. */
  supportedFeatures?: XMeshStatusSupportedFeature[];
}

export interface XMeshStatusSupportedFeature {
  /** Its name. */
  name: string;
}

/** policy.ambit.dev RateLimit */
export interface RateLimit extends KubeObject {
  spec: RateLimitSpec;
  status?: RateLimitStatus;
}

export interface RateLimitSpec {
  /** What the limits are for, in the namespace of the object; a GatewayClass only from the root namespace. */
  targetRefs: RateLimitSpecTargetRef[];
  /** The limits. */
  limits: RateLimitSpecLimit[];
}

export interface RateLimitSpecTargetRef {
  /** API group of the target. */
  group: string;
  /** Kind of the target. */
  kind: string;
  /** Name of the target. */
  name: string;
}

export interface RateLimitSpecLimit {
  /** Name of the limit, for metrics and logs. */
  name: string;
  /** Requests that count: those that meet any of these demands; all of them, if absent. */
  matches?: RateLimitSpecLimitMatch[];
  /** What requests are told apart by: each combination of values is counted for itself; all together, if absent. */
  by?: RateLimitSpecLimitBy[];
  /** Counted by each proxy for itself: what they let through together grows with their number. */
  local?: RateLimitSpecLimitLocal;
  /** Counted by a service for all proxies (envoy.service.ratelimit.v3), which knows the rules. */
  global?: RateLimitSpecLimitGlobal;
  /** Status of refusals. */
  statusCode?: number;
  /** Whether what is over the limit is only counted and logged. */
  dryRun?: boolean;
}

export interface RateLimitSpecLimitMatch {
  /** The path that a request must have. */
  path?: RateLimitSpecLimitMatchPath;
  /** The method that a request must have. */
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'CONNECT' | 'OPTIONS' | 'TRACE' | 'PATCH';
  /** Headers that a request must have, all of them. */
  headers?: RateLimitSpecLimitMatchHeader[];
  /** Query parameters that a request must have, all of them. */
  queryParams?: RateLimitSpecLimitMatchQueryParam[];
  /** Claims that its token must have, all of them. */
  claims?: RateLimitSpecLimitMatchClaim[];
}

export interface RateLimitSpecLimitMatchPath {
  /** How the path is compared; prefixes by whole segments. */
  type?: 'Exact' | 'PathPrefix' | 'RegularExpression';
  /** What the path must be. */
  value?: string;
}

export interface RateLimitSpecLimitMatchHeader {
  /** How the value is compared. */
  type?: 'Exact' | 'RegularExpression';
  /** The header; case does not matter. */
  name: string;
  /** What its value must be. */
  value: string;
}

export interface RateLimitSpecLimitMatchQueryParam {
  /** How the value is compared. */
  type?: 'Exact' | 'RegularExpression';
  /** The parameter. */
  name: string;
  /** What its value must be. */
  value: string;
}

export interface RateLimitSpecLimitMatchClaim {
  /** Where the claim is in the token: its name, or the names that lead to it. */
  path: string[];
  /** How the value is compared. */
  type?: 'Exact' | 'RegularExpression';
  /** What it must be. */
  value: string;
}

export interface RateLimitSpecLimitBy {
  /** The property; RemoteIP is the original client, SourcePrincipal the peer. */
  type:
    | 'Header'
    | 'QueryParam'
    | 'Claim'
    | 'RemoteIP'
    | 'SourcePrincipal'
    | 'SourceNamespace'
    | 'Method'
    | 'Path'
    | 'Route'
    | 'Value';
  /** Name of the header or query parameter. */
  name?: string;
  /** Where the claim is in the token: its name, or the names that lead to it. */
  path?: string[];
  /** A fixed value, for the rules of a rate limit service. */
  value?: string;
  /** What a rate limit service knows the property by; its name, or its type as in remote_address, if absent. */
  key?: string;
}

export interface RateLimitSpecLimitLocal {
  /** How many requests there may be in each unit or interval. */
  requests: number;
  /** A common interval. */
  unit?: 'Second' | 'Minute' | 'Hour' | 'Day';
  /** Another interval, as 10s. */
  interval?: string;
  /** How many requests may come at once; as many as requests, if absent. */
  burst?: number;
}

export interface RateLimitSpecLimitGlobal {
  /** Name of an extension provider of the mesh configuration, of type envoyRateLimitGrpc. */
  provider: string;
  /** Domain of the rules there. */
  domain: string;
  /** How long a request waits for the service. */
  timeout?: string;
  /** What becomes of requests while the service does not answer. */
  failureMode?: 'FailOpen' | 'FailClosed';
}

export interface RateLimitStatus {
  /** Whether it is accepted, and held by every proxy. */
  conditions?: Condition[];
}

/** policy.ambit.dev ProxyExtension */
export interface ProxyExtension extends KubeObject {
  spec: ProxyExtensionSpec;
  status?: ProxyExtensionStatus;
}

export interface ProxyExtensionSpec {
  /** Whose requests pass it, in the namespace of the object; a GatewayClass only from the root namespace. */
  targetRefs: ProxyExtensionSpecTargetRef[];
  /** Where the module is. */
  source: ProxyExtensionSpecSource;
  /** What the module is made with. */
  config?: Record<string, unknown>;
  /** When it is asked: before tokens are verified, before policies decide, after all of these, or last. */
  phase?: 'Authentication' | 'Authorization' | 'Statistics' | 'Last';
  /** Order within the phase: the highest first. */
  priority?: number;
  /** What becomes of requests that it fails at. */
  failureMode?: 'FailOpen' | 'FailClosed';
  /** How long one call may take. */
  timeout?: string;
  /** Memory that the module may take. */
  memoryMegabytes?: number;
  /** How much of the body of a request it is shown; 0: nothing. */
  maxBodyBytes?: number;
}

export interface ProxyExtensionSpecTargetRef {
  /** API group of the target. */
  group: string;
  /** Kind of the target. */
  kind: string;
  /** Name of the target. */
  name: string;
}

export interface ProxyExtensionSpecSource {
  /** The module itself. */
  inline?: string;
  /** A ConfigMap in the namespace of the object that holds the module. */
  configMap?: ProxyExtensionSpecSourceConfigMap;
}

export interface ProxyExtensionSpecSourceConfigMap {
  /** Name of the ConfigMap. */
  name: string;
  /** Key of the module, which ends in .ts, .js or .mjs. */
  key?: string;
}

export interface ProxyExtensionStatus {
  /** Whether it is accepted, and held by every proxy. */
  conditions?: Condition[];
}
