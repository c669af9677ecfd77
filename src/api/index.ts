/** Kubernetes, Istio, Gateway API and Ambit resources: types, kinds, validation. */
export * from './meta.ts';
export * from './names.ts';
export * from './workload.ts';
