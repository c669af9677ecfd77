/** The L4 proxy of a node. */
export { parseZtunnelConfig, type ControlPlaneEndpoint, type ZtunnelConfig } from './config.ts';
export { startZtunnel, type RunningZtunnel, type ZtunnelOptions } from './start.ts';
export { startDataPart, type DataPartOptions } from './data-part.ts';
export type {
  ConnectionReport,
  ControlMessage,
  DataMessage,
  DataPart,
  DataReport,
  PodInfo,
  PodListenAt,
  PodToServe,
} from './messages.ts';
