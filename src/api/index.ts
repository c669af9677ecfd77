/** Kubernetes, Istio, Gateway API and Ambit resources: types, kinds, validation. */
export * from './apps.ts';
export { tableOf } from './columns/columns.ts';
export * from './coordination.ts';
export * from './core.ts';
export * from './discovery.ts';
export * from './field-error.ts';
export * from './gateway.ts';
export * from './istio.ts';
export * from './kind-info.ts';
export * from './kinds.ts';
export * from './meta.ts';
export * from './names.ts';
export { allKinds, kindInfo, validate } from './registry.ts';
export { unknownFields } from './schema/check.ts';
export type { JsonSchema } from './schema/schema.ts';
export * from './selector.ts';
export { hasStrategicMerge, mergeKeyOf } from './strategic.ts';
export * from './workload.ts';
