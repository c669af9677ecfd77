/** The control plane: certificate authority, discovery, statuses. */
export type { RunningControl } from './control-options.ts';
export { startControl } from './control.ts';
export { parseProxyValues } from './deployer/index.ts';
export type { ClientStatus, SyncStatus } from './sync-status.ts';
