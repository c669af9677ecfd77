/** Delta xDS, both ends. */
export {
  startDeltaClient,
  type DeltaClient,
  type DeltaClientOptions,
  type DeltaClientStatus,
  type DeltaClientType,
  type DeltaFeed,
  type DeltaTermination,
  type DeltaUpdate,
  type DeltaVerdict,
} from './delta-client.ts';
export {
  createDeltaServer,
  type DeltaConnection,
  type DeltaConnectionStatus,
  type DeltaServer,
  type DeltaServerOptions,
  type DeltaServerType,
} from './delta-server.ts';
export type { DeltaAnswer, DeltaTypeStatus } from './server-session.ts';
export { createMutableSource, type MutableSource, type ResourceSource, type SourceResource } from './source.ts';
