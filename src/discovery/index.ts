/** Pure derivations: what the API holds -> what data planes are told, and what statuses say. */
export { convertAuthorizationPolicy, type PolicyConversion, type PolicyVerdict } from './authorization-policy.ts';
export { createDiscovery, type Discovery, type DiscoveryOptions, type DiscoverySources } from './discovery.ts';
export { clusterOfKey, keyOfObject, objectKey, type ObjectKey } from './object-key.ts';
