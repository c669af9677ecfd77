/** What a server knows of the kinds: schemas, defaults, validation, columns. Heavy: only those who serve import it. */
export { tableOf } from './columns/columns.ts';
export { builtinKinds, kindInfo, validate } from './registry.ts';
export { objectMeta } from './schema/meta.ts';
export { pruneUnknown, unknownFields } from './schema/prune.ts';
export { applyStrategicMergePatch } from './strategic-merge.ts';
export { hasStrategicMerge, mergeKeyOf } from './strategic.ts';
export { nextTime, parseSchedule } from './cron.ts';
export { parseQuantity } from './validation/quantity.ts';
