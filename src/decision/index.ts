/** Pure decisions of a data plane: where a connection goes. */
export { type IpFamilies } from './addresses.ts';
export { isWaypointOf } from './gateways.ts';
export { planOutbound, violatedByChange } from './outbound.ts';
export type { HbonePlan, OutboundPlan } from './outbound-plan.ts';
export type { EndpointAvoidance } from './draw.ts';
export { planInboundConnect, planInboundPlaintext } from './inbound.ts';
export { planName, type NamePlan, type SearchRules } from './names.ts';
