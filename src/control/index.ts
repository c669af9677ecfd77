/** The control plane: certificate authority, discovery, statuses. */
export { startControl, type ControlOptions, type RunningControl } from './control.ts';
