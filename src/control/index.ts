/** The control plane: certificate authority, discovery, statuses. */
export { startControl, type RunningControl } from './control.ts';
export { parseProxyValues } from './deployer/index.ts';
export type { ClientStatus, SyncStatus } from './sync-status.ts';
