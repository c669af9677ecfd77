/** A whole mesh on one Linux machine: its namespaces, its processes, and how to reach them. */
export type { ComponentStatus } from './components.ts';
export { down } from './down.ts';
export { planEnterControl, planEnterNode, planEnterPod, requireRunning, type EnterPlan } from './enter.ts';
export { childrenOf } from './host-process.ts';
export { startHostPorts } from './host-ports.ts';
export { startForwarder } from './forwarder.ts';
export type { SelfCommand } from './init.ts';
export { readManifests, applyManifests, type Manifest } from './manifests.ts';
export { parsePublishedPort } from './published-ports.ts';
export { statePaths, type StatePaths } from './state-dir.ts';
export { viewMesh, type MeshView } from './status.ts';
export { openMeshClient, up } from './up.ts';
export { controlAddress } from './system-objects.ts';
