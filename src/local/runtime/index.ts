/** The process-pod runtime of a local node. */
export type { ImageEntry } from './image-table.ts';
export type { NodePodReport } from './node-server.ts';
export { startNodeRuntime } from './node-runtime.ts';
