/** Istio's kinds (security, networking, telemetry, extensions): their types come from their schemas, in `custom/istio`. */
import type {
  AuthorizationPolicySpecRule,
  AuthorizationPolicySpecRuleFromSource,
  AuthorizationPolicySpecRuleToOperation,
  AuthorizationPolicySpecRuleWhen,
} from './custom/types.gen.ts';

export type {
  AuthorizationPolicy,
  DestinationRule,
  EnvoyFilter,
  IstioGateway,
  PeerAuthentication,
  PeerAuthenticationSpec,
  ProxyConfig,
  RequestAuthentication,
  ServiceEntry,
  Sidecar,
  Telemetry,
  TrafficExtension,
  VirtualService,
  WasmPlugin,
  WorkloadEntry,
  WorkloadGroup,
} from './custom/types.gen.ts';

export type AuthorizationRule = AuthorizationPolicySpecRule;
export type AuthorizationSource = AuthorizationPolicySpecRuleFromSource;
export type AuthorizationOperation = AuthorizationPolicySpecRuleToOperation;
export type AuthorizationCondition = AuthorizationPolicySpecRuleWhen;
