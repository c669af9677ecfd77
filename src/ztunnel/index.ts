/** The L4 proxy of a node. Its data part alone: `data-part.ts`. */
export { parseZtunnelConfig } from './config.ts';
export { startZtunnel, type RunningZtunnel } from './start.ts';
