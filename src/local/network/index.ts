/** The network of a local mesh: bridge, nodes, pods, Services. */
export * from './address-pool.ts';
export * from './addresses.ts';
export { askHostResolver, startEgress } from './egress.ts';
export * from './ip-families.ts';
export * from './mesh-network.ts';
export * from './pod-network.ts';
export * from './service-endpoints.ts';
export * from './service-proxy.ts';
export * from './service-view.ts';
export * from './tool.ts';
