/** Server-side apply and the tracking of field managers: pure functions. */
export { applyConfiguration, sameManagers, trackUpdate, type WriteManager } from './track.ts';
export { managerNameOf } from './managed-fields.ts';
