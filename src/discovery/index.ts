/** Pure derivations: what the API holds -> what data planes are told, and what statuses say. */
export { overbroadRules, policySelector, type PolicyVerdict } from './authorization-policy.ts';
export { createDiscovery, type Discovery, type DiscoverySources } from './discovery.ts';
export type { GatewayObjects } from './gateway-objects.ts';
export type { GatewayReach } from './gateway-reach.ts';
export type { GatewayRole } from './gateway-role.ts';
export type { KeyNeed, KeySet } from './l7/authentication-keys.ts';
export type { AncestorVerdict } from './l7/backend-tls-policy-status.ts';
export type { ListenerVerdict } from './l7/gateway-listeners-view.ts';
export type { ParentVerdict } from './l7/route-status.ts';
export type { ServedCertificate } from './l7/served-certificate.ts';
export { defaultRevision } from './mesh-scope.ts';
export { keyOfObject, objectKey } from './object-key.ts';
export { unservedKinds, type UnservedKind } from './unserved-kinds.ts';
export type { RuleVerdict } from './l7/rule-verdicts.ts';
