/** The data plane's view of workloads, services and policies. */
export { MeshState } from './mesh-state.ts';
export type { AddressUpdate, AuthorizationUpdate, Endpoint, EndpointSet, MeshChange } from './mesh-state.ts';
