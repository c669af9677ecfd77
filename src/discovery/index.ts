/** Pure derivations: what the API holds -> what data planes are told, and what statuses say. */
export type { PolicyVerdict } from './authorization-policy.ts';
export { createDiscovery, type DiscoverySources } from './discovery.ts';
export { keyOfObject } from './object-key.ts';
