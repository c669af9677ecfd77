/** The node agent: enrols pods of its node into the mesh. */
export { startNodeAgent, type NodeAgent, type NodeAgentOptions } from './agent.ts';
export type { EnrolmentTimings } from './pod-enrolment.ts';
