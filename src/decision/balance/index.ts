/** Load balancing as pure decisions: hosts, their health and a random come in, a choice goes out. */
export { backendHosts, type HostSpec, type KnownHosts, type RemoteReach } from './backend-hosts.ts';
export { requestHash } from './hash-source.ts';
export { hashText } from './hash.ts';
export type { BalancedHost, Picker } from './host.ts';
export { planLoad, type LoadPlan } from './load-plan.ts';
export { maglev } from './maglev.ts';
export {
  createOutlierState,
  eject,
  forgive,
  mayEject,
  noteFailure,
  noteStatus,
  restore,
  type OutlierState,
} from './outlier.ts';
export { leastRequest, randomDraw } from './random-draw.ts';
export { requestedHost, specialOwner, undialledAddress, type RequestedHostRefusal } from './requested-host.ts';
export { ringHash } from './ring-hash.ts';
export { roundRobin } from './round-robin.ts';
export { warmupFactor, warmupStepMs } from './warmup.ts';
