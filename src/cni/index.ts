/** The node agent: enrols pods of its node into the mesh. */
export { startNodeAgent, type NodeAgent } from './agent.ts';
export { parseNodeAgentConfig } from './agent-config.ts';
export { admitPod } from './plugin/admit-pod.ts';
