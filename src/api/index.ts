/** Kubernetes, Istio, Gateway API and Ambit resources: types, kinds, validation. */
export * from './apps.ts';
export * from './core.ts';
export * from './discovery.ts';
export * from './gateway.ts';
export * from './istio.ts';
export * from './kinds.ts';
export * from './meta.ts';
export * from './names.ts';
export * from './workload.ts';
